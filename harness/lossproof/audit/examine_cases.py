"""The cases of a cell through the checks: in stacks where rows are independent, else one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from lossproof.audit.cases import Cases
from lossproof.audit.examine_laws import as_called
from lossproof.audit.ledger import Ledger, Row
from lossproof.audit.observe import raised
from lossproof.audit.worst import WorstCases
from lossproof.checks import (
    BY_REGIME,
    CASE_CHECKS,
    FIRST_CASE_CHECKS,
    Check,
    accuracy,
    batch_independence,
    determinism,
    gradient,
    purity,
)
from lossproof.checks.cell import Cell
from lossproof.checks.observation import Observation
from lossproof.checks.part import Part, parts
from lossproof.checks.trial import Trial
from lossproof.errors import ImplementationError
from lossproof.inputs import Case
from lossproof.inputs.filling import called
from lossproof.inputs.stack import Stack, fits, stack

CLIMBED: dict[str, Check] = {accuracy.NAME: accuracy, gradient.NAME: gradient}
"""The checks of which the deep profile looks for the worst inputs."""


class CaseExamination:
    """Writes into a ledger what the checks say about the cases of a cell.

    accepted: the conventions that the implementation has taken. errors: the cases on which it raised. worst: keeps
    the worst case of each quantity in the deep profile, else None.
    """

    def __init__(self, cell: Cell, cases: Cases, ledger: Ledger) -> None:
        self.cell, self.cases, self.ledger = cell, cases, ledger
        self.pooled = replace(cell, pool=cases.profile.pool)
        # what fails in a stack is seen again by itself
        self._stacked = replace(self.pooled, certify=None)
        self.accepted: set[tuple[tuple[str, Any], ...]] = set()
        self.errors: list[tuple[Case, ImplementationError]] = []
        self.worst = WorstCases(cell, cases.seed) if cases.profile.deep else None
        self._forward: Callable[[Case], bool] = lambda case: True
        # the regimes, and the conventions of cases by themselves, in which a call has been made again
        self._repeated: set[Any] = set()

    def run(self) -> None:
        """Every regime, in order."""
        spec, regimes = self.cell.spec, self.cases.regimes
        drawn: Iterable[Case] = (case for regime in regimes for case in self.cases.of_regime(regime))
        if not self.cases.profile.deep:
            cases = list(drawn)
            if not self.cases.profile.all_forward:
                self._forward = self._forward_in(cases)
            stacks, drawn = stack(spec, cases, self.pooled.pool)
            for each in stacks:
                self._examine_stack(each)
        # in the deep profile cases are driven one by one towards the worst
        for case in drawn:
            self._examine(case)
        for check, case in self.worst.climb() if self.worst is not None else ():
            self._note(CLIMBED[check], Trial(self.cell, case, forward_mode=False))

    def _forward_in(self, cases: Sequence[Case]) -> Callable[[Case], bool]:
        """Forward mode in one number of classes, that of the profile's first shape, if met; or not at all."""
        if not self.cases.forward:
            return lambda case: False
        return self.cases.usual if any(map(self.cases.usual, cases)) else self._forward

    def _examine_stack(self, stacked: Stack) -> None:
        """The checks on each member of a stack, from calls of the whole; what does not pass there goes alone."""
        trial = Trial(self._stacked, stacked.case, forward_mode=self._forward(stacked.case))
        try:
            members = parts(trial, stacked.members)
        except ImplementationError:
            members = None
        if members is None:
            self._examine_apart(trial, stacked)
            return
        firsts = {m.case.regime: m.case for m in reversed(members) if m.case.regime not in self._repeated}
        self._repeated |= set(firsts)
        for member in members:
            self._examine_member(member, trial)
        if firsts:
            for check in (batch_independence, determinism):
                self._call_again(check, trial, list(firsts.values())[::-1])

    def _examine_apart(self, trial: Trial, stacked: Stack) -> None:
        """The members of a stack of which no parts can be made, because it raised or has another shape."""
        alone = [self._examine(case) for case, _ in stacked.members]
        if any(found is None or any(map(self.ledger.blames, found.values())) for found in alone):
            return
        trial.certify = self.cell.certify
        for check in CASE_CHECKS:
            seen = self._seen(check, trial)
            if seen is not None and self.ledger.blames(seen):
                self._note_together(check, stacked.members[0][0], trial, seen)

    def _examine_member(self, member: Part, trial: Trial) -> None:
        seen = {check: check.observe(member) for check in (*CASE_CHECKS, purity)}
        wrong = {
            check: found for check, found in seen.items() if found is not None and self.ledger.blames(found)
        }
        if not all(self._shown(check, member.case, found) for check, found in wrong.items()):
            self._examine_again(member, wrong, trial)
            return
        # nothing is wrong, or nothing that another case of the regime has not shown by itself
        self._accept(member)
        for check, found in seen.items():
            if found is not None:
                self._note_seen(check, member.case, found)

    def _shown(self, check: Check, case: Case, found: Observation) -> bool:
        """Whether what a member fails by has been seen of a case by itself, or is known of this one."""
        row = self._row(check, case)
        return bool(row.failed) or (bool(row.waived) and self.ledger.covered(check.NAME, case, found))

    def _examine_again(self, member: Part, wrong: dict[Check, Observation], trial: Trial) -> None:
        """A member that fails in its stack, by itself."""
        alone = self._examine(member.case)
        for check in wrong:
            if alone is None:
                return
            if check not in alone:
                alone[check] = self._note(check, self._trial(member.case))
            if not self.ledger.blames(alone[check]):
                member.certify = self.cell.certify
                found = check.observe(member)
                if found is not None and self.ledger.blames(found):
                    self._note_together(check, member.case, trial, found)

    def _call_again(self, check: Check, trial: Trial, firsts: Sequence[Case]) -> None:
        """A check that calls the implementation again, on a stack; where it fails, on one member of each regime."""
        seen = self._seen(check, trial)
        if seen is None:
            return
        if not self.ledger.blames(seen):
            self._row(check, trial.case).observations.append(seen)
            return
        alone = [self._note(check, Trial(self.cell, case)) for case in firsts]
        if not any(map(self.ledger.blames, alone)):
            self._note_together(check, firsts[0], trial, seen)

    def _examine(self, case: Case) -> dict[Check, Observation | None] | None:
        """The checks on a case by itself, by check; None where the implementation raises."""
        trial = self._trial(case)
        try:
            _ = trial.outcome
        except ImplementationError as error:
            self.errors.append((called(self.cell.spec, case, trial.cell.pool), error))
            return None
        self._accept(trial)
        found = {check: self._note(check, trial) for check in CASE_CHECKS}
        if self.worst is not None:
            self.worst.look(trial)
        marks = {case.regime, self.cases.convention(case)}
        if not marks <= self._repeated:
            self._repeated |= marks
            alone = trial.cell.pool and not self.cell.framework.compiles_operations
            again = Trial(self.cell, case) if alone else trial
            found |= {check: self._note(check, again) for check in FIRST_CASE_CHECKS}
        return found

    def _trial(self, case: Case) -> Trial:
        """A case by itself; filled up where it can be, so that it has no shape of its own."""
        pool = () if self.cases.profile.deep else self.pooled.pool
        cell = self.pooled if fits(self.cell.spec, case, pool) else self.cell
        return Trial(cell, case, forward_mode=self._forward(case))

    def _accept(self, trial: Trial) -> None:
        self.accepted.add(self.cases.convention(trial.case))

    def _row(self, check: Check, case: Case) -> Row:
        return self.ledger.row(check.NAME, case.regime if check in BY_REGIME else None)

    def _seen(self, check: Check, trial: Trial) -> Observation | None:
        try:
            return check.observe(trial)
        except ImplementationError as error:
            return raised(self.cell, check.NAME, error)

    def _note(self, check: Check, trial: Trial) -> Observation | None:
        """What a check sees in a trial, and in what a waiver leaves of it; certified, if it is the first to fail."""
        trial.certify = None if self._row(check, trial.case).failed else self.cell.certify
        return self._write(check, trial, lambda: check.observe(trial))

    def _note_seen(self, check: Check, case: Case, seen: Observation) -> None:
        """What a check has seen in a part of a stack."""
        self._write(check, Trial(self.pooled, case, forward_mode=self._forward(case)), lambda: seen)

    def _note_together(self, check: Check, member: Case, trial: Trial, seen: Observation) -> None:
        """A member that fails in company alone: the failing case is the whole stack."""
        self._note_seen(check, replace(trial.case, regime=member.regime), seen)

    def _write(
        self, check: Check, trial: Trial, seen: Callable[[], Observation | None]
    ) -> Observation | None:
        def look(case: Case) -> Observation | None:
            if case is trial.case:
                return seen()
            return check.observe(Trial(trial.cell, case, forward_mode=trial.forward_mode))

        row = self._row(check, trial.case)
        with as_called(row, self.cell.spec, trial.cell.pool):
            return self.ledger.note(row, check.NAME, trial.case, look, self._filled(trial))

    def _filled(self, trial: Trial) -> Callable[[Case], Case]:
        return lambda case: called(self.cell.spec, case, trial.cell.pool)
