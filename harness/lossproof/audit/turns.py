"""Which values of the parameters that an implementation leaves free take turns, so that few cases meet many."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from lossproof.checks.cell import Cell
from lossproof.checks.row_wise import row_wise
from lossproof.expression.scope import ARRAY, NUMBER
from lossproof.floats import DTYPES
from lossproof.inputs import pool
from lossproof.inputs.rows import rows_of
from lossproof.spec import graph
from lossproof.spec.graph import Statics
from lossproof.spec.law_graph import applies, law_graph

ROW_WISE = 4
"""So many combinations take turns where rows are independent, unless it takes more to meet every value: cases with
the same one share calls."""

COMPILED = 2
"""So many take turns in compiled mode, where each is static and compiles again."""

LAW_CASES = 6
"""So many cases of a law on end meet the same combination where it speaks of each row by itself."""

Convention = tuple[Statics, ...]
"""Statics that give the same graph, such as all that a mean could divide by where nothing is divided."""


@dataclass(frozen=True)
class Turn:
    """values: of the free parameters but arrays. arrays: those that are on. coupled: whether rows are."""

    values: Mapping[str, Any]
    arrays: tuple[str, ...]
    coupled: bool


@dataclass(frozen=True)
class Conventions:
    """What an implementation can meet: where each row is by itself, and where rows are coupled."""

    row_wise: tuple[Convention, ...]
    coupled: tuple[Convention, ...]

    def __bool__(self) -> bool:
        return bool(self.row_wise or self.coupled)


class Turns:
    """The turns of a cell. fixed: the parameters that its implementation does not vary. one: whether one combination
    is enough where a mode compiles each, another one in each dtype."""

    def __init__(self, cell: Cell, fixed: Mapping[str, Any], seed: int, *, one: bool = False) -> None:
        self.cell, self._one = cell, one
        self._pools = {
            name: [value for value in pool(cell.spec, name, seed) if value is not None]
            for name, parameter in cell.spec.parameters.items()
            if parameter.kind == "number" and name in cell.implementation.free
        }
        self._given = dict(graph.statics_of(cell.spec, fixed))
        self._laws: dict[str, Conventions] = {}
        # each dtype begins with others
        self._first = seed + DTYPES.index(cell.dtype)

    def of_case(self, place: int, number: int) -> Turn:
        """For a case by its number in a regime, and the regime's place; every other one has coupled rows."""
        found = self._of_cases
        if found.row_wise and found.coupled:
            number, odd = divmod(number, 2)
            return self._turn(found, bool(odd), place + number)
        return self._turn(found, not found.row_wise, place + number)

    def of_law(self, name: str, number: int) -> Turn:
        """For a case of a law that applies, by its number; every third one has coupled rows."""
        found, start = self.conventions(name), zlib.crc32(name.encode())
        if found.row_wise and found.coupled:
            third, rest = divmod(number, 3)
            return self._turn(found, rest == 2, start + (third if rest == 2 else number // LAW_CASES))
        return self._turn(
            found, not found.row_wise, start + (number // LAW_CASES if found.row_wise else number)
        )

    def conventions(self, law: str) -> Conventions:
        """Those in which a law applies."""
        if law not in self._laws:
            spec = self.cell.spec
            self._laws[law] = self._sorted(
                (each for each in graph.all_statics(spec) if applies(spec.laws[law], each)),
                lambda statics: law_graph(spec, law, statics),
                lambda statics: row_wise(spec, law, statics),
            )
        return self._laws[law]

    @functools.cached_property
    def _of_cases(self) -> Conventions:
        spec = self.cell.spec
        return self._sorted(
            graph.all_statics(spec),
            lambda statics: graph.definition(spec, statics),
            lambda statics: rows_of(spec, statics) is not None,
        )

    def _sorted(
        self,
        statics: Iterable[Statics],
        graph_of: Callable[[Statics], Hashable],
        by_rows: Callable[[Statics], bool],
    ) -> Conventions:
        groups: dict[Hashable, list[Statics]] = {}
        for each in statics:
            if all(
                name in self.cell.implementation.free or value == self._given[name] for name, value in each
            ):
                groups.setdefault(graph_of(each), []).append(each)
        own = [tuple(each for each in group if by_rows(each)) for group in groups.values()]
        coupled = tuple(tuple(group) for group, kept in zip(groups.values(), own, strict=True) if not kept)
        return Conventions(tuple(group for group in own if group), coupled)

    def _turn(self, found: Conventions, coupled: bool, number: int) -> Turn:
        conventions = found.coupled if coupled else found.row_wise
        limit = None if coupled else max(ROW_WISE, len(conventions), *map(len, self._pools.values()), 1)
        if self.cell.mode == "compiled":
            limit = 1 if self._one or (found.row_wise and found.coupled) else COMPILED
        number = self._first + (number if limit is None else number % limit)
        around, at = divmod(number, len(conventions))
        statics = conventions[at][(around + self._first) % len(conventions[at])]
        free = self.cell.implementation.free
        values = {name: value for name, value in statics if name in free and value not in (ARRAY, NUMBER)}
        for place, (name, numbers) in enumerate(self._pools.items()):
            if dict(statics)[name] is NUMBER:
                shift = place * (number // len(numbers)) + (place + 1) * self._first
                values[name] = numbers[(number + shift) % len(numbers)]
        return Turn(
            values, tuple(name for name, value in statics if value is ARRAY and name in free), coupled
        )
