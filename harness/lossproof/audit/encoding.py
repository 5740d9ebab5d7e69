"""Arrays as JSON: floats as exact hexadecimal strings, integers and booleans as they are, nesting as shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lossproof.floats import numpy_dtype


def encode(array: Any) -> Any:
    """A nested list of an array (any shape, any dtype of floats, integers or booleans)."""
    array = np.asarray(array)
    if array.ndim:
        return [encode(entry) for entry in array]
    if array.dtype.kind in "iub":
        return array.item()
    return encode_float(float(array))


def encode_float(value: float) -> str:
    """`'0x1.8p+1'`, `'inf'`, `'-inf'` or `'nan'`."""
    return value.hex() if math.isfinite(value) else str(value)


def encode_parameter(value: Any) -> Any:
    """A parameter of a case: an array, a float or what stands for itself."""
    if isinstance(value, np.ndarray):
        return encode(value)
    return encode_float(value) if isinstance(value, float) else value


def decode(encoded: Any, dtype: str) -> np.ndarray[Any, np.dtype[Any]]:
    """The array that `encode` was given; dtype is a float format's name, "int64" or "bool"."""

    def number(entry: Any) -> Any:
        if isinstance(entry, list):
            return [number(e) for e in entry]
        return float.fromhex(entry) if isinstance(entry, str) else entry

    target = np.dtype(dtype) if dtype in ("int64", "bool") else numpy_dtype(dtype)
    return np.asarray(number(encoded)).astype(target)
