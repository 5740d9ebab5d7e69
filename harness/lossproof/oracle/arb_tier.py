"""The certified tier: arrays of Arb balls, as NumPy arrays of objects.

One class serves every use. With `rounding` None it computes at the context's precision and rounds nothing on
purpose: truth. With a format it models the textbook algorithm in that format: each step is widened by one unit
roundoff, a result below the smallest normal number by that number (gradual underflow and flushing alike), and
a step past the largest number becomes undecided (nan).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from flint import arb, ctx, fmpq

from lossproof.floats import Format
from lossproof.oracle import ball, kleene
from lossproof.oracle.objects import Array, mapped, objects


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Arb's working precision inside the block."""
    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


def balls(array: Any) -> Array:
    """Exact balls of a float array of any dtype and shape."""
    array = np.asarray(array)
    # arb rounds to the working precision when it is made, which may be below that of the array
    with precision(64):
        return objects((arb(float(entry)) for entry in array.ravel()), array.shape)


def to_ball(value: int | float | Fraction) -> arb:
    if isinstance(value, Fraction):
        return arb(fmpq(value.numerator, value.denominator))
    return arb(value)


_UNARY = {
    "neg": lambda x: -x, "exp": ball.exp, "log": ball.log, "log1p": ball.log1p, "expm1": ball.expm1,
    "sqrt": ball.sqrt, "abs": ball.absolute, "sign": ball.sign, "slope_abs": ball.slope_abs,
    "square": ball.square,
    "softplus": ball.softplus, "sigmoid": ball.sigmoid, "log_sigmoid": lambda x: -ball.softplus(-x),
    "sin": lambda x: x.sin(), "cos": lambda x: x.cos(), "acos": lambda x: x.acos(), "tanh": ball.tanh,
}  # fmt: skip
_BINARY = {
    "add": ball.add, "sub": ball.sub, "mul": ball.mul, "div": ball.div, "pow": ball.power, "times": ball.times,
    "xlogy": ball.xlogy, "xdivy": ball.xdivy, "maximum": ball.maximum,
    "minimum": lambda x, y: -ball.maximum(-x, -y), "step": ball.step,
}  # fmt: skip
_MAPPED = {name: mapped(f, 1) for name, f in _UNARY.items()} | {
    name: mapped(f, 2) for name, f in _BINARY.items()
}
_EXACT = frozenset({"neg", "abs", "sign", "slope_abs", "maximum", "minimum", "step"})


