"""Stacks: cases joined along their rows, so that they share one call of an implementation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lossproof.inputs.case import Array, Case
from lossproof.inputs.regimes import POISONED
from lossproof.inputs.rows import Places, Rows, rows_of
from lossproof.spec import graph
from lossproof.spec.model import Spec

SEVERAL = "several"
"""The regime of a stack of cases from different regimes."""

MOST = 131_072
"""The most elements of an input of a stack."""

SHARED = 2
"""So many cases share a variable of a law that has no rows: a permutation may happen to leave the mistake in place."""


@dataclass(frozen=True)
class Stack:
    """case: the rows of the members, one after the other. members: each case, and its rows in the joined one.

    Arrays without rows (class weights, a permutation of the classes) are the first member's for all of them.
    """

    case: Case
    members: tuple[tuple[Case, slice], ...]


def stack(
    spec: Spec, cases: Iterable[Case], pool: tuple[int, ...], law: str | None = None
) -> tuple[list[Stack], list[Case]]:
    """Cases that can share a call, in stacks; and those that cannot, both in the order in which they come.

    Cases fit together where rows are independent, parameters equal, and sizes equal but for the rows. Those of
    the regime "poisoned_row" stay apart from the others, which a nan could reach. pool: the numbers of rows to which
    calls are filled up; a case that has more rows, or rows too large for any of them, stands alone. law: the one
    for which the cases were drawn.
    """
    groups: dict[Any, tuple[Rows, list[Case]]] = {}
    alone: list[Case] = []
    for case in cases:
        rows = rows_of(spec, graph.statics_of(spec, case.parameters), law)
        if rows is None or rows.count(case) > _room(case, rows, pool):
            alone.append(case)
        else:
            groups.setdefault(_key(case, rows), (rows, []))[1].append(case)
    return [
        _joined(part, rows) for rows, group in groups.values() for part in _portions(group, rows, pool)
    ], alone


def fits(spec: Spec, case: Case, pool: tuple[int, ...], law: str | None = None) -> bool:
    """Whether a case can stand in a stack, be it the only one there."""
    rows = rows_of(spec, graph.statics_of(spec, case.parameters), law)
    return rows is not None and rows.count(case) <= _room(case, rows, pool)


def _room(case: Case, rows: Rows, pool: tuple[int, ...]) -> int:
    """The most rows of a stack with this case."""
    arrays = (*case.inputs.values(), *case.variables.values())
    row = max(array.size for array in arrays) / rows.count(case)
    return max((count for count in pool if count * row <= MOST), default=0)


def _key(case: Case, rows: Rows) -> Any:
    """What cases that fit together have in common."""
    parameters = tuple(
        (name, value.shape) if isinstance(value, np.ndarray) else (name, type(value), repr(value))
        for name, value in case.parameters.items()
    )
    inputs = tuple(
        _without_rows(array, rows.inputs[name]) if rows.inputs[name] is not None else array.tobytes()
        for name, array in case.inputs.items()
    )
    variables = tuple(_without_rows(array, rows.variables[name]) for name, array in case.variables.items())
    return case.dtype, case.regime == POISONED, parameters, inputs, variables


def _without_rows(array: Array, at: int | None) -> tuple[int, ...]:
    return tuple(size for place, size in enumerate(array.shape) if place != at)


def _portions(group: list[Case], rows: Rows, pool: tuple[int, ...]) -> list[list[Case]]:
    """The cases of a group, as many together as there is room for."""
    portions: list[list[Case]] = []
    most = SHARED if None in rows.variables.values() else len(group)
    left = 0
    for case in group:
        count = rows.count(case)
        if count > left or len(portions[-1]) == most:
            portions.append([])
            left = _room(case, rows, pool)
        portions[-1].append(case)
        left -= count
    return portions


def _joined(cases: list[Case], rows: Rows) -> Stack:
    first = cases[0]

    def join(kind: str, places: Places) -> dict[str, Array]:
        arrays = {name: [getattr(case, kind)[name] for case in cases] for name in places}
        return {
            name: arrays[name][0] if at is None else np.concatenate(arrays[name], at)
            for name, at in places.items()
        }

    joined = replace(
        first,
        regime=first.regime if all(case.regime == first.regime for case in cases) else SEVERAL,
        inputs=join("inputs", rows.inputs),
        variables=join("variables", rows.variables),
    )
    shared = {name: first.variables[name] for name, at in rows.variables.items() if at is None}
    ends = np.cumsum([0, *(rows.count(case) for case in cases)]).tolist()
    members = tuple(
        (
            replace(case, parameters=first.parameters, variables={**case.variables, **shared}),
            slice(start, end),
        )
        for case, start, end in zip(cases, ends, ends[1:], strict=False)
    )
    return Stack(joined, members)
