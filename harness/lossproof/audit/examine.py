"""Examine one cell: an implementation at one device, mode and dtype, through every check."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

from lossproof.audit.cases import Cases
from lossproof.audit.examine_cases import CaseExamination
from lossproof.audit.examine_laws import examine_law
from lossproof.audit.gather import findings_of, results_of, tolerances_of
from lossproof.audit.ledger import Ledger
from lossproof.audit.observe import observe
from lossproof.audit.results import Finding, Result, Tolerance
from lossproof.audit.share import ALL, Share
from lossproof.checks import BY_REGIME, NAMES, accuracy, laws, shape_and_dtype
from lossproof.checks.cell import Cell
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Trial
from lossproof.errors import ImplementationError
from lossproof.inputs import Case, Profile
from lossproof.waivers import Waiver


class Examination:
    """Runs the checks of one cell.

    share: what of the profile the cell takes. false_laws: laws to which nothing is held. fail_on: from which
    verdict on a row gets a finding.
    """

    def __init__(
        self,
        cell: Cell,
        profile: Profile,
        seed: int,
        regimes: Sequence[str],
        waivers: Sequence[Waiver],
        share: Share = ALL,
        false_laws: frozenset[str] = frozenset(),
        fail_on: str = "fail",
    ) -> None:
        self.cell, self.share, self.false_laws = cell, share, false_laws
        self.cases = Cases(cell, profile, seed, regimes, self._bits, share=share)
        self.ledger = Ledger(cell, waivers, fail_on)
        self.examined = CaseExamination(cell, self.cases, self.ledger)

    def run(self) -> tuple[list[Result], list[Finding], list[Tolerance]]:
        """The rows, the findings and the distributions of errors of the cell."""
        self.examined.run()
        for regime, reason in self.cases.left_out.items():
            for each in BY_REGIME:
                self.ledger.row(each.NAME, regime).skip(f"{regime} {reason}")
        self._note_errors()
        for name in self.cell.spec.laws:
            self._examine_law(name)
        for check in NAMES:
            if not any(row.observations for (name, _), row in self.ledger.rows.items() if name == check):
                self.ledger.row(check).skip(self._why_not(check))
        findings = findings_of(self.ledger, set(self.cases.fixed()), self.cases.profile.pool)
        results = results_of(self.ledger, findings)
        if self.examined.worst is not None:
            results = self.examined.worst.told(results)
        return results, list(findings.values()), tolerances_of(self.ledger)

    def _examine_law(self, name: str) -> None:
        check = laws.PREFIX + name
        row = self.ledger.row(check)
        reason = self.cases.law_refused(name)
        if name in self.false_laws:
            reason = "the law is false for its definition"
        if reason is None and not self.examined.accepted:
            reason = self._why_not(check)
        if reason is None:
            reason = self.share.laws
        if reason is not None:
            row.skip(reason)
            return
        cases, pool = self.cases.of_law(name), self.cases.profile.pool
        examine_law(
            self.cell, self.ledger, name, list(itertools.islice(cases, self.cases.profile.laws)), pool
        )
        if not any(seen.cases for seen in row.observations):
            # the law has said nothing yet
            examine_law(self.cell, self.ledger, name, list(cases), pool)

    def _note_errors(self) -> None:
        """A value of a parameter that is never accepted is refused, a skip; any other exception is an error."""
        for case, error in self.examined.errors:
            row = self.ledger.row(accuracy.NAME)
            convention = self.cases.convention(case)
            unknown = self.examined.accepted and convention not in self.examined.accepted
            if unknown and self.cell.refuses(case.parameters) is not None:
                shown = ", ".join(f"{name}={value}" for name, value in convention)
                row.skip(f"refuses {shown}: {error}")
            else:
                self.ledger.note(row, accuracy.NAME, case, functools.partial(self._again, case, error))

    def _again(self, case: Case, error: ImplementationError, other: Case) -> Observation | None:
        """The accuracy at what a waiver leaves of a case on which the implementation raised."""
        if other is case:
            raise error
        return accuracy.observe(Trial(self.cell, other))

    def _why_not(self, check: str) -> str:
        if not self.examined.accepted:
            return "the implementation raised on every case" if self.examined.errors else "no case was drawn"
        if check == "batch_independence":
            return "the result has no rows that could be independent"
        if self.ledger.row(shape_and_dtype.NAME).failed:
            return "the result has another shape than the spec's"
        return "no case to which the check applies"

    def _bits(self, case: Case) -> float:
        seen = observe(self.cell, accuracy.NAME, case)
        return 0.0 if seen is None or seen.bits is None else seen.bits
