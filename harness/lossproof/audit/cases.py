"""The cases of a cell: of each regime, and of each law, with the parameters that the implementation leaves free."""

from __future__ import annotations

import functools
import re
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossproof.audit.share import ALL, Share
from lossproof.audit.turns import Turn, Turns
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
    regimes_of,
)
from lossproof.inputs.anatomy import anatomy
from lossproof.inputs.recipe import pool_of_dims
from lossproof.inputs.regimes import regime_of
from lossproof.spec import library
from lossproof.spec.model import Variable

NOT_FOR_LAWS = frozenset({"many_classes", "poisoned_row"})
"""Regimes that say nothing about a law and cost much."""


@functools.lru_cache(maxsize=2048)
def _draw(loss: str, regime: str, profile: str, seed: int, count: int) -> tuple[Recipe, ...]:
    """Every implementation of a loss meets the same recipes."""
    return tuple(draw(library.get(loss), regime, PROFILES[profile], seed, count))


class Cases:
    """Draws for one cell.

    bits: what the deep profile drives up, of a case. share: what of the profile the cell takes.
    """

    def __init__(
        self,
        cell: Cell,
        profile: Profile,
        seed: int,
        regimes: Sequence[str],
        bits: Callable[[Case], float],
        *,
        share: Share = ALL,
    ) -> None:
        self.cell, self.profile, self.seed, self._bits = cell, profile, seed, bits
        self._share = share
        self._all = [r for r in regimes_of(cell.spec) if not regimes or r in regimes]

    @property
    def forward(self) -> bool:
        """Whether forward mode is looked at."""
        return self._share.forward

    @functools.cached_property
    def regimes(self) -> list[str]:
        return [regime for regime in self._all if regime not in self.left_out]

    @functools.cached_property
    def left_out(self) -> dict[str, str]:
        """The regimes that another cell takes, and why, because they have shapes of their own."""
        reasons = {"one": self._share.one_class, "many": self._share.many}
        found = {regime: reasons.get(regime_of(self.cell.spec, regime).classes) for regime in self._all}
        return {regime: reason for regime, reason in found.items() if reason is not None}

    def of_regime(self, regime: str) -> Iterator[Case]:
        """The cases of a regime, in the order in which they were drawn."""
        spec, turns = self.cell.spec, self._turns
        count = batches_of(spec, regime, self.profile.batches)
        place = self.regimes.index(regime)
        driven = self.profile.deep and not (self.cell.mode == "compiled" and self.cell.implementation.free)
        if driven:
            recipes = explore(
                spec, regime, self.profile, self.seed, lambda r: self._bits(self._expand(r)), count
            )
        else:
            recipes = list(_draw(spec.loss, regime, self.profile.name, self.seed, count))
        for number, recipe in enumerate(recipes):
            turn = turns.of_case(place, number)
            if turn.coupled and not driven:
                recipe = self._resized(recipe, place + number // 2, self.profile.coupled)
            elif self.cell.mode == "compiled" and not driven:
                recipe = self._resized(recipe, number, self.profile.compiled)
            elif self._share.one_shape:
                recipe = self._resized(recipe, number, self.profile.shapes[:1])
            yield self._expand(recipe, turn)

    def of_law(self, name: str) -> Iterator[Case]:
        """The cases of a law, one of every regime at least; regimes and conventions take turns."""
        spec = self.cell.spec
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
            turn = self._turns.of_law(name, number)
            if turn.coupled:
                recipe = self._resized(recipe, number // 3, self.profile.coupled)
            else:
                recipe = self._resized(recipe, number, self.profile.of_laws)
            yield self._expand(recipe, turn, spec.laws[name].forall)

    def law_refused(self, name: str) -> str | None:
        """Why a law says nothing about this implementation; None where it does."""
        spec, law = self.cell.spec, self.cell.spec.laws[name]
        if law.exists:
            return "a witness of the definition, shown by `lossproof prove`"
        conventions = self._turns.conventions(name)
        if not conventions:
            return f"the law is about {law.when}, {self._settled(law.when or '')}"
        if not laws.asks(spec, name, (*conventions.row_wise, *conventions.coupled)[0][0]):
            return "a law of the definition alone, shown by `lossproof prove`"
        return None

    def _settled(self, when: str) -> str:
        """Why the condition of a law cannot come about: its parameters are fixed, or not taken."""
        implementation, parameters = self.cell.implementation, self.cell.spec.parameters
        left = [
            name
            for name in parameters
            if re.search(rf"\b{name}\b", when)
            and name not in implementation.takes
            and name not in implementation.fixed
        ]
        if not left:
            return "which the implementation fixes"
        told = ", ".join(f"{name} ({parameters[name].default!r} unless given)" for name in left)
        return f"and the implementation does not take {told}"

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

    @functools.cached_property
    def _turns(self) -> Turns:
        return Turns(self.cell, self.fixed(), self.seed, one=self._share.follows)

    def usual(self, case: Case) -> bool:
        """Whether a case has the sizes of the profile's first shape, but for the rows."""
        spec = self.cell.spec
        first = dict(self._dims("ordinary", self.profile.shapes)[0])
        return all(
            axis == spec.independent or first.get(str(axis), size) == size
            for name, declared in spec.inputs.items()
            for axis, size in zip(declared.shape, case.inputs[name].shape, strict=True)
        )

    def _expand(
        self, recipe: Recipe, turn: Turn | None = None, variables: Mapping[str, Variable] | None = None
    ) -> Case:
        values = self.fixed()
        if turn is not None:
            values |= turn.values
            recipe = replace(recipe, arrays=turn.arrays)
        return expand(self.cell.spec, recipe, self.cell.dtype, variables, values)

    def _resized(self, recipe: Recipe, number: int, shapes: tuple[tuple[int, int], ...]) -> Recipe:
        """The recipe in one of these shapes, which take turns, as its regime allows."""
        dims = self._dims(recipe.regime, shapes)
        return replace(recipe, dims=dims[number % len(dims)])

    def _dims(self, regime: str, shapes: tuple[tuple[int, int], ...]) -> list[tuple[tuple[str, int], ...]]:
        """The shapes, the profile's where there are none, as a regime allows them."""
        spec, profile = self.cell.spec, replace(self.profile, shapes=shapes or self.profile.shapes)
        return pool_of_dims(anatomy(spec), regime_of(spec, regime), profile)
