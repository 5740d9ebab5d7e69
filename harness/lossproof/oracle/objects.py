"""NumPy arrays of objects: how balls are held in arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def objects(entries: Iterable[Any], shape: tuple[int, ...]) -> Array:
    """An array of objects of this shape; np.array would look inside them for more axes."""
    return np.fromiter(entries, dtype=object, count=math.prod(shape)).reshape(shape)


def mapped(function: Callable[..., Any], count: int) -> Callable[..., Array]:
    """A function of `count` entries as one of arrays, with broadcasting."""
    ufunc = np.frompyfunc(function, count, 1)
    return lambda *args: np.asarray(ufunc(*args), dtype=object)
