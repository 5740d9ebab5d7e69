"""The certified tier: arrays of Arb balls, as NumPy arrays of objects, at the precision of the context."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from flint import arb, ctx, fmpq

from lossproof.oracle import ball, kleene, structure
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
    "xlogy": ball.xlogy, "xdivy": ball.xdivy, "rel_entr": ball.rel_entr, "maximum": ball.maximum,
    "minimum": lambda x, y: -ball.maximum(-x, -y), "step": ball.step,
}  # fmt: skip
_MAPPED = {name: mapped(f, 1) for name, f in _UNARY.items()} | {
    name: mapped(f, 2) for name, f in _BINARY.items()
}


class ArbArithmetic:
    """Operations of the graph on arrays of balls; integers and booleans are NumPy arrays."""

    dtype = np.dtype(object)

    def leaf(self, array: Array) -> Array:
        """An input: floats as exact balls, integers and booleans as they are."""
        return array if array.dtype.kind in "iub" else balls(array)

    def constant(self, value: Any) -> Array:
        return np.asarray(to_ball(value), dtype=object)

    def integers(self, array: Array) -> Array:
        return array

    def full(self, value: Array, shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(value, shape)

    def operation(self, op: str) -> Callable[..., Array]:
        for table in (_MAPPED, kleene.COMPARED, kleene.LOGIC, structure.OPERATIONS):
            if op in table:
                return table[op]
        method: Callable[..., Array] = getattr(self, op)
        return method

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

    # reductions, pairwise

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
        return self._reduce(x, axes, keep, _MAPPED["add"], ball.ZERO)

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
        rest = moved.shape[len(axes) :]
        flat = moved.reshape(math.prod(moved.shape[: len(axes)]), *rest)
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
        return np.asarray(mapped(_length, 1)(self.sum(_MAPPED["square"](x), axes, keep)), dtype=object)

    def unit(self, x: Array, axes: tuple[int, ...]) -> Array:
        """x / ‖x‖, the derivative of the norm; [−1, 1] at the zero vector."""
        length = self.norm(x, axes, True)
        return mapped(lambda a, n: ball.UNIT if n.is_zero() else ball.div(a, n), 2)(x, length)

    # the softmax family: shift by the maximum

    def _shifted(self, x: Array, axis: int) -> tuple[Array, Array, Array]:
        top = self.max(x, (axis,), True)
        shifted = mapped(_below, 2)(x, top)
        return top, shifted, self.sum(_MAPPED["exp"](shifted), (axis,), True)

    def logsumexp(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        top, _, total = self._shifted(x, axes[0])
        result = mapped(_logsumexp, 2)(top, _MAPPED["log"](total))
        return result if keep else np.squeeze(result, axes[0])

    def log_softmax(self, x: Array, axis: int) -> Array:
        _, shifted, total = self._shifted(x, axis)
        return _MAPPED["sub"](shifted, _MAPPED["log"](total))

    def softmax(self, x: Array, axis: int) -> Array:
        _, shifted, total = self._shifted(x, axis)
        return _MAPPED["div"](_MAPPED["exp"](shifted), total)

    def sort(self, x: Array, axis: int) -> Array:
        """Ascending; a network of minimum and maximum, so that overlapping balls stay bounds."""
        x = np.moveaxis(x, axis, 0).copy()
        for end in range(len(x) - 1, 0, -1):
            for i in range(end):
                x[i], x[i + 1] = _MAPPED["minimum"](x[i], x[i + 1]), _MAPPED["maximum"](x[i], x[i + 1])
        return np.moveaxis(x, 0, axis)

    def matmul(self, x: Array, y: Array) -> Array:
        products = _MAPPED["mul"](x[..., :, :, None], y[..., None, :, :])
        return self.sum(products, (products.ndim - 2,), False)


def _length(total: arb) -> arb:
    """The root of a sum of squares, which is not below 0 even where its ball is."""
    if total.is_finite() and not total.is_exact() and total.contains(0):
        return ball.hull(ball.ZERO, total.abs_upper().sqrt())
    return ball.sqrt(total)


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
