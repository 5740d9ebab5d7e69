"""The certified answers: truth as Arb balls with rising precision, and the radii of three roundings around it.

Truth is decided when its ball is far narrower than the format under test (Ziv's strategy).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from flint import arb

from lossproof.expression.node import Node
from lossproof.floats import Format
from lossproof.oracle import ball
from lossproof.oracle.arb_tier import ArbArithmetic, precision, to_ball
from lossproof.oracle.evaluate import Bindings, evaluate
from lossproof.oracle.guards import unguarded
from lossproof.oracle.objects import objects
from lossproof.oracle.point import Point
from lossproof.oracle.radius import spread
from lossproof.oracle.rounding import NO_ROUNDING, Array, Radius, Rounding
from lossproof.oracle.running_error import Ball, Families, RunningError
from lossproof.oracle.softmax_family import LEAST
from lossproof.oracle.wide import MOST, wide_dtype

NARROW = 2.0**-10
"""A truth is decided when its radius is this small a part of a roundoff of the format."""


@dataclass(frozen=True)
class Question:
    """What is asked: the certified answers for a graph at a point.

    working: the format in which the implementation is expected to compute. flush: whether its framework takes
    subnormal inputs for 0. excuses: for inputs whose excuse is the rounding of another quantity, its graph. exact:
    leaves that have no roundoff to excuse.
    """

    node: Node
    point: Point
    working: Format
    flush: bool
    excuses: Mapping[str, Node]
    exact: tuple[str, ...] = ()


@dataclass(frozen=True)
class Certified:
    """Elementwise, where it was asked for, nan elsewhere: see Reference for the first two.

    excuse: the error that one unit roundoff of each real input explains. coarse: the attainable error of code that
    works in the storage format throughout.
    """

    middle: Array
    attainable: Array
    excuse: Array
    coarse: Array

    def at(self, place: Any) -> Certified:
        return Certified(*(getattr(self, each.name)[place] for each in fields(self)))

    def spread(self, shape: tuple[int, ...], place: Any) -> Certified:
        """As parts of arrays of a larger shape."""

        def put(part: Array) -> Array:
            out = np.full(shape, np.nan).astype(part.dtype)
            out[place] = part
            return out

        return Certified(*(put(getattr(self, each.name)) for each in fields(self)))


def truth_precisions(fmt: Format) -> tuple[int, ...]:
    """Rising precisions; the last is beyond the whole exponent range of the format, with room for squares."""
    first, last = 2 * fmt.precision + 48, 2 * (fmt.emax + fmt.precision) + 128
    return (first, last) if last < 4 * first else (first, int((first * last) ** 0.5), last)


def certify(question: Question) -> Certified:
    """The certified answers to a question."""
    storage, working = question.point.storage, question.working
    first, *higher = truth_precisions(storage)
    found = _widened(question, first)
    truth = found.mid
    defined = _defined(truth, storage)
    for bits in higher:
        if defined.all():
            break
        with precision(bits):
            (truth,) = evaluate([question.node], ArbArithmetic(), exact_bindings(question.point))
        truth, before = np.asarray(truth, dtype=object), defined
        defined = _defined(truth, storage)
        if (defined & ~before).any():
            found = _widened(question, bits)
    middle = np.where(defined, _middles(truth, storage), np.nan)
    own, coarse, excuse = found.radii
    return Certified(
        middle,
        attainable(own, middle, storage, working),
        _excuse(excuse, middle),
        attainable(coarse, middle, storage, storage),
    )


def _defined(truth: Array, storage: Format) -> Array:
    return elementwise(lambda entry: is_narrow(entry, storage), truth).astype(bool)


def _widened(question: Question, bits: int) -> Ball:
    """The truth, computed with so many bits, and radii around it: attainable in the working format, in that of storage,
    and the excuse."""
    with precision(bits), np.errstate(all="ignore"):
        return _ball(question)


def _ball(question: Question) -> Ball:
    point = question.point
    radii = {
        name: leaf_radii(question, name, lambda name: _quantity(name, question)) for name in point.arrays
    }

    def ball(node: Node, *roundings: Rounding) -> Ball:
        arithmetic = RunningError(ArbArithmetic(), view, roundings, Families())
        leaves = {}
        for name, array in point.arrays.items():
            flushed, excuse = radii[name]
            leaves[name] = arithmetic.leaf(array, (*[flushed] * (len(roundings) - 1), excuse))
        numbers = {name: arithmetic.number(value) for name, value in point.reals.items()}
        (found,) = evaluate([node], arithmetic, Bindings(leaves, numbers, point.dimensions))
        result: Ball = found
        return result

    found = ball(question.node, Rounding.of(question.working), Rounding.of(point.storage), NO_ROUNDING)
    plain = unguarded(question.node)
    if plain is question.node:
        return found
    *own, excuse = found.radii
    narrow = narrower(spread(excuse, found.shape), ball(plain, NO_ROUNDING), 0)
    return replace(found, radii=(*own, narrow))


def narrower(radius: Array, plain: Ball, place: int) -> Array:
    """The smaller of a radius and that of the graph without its guards, where this one is defined."""
    other = spread(plain.radii[place], plain.shape)
    defined = np.isfinite(other) & np.isfinite(plain.view)
    return np.where(defined, np.fmin(radius, other), radius)


def leaf_radii(question: Question, name: str, quantity: Callable[[str], Array]) -> tuple[Radius, Radius]:
    """The radii of an input: by flushing, and by one roundoff of the quantity (float64) that it is measured by."""
    point = question.point
    flushed = flushed_radius(point, name) if question.flush else 0.0
    if point.arrays[name].dtype.kind in "iub" or name in question.exact:
        return flushed, 0.0
    size = np.abs(quantity(name))
    return flushed, np.where(np.isfinite(size), size * point.storage.unit_roundoff, 0.0)


def _quantity(name: str, question: Question) -> Array:
    """What a leaf's roundoff is measured by, as float64: itself, or the quantity that the spec names."""
    array = question.point.arrays[name]
    if name not in question.excuses:
        return array.astype(np.float64)
    (found,) = evaluate([question.excuses[name]], ArbArithmetic(), exact_bindings(question.point))
    return np.broadcast_to(view(np.asarray(found, dtype=object)), array.shape)


