"""Running error analysis: the radius of each operation's result, from the midpoints and radii of its operands.

One set of rules serves both tiers of the oracle and every use of a radius: attainable error (steps are rounded to
the format under test), excuse (inputs are wide, steps exact), values of an implementation inside a law. A rule
bounds how far the result can lie from its midpoint when each operand lies anywhere in its ball, and adds the
rounding of the step. Everything is float64, in the units of the value; nan means undecided.

Rules are star-shaped: radii smaller by a factor give a result smaller by that factor at least, so the radius at a
finer rounding is at most in proportion. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., ch. 3-4.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lossproof.oracle import structure
from lossproof.oracle.rounding import Array, Radius, Rounding, Settle, exact
from lossproof.oracle.scaled_softmax import SLIGHT, ScaledSoftmax
from lossproof.oracle.softmax_family import SoftmaxFamily


class Term(NamedTuple):
    """An operand: midpoints in the tier's format and as float64, radius; binary: nothing but 0 and 1."""

    mid: Array
    view: Array
    radius: Radius
    binary: bool


def spread(radius: Radius, shape: tuple[int, ...]) -> Array:
    """The radius as an array of a shape."""
    return np.broadcast_to(np.asarray(radius, dtype=np.float64), shape)


def is_exactly(term: Term, value: float) -> Array:
    """Where an operand is certainly this number."""
    same = term.view == value
    return same if exact(term.radius) else np.asarray(same & (term.radius == 0))


def _depth(count: int) -> int:
    """How many roundings a term of a pairwise sum goes through."""
    return math.ceil(math.log2(count)) if count > 1 else 0


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