class ArbArithmetic:
    """Operations of the graph on arrays of balls."""

    def __init__(self, rounding: Format | None = None) -> None:
        self.rounding = rounding
        if rounding is not None:
            self._unit = rounding.unit_roundoff
            self._one = arb(1, rounding.unit_roundoff)
            self._tiny = arb(0, rounding.smallest_normal)
            self._least = arb(rounding.smallest_normal)
            self._largest = arb(rounding.largest)
            self._round = mapped(self._round_one, 1)

    def constant(self, value: Any) -> Array:
        return np.asarray(to_ball(value), dtype=object)

    def operation(self, op: str) -> Callable[..., Array]:
        if op in _MAPPED:
            return (
                _MAPPED[op] if op in _EXACT or self.rounding is None else partial(self._rounded, _MAPPED[op])
            )
        if op in kleene.COMPARED:
            return kleene.COMPARED[op]
        if op in kleene.LOGIC:
            return kleene.LOGIC[op]
        method: Callable[..., Array] = getattr(self, op)
        return method

    def _rounded(self, function: Callable[..., Array], *args: Array) -> Array:
        result: Array = self._round(function(*args))
        return result

    def _round_one(self, x: arb) -> arb:
        if not x.is_finite() or x.is_zero():
            return x
        size = x.abs_upper()
        if size > self._largest:
            return ball.NAN
        return x + self._tiny if size < self._least else x * self._one

    def finish(self, x: Array) -> Array:
        """A step's rounding, where there is one."""
        return x if self.rounding is None else self._round(x)

    def _inside(self, x: Array) -> Array:
        """The rounding of a step inside a primitive, which may leave the exponent range unharmed."""
        return x if self.rounding is None else np.asarray(x * self._one, dtype=object)

    # selection and conversion

    def where(self, condition: Array, yes: Array, no: Array) -> Array:
        if np.asarray(yes).dtype != object:
            return np.where(condition.astype(bool), yes, no)
        return kleene.where(condition, yes, no)

    def real(self, x: Array) -> Array:
        return kleene.real(x)

    def isfinite(self, x: Array) -> Array:
        return kleene.finite(x)

    def onehot(self, index: Array, classes: int) -> Array:
        return kleene.real(index[..., None] == np.arange(classes))

    def rel_entr(self, x: Array, y: Array) -> Array:
        """x log(x / y) as the textbook has it, either way: by the quotient, or by the difference of logarithms.

        The attainable error is the larger of the two; a quotient past the largest number is undecided.
        """
        result = mapped(ball.rel_entr, 2)(x, y)
        if self.rounding is None:
            return result
        return self.finish(mapped(self._rel_entr_one, 3)(result, x, y))

    def _rel_entr_one(self, result: arb, x: arb, y: arb) -> arb:
        if not result.is_finite() or x.is_zero():
            return result
        if (x / y).abs_upper() > self._largest:
            return ball.NAN
        size = x.log().abs_upper() + y.log().abs_upper() + 1
        return result + arb(0, self._unit) * x.abs_upper() * size

    # reductions, pairwise: the radius grows with the logarithm of the length

    def _tree(self, x: Array, axis: int, combine: Callable[[Array, Array], Array], empty: Any) -> Array:
        x = np.moveaxis(x, axis, 0)
        if x.shape[0] == 0:
            return np.full(x.shape[1:], empty, dtype=object)
        while x.shape[0] > 1:
            half = x.shape[0] // 2
            head = combine(x[: 2 * half : 2], x[1 : 2 * half : 2])
            x = np.concatenate([head, x[2 * half :]]) if x.shape[0] % 2 else head
        return np.asarray(x[0], dtype=object)

    def _reduce(self, x: Array, axes: tuple[int, ...], keep: bool, combine: Any, empty: Any) -> Array:
        for axis in sorted(axes, reverse=True):
            x = self._tree(x, axis, combine, empty)
        return np.expand_dims(x, axes) if keep else x

    def sum(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        return self._reduce(x, axes, keep, self.operation("add"), ball.ZERO)

    def max(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        return self._reduce(x, axes, keep, _MAPPED["maximum"], ball.NEG_INF)

    def min(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        return self._reduce(x, axes, keep, _MAPPED["minimum"], ball.INF)

    def any(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        return self._reduce(x, axes, keep, kleene.LOGIC["or"], False)

    def all(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        return self._reduce(x, axes, keep, kleene.LOGIC["and"], True)

    def argmax_weight(self, x: Array, axes: tuple[int, ...]) -> Array:
        """The derivative of max: 1 at the only greatest entry, [0, 1] at each of several, 0 elsewhere."""
        moved = np.moveaxis(x, axes, range(len(axes)))
        flat = moved.reshape(-1, *moved.shape[len(axes) :])
        if len(flat) == 1:
            return np.full(x.shape, ball.ONE, dtype=object)
        # the greatest of the entries before and after each: a computed entry is not certainly equal to itself
        greatest = partial(np.frompyfunc(ball.maximum, 2, 1).accumulate, axis=0, dtype=object)
        low = np.full((1, *flat.shape[1:]), ball.NEG_INF, dtype=object)
        before = np.concatenate([low, greatest(flat)[:-1]])
        after = np.concatenate([greatest(flat[::-1])[-2::-1], low])
        weights = mapped(_weight, 3)(flat, before, after)
        return np.moveaxis(weights.reshape(moved.shape), range(len(axes)), axes)

    def norm(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        """Euclidean length; no square inside leaves the exponent range."""
        squares = self._inside(_MAPPED["square"](x))
        total = self._reduce(squares, axes, keep, lambda a, b: self._inside(_MAPPED["add"](a, b)), ball.ZERO)
        return self.finish(_MAPPED["sqrt"](total))

    def unit(self, x: Array, axes: tuple[int, ...]) -> Array:
        """x / ‖x‖, the derivative of the norm; [−1, 1] at the zero vector."""
        length = self.norm(x, axes, True)
        return self.finish(mapped(lambda a, n: ball.UNIT if n.is_zero() else ball.div(a, n), 2)(x, length))

    # the softmax family: shift by the maximum, one step each

    def _shifted(self, x: Array, axis: int) -> tuple[Array, Array, Array]:
        top = self.max(x, (axis,), True)
        shifted = self._inside(mapped(_below, 2)(x, top))
        weights = self._inside(_MAPPED["exp"](shifted))
        if self.rounding is not None:
            # what underflows may come out as 0; beside the 1 of the maximum nobody sees it
            weights = mapped(lambda w: w + self._tiny if w < self._least and not w.is_zero() else w, 1)(
                weights
            )
        total = self._reduce(
            weights, (axis,), True, lambda a, b: self._inside(_MAPPED["add"](a, b)), ball.ZERO
        )
        return top, shifted, total

    def logsumexp(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        top, _, total = self._shifted(x, axes[0])
        result = self.finish(mapped(_logsumexp, 2)(top, self._inside(_MAPPED["log"](total))))
        return result if keep else np.squeeze(result, axes[0])

    def log_softmax(self, x: Array, axis: int) -> Array:
        _, shifted, total = self._shifted(x, axis)
        return self.finish(_MAPPED["sub"](shifted, self._inside(_MAPPED["log"](total))))

    def softmax(self, x: Array, axis: int) -> Array:
        _, shifted, total = self._shifted(x, axis)
        return self.finish(_MAPPED["div"](self._inside(_MAPPED["exp"](shifted)), total))

    def sort(self, x: Array, axis: int) -> Array:
        """Ascending; a network of minimum and maximum, so that overlapping balls stay bounds."""
        x = np.moveaxis(x, axis, 0).copy()
        for end in range(len(x) - 1, 0, -1):
            for i in range(end):
                x[i], x[i + 1] = _MAPPED["minimum"](x[i], x[i + 1]), _MAPPED["maximum"](x[i], x[i + 1])
        return np.moveaxis(x, 0, axis)

    def matmul(self, x: Array, y: Array) -> Array:
        products = self.operation("mul")(x[..., :, :, None], y[..., None, :, :])
        return self.sum(products, (products.ndim - 2,), False)


def _weight(x: arb, before: arb, after: arb) -> arb:
    if not (before.is_nan() or after.is_nan()) and x > before and x > after:
        return ball.ONE
    return ball.step(x, ball.maximum(before, after))


def _below(x: arb, top: arb) -> arb:
    """x − max; −∞ stays, and a row that is −∞ throughout has no softmax."""
    if ball.is_infinite(x) and x < 0 and top.is_finite():
        return x
    return ball.sub(x, top)


def _logsumexp(top: arb, log_total: arb) -> arb:
    # the logarithm of an empty sum: every entry is −∞
    return top if ball.is_infinite(top) else ball.add(top, log_total)