def flushed_radius(point: Point, name: str) -> Radius:
    """Subnormal inputs as balls that hold 0, for a framework that flushes them."""
    array = point.arrays[name]
    if array.dtype.kind in "iub":
        return 0.0
    small = point.subnormal(name)
    return np.where(small, np.abs(array.astype(np.float64)), 0.0) if small.any() else 0.0


def attainable(
    radius: Radius, middle: Array, storage: Format, working: Format, size: float | None = None
) -> Array:
    """The radius of the textbook algorithm, its last rounding to storage, and an eighth of the smallest normal.

    The eighth makes an absolute error of one smallest normal number pass (8 × attainable). inf where nothing is
    decided: where a truth is past the largest number, so was the last step, and no step before gave an infinity that
    another one could cancel. size: `largest(middle)`, where it is known.
    """
    floor = storage.smallest_normal / 8
    found = np.broadcast_to(np.asarray(radius + floor), middle.shape)
    if storage.precision < working.precision:
        found = found + storage.unit_roundoff * size_of(middle)
    size = largest(middle) if size is None else size
    if size <= storage.largest and most(found) < np.inf:
        return np.asarray(found)
    infinite = np.isinf(middle)
    past = (
        ~infinite & ~np.isnan(radius) & (size_of(middle) > storage.largest * (1 + storage.unit_roundoff / 2))
    )
    found = np.where(infinite, np.where(np.asarray(radius) == 0, floor, np.inf), found)
    found = np.where(past, storage.largest * working.unit_roundoff, found)
    return np.where(np.isfinite(found) & ~np.isnan(middle), found, np.inf)


