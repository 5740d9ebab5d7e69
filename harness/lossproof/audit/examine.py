"""Examine one cell: an implementation at one device, mode and dtype, through every check."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from lossproof import waivers as waiving
from lossproof.audit.findings import finding, identity
from lossproof.audit.results import Finding, Result, Verdict
from lossproof.checks import CASE_CHECKS, FIRST_CASE_CHECKS, NAMES, Check, accuracy, laws
from lossproof.checks.observation import Observation, worst
from lossproof.checks.trial import Cell, Trial
from lossproof.diagnosis import ENOUGH
from lossproof.errors import ImplementationError
from lossproof.inputs import (
    PROFILES,
    Case,
    Profile,
    Recipe,
    batches_of,
    draw,
    expand,
    explore,
    minimise,
    regimes_of,
)
from lossproof.spec import graph, library
from lossproof.waivers import Waiver

BUDGET = {"eager": 200, "compiled": 40}
"""How many calls a finding may cost to be cut down; compiled code compiles for every new shape."""

COMPILED_CONVENTIONS = 2
"""In compiled mode only so many combinations of parameters are tried: each is static and compiles again."""

COUPLED = frozenset({"many_classes", "poisoned_row"})
"""Regimes that say nothing about a law and cost much."""


@functools.lru_cache(maxsize=2048)
def _draw(loss: str, regime: str, profile: str, seed: int, count: int) -> tuple[Recipe, ...]:
    """Every implementation of a loss meets the same recipes."""
    return tuple(draw(library.get(loss), regime, PROFILES[profile], seed, count))


@dataclass
class _Seen:
    """The observations of one row of the result, and the cases that failed."""

    observations: list[Observation] = field(default_factory=list)
    failed: list[tuple[Case, Observation]] = field(default_factory=list)
    waived: list[tuple[Case, Observation, Waiver]] = field(default_factory=list)


class Examination:
    """Runs the checks of one cell and gathers rows and findings."""

    def __init__(
        self,
        cell: Cell,
        profile: Profile,
        seed: int,
        regimes: Sequence[str],
        waivers: Sequence[Waiver],
        laws_compiled: bool,
    ) -> None:
        self.cell, self.profile, self.seed = cell, profile, seed
        self.regimes = [r for r in regimes_of(cell.spec) if not regimes or r in regimes]
        self.waivers, self.laws_compiled = waivers, laws_compiled
        self.rows: dict[tuple[str, str | None], _Seen] = {}
        self.errors: list[tuple[Case, ImplementationError]] = []
        self.accepted: set[tuple[Any, ...]] = set()
        self.smallest: list[Case] = []
        self.ordinary: Trial | None = None

    def run(self) -> tuple[list[Result], list[Finding]]:
        for regime in self.regimes:
            for number, case in enumerate(self._cases(regime)):
                self._examine(case, first=number == 0)
        for name in self.cell.spec.laws:
            self._examine_law(name)
        return self._gather()

    # cases

    def _conventions(self) -> Iterator[dict[str, Any]] | None:
        """In compiled mode the few combinations of parameters that take turns."""
        if self.cell.mode != "compiled" or not self.cell.implementation.free:
            return None
        recipes = _draw(self.cell.spec.loss, self.regimes[0], self.profile.name, self.seed, 8)
        found: list[dict[str, Any]] = []
        for recipe in recipes:
            drawn = {k: v for k, v in recipe.parameters if k in self.cell.implementation.free}
            if drawn not in found:
                found.append(drawn)
        return itertools.cycle(found[:COMPILED_CONVENTIONS])

    def _cases(self, regime: str) -> Iterator[Case]:
        spec = self.cell.spec
        turns = self._conventions()
        count = batches_of(spec, regime, self.profile.batches)
        if self.profile.deep and turns is None:
            recipes = explore(spec, regime, self.profile, self.seed, self._bits, count)
        else:
            recipes = list(_draw(spec.loss, regime, self.profile.name, self.seed, count))
        for recipe in recipes:
            fixed = self._fixed() | (next(turns) if turns else {})
            yield expand(spec, recipe, self.cell.dtype, parameters=fixed)

    def _bits(self, recipe: Recipe) -> float:
        """What the deep profile drives up: the bits that the value loses on a recipe."""
        case = expand(self.cell.spec, recipe, self.cell.dtype, parameters=self._fixed())
        seen = observe(self.cell, accuracy.NAME, case)
        return 0.0 if seen is None or seen.bits is None else seen.bits

    def _fixed(self) -> dict[str, Any]:
        """The parameters that the implementation does not vary, at the values that it has."""
        implementation, defaults = self.cell.implementation, self.cell.spec.defaults()
        return {
            name: implementation.fixed.get(name, default)
            for name, default in defaults.items()
            if name not in implementation.free
        }

    # checks at a case

    def _examine(self, case: Case, first: bool) -> None:
        trial = Trial(self.cell, case)
        try:
            _ = trial.outcome
        except ImplementationError as error:
            self.errors.append((case, error))
            return
        self.accepted.add(self._convention(case))
        if self.ordinary is None and trial.reference.truth.size >= ENOUGH:
            self.ordinary = trial
        for check in CASE_CHECKS if not first else (*CASE_CHECKS, *FIRST_CASE_CHECKS):
            by_regime = check in CASE_CHECKS and check.NAME != "shape_and_dtype"
            self._note(check.NAME, case, partial(self._look, check, trial), by_regime)

    def _look(self, check: Check, trial: Trial, case: Case) -> Observation | None:
        return check.observe(trial if case is trial.case else Trial(self.cell, case))

    def _note(
        self, check: str, case: Case, observe: Callable[[Case], Observation | None], by_regime: bool
    ) -> Observation | None:
        row = self.rows.setdefault((check, case.regime if by_regime else None), _Seen())
        try:
            observation = observe(case)
        except ImplementationError as error:
            observation = Observation(Verdict.ERROR, reason=str(error))
        if observation is None:
            return None
        if observation.verdict in (Verdict.FAIL, Verdict.ERROR):
            observation = self._waive(row, check, case, observation, observe)
        row.observations.append(observation)
        return observation

    def _waive(
        self,
        row: _Seen,
        check: str,
        case: Case,
        observation: Observation,
        observe: Callable[[Case], Observation | None],
    ) -> Observation:
        """What is left of a failure when the rows that a waiver covers are set aside."""
        covering = self._covering(check, observation.bits)
        rest = waiving.without(case, self.cell.spec, covering) if covering else case
        if rest is case:
            row.failed.append((case, observation))
            return observation
        row.waived.append((case, observation, covering[0]))
        waived = replace(observation, verdict=Verdict.WAIVED, reason=covering[0].reason)
        if rest is None:
            return waived
        try:
            again = observe(rest)
        except ImplementationError as error:
            again = Observation(Verdict.ERROR, reason=str(error))
        if again is not None and again.verdict in (Verdict.FAIL, Verdict.ERROR):
            row.failed.append((rest, again))
            return again
        return waived

    # laws

    def _examine_law(self, name: str) -> None:
        cell, check = self.cell, laws.PREFIX + name
        law = cell.spec.laws[name]
        row = self.rows.setdefault((check, None), _Seen())
        if law.exists:
            row.observations.append(
                Observation(Verdict.SKIP, reason="a witness of the definition, shown by `lossproof prove`")
            )
            return
        if not self.accepted:
            row.observations.append(Observation(Verdict.SKIP, reason=self._why_not(check)))
            return
        conventions = self._conventions_of(name)
        if not conventions:
            row.observations.append(
                Observation(
                    Verdict.SKIP, reason=f"the law is about {law.when}, which the implementation fixes"
                )
            )
            return
        statics = graph.statics_of(cell.spec, self._fixed() | conventions[0])
        if not laws.asks(cell.spec, name, statics):
            row.observations.append(
                Observation(Verdict.SKIP, reason="a law of the definition alone, shown by `lossproof prove`")
            )
            return
        if cell.mode == "compiled" and not self.laws_compiled:
            row.observations.append(
                Observation(
                    Verdict.SKIP, reason="laws run compiled with --mode compiled; here they ran in eager mode"
                )
            )
            return
        regimes = [r for r in self.regimes if r not in COUPLED]
        count = -(-self.profile.laws // max(1, len(regimes))) if regimes else 0
        drawn = {r: _draw(cell.spec.loss, r, self.profile.name, self.seed + 1, count) for r in regimes}
        for number in range(self.profile.laws if regimes else 0):
            recipe = drawn[regimes[number % len(regimes)]][number // len(regimes)]
            choices = conventions[number % len(conventions)]
            case = expand(cell.spec, recipe, cell.dtype, law.forall, self._fixed() | choices)
            observation = self._note(check, case, lambda c: laws.observe(cell, name, c), by_regime=False)
            if observation is not None and observation.verdict is Verdict.SKIP:
                return

    def _conventions_of(self, name: str) -> list[dict[str, Any]]:
        """Combinations of the choices that the implementation leaves free in which the law applies."""
        spec, fixed = self.cell.spec, self._fixed()
        found: list[dict[str, Any]] = []
        for statics in graph.all_statics(spec):
            choices = {k: v for k, v in statics if spec.parameters[k].kind == "choice"}
            if any(k in fixed and fixed[k] != v for k, v in choices.items()):
                continue
            if graph.applies(spec.laws[name], statics) and choices not in found:
                found.append(choices)
        # spread, so that a few cases meet different conventions
        limit = COMPILED_CONVENTIONS if self.cell.mode == "compiled" else len(found)
        return found[:: max(1, len(found) // max(1, limit))][:limit]

    # rows and findings

    def _gather(self) -> tuple[list[Result], list[Finding]]:
        findings: dict[str, Finding] = {}
        results: list[Result] = []
        self._gather_errors()
        for (check, regime), row in self.rows.items():
            if not row.observations:
                continue
            if row.failed or row.waived:
                self._find(findings, check, row)
            results.append(self._result(check, regime, row, findings))
        seen = {result.check for result in results}
        for check in NAMES:
            if check not in seen:
                nothing = _Seen([Observation(Verdict.SKIP, reason=self._why_not(check))])
                results.append(self._result(check, None, nothing, findings))
        return results, list(findings.values())

    def _why_not(self, check: str) -> str:
        if not self.accepted:
            return "the implementation raised on every case"
        if check == "batch_independence":
            return "the result has no rows that could be independent"
        if any(row.failed for (name, _), row in self.rows.items() if name == "shape_and_dtype"):
            return "the result has another shape than the spec's"
        return "no case to which the check applies"

    def _gather_errors(self) -> None:
        """A value of a parameter that is never accepted is refused: a skip. Any other exception is an error."""
        if not self.errors:
            return
        row = self.rows.setdefault(("accuracy", None), _Seen())
        for case, error in self.errors:
            refused = (
                self.accepted
                and self.cell.implementation.free
                and self._convention(case) not in self.accepted
            )
            if refused:
                row.observations.append(
                    Observation(Verdict.SKIP, reason=f"refuses {self._shown(case)}: {error}")
                )
            else:
                observation = Observation(Verdict.ERROR, 1, reason=str(error))
                row.observations.append(observation)
                row.failed.append((case, observation))

    def _convention(self, case: Case) -> tuple[Any, ...]:
        return tuple((k, str(v)) for k, v in case.parameters.items() if k in self.cell.implementation.free)

    def _shown(self, case: Case) -> str:
        return ", ".join(f"{k}={v}" for k, v in self._convention(case))

    def _result(self, check: str, regime: str | None, row: _Seen, findings: dict[str, Finding]) -> Result:
        cell, seen = self.cell, worst_of(row.observations)
        known = identity(cell, check) if row.failed or row.waived else None
        return Result(
            loss=cell.spec.loss,
            implementation=cell.implementation.name,
            framework=cell.framework.name,
            device=cell.device,
            mode=cell.mode,
            dtype=cell.dtype,
            check=check,
            regime=regime,
            verdict=seen.verdict,
            cases=seen.cases,
            undecided=seen.undecided,
            bits_lost=seen.bits,
            reason=seen.reason,
            finding=known if known in findings else None,
        )

    def _find(self, findings: dict[str, Finding], check: str, row: _Seen) -> None:
        """One finding for each check of a cell; a failure takes the place of a waived one."""
        key = identity(self.cell, check)
        if key in findings and (findings[key].waiver is None or not row.failed):
            return
        if row.failed:
            case, observation = row.failed[0]
            reason = None
        else:
            case, observation, waiver = row.waived[0]
            reason = waiver.reason + (f" ({waiver.link})" if waiver.link else "")
        small, seen = self._smaller(check, case, observation, waived=reason is not None)
        findings[key] = finding(self.cell, check, small, seen, reason, self.ordinary)

    def _smaller(
        self, check: str, case: Case, observation: Observation, waived: bool
    ) -> tuple[Case, Observation]:
        """The case cut down as long as the check fails in the same way."""

        def fails(candidate: Case) -> bool:
            found = observe(self.cell, check, candidate)
            return (
                found is not None
                and found.verdict is observation.verdict
                and _kind(found) == _kind(observation)
                # a smaller case must show this failure, not a waived one that takes its place
                and (waived or self._unwaived(check, candidate, found))
            )

        if not case.variables:
            for known in self.smallest:
                # another check has cut its case down already: often the same one shows this failure too
                if fails(known):
                    return known, observe(self.cell, check, known) or observation
        budget = BUDGET[self.cell.mode]
        small = minimise(case, self.cell.spec, fails, budget, keep=set(self._fixed()) & set(case.parameters))
        if not case.variables:
            self.smallest.append(small)
        return small, observe(self.cell, check, small) or observation

    def _covering(self, check: str, bits: float | None) -> list[Waiver]:
        cell = self.cell
        found = waiving.covering(self.waivers, cell.implementation.name, cell.spec.loss, check, cell.dtype)
        return [waiver for waiver in found if waiver.accepts(bits)]

    def _unwaived(self, check: str, case: Case, observation: Observation) -> bool:
        covering = self._covering(check, observation.bits)
        return not covering or waiving.without(case, self.cell.spec, covering) is case


def _kind(observation: Observation) -> tuple[str, bool]:
    return observation.quantity, observation.bits is not None and math.isinf(observation.bits)


def observe(cell: Cell, check: str, case: Case) -> Observation | None:
    """One check at one case. An exception of the implementation is an error; it is not raised."""
    try:
        if check.startswith(laws.PREFIX):
            return laws.observe(cell, check.removeprefix(laws.PREFIX), case)
        for each in (*CASE_CHECKS, *FIRST_CASE_CHECKS):
            if check == each.NAME:
                return each.observe(Trial(cell, case))
    except ImplementationError as error:
        return Observation(Verdict.ERROR, 1, reason=str(error))
    raise KeyError(check)


def worst_of(observations: list[Observation]) -> Observation:
    """As `worst`, with a waived failure between degraded and fail."""
    waived = [o for o in observations if o.verdict is Verdict.WAIVED]
    others = [o for o in observations if o.verdict is not Verdict.WAIVED]
    merged = worst(others) if others else Observation(Verdict.PASS)
    if waived and merged.verdict not in (Verdict.FAIL, Verdict.ERROR):
        total = worst([replace(o, verdict=Verdict.FAIL) for o in waived])
        return replace(
            total,
            verdict=Verdict.WAIVED,
            cases=total.cases + merged.cases,
            undecided=total.undecided + merged.undecided,
        )
    return merged
