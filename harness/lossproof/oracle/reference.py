"""What is true at given inputs, and how well it can be computed there: truth, attainable error, excuse.

Design, section 1. Truth comes from evaluating a graph on the exact inputs with rising precision until each
ball is far narrower than the format under test (Ziv's strategy). Attainable error is the radius of the same
graph at the precision of the format. Excuse is the radius that one roundoff of the inputs explains.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flint import arb

from lossproof.expression.node import Node
from lossproof.floats import Format
from lossproof.oracle import ball
from lossproof.oracle.arb_tier import ArbArithmetic, balls, precision, to_ball
from lossproof.oracle.evaluate import Bindings, evaluate
from lossproof.oracle.objects import objects

Array = np.ndarray[Any, np.dtype[Any]]

NARROW = 2.0**-10
"""A truth is decided when its radius is this small a part of a roundoff of the format."""


@dataclass(frozen=True)
class Point:
    """Where a graph is evaluated: exact float arrays (any format), integer and boolean arrays, numbers.

    numbers: parameters by name. dimensions: sizes by name. storage: the format of the arrays.
    """

    arrays: Mapping[str, Array]
    numbers: Mapping[str, Any]
    dimensions: Mapping[str, int]
    storage: Format


@dataclass
class Reference:
    """Truth and attainable error of one array of results, elementwise; radii are float64 in the units of the value.

    truth: balls. expected: truth rounded to the storage format. defined: whether truth is decided.
    attainable: inf where no result can be blamed.
    """

    truth: Array
    expected: Array
    defined: Array
    attainable: Array
    storage: Format
    _family: _Family = field(repr=False)
    _index: int = field(repr=False)

    @functools.cached_property
    def excuse(self) -> Array:
        """The error that one unit roundoff of each real input explains."""
        return self._family.excuses[self._index]

    def attainable_at(self, working: Format) -> Array:
        """The attainable error of code that computes in another format."""
        return _attainable(self._family.radii(working)[self._index], self.truth, self.storage, working)


class _Family:
    """What the references of one evaluation share."""

    def __init__(self, nodes: Sequence[Node], point: Point, flush: bool, excuses: Mapping[str, Node]) -> None:
        self.nodes, self.point, self.flush, self.excuse_nodes = nodes, point, flush, excuses

    def bindings(self, rounding: Format | None = None, leaves: Mapping[str, Array] | None = None) -> Bindings:
        point = self.point
        arrays = dict(leaves) if leaves is not None else exact_leaves(point.arrays)
        one = ball.ONE if rounding is None else arb(1, rounding.unit_roundoff)
        numbers = {
            name: np.asarray(to_ball(value) * one, dtype=object)
            for name, value in point.numbers.items()
            if isinstance(value, int | float)
        }
        if rounding is not None and self.flush:
            arrays = {name: self._flushed(name, array) for name, array in arrays.items()}
        return Bindings(arrays, numbers, point.dimensions)

    def _flushed(self, name: str, array: Array) -> Array:
        """Subnormal inputs as balls that hold 0, for a framework that flushes them."""
        given = np.asarray(self.point.arrays[name])
        if array.dtype != object:
            return array
        small = self._subnormal(given)
        if not small.any():
            return array
        array = array.copy()
        for at in np.argwhere(small):
            key = tuple(at)
            array[key] = array[key].union(ball.ZERO)
        return array

    def _subnormal(self, given: Array) -> Array:
        size = np.abs(given.astype(np.float64))
        return np.asarray((size > 0) & (size < self.point.storage.smallest_normal))

    @functools.cached_property
    def has_subnormals(self) -> bool:
        return any(self._subnormal(a).any() for a in self.point.arrays.values() if a.dtype.kind not in "iub")

    @functools.cached_property
    def truths(self) -> list[Array]:
        fmt = self.point.storage
        bindings = self.bindings()
        for bits in truth_precisions(fmt):
            with precision(bits):
                values = evaluate(self.nodes, ArbArithmetic(), bindings)
            values = [np.asarray(value, dtype=object) for value in values]
            if all(is_narrow(entry, fmt) for value in values for entry in value.flat):
                break
        return values

    def radii(self, working: Format) -> list[Array]:
        known = self.__dict__.setdefault("_radii", {})
        if working.name not in known:
            with precision(working.precision):
                values = evaluate(self.nodes, ArbArithmetic(working), self.bindings(working))
            known[working.name] = [np.asarray(value, dtype=object) for value in values]
        result: list[Array] = known[working.name]
        return result

    @functools.cached_property
    def excuses(self) -> list[Array]:
        point = self.point
        with precision(point.storage.precision + 40):
            leaves = exact_leaves(point.arrays)
            bindings = self.bindings()
            for name, array in leaves.items():
                if array.dtype != object or name == "cotangent":
                    continue
                quantity = array
                if name in self.excuse_nodes:
                    (quantity,) = evaluate([self.excuse_nodes[name]], ArbArithmetic(), bindings)
                leaves[name] = widened(array, quantity, point.storage.unit_roundoff)
            values = evaluate(self.nodes, ArbArithmetic(), self.bindings(leaves=leaves))
        return [_radius(np.asarray(value, dtype=object)) for value in values]


def references(
    nodes: Sequence[Node],
    point: Point,
    working: Format,
    flush: bool = False,
    excuses: Mapping[str, Node] | None = None,
) -> list[Reference]:
    """A reference for each graph at one point.

    working: the format in which the implementation is expected to compute. flush: whether its framework takes
    subnormal inputs for 0. excuses: for inputs whose excuse is the rounding of another quantity, its graph.
    """
    family = _Family(nodes, point, flush, excuses or {})
    found = []
    for index, (truth, radius) in enumerate(zip(family.truths, family.radii(working), strict=True)):
        defined = elementwise(lambda entry: is_narrow(entry, point.storage), truth).astype(bool)
        expected = elementwise(lambda entry: nearest(entry, point.storage), truth).astype(np.float64)
        attainable = _attainable(radius, truth, point.storage, working)
        if flush and family.has_subnormals:
            # an overflow may hang on an input that the framework takes for 0
            steps_known = elementwise(
                lambda entry: bool(entry.is_finite()) or ball.is_infinite(entry), radius
            )
            attainable = np.where(steps_known.astype(bool), attainable, np.inf)
        attainable = np.where(defined, attainable, np.inf)
        found.append(Reference(truth, expected, defined, attainable, point.storage, family, index))
    return found


def truth_precisions(fmt: Format) -> tuple[int, ...]:
    """Rising precisions; the last is beyond the whole exponent range of the format, with room for squares."""
    first, last = 2 * fmt.precision + 48, 2 * (fmt.emax + fmt.precision) + 128
    return (first, last) if last < 4 * first else (first, int((first * last) ** 0.5), last)


def elementwise(function: Any, array: Array) -> Array:
    """The function of each entry, as an array of objects of the same shape."""
    return objects(map(function, array.ravel()), array.shape)


def exact_leaves(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Float arrays as exact balls, integers and booleans as they are."""
    return {name: array if array.dtype.kind in "iub" else balls(array) for name, array in arrays.items()}


