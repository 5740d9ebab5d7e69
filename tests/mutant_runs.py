"""Runs of the broken and the right losses of tests/mutants, for the tests and for `make mutants`.

Each file of broken ones says in CAUGHT_BY which checks must fail on each, in KINDS which kinds of mistake are right to
tell of each, and in NOT_TOLD for which of them no such kind is told yet.
"""

from __future__ import annotations

import functools
import importlib.util
from collections import defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

from lossproof.audit import gather, worker
from lossproof.audit.events import CellFinished
from lossproof.audit.plan import Options, plan
from lossproof.audit.planned import PlannedCell
from lossproof.audit.results import Diagnosis, Finding, Result, Run, Verdict
from lossproof.audit.run import run
from lossproof.checks.cell import Cell
from lossproof.checks.laws import law_of
from lossproof.checks.observation import Observation
from lossproof.diagnosis.inquiry import UNEXPLAINED, Failures, Inquiry
from lossproof.implementation import Implementation, discover
from lossproof.inputs import PROFILES, Case
from lossproof.spec import library

MUTANTS = Path(__file__).parent / "mutants"
FILES = sorted(MUTANTS.glob("*.py"))
RIGHT = [file for file in FILES if file.stem.startswith("right_")]
BROKEN = [file for file in FILES if file not in RIGHT]

TRIES = (0, 1, 2, 3)
"""The quick profile draws few cases: a mistake that only a rare one shows has four runs to be met in."""

FAST_IN_JAX = {
    "right_jax": ("mapped_over_rows", "double_where", "accumulated_in_float32"),
}
"""Functions that run in a few seconds, where not all do."""

REGIMES_IN_JAX = {
    "jax_losses": ("ordinary", "masked", "equal"),
    "jax_custom_vjp": ("ordinary", "masked"),
    "jax_families": ("ordinary", "equal"),
}
"""Of broken losses: each operation compiles for each shape, so that a file takes a minute with all of them."""

GENERIC = frozenset({"unexplained", "another formula", "another derivative", "out of range"})
"""Kinds that claim nothing in particular: where a particular one is right, they have not told it, and are not wrong."""

_examine = worker.examine
"""As it is, before `caught` has it leave out laws."""

BLAMED = (Verdict.FAIL, Verdict.ERROR)


def check(
    file: Path,
    *functions: str,
    seed: int = 0,
    profile: str = "quick",
    dtypes: tuple[str, ...] = (),
    regimes: tuple[str, ...] = (),
    modes: tuple[str, ...] = (),
) -> Run:
    """modes: with some of them named, compilers optimise little."""
    targets = tuple(f"{file}:{name}" for name in functions) or (str(file),)
    options = Options(
        targets,
        devices=("cpu",),
        dtypes=dtypes,
        regimes=regimes,
        modes=modes,
        profile=profile,
        seed=seed,
        jobs=1,
    )
    settings = replace(PROFILES[profile], optimised=not modes)
    # as if the losses were bundled, and this a process of lossproof's own
    light = patch.object(worker, "_lightly", lambda planned: bool(modes))
    with light, patch.dict(PROFILES, {profile: settings}):
        found = run(plan(options), lambda event: None)
    assert not found.problems, found.problems
    return found


def in_jax(file: Path) -> bool:
    return "jax" in file.stem


def regimes_of(file: Path) -> tuple[str, ...]:
    return REGIMES_IN_JAX.get(file.stem, ())


def losses_of(file: Path) -> dict[str, str]:
    """The loss of each function that a file declares, checked or not."""
    found, problems = discover(str(file))
    assert not problems, problems
    return {each.name.rpartition(".")[2]: each.loss for each in found}


