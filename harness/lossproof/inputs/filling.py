"""Calls with a number of rows from a small pool: a case is filled up with its own rows, and its results are cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lossproof.inputs.case import Array, Case
from lossproof.inputs.rows import Rows, rows_of
from lossproof.spec import graph
from lossproof.spec.model import Spec


class Filling:
    """A case as it is called: with its own rows again and again, up to the next number of the pool, if there is one."""

    def __init__(self, case: Case, rows: Rows, pool: tuple[int, ...]) -> None:
        self.rows, self._own = rows, rows.count(case)
        self._all = next((count for count in sorted(pool) if count >= self._own), self._own)
        self.case = replace(
            case,
            inputs={name: self.fill(array, rows.inputs[name]) for name, array in case.inputs.items()},
            variables={
                name: self.fill(array, rows.variables[name]) for name, array in case.variables.items()
            },
        )

    def fill(self, array: Array, at: int | None) -> Array:
        """An array of the case, filled up."""
        if at is None or self._own == self._all:
            return array
        return np.take(array, np.arange(self._all) % self._own, at)

    def cut(self, array: Array, at: int | None) -> Array:
        """The rows of the case in an array that a call gave; the array itself where it has not the call's rows.

        Where a row came out otherwise when it was repeated, that is what is given: a mistake in any of its copies
        shows.
        """
        if self._own == self._all or at is None or array.ndim <= at or array.shape[at] != self._all:
            return array
        rows = np.moveaxis(array, at, 0)
        found = rows[: self._own].copy()
        if np.take(found, np.arange(self._all) % self._own, 0).tobytes() == rows.tobytes():
            return np.ascontiguousarray(np.moveaxis(found, 0, at))
        for start in range(self._own, self._all, self._own):
            copies = rows[start : start + self._own]
            for row, copy in enumerate(copies):
                if copy.tobytes() != rows[row].tobytes():
                    found[row] = copy
        return np.ascontiguousarray(np.moveaxis(found, 0, at))


def called(spec: Spec, case: Case, pool: tuple[int, ...], law: str | None = None) -> Case:
    """The case as an implementation is called with it; the case itself where its rows are coupled.

    law: the one for which the case was drawn.
    """
    rows = rows_of(spec, graph.statics_of(spec, case.parameters), law)
    return case if rows is None else Filling(case, rows, pool).case
