"""Facts of the binary float formats under test.

Sources: IEEE 754-2019, table 3.5 (binary16, binary32, binary64); bfloat16: Intel, "BFLOAT16 – Hardware
Numerics Definition", 2018; TF32: NVIDIA, "A100 Tensor Core GPU Architecture", 2020 (10 stored significand
bits with the exponent range of binary32).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Format:
    """A binary float format.

    precision: bits of the significand, the hidden one included. emax: largest exponent e of 1.xxx·2^e;
    the smallest normal exponent is 1 − emax.
    """

    name: str
    precision: int
    emax: int

    @property
    def unit_roundoff(self) -> float:
        """Half the distance from 1 to the next number: 2^−precision."""
        return 2.0**-self.precision

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return (2.0 - 2.0 ** (1 - self.precision)) * 2.0**self.emax

    @property
    def smallest_normal(self) -> float:
        return 2.0 ** (1 - self.emax)

    @property
    def smallest_subnormal(self) -> float:
        return 2.0 ** (2 - self.emax - self.precision)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype that stores the format (ml_dtypes for bfloat16; TF32 is stored as float32)."""
        return numpy_dtype(self.name)


FORMATS = {
    f.name: f
    for f in (
        Format("float64", 53, 1023),
        Format("float32", 24, 127),
        Format("tf32", 11, 127),
        Format("float16", 11, 15),
        Format("bfloat16", 8, 127),
    )
}

DTYPES = ("float64", "float32", "float16", "bfloat16")
"""The dtypes under test; TF32 is a working precision, never a dtype."""


@functools.cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a format's name."""
    if name == "bfloat16":
        import ml_dtypes

        found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return found
    return np.dtype("float32" if name == "tf32" else name)


def working_format(storage: Format, precision: str | None = None) -> Format:
    """The format an implementation is expected to compute in.

    float16 and bfloat16 code is expected to compute in float32 and round once; otherwise the format of its
    arrays, unless `precision` (from `implements`) declares another.
    """
    if precision is not None:
        return FORMATS[precision]
    return FORMATS["float32"] if storage.precision < 24 else storage
