"""What an audit does with a case, and nothing else: recipe, case, calls, references, verdicts."""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lossproof.audit import memory
from lossproof.audit.results import Verdict
from lossproof.checks import Check, accuracy, answers, finiteness, gradient
from lossproof.checks.cell import Cell
from lossproof.checks.trial import Trial
from lossproof.frameworks import framework
from lossproof.implementation import Implementation, discover
from lossproof.inputs import Case, Profile, Recipe, draw, expand, regimes_of
from lossproof.inputs.stack import MOST, stack
from lossproof.spec import library

from .scale import Shape

LOSS, DTYPE = "cross_entropy", "float32"
ADAPTERS = {"torch": "torch_functional", "numpy": "portable"}
"""F.cross_entropy, and for NumPy a loss with the gradient written by hand."""

CHECKS: tuple[Check, ...] = (accuracy, gradient, finiteness)
RECIPES = 32
"""The most recipes of a regime in a turn: those that fill a stack, in which an audit puts what several regimes draw,
and two stacks of larger ones."""


MOST_RUNS = 10_000
"""More than a turn has."""


def implementation(name: str) -> Implementation:
    """The bundled cross-entropy of a framework; imports that framework alone."""
    found, _ = discover(f"{ADAPTERS[name]}:cross_entropy")
    return next(each for each in found if (each.loss, each.framework) == (LOSS, name))


@dataclass
class Times:
    """Seconds of each step, and what came of it.

    expand: stacks are joined in it too. blamed: observations that a right loss may not have.
    """

    draw: float = 0.0
    expand: float = 0.0
    check: float = 0.0
    rows: int = 0
    compared: int = 0
    undecided: int = 0
    blamed: int = 0
    rates: dict[str, float] = field(default_factory=dict)

    @property
    def whole(self) -> float:
        return self.draw + self.expand + self.check

    def add(self, other: Times) -> None:
        for name in ("draw", "expand", "check", "rows", "compared", "undecided", "blamed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Pipeline:
    """The pipeline of an audit for one implementation at one shape."""

    def __init__(self, implementation: Implementation, shape: Shape, engine: Any = None) -> None:
        """engine: the framework, where it is another object than lossproof's own."""
        memory.keep_freed()  # as each process of an audit does
        self.spec, self.shape = library.get(LOSS), shape
        engine = engine or framework(implementation.framework)
        self.cell = Cell(implementation, self.spec, engine, "cpu", "eager", DTYPE)
        self.profile = Profile("benchmark", batches=RECIPES, laws=0, shapes=(shape,), many_classes=shape[1])
        self.fixed = self.spec.defaults()
        self.count = max(1, min(RECIPES, 2 * MOST // (shape[0] * shape[1])))
        together = max(1, min(self.count, MOST // (shape[0] * shape[1])))
        self.pool = tuple(sorted({shape[0], together * shape[0]}))
        """The rows of a call: those of one recipe, or of as many as an audit stacks."""

    @functools.cached_property
    def regimes(self) -> tuple[str, ...]:
        """Every regime whose cases can have the shape."""
        return tuple(r for r in regimes_of(self.spec) if r not in ("one_class", "many_classes"))

    def recipes(self, regime: str, seed: int, count: int | None = None) -> list[Recipe]:
        return draw(self.spec, regime, self.profile, seed, count or self.count)

    def case(self, recipe: Recipe) -> Case:
        return expand(self.spec, recipe, DTYPE, parameters=self.fixed)

    def trials(self, cases: Sequence[Case]) -> list[Trial]:
        """The cases of one regime as an audit calls them: in stacks as far as they fit, else one by one."""
        stacks, alone = stack(self.spec, cases, self.pool)
        pooled = replace(self.cell, pool=self.pool)
        return [*(Trial(pooled, each.case) for each in stacks), *(Trial(self.cell, case) for case in alone)]

    def verify(self, case: Case, times: Times) -> None:
        """Every check of a case by itself; the counts go into `times`."""
        self.judge(Trial(self.cell, case), times)

    def judge(self, trial: Trial, times: Times) -> None:
        """Every check of a trial; the counts go into `times`."""
        for check in CHECKS:
            seen = check.observe(trial)
            assert seen is not None
            times.compared += seen.cases
            times.undecided += seen.undecided
            times.blamed += seen.verdict in (Verdict.FAIL, Verdict.ERROR)
        times.rows += len(trial.case.inputs["labels"])

    def during(self, regimes: Sequence[str], turn: int, end: float) -> Times:
        """As many runs as begin before a time (time.perf_counter), one at least; no two turns share a seed."""
        seeds = itertools.count(turn * MOST_RUNS)
        times = self.run(regimes, next(seeds))
        while time.perf_counter() < end:
            times.add(self.run(regimes, next(seeds)))
        return times

    def run(
        self,
        regimes: Sequence[str],
        seed: int,
        count: int | None = None,
        enough: Callable[[], bool] = lambda: False,
    ) -> Times:
        """Some batches of each regime, none of whose references were asked for before.

        seed: an audit's, so that another one gives other cases. count: batches of a regime. enough: asked after
        each regime; True ends the run there.
        """
        times = Times()
        for regime in regimes:
            answers.forget()
            begun, before = time.perf_counter(), times.rows
            recipes = self.recipes(regime, seed, count)
            drawn = time.perf_counter()
            trials = self.trials([self.case(recipe) for recipe in recipes])
            expanded = time.perf_counter()
            for trial in trials:
                self.judge(trial, times)
            checked = time.perf_counter()
            times.draw += drawn - begun
            times.expand += expanded - drawn
            times.check += checked - expanded
            times.rates[regime] = (times.rows - before) / (checked - begun)
            if enough():
                break
        answers.forget()
        return times
