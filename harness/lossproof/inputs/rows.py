"""Where the rows that do not touch each other stand, in the arrays of a case."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

from lossproof.expression.scope import ARRAY
from lossproof.inputs.case import Array, Case
from lossproof.inputs.sizes import dimension_names
from lossproof.spec import graph
from lossproof.spec.model import Shape, Spec, Variable

Places = Mapping[str, int | None]
"""The axis of the rows in each array; None for an array without rows."""


@dataclass(frozen=True)
class Rows:
    """The axis of the rows in the result, in each input and in each variable of a law."""

    result: int
    inputs: Places
    variables: Places

    def count(self, case: Case) -> int:
        """The number of rows of a case."""
        return next(int(case.inputs[name].shape[at]) for name, at in self.inputs.items() if at is not None)


def rows_of(spec: Spec, statics: graph.Statics, law: str | None = None) -> Rows | None:
    """Where rows stand under given choices; None where their results are coupled or cannot be told apart.

    law: one whose variables are there too; None as well where one of these can neither be cut by rows nor serve
    any row.
    """
    return _rows_of(graph.Key(spec), statics, law)


@functools.lru_cache(maxsize=4096)
def _rows_of(key: graph.Key, statics: graph.Statics, law: str | None) -> Rows | None:
    spec, variables = key.spec, {} if law is None else key.spec.laws[law].forall
    axis = spec.independent
    if axis is None:
        return None
    result = [size.name for size in graph.definition(spec, statics).shape]
    arrays = [spec.parameters[name].shape or () for name, value in statics if value is ARRAY]
    inputs = {name: declared.shape for name, declared in spec.inputs.items()}
    drawn = {name: _shape(spec, variable) for name, variable in variables.items()}
    if result.count(axis) != 1 or any(axis in dimension_names([shape]) for shape in arrays):
        return None
    if not all(_stands_alone(axis, shape) for shape in (*inputs.values(), *drawn.values())):
        return None
    for declared in spec.inputs.values():
        if axis not in declared.shape and declared.is_real and declared.differentiable:
            return None  # its gradient is a sum over all rows
    for name, variable in variables.items():
        if axis not in drawn[name] and variable.grid is not None:
            return None  # its sums are exact with the inputs with which it was drawn
    return Rows(result.index(axis), _places(axis, inputs), _places(axis, drawn))


def _shape(spec: Spec, variable: Variable) -> Shape:
    return spec.inputs[variable.like].shape if variable.like is not None else variable.shape or ()


def _stands_alone(axis: str, shape: Shape) -> bool:
    """Whether the axis is one dimension of a shape, or none, and no part of one such as N + 1."""
    return shape.count(axis) == sum(axis in dimension_names([(dim,)]) for dim in shape) <= 1


def _places(axis: str, shapes: Mapping[str, Shape]) -> dict[str, int | None]:
    return {name: shape.index(axis) if axis in shape else None for name, shape in shapes.items()}


def part(array: Array, at: int | None, rows: slice) -> Array:
    """The given rows of an array; all of an array without rows."""
    return array if at is None else array[(slice(None),) * at + (rows,)]
