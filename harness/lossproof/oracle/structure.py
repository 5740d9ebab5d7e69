"""Operations that move entries and compute nothing: the same for every arithmetic, by NumPy's indexing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


SHORT = 64
"""A last axis up to this length is laid out with the rows next to each other: NumPy takes some 20 ns for each row that
it reduces or broadcasts along a last axis."""


def order_of(shape: tuple[int, ...]) -> Literal["C", "F"]:
    """In which order the entries of a float64 array of a shape are best laid out."""
    return "F" if len(shape) == 2 and shape[1] <= SHORT < shape[0] else "C"


def newaxis(x: Array, positions: tuple[int, ...]) -> Array:
    rank = x.ndim + len(positions)
    return np.asarray(x[tuple(None if place in positions else slice(None) for place in range(rank))])


def squeeze(x: Array, positions: tuple[int, ...]) -> Array:
    return np.squeeze(x, positions)


def transpose(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def flatten(x: Array) -> Array:
    return x.reshape(*x.shape[:-2], -1)


def join_rows(x: Array) -> Array:
    return x.reshape(-1, x.shape[-1])


def unflatten(x: Array, shape: tuple[int, ...]) -> Array:
    return x.reshape(shape)


def take(x: Array, index: Array) -> Array:
    """Raises IndexError for an index outside the axis, also for a negative one."""
    if index.size and (index.min() < 0 or index.max() >= x.shape[-1]):
        raise IndexError(f"a class index is outside [0, {x.shape[-1]})")
    if x.ndim == 1:
        return x[index]
    return np.take_along_axis(x, index[..., None], -1)[..., 0]


def scatter(x: Array, index: Array, classes: int) -> Array:
    """The entries at their indices along a new last axis, zeros elsewhere: the derivative of `take`."""
    out = _zeros(x, (*index.shape, classes))
    np.put_along_axis(out, index[..., None], np.asarray(x)[..., None], -1)
    return out


def permute(x: Array, permutation: Array) -> Array:
    return x[..., permutation]


def unpermute(x: Array, permutation: Array) -> Array:
    return x[..., np.argsort(permutation)]


def relabel(index: Array, permutation: Array) -> Array:
    return np.argsort(permutation)[index]


def concat(x: Array, y: Array) -> Array:
    return np.concatenate([x, y], axis=-1)


def split(x: Array, part: int, length: int) -> Array:
    return x[..., :length] if part == 0 else x[..., x.shape[-1] - length :]


def arange(length: int) -> Array:
    return np.arange(length)


def _key(key: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(slice(item[1], item[2]) if isinstance(item, tuple) else item for item in key)


def stretch(x: Array, shape: tuple[int, ...]) -> Array:
    return np.broadcast_to(x, shape)


def subscript(x: Array, key: tuple[Any, ...]) -> Array:
    return np.asarray(x[_key(key)])


def place(x: Array, key: tuple[Any, ...], shape: tuple[int, ...]) -> Array:
    """Zeros of a shape with x where a subscript took it from."""
    out = _zeros(x, shape)
    out[_key(key)] = x
    return out


def _zeros(x: Array, shape: tuple[int, ...]) -> Array:
    out = np.zeros(shape, dtype=x.dtype, order=order_of(shape))
    if x.dtype == object and x.size:
        # the zero of the arithmetic's own type of number; x - x would be wide, or nan
        out[...] = type(x.flat[0])(0)
    return out


OPERATIONS: dict[str, Callable[..., Array]] = {
    f.__name__: f
    for f in (
        newaxis, squeeze, transpose, flatten, join_rows, unflatten, take, permute, unpermute, relabel, scatter,
        concat, split, arange, stretch, subscript, place,
    )
}  # fmt: skip
