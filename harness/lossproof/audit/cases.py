"""The cases of a cell: of each regime, and of each law, with the parameters that the implementation leaves free."""

from __future__ import annotations

import functools
import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from lossproof.checks import laws
from lossproof.checks.trial import Cell
from lossproof.inputs import (
    PROFILES,
    Case,
    Profile,
    Recipe,
    batches_of,
    draw,
    expand,
    explore,
    pool,
    regimes_of,
)
from lossproof.spec import graph, library
from lossproof.spec.law_graph import applies

COMPILED_CONVENTIONS = 2
"""In compiled mode only so many combinations of parameters are tried: each is static and compiles again."""

NOT_FOR_LAWS = frozenset({"many_classes", "poisoned_row"})
"""Regimes that say nothing about a law and cost much."""


@functools.lru_cache(maxsize=2048)
def _draw(loss: str, regime: str, profile: str, seed: int, count: int) -> tuple[Recipe, ...]:
    """Every implementation of a loss meets the same recipes."""
    return tuple(draw(library.get(loss), regime, PROFILES[profile], seed, count))


class Cases:
    """Draws for one cell. bits: what the deep profile drives up, of a case."""

    def __init__(
        self, cell: Cell, profile: Profile, seed: int, regimes: Sequence[str], bits: Callable[[Case], float]
    ) -> None:
        self.cell, self.profile, self.seed, self._bits = cell, profile, seed, bits
        self.regimes = [r for r in regimes_of(cell.spec) if not regimes or r in regimes]

    def of_regime(self, regime: str) -> Iterator[Case]:
        """The cases of a regime, in the order in which they were drawn."""
        spec, turns = self.cell.spec, self._turns()
        count = batches_of(spec, regime, self.profile.batches)
        if self.profile.deep and turns is None:
            recipes = explore(
                spec, regime, self.profile, self.seed, lambda r: self._bits(self._expand(r)), count
            )
        else:
            recipes = list(_draw(spec.loss, regime, self.profile.name, self.seed, count))
        for number, recipe in enumerate(recipes):
            yield self._expand(recipe, next(turns) if turns else self._rotated(regime, number))

    def of_law(self, name: str) -> Iterator[Case]:
        """The cases of a law, one of every regime at least; regimes and conventions take turns."""
        spec, conventions = self.cell.spec, self._conventions(name)
        regimes = [r for r in self.regimes if r not in NOT_FOR_LAWS]
        if not regimes:
            return
        # each law starts at another regime
        first = zlib.crc32(name.encode()) % len(regimes)
        regimes = regimes[first:] + regimes[:first]
        most = max(self.profile.laws, len(regimes))
        count = -(-most // len(regimes))
        for number in range(most):
            regime = regimes[number % len(regimes)]
            recipe = _draw(spec.loss, regime, self.profile.name, self.seed + 1, count)[number // len(regimes)]
            fixed = self.fixed() | conventions[number % len(conventions)]
            yield expand(spec, recipe, self.cell.dtype, spec.laws[name].forall, fixed)

    def law_refused(self, name: str) -> str | None:
        """Why a law says nothing about this implementation; None where it does."""
        spec, law = self.cell.spec, self.cell.spec.laws[name]
        if law.exists:
            return "a witness of the definition, shown by `lossproof prove`"
        conventions = self._conventions(name)
        if not conventions:
            return f"the law is about {law.when}, which the implementation fixes"
        if not laws.asks(spec, name, graph.statics_of(spec, self.fixed() | conventions[0])):
            return "a law of the definition alone, shown by `lossproof prove`"
        return None

    def fixed(self) -> dict[str, Any]:
        """The parameters that the implementation does not vary, at the values that it has."""
        implementation, defaults = self.cell.implementation, self.cell.spec.defaults()
        return {
            name: implementation.fixed.get(name, default)
            for name, default in defaults.items()
            if name not in implementation.free
        }

    def convention(self, case: Case) -> tuple[tuple[str, Any], ...]:
        """The free parameters of a case; an array counts as one value, whatever is in it."""
        free = self.cell.implementation.free
        return tuple(
            (name, "an array" if isinstance(value, np.ndarray) else value)
            for name, value in case.parameters.items()
            if name in free
        )

    def _expand(self, recipe: Recipe, turn: dict[str, Any] | None = None) -> Case:
        return expand(self.cell.spec, recipe, self.cell.dtype, parameters=self.fixed() | (turn or {}))

    def _rotated(self, regime: str, number: int) -> dict[str, Any]:
        """Every value of every free parameter comes round in a regime, at another pace for each of them."""
        spec, start = self.cell.spec, self.regimes.index(regime)
        names = [
            n for n, p in spec.parameters.items() if p.kind != "array" and n in self.cell.implementation.free
        ]
        pools = [pool(spec, name, self.seed) for name in names]
        return {
            name: values[(number + start * (place + 1)) % len(values)]
            for place, (name, values) in enumerate(zip(names, pools, strict=True))
        }

    def _turns(self) -> Iterator[dict[str, Any]] | None:
        """In compiled mode the few combinations of parameters that take turns."""
        free = self.cell.implementation.free
        if self.cell.mode != "compiled" or not free:
            return None
        recipes = _draw(self.cell.spec.loss, self.regimes[0], self.profile.name, self.seed, 8)
        found: list[dict[str, Any]] = []
        for recipe in recipes:
            drawn = {k: v for k, v in recipe.parameters if k in free}
            if drawn not in found:
                found.append(drawn)
        return itertools.cycle(found[:COMPILED_CONVENTIONS])

    def _conventions(self, law: str) -> list[dict[str, Any]]:
        """Combinations of the choices that the implementation leaves free in which the law applies."""
        spec, fixed = self.cell.spec, self.fixed()
        found: list[dict[str, Any]] = []
        for statics in graph.all_statics(spec):
            choices = {k: v for k, v in statics if spec.parameters[k].kind == "choice"}
            if any(k in fixed and fixed[k] != v for k, v in choices.items()):
                continue
            if applies(spec.laws[law], statics) and choices not in found:
                found.append(choices)
        # spread, so that a few cases meet different conventions
        limit = COMPILED_CONVENTIONS if self.cell.mode == "compiled" else len(found)
        return found[:: max(1, len(found) // max(1, limit))][:limit]
