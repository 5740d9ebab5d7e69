"""Examine one cell: an implementation at one device, mode and dtype, through every check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lossproof.audit.cases import Cases
from lossproof.audit.gather import findings_of, results_of
from lossproof.audit.ledger import Ledger
from lossproof.audit.observe import observe
from lossproof.audit.results import Finding, Result
from lossproof.checks import CASE_CHECKS, FIRST_CASE_CHECKS, NAMES, Check, accuracy, laws, shape_and_dtype
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Cell, Trial
from lossproof.diagnosis import ENOUGH
from lossproof.errors import ImplementationError
from lossproof.inputs import Case, Profile
from lossproof.waivers import Waiver


class Examination:
    """Runs the checks of one cell.

    laws_compiled: whether laws run in compiled mode too. false_laws: laws to which nothing is held.
    """

    def __init__(
        self,
        cell: Cell,
        profile: Profile,
        seed: int,
        regimes: Sequence[str],
        waivers: Sequence[Waiver],
        laws_compiled: bool,
        false_laws: frozenset[str] = frozenset(),
    ) -> None:
        self.cell, self.laws_compiled, self.false_laws = cell, laws_compiled, false_laws
        self.cases = Cases(cell, profile, seed, regimes, self._bits)
        self.ledger = Ledger(cell, waivers)
        self.errors: list[tuple[Case, ImplementationError]] = []
        self.accepted: set[tuple[tuple[str, Any], ...]] = set()
        self.ordinary: Trial | None = None

    def run(self) -> tuple[list[Result], list[Finding]]:
        """The rows and the findings of the cell."""
        for regime in self.cases.regimes:
            for number, case in enumerate(self.cases.of_regime(regime)):
                self._examine(case, first=number == 0)
        self._note_errors()
        for name in self.cell.spec.laws:
            self._examine_law(name)
        for check in NAMES:
            if not any(row.observations for (name, _), row in self.ledger.rows.items() if name == check):
                self.ledger.row(check).skip(self._why_not(check))
        findings = findings_of(self.ledger, self.ordinary, keep=set(self.cases.fixed()))
        return results_of(self.ledger, findings), list(findings.values())

    def _examine(self, case: Case, first: bool) -> None:
        trial = Trial(self.cell, case)
        try:
            _ = trial.outcome
        except ImplementationError as error:
            self.errors.append((case, error))
            return
        self.accepted.add(self.cases.convention(case))
        if self.ordinary is None and trial.reference.size >= ENOUGH:
            self.ordinary = trial
        for check in CASE_CHECKS if not first else (*CASE_CHECKS, *FIRST_CASE_CHECKS):
            self._note(check, trial)

    def _note(self, check: Check, trial: Trial) -> None:
        by_regime = check in CASE_CHECKS and check is not shape_and_dtype
        row = self.ledger.row(check.NAME, trial.case.regime if by_regime else None)

        def look(case: Case) -> Observation | None:
            return check.observe(trial if case is trial.case else Trial(self.cell, case))

        self.ledger.note(row, check.NAME, trial.case, look)

    def _examine_law(self, name: str) -> None:
        check = laws.PREFIX + name
        row = self.ledger.row(check)
        reason = self.cases.law_refused(name)
        if name in self.false_laws:
            reason = "the law is false for its definition"
        if reason is None and not self.accepted:
            reason = self._why_not(check)
        if reason is None and self.cell.mode == "compiled" and not self.laws_compiled:
            reason = "laws run compiled with --mode compiled; here they ran in eager mode"
        if reason is not None:
            row.skip(reason)
            return
        for number, case in enumerate(self.cases.of_law(name)):
            # beyond the profile's number only until the law has said anything
            if number >= self.cases.profile.laws and any(seen.cases for seen in row.observations):
                break
            self.ledger.note(row, check, case, lambda c: laws.observe(self.cell, name, c))

    def _note_errors(self) -> None:
        """A value of a parameter that is never accepted is refused, a skip; any other exception is an error."""
        for case, error in self.errors:
            row = self.ledger.row(accuracy.NAME)
            convention = self.cases.convention(case)
            unknown = self.accepted and convention not in self.accepted
            if unknown and self.cell.refuses(case.parameters) is not None:
                shown = ", ".join(f"{name}={value}" for name, value in convention)
                row.skip(f"refuses {shown}: {error}")
            else:
                row.error(case, str(error))

    def _why_not(self, check: str) -> str:
        if not self.accepted:
            return "the implementation raised on every case" if self.errors else "no case was drawn"
        if check == "batch_independence":
            return "the result has no rows that could be independent"
        if self.ledger.row(shape_and_dtype.NAME).failed:
            return "the result has another shape than the spec's"
        return "no case to which the check applies"

    def _bits(self, case: Case) -> float:
        seen = observe(self.cell, accuracy.NAME, case)
        return 0.0 if seen is None or seen.bits is None else seen.bits
