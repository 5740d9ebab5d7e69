"""The vector tier's midpoints: the operations of the graph on whole arrays of a format wider than the one under test.

float64 serves float32, float16 and bfloat16 under test; binary128 (numpy-quaddtype) serves float64. Infinities are
those of the extended reals; nan stands for what is undefined and for what this tier does not tell (a kink, an
overflow), which goes up to arb. A result that underflows is never 0, so that 0 always means exactly 0.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from lossproof.floats import Format
from lossproof.oracle import structure
from lossproof.oracle.softmax_family import LEAST, SoftmaxFamily

Array = np.ndarray[Any, np.dtype[Any]]

MOST = float(np.finfo(np.float64).max)
"""What stands for a finite number past it."""


@functools.cache
def wide_dtype(fmt: Format) -> Any:
    """The dtype of the midpoints for results of a format (and everything that works in it)."""
    if fmt.precision > 24:
        from numpy_quaddtype import QuadPrecDType

        return QuadPrecDType()
    return np.dtype(np.float64)


def view(x: Array) -> Array:
    """Midpoints as float64; what is not 0 does not become 0, and what is finite not infinite."""
    if x.dtype == np.float64 or x.dtype.kind in "iub":
        return x
    near = x.astype(np.float64)
    past = np.isinf(near)
    if np.any(past):
        near = np.where(past & np.isfinite(x), np.copysign(MOST, near), near)
    lost = near == 0
    if np.any(lost):
        near = np.where(lost & (x != 0), LEAST, near)
    return near


def _nonzero(out: Array, x: Array) -> Array:
    """The positive result with LEAST where it underflowed, which it did where x is finite."""
    gone = out == 0
    return np.where(gone & np.isfinite(x), LEAST, out) if np.any(gone) else out


def _finite(out: Array, x: Array) -> Array:
    """The result with nan where it overflowed, which it did where x is finite."""
    past = np.isinf(out)
    return np.where(past & np.isfinite(x), np.nan, out) if np.any(past) else out


def _exp(x: Array) -> Array:
    return _finite(_nonzero(np.exp(x), x), x)


def _div(x: Array, y: Array) -> Array:
    none = y == 0
    return np.where(none, np.nan, x / y) if np.any(none) else x / y


def _xdivy(x: Array, y: Array) -> Array:
    return np.where(x == 0, 0.0, x / y)


def _softplus(x: Array) -> Array:
    return np.maximum(x, 0.0) + np.log1p(_nonzero(np.exp(-np.abs(x)), x))


def _sigmoid(x: Array) -> Array:
    small = _nonzero(np.exp(-np.abs(x)), x)
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _power(x: Array, exponent: Array) -> Array:
    found = _finite(np.power(x, exponent), np.where(x == 0, np.inf, x))
    lost = (found == 0) & (x != 0) & np.isfinite(x) & np.isfinite(exponent)
    return np.where(lost, LEAST, found) if np.any(lost) else found


def _rel_entr(x: Array, y: Array) -> Array:
    return np.where(x == 0, 0.0, x * np.log(x / y))


def _xlogy(x: Array, y: Array) -> Array:
    return np.where(x == 0, 0.0, x * np.log(y))


def _slope_abs(x: Array) -> Array:
    return np.where(x == 0, np.nan, np.sign(x))


def _step(x: Array, y: Array) -> Array:
    return np.where(x > y, 1.0, np.where(x < y, 0.0, np.nan))


_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "neg": np.negative, "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": _div, "pow": _power,
    "exp": _exp, "log": np.log, "log1p": np.log1p, "expm1": lambda x: _finite(np.expm1(x), x), "sqrt": np.sqrt,
    "abs": np.abs, "sign": np.sign, "slope_abs": _slope_abs, "square": np.square, "softplus": _softplus,
    "sigmoid": _sigmoid, "log_sigmoid": lambda x: -_softplus(-x), "sin": np.sin, "cos": np.cos, "acos": np.arccos,
    "tanh": np.tanh, "times": lambda x, y: np.where(x == 0, 0.0, x * y), "xlogy": _xlogy,
    "xdivy": _xdivy, "rel_entr": _rel_entr,
    "maximum": np.maximum, "minimum": np.minimum, "step": _step,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "eq": np.equal, "ne": np.not_equal, "isfinite": np.isfinite,
    "and": np.logical_and, "or": np.logical_or, "not": np.logical_not, "where": np.where,
}  # fmt: skip


class WideArithmetic:
    """Operations of the graph on arrays of one wide dtype. Call inside `np.errstate(all="ignore")`."""

    def __init__(self, dtype: Any, family: Callable[[Array, int], SoftmaxFamily]) -> None:
        self.dtype, self._family = dtype, family

    def leaf(self, array: Array) -> Array:
        """An input: floats exactly, integers and booleans as they are."""
        if array.dtype.kind in "iub":
            return array
        near = array.astype(np.float64, order=structure.order_of(array.shape))
        return near.astype(self.dtype, copy=False)

    def constant(self, value: Any) -> Array:
        if self.dtype == np.float64:
            return np.asarray(float(value))
        if isinstance(value, Fraction):
            return np.asarray(_quad(value.numerator, self.dtype) / _quad(value.denominator, self.dtype))
        return (
            _quad(value, self.dtype)
            if isinstance(value, int)
            else np.asarray(value, np.float64).astype(self.dtype)
        )

    def operation(self, op: str) -> Callable[..., Array]:
        if op in _ELEMENTWISE:
            return _ELEMENTWISE[op]
        if op in structure.OPERATIONS:
            return structure.OPERATIONS[op]
        method: Callable[..., Array] = getattr(self, op)
        return method

    def real(self, x: Array) -> Array:
        return x.astype(self.dtype)

    def onehot(self, index: Array, classes: int) -> Array:
        return np.asarray((index[..., None] == np.arange(classes)).astype(self.dtype))

    def sum(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        if not x.size:  # binary128 has no sum of nothing
            return np.asarray(np.sum(np.zeros(x.shape), axis=axes, keepdims=keep).astype(self.dtype))
        return np.asarray(np.sum(x, axis=axes, keepdims=keep))

    def max(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        return np.asarray(np.max(x, axis=axes, keepdims=keep, initial=-np.inf))

    def min(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        return np.asarray(np.min(x, axis=axes, keepdims=keep, initial=np.inf))

    def any(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        return np.asarray(np.any(x, axis=axes, keepdims=keep))

    def all(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        return np.asarray(np.all(x, axis=axes, keepdims=keep))

    def argmax_weight(self, x: Array, axes: tuple[int, ...]) -> Array:
        """The derivative of max: 1 at the only greatest entry, 0 elsewhere, nan at each of several and beside a nan."""
        top = np.max(x, axis=axes, keepdims=True)
        greatest = (x == top) | np.isnan(top)
        shared = np.sum(greatest, axis=axes, keepdims=True) != 1
        return np.where(greatest, np.where(shared | np.isnan(top), np.nan, 1.0), 0.0).astype(self.dtype)

    def norm(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        return np.asarray(np.sqrt(np.sum(x * x, axis=axes, keepdims=keep)))

    def unit(self, x: Array, axes: tuple[int, ...]) -> Array:
        return _div(x, self.norm(x, axes, True))

    def logsumexp(self, x: Array, axes: tuple[int, ...], keep: bool) -> Array:
        found = self._family(x, axes[0])
        result = found.top + found.log_total
        empty = np.isneginf(found.top)
        if empty.any():
            result = np.where(empty, found.top, result)
        return result if keep else np.squeeze(result, axes[0])

    def log_softmax(self, x: Array, axis: int) -> Array:
        found = self._family(x, axis)
        return np.asarray(found.shifted - found.log_total)

    def take_log_softmax(self, x: Array, index: Array, axis: int) -> Array:
        """log_softmax of one class in each row."""
        found = self._family(x, axis)
        return np.asarray(structure.take(found.shifted, index) - np.squeeze(found.log_total, axis))

    def softmax(self, x: Array, axis: int) -> Array:
        return self._family(x, axis).shares

    def scaled_softmax(self, x: Array, factor: Array, axis: int) -> Array:
        """A softmax times a number for each row."""
        return self.softmax(x, axis) * factor

    def less_scaled_softmax(self, x: Array, factor: Array, put: Array, index: Array, axis: int) -> Array:
        """Numbers at an index of each row, zeros elsewhere, less such products."""
        found, place = self.softmax(x, axis) * np.negative(factor), index[:, None]
        if np.any(factor == 0) or np.isneginf(self._family(x, axis).least):
            found += 0.0  # a zero is not negative
        np.put_along_axis(found, place, put[:, None] + np.take_along_axis(found, place, axis), axis)
        return found

    def sort(self, x: Array, axis: int) -> Array:
        return np.sort(x, axis=axis)

    def matmul(self, x: Array, y: Array) -> Array:
        # binary128 arrays are multiplied as they lie in memory: a transposed view came out wrong
        return np.asarray(np.matmul(np.ascontiguousarray(x), np.ascontiguousarray(y)))


def _quad(value: int, dtype: Any) -> Array:
    """A whole number of any size, rounded once."""
    return (
        np.asarray(str(value), dtype=dtype) if abs(value) >= 2**53 else np.asarray(float(value)).astype(dtype)
    )
