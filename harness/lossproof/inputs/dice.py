"""Random numbers of a float format, from integers and uniforms alone.

Nothing here calls exp, log or a normal distribution: their last bits differ between machines and a seed is to
give the same case everywhere.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from lossproof.floats import FORMATS, Format
from lossproof.inputs.case import Array

LN2 = 0.6931471805599453  # nearest float64 to log 2


def mix(*parts: object) -> int:
    """A 64-bit number that depends on every part and on nothing else."""
    text = "\x1f".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")


def to_dtype(array: Array, dtype: str) -> Array:
    """The numbers rounded to a dtype; finite ones stay finite."""
    form = FORMATS[dtype]
    finite = np.isfinite(array)
    with np.errstate(all="ignore"):
        clipped = np.where(finite, np.clip(array, -form.largest, form.largest), array)
        return np.asarray(clipped.astype(form.dtype))


@dataclass(frozen=True)
class Dice:
    """A stream of random numbers for one format; everything comes as float64 or int64."""

    rng: np.random.Generator
    form: Format

    @classmethod
    def of(cls, dtype: str, *parts: object) -> Dice:
        """The stream named by the parts."""
        return cls(np.random.Generator(np.random.PCG64(mix(*parts))), FORMATS[dtype])

    def below(self, end: int) -> int:
        """An integer of range(end)."""
        return int(self.rng.integers(0, end))

    def between(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1)) if high > low else low

    def chance(self, eighths: int) -> bool:
        return self.below(8) < eighths

    def signs(self, count: int) -> Array:
        return np.asarray(1.0 - 2.0 * self.rng.integers(0, 2, count))

    def magnitudes(self, low: int, high: int, count: int) -> Array:
        """Positive numbers of exponents low to high (both included), evenly spread over the exponents."""
        exponents = self.rng.integers(low, max(low, high) + 1, count)
        return np.asarray(np.ldexp(1.0 + self.rng.random(count), exponents))

    def signed(self, low: int, high: int, count: int) -> Array:
        return self.magnitudes(low, high, count) * self.signs(count)

    def ordinary(self, count: int, exponent: int | None = None) -> Array:
        """Numbers such as a model produces: halves and integers, or full precision from 1e-3 to 1e2.

        exponent: the numbers are uniform in ±2^exponent instead.
        """
        if exponent is not None:
            return np.asarray(np.ldexp(2.0 * self.rng.random(count) - 1.0, exponent))
        style = self.below(4)
        if style == 0:
            return np.asarray(self.rng.integers(-16, 17, count) / 2.0)
        if style == 1:
            return self.signed(-3, 2, count)
        if style == 2:
            return self.signed(-10, 6, count)
        return np.asarray(8.0 * (self.rng.random(count) + self.rng.random(count) - 1.0))

    def subnormal(self, count: int) -> Array:
        """Signed multiples of the smallest subnormal, most of them below the smallest normal number."""
        steps = np.floor(self.magnitudes(0, self.form.precision - 1, count))
        return np.asarray(steps * self.form.smallest_subnormal * self.signs(count))

    def nudged(self, array: Array, most: int) -> Array:
        """Each number rounded to the format and moved by up to `most` units in its last place."""
        start = to_dtype(array, self.form.name).astype(np.float64)
        steps = self.rng.integers(-most, most + 1, start.shape)
        return np.asarray(start + steps * self.ulp(start))

    def ulp(self, array: Array) -> Array:
        """The distance to the next number of the format."""
        exponents = np.frexp(array)[1].astype(np.int64)
        least = 2 - self.form.emax - self.form.precision
        return np.asarray(np.ldexp(1.0, np.maximum(exponents - self.form.precision, least)))

    def some(self, among: Array, least: int, most: int) -> Array:
        """A subset of the entries, of least to most members."""
        count = self.between(min(least, len(among)), min(most, len(among)))
        return np.asarray(among[self.rng.permutation(len(among))[:count]])


def natural_log(x: Array) -> Array:
    """log of positive numbers by arithmetic alone: 2·artanh((m − 1)/(m + 1)) + e·log 2, within a few ulps."""
    mantissas, exponents = np.frexp(np.asarray(x, np.float64))
    low = mantissas < 0.7071067811865476
    mantissas = np.where(low, 2.0 * mantissas, mantissas)
    exponents = np.where(low, exponents - 1, exponents)
    s = (mantissas - 1.0) / (mantissas + 1.0)
    square, total = s * s, np.zeros_like(s)
    for odd in range(25, 0, -2):
        total = total * square + 1.0 / odd
    return np.asarray(2.0 * s * total + exponents * LN2)