class Radii:
    """The rules for one rounding. family: the softmax family of float64 midpoints, computed once for each array."""

    def __init__(self, rounding: Rounding, family: Callable[[Array, int], SoftmaxFamily]) -> None:
        self.rounding, self._family = rounding, family

    def rule(self, op: str) -> Callable[..., Radius]:
        """The rule of an operation: f(out, *terms, *attributes), with `out` the midpoints of its result."""
        found: Callable[..., Radius] | None = getattr(self, f"_{op}", None)
        if found is None:
            raise KeyError(f"no radius for {op}")
        return found

    def _finish(self, out: Array, radius: Radius, settle: Settle | None = None) -> Radius:
        return self.rounding.finish(out, radius, settle)

    # exact operations, up to what their operands bring

    def _neg(self, out: Array, x: Term) -> Radius:
        return x.radius

    _abs = _neg

    def _sign(self, out: Array, x: Term) -> Radius:
        if exact(x.radius):
            return 0.0
        return np.where(np.abs(x.view) > x.radius, 0.0, np.where(x.radius == 0, 0.0, _open(x.radius, 2.0)))

    _slope_abs = _sign

    def _maximum(self, out: Array, x: Term, y: Term) -> Radius:
        if exact(x.radius) and exact(y.radius):
            return 0.0
        apart, width = x.view - y.view, np.add(x.radius, y.radius)
        either = np.maximum(x.radius, y.radius)
        return np.where(apart > width, x.radius, np.where(apart < -width, y.radius, either))

    def _minimum(self, out: Array, x: Term, y: Term) -> Radius:
        return self._maximum(out, x._replace(view=-x.view), y._replace(view=-y.view))

    def _step(self, out: Array, x: Term, y: Term) -> Radius:
        if exact(x.radius) and exact(y.radius):
            return 0.0
        width = np.add(x.radius, y.radius)
        clear = (np.abs(x.view - y.view) > width) | (width == 0)
        return np.where(clear, 0.0, _open(width, 1.0))

    # arithmetic

    def _add(self, out: Array, x: Term, y: Term) -> Radius:
        if exact(x.radius) or exact(y.radius):
            return self._finish(out, x.radius if exact(y.radius) else y.radius)

        def settle(both: Radius) -> Radius:
            # two infinities may cancel
            return np.where(np.isinf(x.radius) & np.isinf(y.radius), np.nan, both)

        return self._finish(out, np.asarray(x.radius + y.radius), settle)

    _sub = _add

    def _mul(self, out: Array, x: Term, y: Term) -> Radius:
        inherited = self._product(x, y)
        if x.binary or y.binary:
            return _at_infinity(out, inherited, x, y)
        return self._finish(out, inherited, lambda radius: _at_infinity(out, radius, x, y))

    def _product(self, x: Term, y: Term) -> Radius:
        if exact(x.radius) and exact(y.radius):
            return 0.0
        if exact(y.radius):
            return np.abs(y.view) * x.radius
        if exact(x.radius):
            return np.abs(x.view) * y.radius
        return _plus(np.abs(x.view) * y.radius, (np.abs(y.view) + y.radius) * x.radius)

    def _times(self, out: Array, x: Term, y: Term) -> Radius:
        return _where_not_zero(x, self._mul(out, x, y))

    def _quotient(self, out: Array, x: Term, y: Term) -> Radius:
        if exact(y.radius):
            return 0.0 if exact(x.radius) else x.radius / np.abs(y.view)
        room = np.abs(y.view) - y.radius
        return np.where(room > 0, (np.abs(out) * y.radius + x.radius) / room, np.nan)

    def _div(self, out: Array, x: Term, y: Term) -> Radius:
        return self._finish(out, self._quotient(out, x, y), lambda radius: _at_infinity(out, radius, x))

    def _xdivy(self, out: Array, x: Term, y: Term) -> Radius:
        return _where_not_zero(x, self._div(out, x, y))

    def _square(self, out: Array, x: Term) -> Radius:
        inherited = 0.0 if exact(x.radius) else (2 * np.abs(x.view) + x.radius) * x.radius
        return self._finish(out, inherited)

    def _pow(self, out: Array, x: Term, y: Term) -> Radius:
        """By the radius of y · log x; for a base whose ball reaches 0, the power of its largest value."""
        if exact(x.radius) and exact(y.radius):
            return self._finish(out, 0.0)
        size = np.abs(x.view)
        moved = (np.abs(y.view) + y.radius) * np.add(self._logarithm(size, x.radius), 0.0)
        if not exact(y.radius):
            moved = moved + np.where(size == 0, 0.0, np.abs(np.log(size)) * y.radius)
        near = np.abs(out) * np.expm1(np.minimum(moved, 700.0))
        whole = (y.view == np.rint(y.view)) & np.asarray(y.radius == 0)
        reaches_zero = (size <= x.radius) & ((x.view >= x.radius) | whole) & (y.view - y.radius > 0)
        most = np.power(size + x.radius, y.view - y.radius * np.sign(1.0 - size - x.radius))
        return self._finish(out, np.where(is_exactly(x, 0.0), 0.0, np.where(reaches_zero, most, near)))

    # elementary functions

    def _grow(self, x: Array, size: Array, radius: Radius) -> Radius:
        """size · (e^r − 1), with e^(x + r) in its place where that is far from linear."""
        if exact(radius):
            return 0.0
        near = size * np.expm1(np.minimum(radius, 1.0))
        return np.where(radius <= 1.0, near, np.exp(x + radius))

    def _exp(self, out: Array, x: Term) -> Radius:
        return self._finish(out, self._grow(x.view, np.abs(out), x.radius))

    def _expm1(self, out: Array, x: Term) -> Radius:
        return self._finish(out, self._grow(x.view, np.abs(out + 1.0), x.radius))

    def _logarithm(self, x: Array, radius: Radius) -> Radius:
        if exact(radius):
            return 0.0
        known = x > radius
        return np.where(
            known, -np.log1p(-np.where(known, radius / x, 0.0)), np.where(radius == 0, 0.0, np.nan)
        )

    def _log(self, out: Array, x: Term) -> Radius:
        return self._finish(out, self._logarithm(x.view, x.radius))

    def _log1p(self, out: Array, x: Term) -> Radius:
        return self._finish(out, self._logarithm(1.0 + x.view, x.radius))

    def _sqrt(self, out: Array, x: Term) -> Radius:
        if exact(x.radius):
            return self._finish(out, 0.0)
        below = np.sqrt(x.view - x.radius)
        return self._finish(out, np.where(x.radius == 0, 0.0, x.radius / (out + below)))

    def _softplus(self, out: Array, x: Term) -> Radius:
        inherited = 0.0 if exact(x.radius) else x.radius * _sigmoid(x.view + x.radius)
        return self._finish(out, inherited)

    def _log_sigmoid(self, out: Array, x: Term) -> Radius:
        inherited = 0.0 if exact(x.radius) else x.radius * _sigmoid(x.radius - x.view)
        return self._finish(out, inherited)

    def _sigmoid(self, out: Array, x: Term) -> Radius:
        if exact(x.radius):
            return self._finish(out, 0.0)
        slope = _sigmoid(x.view) * _sigmoid(-x.view)
        return self._finish(out, np.minimum(slope * np.expm1(np.minimum(x.radius, 700.0)), 1.0))

    def _sin(self, out: Array, x: Term) -> Radius:
        if exact(x.radius):
            return self._finish(out, 0.0)
        return self._finish(out, np.where(np.isinf(x.radius), np.nan, np.minimum(x.radius, 2.0)))

    _cos = _sin

    def _acos(self, out: Array, x: Term) -> Radius:
        if exact(x.radius):
            return self._finish(out, 0.0)
        reach = np.abs(x.view) + x.radius
        slope = np.sqrt((1.0 - reach) * (1.0 + reach))
        return self._finish(out, np.where(x.radius == 0, 0.0, np.where(reach < 1, x.radius / slope, np.nan)))

    def _tanh(self, out: Array, x: Term) -> Radius:
        if exact(x.radius):
            return self._finish(out, 0.0)
        slope = (1.0 - out) * (1.0 + out)
        return self._finish(out, np.minimum(slope * np.expm1(np.minimum(2 * x.radius, 700.0)) / 2, 2.0))

    def _xlogy(self, out: Array, x: Term, y: Term) -> Radius:
        log = np.log(y.view)
        inherited = self._product(x, Term(log, log, self._logarithm(y.view, y.radius), False))
        return _where_not_zero(x, self._finish(out, inherited, lambda radius: _at_infinity(out, radius, x)))

    def _rel_entr(self, out: Array, x: Term, y: Term) -> Radius:
        """As the textbook has it, either way: by the quotient, or by the difference of logarithms.

        The error is the larger of the two; a quotient past the largest number is undecided.
        """
        ratio = x.view / y.view
        log = np.log(ratio)
        inherited = self._product(
            x, Term(log, log, self._logarithm(ratio, self._quotient(ratio, x, y)), False)
        )
        if not self.rounding.step:
            return _where_not_zero(x, inherited)
        steps = self.rounding.step * np.abs(x.view) * (np.abs(np.log(x.view)) + np.abs(np.log(y.view)) + 1)
        # p > 0 = q is +∞ exactly, however it is computed
        infinite = np.isinf(out) & is_exactly(y, 0.0) & (np.abs(x.view) > x.radius)
        steps = np.where(infinite, 0.0, np.where(ratio <= self.rounding.largest, steps, np.nan))
        return _where_not_zero(x, self._finish(out, np.where(infinite, 0.0, inherited + steps)))

    # reductions; sums are pairwise, in any order of the terms

    def _sum(self, out: Array, x: Term, axes: tuple[int, ...], keep: bool) -> Radius:
        count = math.prod(x.view.shape[axis] for axis in axes)
        inherited: Radius = 0.0
        if not exact(x.radius):
            inherited = np.sum(spread(x.radius, x.view.shape), axis=axes, keepdims=keep)
        depth = _depth(count)
        if not depth or not self.rounding.step or (x.binary and count <= 1 / self.rounding.step):
            return inherited
        sizes = np.sum(np.abs(x.view), axis=axes, keepdims=keep)

        def lesser() -> Array:
            up, down = (np.sum(np.maximum(side, 0.0), axis=axes, keepdims=keep) for side in (x.view, -x.view))
            return np.asarray(np.minimum(up, down))

        return self._accumulated(out, sizes, inherited, depth, lesser)

    def _accumulated(
        self, out: Array, sizes: Array, inherited: Radius, depth: int, lesser: Callable[[], Array]
    ) -> Radius:
        """The radius of a sum of terms whose magnitudes add up to `sizes`, `depth` roundings on the way.

        lesser: the sum of the positive or of the negative terms, whichever is smaller in magnitude.
        """
        whole = sizes + inherited
        result = inherited + depth * self.rounding.step * whole
        low = np.minimum.reduce(whole, axis=None, initial=np.inf)
        high = np.maximum.reduce(whole, axis=None, initial=0.0)
        if not low >= self.rounding.least:
            small = (whole < self.rounding.least) & (whole > 0)
            result = np.where(small, result + self.rounding.least, result)
        if not high < self.rounding.largest:
            # partial sums of either sign may be infinities that cancel
            past = np.where(lesser() < self.rounding.largest, np.inf, np.nan)
            result = np.where(whole < self.rounding.largest, result, past)
            result = np.where(np.isinf(out) & np.isfinite(inherited), 0.0, result)
        return np.asarray(result)

    def _max(self, out: Array, x: Term, axes: tuple[int, ...], keep: bool) -> Radius:
        if exact(x.radius):
            return 0.0
        top = np.max(x.view, axis=axes, keepdims=True, initial=-np.inf)
        radius = spread(x.radius, x.view.shape)
        reach = x.view + radius >= np.max(x.view - radius, axis=axes, keepdims=True, initial=-np.inf)
        contenders = np.where(reach | np.isnan(radius) | np.isnan(top), radius, 0.0)
        return np.asarray(np.max(contenders, axis=axes, keepdims=keep, initial=0.0))

    def _min(self, out: Array, x: Term, axes: tuple[int, ...], keep: bool) -> Radius:
        return self._max(-out, x._replace(view=-x.view), axes, keep)

    def _argmax_weight(self, out: Array, x: Term, axes: tuple[int, ...]) -> Radius:
        if exact(x.radius):
            return 0.0
        radius = spread(x.radius, x.view.shape)
        reach = x.view + radius >= np.max(x.view - radius, axis=axes, keepdims=True)
        several = np.sum(reach | np.isnan(radius), axis=axes, keepdims=True) > 1
        return np.where(several & (reach | np.isnan(radius)), 1.0, 0.0)

    def _sort(self, out: Array, x: Term, axis: int) -> Radius:
        if exact(x.radius):
            return 0.0
        return np.broadcast_to(np.max(spread(x.radius, x.view.shape), axis=axis, keepdims=True), out.shape)

    def _norm(self, out: Array, x: Term, axes: tuple[int, ...], keep: bool) -> Radius:
        """Euclidean length; no square inside leaves the exponent range."""
        count = math.prod(x.view.shape[axis] for axis in axes)
        inherited: Radius = 0.0
        if not exact(x.radius):
            radius = spread(x.radius, x.view.shape)
            most = np.max(radius, axis=axes, keepdims=True, initial=0.0)
            scaled = np.where(most > 0, radius / most, radius)
            inherited = np.sqrt(np.sum(scaled * scaled, axis=axes, keepdims=True)) * most
            inherited = np.where(np.isinf(most), np.inf, inherited)
            inherited = inherited if keep else np.squeeze(inherited, axes)
        depth = _depth(count)
        return self._finish(out, inherited + out * self.rounding.step * (depth + 1) / 2)

    def _unit(self, out: Array, x: Term, axes: tuple[int, ...]) -> Radius:
        most = np.max(np.abs(x.view), axis=axes, keepdims=True, initial=0.0)
        length = most * np.sqrt(np.sum(np.square(x.view / most), axis=axes, keepdims=True))
        radius = self._norm(length, x, axes, True)
        return self._finish(out, self._quotient(out, x, Term(length, length, radius, False)))

    def _matmul(self, out: Array, x: Term, y: Term) -> Radius:
        inherited: Radius = 0.0
        left, right = np.abs(x.view), np.abs(y.view)
        if not exact(y.radius):
            inherited = left @ spread(y.radius, right.shape)
        if not exact(x.radius):
            inherited = inherited + spread(x.radius, left.shape) @ (right + y.radius)
        count = left.shape[-1]
        depth = _depth(count)
        if not self.rounding.step:
            return inherited

        def lesser() -> Array:
            up, down = (np.maximum(side, 0.0) for side in (x.view, -x.view))
            above, below = (np.maximum(side, 0.0) for side in (y.view, -y.view))
            return np.asarray(np.minimum(up @ above + down @ below, up @ below + down @ above))

        return self._accumulated(out, left @ right, inherited, depth + 1, lesser)

    # the softmax family: shift by the maximum, one step each

    def _shifts(self, found: SoftmaxFamily, x: Term) -> tuple[Array, Radius]:
        """The radius of the shifted entries before the exponential (a fresh array), and that of the maximum."""
        steps = found.shifted * -self.rounding.step
        if exact(x.radius):
            return steps, 0.0
        # an entry far below the maximum has no part in it: its radius counts with itself alone
        most = np.max(spread(x.radius, x.view.shape), axis=found.axis, keepdims=True)
        top = _top_radius(found, x, most)
        steps += x.radius
        steps += top
        return steps, top

    def _total(self, found: SoftmaxFamily, x: Term, ask: Callable[[], Array]) -> Array:
        """The relative radius of the sum of the weights. ask: for the radii of the shifted entries."""
        count = found.weights.shape[found.axis]
        step = self.rounding.step
        if exact(x.radius):
            moved = found.moment * step
        else:
            shifts = ask()
            near = found.weights * np.expm1(np.minimum(shifts, 1.0))
            near = np.where(shifts <= 1.0, near, np.exp(np.minimum(found.shifted + shifts, 700.0)))
            near = np.where(np.isneginf(found.shifted), 0.0, near)
            moved = np.sum(near, axis=found.axis, keepdims=True)
        if self.rounding.least > step * step:
            # what underflows may come out as 0, and in a format of few exponents that adds up
            small = (found.weights < self.rounding.least) & (found.weights > 0)
            moved = moved + self.rounding.least * np.sum(small, axis=found.axis, keepdims=True)
        depth = _depth(count)
        return np.asarray(moved / found.total + (depth + 1) * step)

    def _log_total(self, found: SoftmaxFamily, relative: Array, ask: Callable[[], Array]) -> Array:
        """The radius of the logarithm of that sum, with its relative radius."""
        inside = np.where(relative < 1, relative / (1 - np.minimum(relative, 0.999)), np.nan)
        far = relative >= 1
        if far.any():
            # the logarithm of the sum moves no farther than the entry that moves most
            most = np.where(np.isneginf(found.shifted), 0.0, ask())
            most = np.max(most, axis=found.axis, keepdims=True)
            # past the largest number code has infinities, and takes one from another
            most = np.where(np.isinf(most), np.nan, most)
            depth = _depth(found.weights.shape[found.axis])
            inside = np.where(far, most + 2 * (depth + 1) * self.rounding.step, inside)
        return np.asarray(inside + self.rounding.step * np.abs(found.log_total))

    def _logsumexp(self, out: Array, x: Term, axes: tuple[int, ...], keep: bool) -> Radius:
        found = self._family(x.view, axes[0])
        shifts, top = self._shifts(found, x)
        radius = top + self._log_total(found, self._total(found, x, lambda: shifts), lambda: shifts)
        radius = np.where(np.isneginf(found.top), 0.0, radius)
        return self._finish(out, radius if keep else np.squeeze(radius, axes[0]))

    def _log_softmax(self, out: Array, x: Term, axis: int) -> Radius:
        found = self._family(x.view, axis)
        shifts, _ = self._shifts(found, x)
        total = self._total(found, x, lambda: shifts)
        return self._finish_log(out, shifts + self._log_total(found, total, lambda: shifts))

    def _take_log_softmax(self, out: Array, x: Term, index: Term, axis: int) -> Radius:
        found = self._family(x.view, axis)
        # exact logits seldom need the shifts of all classes
        shifts = functools.cache(lambda: self._shifts(found, x)[0])
        if exact(x.radius):
            own = -self.rounding.step * structure.take(found.shifted, index.view)
        else:
            own = structure.take(shifts(), index.view)
        total = self._log_total(found, self._total(found, x, shifts), shifts)
        return self._finish_log(out, own + np.squeeze(total, axis))

    def _finish_log(self, out: Array, radius: Array) -> Radius:
        """A class of probability 0 has the logarithm −inf exactly."""
        masked = np.isneginf(out)
        return self._finish(out, np.where(masked, 0.0, radius) if masked.any() else radius)

    def _softmax(self, out: Array, x: Term, axis: int) -> Radius:
        found = self._family(x.view, axis)
        shifts, _ = self._shifts(found, x)
        others = self._others(found, x, shifts)
        if self._widest(found, None if exact(x.radius) else shifts) <= SLIGHT:
            shifts *= 1 + SLIGHT
            shifts += others
            shifts *= out
            return self.rounding.finish(out, shifts, positive=True)
        near = out * (np.expm1(np.minimum(shifts, 1.0)) + others)
        far = np.minimum(np.exp(np.minimum(found.shifted + shifts, 0.0)), 1.0) / found.total * (1 + others)
        radius = np.where(shifts <= 1.0, near, np.where(exact(x.radius), out, far))
        if not exact(x.radius):
            most = self._most_of_one(found, shifts)
            radius = np.where(np.isnan(others), most, np.minimum(radius, most))
        return self._finish(out, np.where(np.isneginf(found.shifted), 0.0, radius))

    def _scaled_softmax(self, out: Array, x: Term, factor: Term, axis: int) -> Radius:
        simple = self._simple(x, factor, axis)
        if simple is not None:
            return simple.radius(out)
        shares = self._family(x.view, axis).shares
        weights = Term(shares, shares, self._softmax(shares, x, axis), binary=False)
        return self._mul(out, weights, factor)

    def _less_scaled_softmax(
        self, out: Array, x: Term, factor: Term, put: Term, index: Term, axis: int
    ) -> Radius:
        simple = self._simple(x, factor, axis)
        if simple is not None:
            return simple.radius_of_difference(out, put.radius, index.view)
        shares = self._family(x.view, axis).shares
        products = shares * factor.view
        scaled = Term(products, products, self._scaled_softmax(products, x, factor, axis), binary=False)
        numbers, radius = (
            structure.scatter(part, index.view, out.shape[1])
            for part in (put.view, spread(put.radius, put.view.shape))
        )
        return self._sub(out, Term(numbers, numbers, radius, binary=False), scaled)

    def _simple(self, x: Term, factor: Term, axis: int) -> ScaledSoftmax | None:
        """A softmax and its factors, where the radius of their product is in proportion to it."""
        found = self._family(x.view, axis)
        shifts = None if exact(x.radius) else self._shifts(found, x)[0]
        if not self._widest(found, shifts) <= SLIGHT:
            return None
        others = self._others(found, x, shifts)
        scaled = ScaledSoftmax(found, shifts, others, factor.view, factor.radius, self.rounding)
        return scaled if scaled.simple else None

    def _widest(self, found: SoftmaxFamily, shifts: Array | None) -> float:
        """The largest radius of a shifted entry. shifts: None where each is off by a step alone."""
        return -found.least * self.rounding.step if shifts is None else float(shifts.max(initial=0.0))

    def _others(self, found: SoftmaxFamily, x: Term, shifts: Array | None) -> Array:
        """The relative radius that the weights of a row share; nan where it is not known."""

        def ask() -> Array:
            assert shifts is not None
            return shifts

        total = self._total(found, x, ask)
        return np.where(total < 1, total / (1 - np.minimum(total, 0.999)), np.nan) + self.rounding.step

    def _most_of_one(self, found: SoftmaxFamily, shifts: Array) -> Array:
        """What a weight can be at most: 1, however uncertain the shifts, and less far below the maximum.

        Past the largest number code has infinities, and takes one from another: undecided.
        """
        moved = np.where(np.isneginf(found.shifted), 0.0, shifts)
        top = np.max(np.where(found.shifted == 0, moved, 0.0), axis=found.axis, keepdims=True)
        most = np.exp(np.minimum(found.shifted + moved + top, 0.0))
        lost = np.max(np.where(np.isinf(moved), np.nan, 0.0), axis=found.axis, keepdims=True)
        return np.asarray(most + lost)


