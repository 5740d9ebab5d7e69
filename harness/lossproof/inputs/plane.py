"""The points of a spec's plane: two magnitudes on a grid, and the inputs and parameters at each pair of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossproof.floats import FORMATS
from lossproof.inputs.anatomy import anatomy
from lossproof.inputs.case import Array
from lossproof.oracle.evaluate import Bindings, evaluate
from lossproof.oracle.running_error import Families
from lossproof.oracle.wide import WideArithmetic
from lossproof.spec import graph
from lossproof.spec.model import Domain, Entries, PlaneAxis, Scale, Spec
from lossproof.spec.plane import shape_at_a_point

DIGITS = 3
"""Significant digits of the values of an axis: they are read by people, and alike on every machine."""


@dataclass(frozen=True)
class Grid:
    """The points of a plane, row by row: x runs fastest.

    inputs: float64 [points, *shape at a point]. parameters: float64 [points].
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    inputs: Mapping[str, Array]
    parameters: Mapping[str, Array]

    @property
    def size(self) -> int:
        return len(self.x) * len(self.y)


def values(axis: PlaneAxis) -> tuple[float, ...]:
    """The values of an axis, rising. Neighbours that are equal in so many digits are there once."""
    low, high = axis.range
    if axis.scale is Scale.LINEAR:
        found = np.linspace(low, high, axis.steps)
    elif axis.least is None:
        found = np.geomspace(low, high, axis.steps)
    else:
        half = axis.steps // 2
        below, above = np.geomspace(-low, axis.least, half), np.geomspace(axis.least, high, half)
        found = np.concatenate([-below, [0.0], above])
    return tuple(dict.fromkeys(float(f"{value:.{DIGITS}g}") for value in found))


class _Float64(WideArithmetic):
    """Expressions in float64, with the leaves that constants are."""

    def integers(self, array: Array) -> Array:
        return array

    def full(self, value: Array, shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(value, shape)


def grid_of(spec: Spec) -> Grid | None:
    """The grid of a spec; None for one without a plane."""
    return _grid_of(graph.Key(spec))


@functools.lru_cache(maxsize=64)
def _grid_of(key: graph.Key) -> Grid | None:
    spec, plane = key.spec, key.spec.plane
    if plane is None:
        return None
    xs, ys = values(plane.x), values(plane.y)
    leaves = {"x": np.tile(np.array(xs), len(ys)), "y": np.repeat(np.array(ys), len(xs))}
    count = len(xs) * len(ys)
    arithmetic = _Float64(np.dtype(np.float64), Families())

    def at_points(text: str) -> Array:
        with np.errstate(all="ignore"):
            (found,) = evaluate([graph.of_point(text)], arithmetic, Bindings(leaves, {}, {"points": count}))
        return np.broadcast_to(np.asarray(found, dtype=np.float64), (count,))

    def nested(part: Any) -> Array:
        return (
            np.stack([nested(each) for each in part], 1) if isinstance(part, tuple) else at_points(str(part))
        )

    def entries(part: Entries) -> Array:
        return np.ascontiguousarray(nested(part))

    inputs = {name: entries(plane.inputs[name]) for name in spec.inputs}
    return Grid(xs, ys, inputs, {name: at_points(str(text)) for name, text in plane.parameters.items()})


def inside(spec: Spec, grid: Grid, dtype: str) -> tuple[dict[str, Array], Array]:
    """The inputs in a dtype (labels int64, masks bool), and which points have them inside of their domains there.

    A number past the format's largest, or one that is not 0 and becomes 0 in it, is outside.
    """
    found: dict[str, Array] = {}
    legal = np.ones(grid.size, dtype=bool)
    for name, exact in grid.inputs.items():
        declared = spec.inputs[name]
        found[name], good = _cast(declared.domain, exact, dtype)
        if declared.domain is Domain.CLASS_INDEX:
            good &= (exact >= 0) & (exact < _classes(spec, grid))
        legal &= good.reshape(grid.size, -1).all(axis=1)
    for name, exact in grid.parameters.items():
        low, high = spec.parameters[name].range or (-np.inf, np.inf)
        legal &= (low <= exact) & (exact <= high)
    return found, legal


def _cast(domain: Domain, exact: Array, dtype: str) -> tuple[Array, Array]:
    """Entries in a dtype, and which of them are in the domain."""
    whole = exact == np.floor(exact)
    if domain is Domain.MASK:
        return exact != 0, (exact == 0) | (exact == 1)
    if domain in (Domain.CLASS_INDEX, Domain.CLASS_ID):
        return np.where(np.isfinite(exact), exact, 0).astype(np.int64), whole
    fmt = FORMATS[dtype]
    with np.errstate(over="ignore", under="ignore"):
        cast = exact.astype(fmt.dtype)
    near = cast.astype(np.float64)
    kept = np.isfinite(near) & ((near != 0) | (exact == 0))
    within = {
        Domain.POSITIVE: near > 0,
        Domain.NONNEGATIVE: near >= 0,
        Domain.UNIT_INTERVAL: (near >= 0) & (near <= 1),
        Domain.PROBABILITY: (near >= 0) & (near <= 1),
        Domain.LOG_PROBABILITY: near <= 0,
        Domain.SIGN: np.abs(near) == 1,
        Domain.BINARY: (near == 0) | (near == 1),
    }
    if domain in (Domain.EXTENDED_REAL, Domain.LOG_PROBABILITY):
        kept |= np.isneginf(exact)
    good = kept & within.get(domain, np.ones(near.shape, dtype=bool))
    if domain is Domain.PROBABILITY:
        total = near.sum(axis=-1, keepdims=True)
        good = good & (np.abs(total - 1) <= 2 * near.shape[-1] * fmt.unit_roundoff)
    if domain is Domain.LOG_PROBABILITY:
        with np.errstate(under="ignore"):
            total = np.exp(near).sum(axis=-1, keepdims=True)
        # the roundoff of a logarithm counts as many times as it is large
        good = good & (np.abs(total - 1) <= 8 * near.shape[-1] * fmt.unit_roundoff)
    if domain is Domain.EMBEDDING:
        good = good & (near != 0).any(axis=-1, keepdims=True)
    return cast, good


def _classes(spec: Spec, grid: Grid) -> float:
    """The number of classes among which labels choose."""
    labelled = anatomy(spec).labelled
    for name, array in grid.inputs.items():
        for axis, size in zip(shape_at_a_point(spec, name), array.shape[1:], strict=True):
            if axis == labelled:
                return float(size)
    return math.inf