@functools.cache
def _module(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"mutants_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def caught_by(file: Path) -> dict[str, tuple[str, ...]]:
    """What must fail on each function of a file of broken losses."""
    found: dict[str, tuple[str, ...]] = _module(file).CAUGHT_BY
    return found


def kinds_of(file: Path) -> dict[str, tuple[str, ...]]:
    """The kinds of mistake that are right to tell of each function of a file of broken losses."""
    found: dict[str, tuple[str, ...]] = _module(file).KINDS
    return found


def not_told(file: Path) -> tuple[str, ...]:
    """The functions of a file of broken losses for which no right kind is told."""
    found: tuple[str, ...] = getattr(_module(file), "NOT_TOLD", ())
    return found


def function_of(of: Result | Finding | Implementation) -> str:
    name = of.name if isinstance(of, Implementation) else of.implementation
    return name.rpartition(".")[2]


@dataclass
class Caught:
    """By function of a file of broken losses: the checks that must fail, those that ran, those that failed.

    right: the kinds of mistake that are right to tell. kinds: the one that is told, by the finding of the first check
    that must fail.
    """

    expected: dict[str, tuple[str, ...]]
    seen: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    failed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    right: dict[str, tuple[str, ...]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    @property
    def missed(self) -> tuple[str, ...]:
        """Functions on which a check that must fail has not."""
        return tuple(name for name in self.expected if not self.failed[name].issuperset(self.expected[name]))

    @property
    def told(self) -> tuple[str, ...]:
        """Functions whose mistake is told by a right kind."""
        return tuple(name for name, right in self.right.items() if self.kinds.get(name) in right)

    @property
    def told_wrong(self) -> dict[str, str]:
        """By function, a particular kind that is not its mistake's."""
        return {n: k for n, k in self.kinds.items() if n not in self.told and k not in GENERIC}


class _Asked(Inquiry):
    """Tells the kind of each function's mistake once, in the first of its cells that fails as it must."""

    def __init__(self, found: Caught, cell: Cell, failures: Failures) -> None:
        super().__init__(cell, failures)
        self._caught, self._function = found, function_of(cell.implementation)

    def of(self, check: str, case: Case, seen: Observation) -> Diagnosis:
        if self._function in self._caught.kinds:
            return UNEXPLAINED
        diagnosis = super().of(check, case, seen)
        if check == self._caught.expected[self._function][0]:
            self._caught.kinds[self._function] = diagnosis.kind
        return diagnosis


def _by_named_laws(found: Caught, planned: PlannedCell, *rest: Any) -> CellFinished:
    """A cell examined without the laws that need not fail on it, which are half of the work."""
    *others, false_laws = rest
    named = {law_of(check) for check in found.expected[function_of(planned.implementation)]}
    unasked = frozenset(library.get(planned.implementation.loss).laws) - named
    return _examine(planned, *others, false_laws | unasked)


def caught(file: Path) -> Caught:
    """Check a file of broken losses, those again that were missed, with other cases.

    The verdicts and the kinds alone are asked for, so no case is cut down, and what is known is not diagnosed again;
    nor are the laws asked for that need not fail.
    """
    found, regimes = Caught(caught_by(file), right=kinds_of(file)), regimes_of(file)
    for seed in TRIES if not regimes else TRIES[:1]:
        functions = found.missed if seed != TRIES[0] else ()
        with (
            patch.dict(gather.BUDGET, dict.fromkeys(gather.BUDGET, 0)),
            patch.object(gather, "Inquiry", partial(_Asked, found)),
            patch.object(worker, "examine", partial(_by_named_laws, found)),
        ):
            run_ = check(file, *functions, seed=seed, regimes=regimes)
        for row in run_.results:
            found.seen[function_of(row)].add(row.check)
            if row.verdict is Verdict.FAIL:
                found.failed[function_of(row)].add(row.check)
        if not found.missed:
            break
    return found


def blame(found: Run) -> dict[str, list[str]]:
    """What right losses are blamed for, with the minimal case, by function."""
    cases = {finding.id: f"{finding.inputs} {finding.parameters}" for finding in found.findings}
    told: dict[str, list[str]] = defaultdict(list)
    for row in found.results:
        if row.verdict in BLAMED:
            case = cases.get(row.finding or "", "")
            told[function_of(row)].append(
                f"{row.implementation} {row.dtype} {row.check} {row.regime}: {row.verdict}, {row.reason}; {case}"
            )
    return dict(told)


def blamed(file: Path, seed: int = 0) -> dict[str, list[str]]:
    """What the right losses of a file are blamed for in the quick profile."""
    return blame(check(file, *FAST_IN_JAX.get(file.stem, ()), seed=seed, regimes=regimes_of(file)))