def rounded(middle: Array, storage: Format) -> Array:
    """Midpoints rounded to the storage format, as float64; inf past its largest number, nan where undecided."""
    with np.errstate(all="ignore"):
        near = middle.astype(np.float64, copy=False)
        if storage.precision >= 53:
            return near
        found = near.astype(storage.dtype).astype(np.float64)
    if most(found) < np.inf and most(-found) < np.inf:
        return np.asarray(found)
    inside = np.isinf(found) & (np.abs(near) <= storage.largest * (1 + storage.unit_roundoff / 2))
    return np.where(inside, np.sign(near) * storage.largest, found)


def size_of(middle: Array) -> Array:
    """|midpoints|, float64."""
    with np.errstate(all="ignore"):
        return np.asarray(np.abs(middle.astype(np.float64, copy=False)))


def largest(middle: Array) -> float:
    """The largest magnitude of midpoints; nan where there is one."""
    high = np.maximum.reduce(middle, axis=None, initial=0.0)
    low = np.minimum.reduce(middle, axis=None, initial=0.0)
    return max(float(high), -float(low)) if high == high else np.nan


def most(array: Array) -> Any:
    """The largest entry and at least 0; nan where there is one."""
    return np.maximum.reduce(array, axis=None, initial=0.0)


def view(array: Array) -> Array:
    """Midpoints of balls as float64, nan where there is none. What is not 0 does not become 0, and what is finite not
    infinite."""
    if array.dtype != object:
        return array

    def near(entry: Any) -> float:
        if not entry.is_finite():
            return float(entry) if ball.is_infinite(entry) else float("nan")
        middle = float(entry.mid())
        if middle == 0 and not entry.is_zero():
            return LEAST
        return min(max(middle, -MOST), MOST)

    return np.fromiter(map(near, array.ravel()), np.float64, array.size).reshape(array.shape)


def _middles(truth: Array, storage: Format) -> Array:
    """Midpoints in the wide format of the storage's vector tier."""
    dtype = wide_dtype(storage)
    if dtype == np.float64:
        return elementwise(
            lambda entry: float(entry.mid()) if entry.is_finite() else float(entry), truth
        ).astype(np.float64)
    # 40 digits are more than binary128 holds; past float64 the value says no more than that it is small or large
    texts = [_digits(entry) if entry.is_finite() else str(float(entry)) for entry in truth.flat]
    return np.asarray(texts, dtype=dtype).reshape(truth.shape)


def _digits(entry: arb) -> str:
    middle = entry.mid()
    near = abs(float(middle))
    if near == 0 and entry.contains(0):
        return "0"
    if near == 0:
        return str(LEAST) if middle > 0 else str(-LEAST)
    if near == float("inf"):
        return "1e310" if middle > 0 else "-1e310"
    return str(middle.str(40, radius=False))


def _excuse(radius: Radius, middle: Array) -> Array:
    """0 where the truth is infinite (no rounding of the inputs makes it finite), inf where nothing is known."""
    found = np.broadcast_to(np.asarray(radius, dtype=np.float64), middle.shape)
    found = np.where(np.isinf(middle), 0.0, found)
    return np.where(np.isnan(found) | np.isnan(middle), np.inf, found)


def elementwise(function: Callable[[Any], Any], array: Array) -> Array:
    """The function of each entry, as an array of objects of the same shape."""
    return objects(map(function, array.ravel()), array.shape)


def exact_bindings(point: Point, call: Callable[[Node, list[Any]], Any] | None = None) -> Bindings:
    """A point's float arrays and numbers as exact balls, integers and booleans as they are."""
    arithmetic = ArbArithmetic()
    leaves = {name: arithmetic.leaf(array) for name, array in point.arrays.items()}
    numbers = {name: np.asarray(to_ball(value), dtype=object) for name, value in point.reals.items()}
    return Bindings(leaves, numbers, point.dimensions, call)


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