def _top_radius(found: SoftmaxFamily, x: Term, most: Array) -> Array:
    """The radius of the maximum: that of the entries which may be it."""
    radius = spread(x.radius, x.view.shape)
    reach = found.shifted + radius >= -most
    return np.asarray(np.max(np.where(reach | np.isnan(radius), radius, 0.0), axis=found.axis, keepdims=True))


def _plus(fresh: Array, more: Array) -> Array:
    """The sum; `fresh`, which nobody else holds, becomes it where it has the shape."""
    if fresh.shape == more.shape:
        fresh += more
        return fresh
    return fresh + more


def _open(radius: Radius, width: float) -> Array:
    """The width of what an uncertain sign or comparison can do; nan where the radius is."""
    return np.where(np.isnan(radius), np.nan, width)


def _at_infinity(out: Array, radius: Radius, *factors: Term) -> Radius:
    """The radius, with an infinite product or quotient as exact, but undecided where a factor may be 0."""
    infinite = np.isinf(out)
    if not infinite.any():
        return radius
    sure = infinite.copy()
    for factor in factors:
        sure = sure & (np.abs(factor.view) > factor.radius)
    return np.where(infinite, np.where(sure, 0.0, np.nan), radius)


def _where_not_zero(x: Term, radius: Radius) -> Radius:
    """The radius, 0 where the first factor is exactly 0."""
    if exact(radius):
        return radius
    zero = is_exactly(x, 0.0)
    return np.where(zero, 0.0, radius) if zero.any() else radius