def widened(array: Array, quantity: Array, roundoff: float) -> Array:
    """Each ball wider by one roundoff of a quantity."""

    def widen(entry: arb, size: arb) -> arb:
        return (
            entry + arb(0, size.abs_upper() * roundoff) if size.is_finite() and entry.is_finite() else entry
        )

    return np.asarray(np.frompyfunc(widen, 2, 1)(array, np.broadcast_to(quantity, array.shape)), dtype=object)


def is_narrow(entry: arb, fmt: Format) -> bool:
    """Whether a ball tells its value far beyond the format's precision; an exact infinity does."""
    if not entry.is_finite():
        return ball.is_infinite(entry)
    scale = max(float(entry.abs_lower()) * fmt.unit_roundoff, fmt.smallest_subnormal / 8)
    return float(entry.rad()) <= NARROW * scale


def nearest(entry: arb, fmt: Format) -> float:
    """The truth rounded to the format, as a Python float; nan where it is undecided."""
    if not entry.is_finite():
        return (
            float("nan")
            if entry.is_nan() or not entry.is_exact()
            else float("inf")
            if entry > 0
            else -float("inf")
        )
    middle = entry.mid()
    if abs(middle) > fmt.largest * (1 + fmt.unit_roundoff / 2):
        return float("inf") if middle > 0 else -float("inf")
    with np.errstate(over="ignore"):
        return float(np.float64(float(middle)).astype(fmt.dtype))


def _radius(balls_: Array) -> Array:
    def radius(entry: arb) -> float:
        if entry.is_finite():
            return float(entry.rad())
        return 0.0 if ball.is_infinite(entry) else float("inf")

    return elementwise(radius, balls_).astype(np.float64)


def _attainable(steps: Array, truth: Array, storage: Format, working: Format) -> Array:
    """The radius of the textbook algorithm, its last rounding to storage, and an eighth of the smallest normal.

    The eighth makes an absolute error of one smallest normal number pass (8 × attainable).
    """
    floor = storage.smallest_normal / 8

    def attainable(step: arb, true: arb) -> float:
        if ball.is_infinite(true):
            return floor if ball.is_infinite(step) and bool(step == true) else float("inf")
        if not true.is_finite():
            return float("inf")
        size = float(true.abs_upper())
        if size > storage.largest * (1 + storage.unit_roundoff / 2):
            return storage.largest * working.unit_roundoff
        last = storage.unit_roundoff * size if storage.precision < working.precision else 0.0
        return float(step.rad()) + last + floor if step.is_finite() else float("inf")

    out = np.frompyfunc(attainable, 2, 1)(steps, truth)
    return np.asarray(out).astype(np.float64)
