"""Examine one cell: an implementation at one device, mode and dtype, through every check."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from lossproof.audit.cases import Cases
from lossproof.audit.examine_laws import BLAMED, examine_law
from lossproof.audit.gather import findings_of, results_of
from lossproof.audit.ledger import Ledger, Row
from lossproof.audit.observe import observe, raised
from lossproof.audit.results import Finding, Result
from lossproof.checks import (
    CASE_CHECKS,
    FIRST_CASE_CHECKS,
    NAMES,
    Check,
    accuracy,
    batch_independence,
    determinism,
    laws,
    purity,
    shape_and_dtype,
)
from lossproof.checks.cell import Cell
from lossproof.checks.observation import Observation
from lossproof.checks.part import Part, parts
from lossproof.checks.trial import Trial
from lossproof.diagnosis import ENOUGH
from lossproof.errors import ImplementationError
from lossproof.inputs import Case, Profile
from lossproof.inputs.filling import Filling
from lossproof.inputs.stack import Stack, stack
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
        self.pooled = replace(cell, pool=profile.pool)
        self.cases = Cases(cell, profile, seed, regimes, self._bits)
        self.ledger = Ledger(cell, waivers)
        self.errors: list[tuple[Case, ImplementationError]] = []
        self.accepted: set[tuple[tuple[str, Any], ...]] = set()
        self.ordinary: Trial | None = None
        self.forward: Callable[[Case], bool] = lambda case: True
        # the regimes, and the conventions of cases by themselves, in which a call has been made again
        self.repeated: set[Any] = set()

    def run(self) -> tuple[list[Result], list[Finding]]:
        """The rows and the findings of the cell."""
        if self.cases.profile.deep:
            # cases are driven one by one towards the worst
            alone: Iterable[Case] = (
                case for regime in self.cases.regimes for case in self.cases.of_regime(regime)
            )
        else:
            cases = [case for regime in self.cases.regimes for case in self.cases.of_regime(regime)]
            if not self.cases.profile.all_forward:
                self.forward = self._forward_in(cases)
            stacks, alone = stack(self.cell.spec, cases, self.pooled.pool)
            for each in stacks:
                self._examine_stack(each)
        for case in alone:
            self._examine(case)
        self._note_errors()
        for name in self.cell.spec.laws:
            self._examine_law(name)
        for check in NAMES:
            if not any(row.observations for (name, _), row in self.ledger.rows.items() if name == check):
                self.ledger.row(check).skip(self._why_not(check))
        findings = findings_of(self.ledger, self.ordinary, keep=set(self.cases.fixed()))
        return results_of(self.ledger, findings), list(findings.values())

    def _forward_in(self, cases: Sequence[Case]) -> Callable[[Case], bool]:
        """Forward mode in eager mode alone, and in one number of classes: that of the profile's first shape, if met."""
        if self.cell.mode == "compiled":
            return lambda case: False
        return self.cases.usual if any(map(self.cases.usual, cases)) else self.forward

    def _examine_stack(self, stacked: Stack) -> None:
        """The checks on each member of a stack, from calls of the whole; what does not pass there goes alone."""
        trial = Trial(self.pooled, stacked.case, forward_mode=self.forward(stacked.case))
        try:
            members = parts(trial, stacked.members)
        except ImplementationError:
            members = None
        if members is None:
            self._examine_apart(trial, stacked)
            return
        firsts = {m.case.regime: m.case for m in reversed(members) if m.case.regime not in self.repeated}
        for member in members:
            self._examine_member(member, trial)
        if firsts:
            self.repeated |= set(firsts)
            for check in (batch_independence, determinism):
                self._call_again(check, trial, list(firsts.values())[::-1])

    def _examine_apart(self, trial: Trial, stacked: Stack) -> None:
        """The members of a stack of which no parts can be made, because it raised or has another shape."""
        alone = [self._examine(case) for case, _ in stacked.members]
        if any(found is None or any(map(_blamed, found.values())) for found in alone):
            return
        for check in CASE_CHECKS:
            seen = self._seen(check, trial)
            if seen is not None and _blamed(seen):
                self._note_together(check, stacked.members[0][0], trial, seen)

    def _examine_member(self, member: Part, trial: Trial) -> None:
        seen = {check: check.observe(member) for check in (*CASE_CHECKS, purity)}
        wrong = {check: found for check, found in seen.items() if found is not None and _blamed(found)}
        rows = [self._row(check, member.case) for check in wrong]
        if not all(row.failed or row.waived for row in rows):
            self._examine_again(member.case, wrong, trial)
            return
        # nothing is wrong, or nothing that another case of the regime has not shown by itself
        self._accept(member)
        for check, found in seen.items():
            if found is not None:
                self._note_seen(check, member.case, found)

    def _examine_again(self, case: Case, wrong: dict[Check, Observation], trial: Trial) -> None:
        """A member that fails in its stack, by itself."""
        alone = self._examine(case)
        for check, found in wrong.items():
            if alone is None:
                return
            if check not in alone:
                alone[check] = self._note(check, Trial(self.cell, case))
            if not _blamed(alone[check]):
                self._note_together(check, case, trial, found)

    def _call_again(self, check: Check, trial: Trial, firsts: Sequence[Case]) -> None:
        """A check that calls the implementation again, on a stack; where it fails, on one member of each regime."""
        seen = self._seen(check, trial)
        if seen is None:
            return
        if not _blamed(seen):
            self._row(check, trial.case).observations.append(seen)
            return
        alone = [self._note(check, Trial(self.cell, case)) for case in firsts]
        if not any(map(_blamed, alone)):
            self._note_together(check, firsts[0], trial, seen)

    def _seen(self, check: Check, trial: Trial) -> Observation | None:
        try:
            return check.observe(trial)
        except ImplementationError as error:
            return raised(self.cell, check.NAME, error)

    def _note_together(self, check: Check, member: Case, trial: Trial, seen: Observation) -> None:
        """A member that fails in company alone: the failing case is the whole stack, as it was called."""
        assert trial.rows is not None
        filled = Filling(trial.case, trial.rows, self.pooled.pool).case
        self._note_seen(check, replace(filled, regime=member.regime), seen)

    def _note_seen(self, check: Check, case: Case, seen: Observation) -> None:
        def look(other: Case) -> Observation | None:
            return seen if other is case else check.observe(Trial(self.cell, other))

        self.ledger.note(self._row(check, case), check.NAME, case, look)

    def _examine(self, case: Case) -> dict[Check, Observation | None] | None:
        """The checks on a case by itself, by check; None where the implementation raises."""
        trial = Trial(self.cell, case, forward_mode=self.forward(case))
        try:
            _ = trial.outcome
        except ImplementationError as error:
            self.errors.append((case, error))
            return None
        self._accept(trial)
        marks = {case.regime, self.cases.convention(case)}
        checks = CASE_CHECKS if marks <= self.repeated else (*CASE_CHECKS, *FIRST_CASE_CHECKS)
        self.repeated |= marks
        return {check: self._note(check, trial) for check in checks}

    def _accept(self, trial: Trial) -> None:
        self.accepted.add(self.cases.convention(trial.case))
        if self.ordinary is None and trial.reference.size >= ENOUGH:
            self.ordinary = trial

    def _row(self, check: Check, case: Case) -> Row:
        by_regime = check in CASE_CHECKS and check is not shape_and_dtype
        return self.ledger.row(check.NAME, case.regime if by_regime else None)

    def _note(self, check: Check, trial: Trial) -> Observation | None:
        def look(case: Case) -> Observation | None:
            return check.observe(trial if case is trial.case else Trial(self.cell, case))

        return self.ledger.note(self._row(check, trial.case), check.NAME, trial.case, look)

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
        cases, pool = self.cases.of_law(name), self.pooled.pool
        examine_law(
            self.cell, self.ledger, name, list(itertools.islice(cases, self.cases.profile.laws)), pool
        )
        if not any(seen.cases for seen in row.observations):
            # the law has said nothing yet
            examine_law(self.cell, self.ledger, name, list(cases), pool)

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


def _blamed(seen: Observation | None) -> bool:
    return seen is not None and seen.verdict in BLAMED
