"""What one step of an algorithm in a float format adds to the radius of a ball."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from lossproof.floats import Format

Array = np.ndarray[Any, np.dtype[Any]]
Radius = float | Array
"""A float64 array that broadcasts against its midpoints, or the number 0.0 where all of them are exact."""

MANY = 16
"""An entry in so many is as well added everywhere."""

Settle = Callable[[Radius], Radius]


def exact(radius: Radius) -> bool:
    """Whether every midpoint is exact. NumPy's own scalars are arrays here, though they are floats too."""
    return type(radius) is float


@dataclass(frozen=True)
class Rounding:
    """Each step is off by one unit in the last place at most, which is two unit roundoffs.

    Libraries promise that much of their elementary functions, and not half of it. bits: of the significand.
    step: relative error of a step. least: below this number a step is off by as much, for gradual underflow
    and flushing alike. largest: a step past it has the radius inf: whatever is finite then is undecided.
    """

    bits: int
    step: float
    least: float
    largest: float

    @staticmethod
    def of(fmt: Format) -> Rounding:
        return Rounding(fmt.precision, 2 * fmt.unit_roundoff, fmt.smallest_normal, fmt.largest)

    def constant(self, value: float | Fraction) -> float:
        """The radius of a number that is stored in the format: 0 where the format holds it."""
        if not self.step or (isinstance(value, float) and not math.isfinite(value)):
            return 0.0
        exact = Fraction(value)
        scaled = exact.numerator
        while scaled and scaled % 2 == 0:
            scaled //= 2
        whole = exact.denominator & (exact.denominator - 1) == 0
        fits = abs(scaled).bit_length() <= self.bits and (not scaled or abs(exact) >= self.least)
        return 0.0 if whole and fits else abs(float(exact)) * self.step

    def finish(
        self, out: Array, radius: Radius, settle: Settle | None = None, *, positive: bool = False
    ) -> Radius:
        """The radius after the rounding of a step whose midpoints are `out` (float64).

        An exact zero or infinity stays exact. inf means past the largest number, as code has it too, and nan
        undecided: not even that an infinity comes out is known. settle: what the radius becomes before the rounding,
        which it may do only where a midpoint or a radius is infinite or nan; elsewhere it is not asked. positive:
        whether no midpoint is below 0.
        """
        if not self.step:
            return radius if settle is None else settle(radius)
        if positive:
            size = np.asarray(out + radius)
        else:
            size = np.asarray(np.abs(out))
            if not exact(radius):
                size += radius
        if not np.maximum.reduce(size, axis=None, initial=0.0) < self.largest:
            return self._past(out, radius if settle is None else settle(radius))
        small = self._small(size)
        # in place: fresh memory costs more than the arithmetic
        size *= self.step
        if not exact(radius):
            size += radius
        if small is not None:
            self._add_least(size, small)
        return size

    def _small(self, size: Array) -> Array | None:
        """Where a step is off by `least`; None for nowhere."""
        smallest = np.minimum.reduce(size, axis=None, initial=np.inf)
        if smallest >= self.least:
            return None
        small = np.asarray(size < self.least)
        if smallest > 0:
            return small
        small &= size > 0
        return small if small.any() else None

    def _add_least(self, radius: Array, small: Array) -> None:
        """In place. By a product where there are many: NumPy takes long to select by a mask, and in the order of the
        rows, twice as long where they lie the other way."""
        if np.count_nonzero(small) > small.size // MANY:
            radius += small * self.least
            return
        if radius.flags.f_contiguous:
            radius, small = radius.T, small.T
        radius[small] += self.least

    def _past(self, out: Array, radius: Radius) -> Radius:
        """As `finish`, where some number may lie past the largest."""
        size = np.asarray(np.abs(out) + radius)
        result = np.asarray(size * self.step + radius)
        small = self._small(size)
        if small is not None:
            self._add_least(result, small)
        past = np.where(np.isnan(size) | np.isnan(radius), np.nan, np.inf)
        result = np.where(size < self.largest, result, past)
        return np.where(np.isinf(out) & np.isfinite(radius), 0.0, result)


NO_ROUNDING = Rounding(0, 0.0, 0.0, math.inf)
"""Steps that are exact: what is left is the radius that the inputs bring."""
