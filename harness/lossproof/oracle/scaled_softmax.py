"""The radius of a softmax times a number for each row, and of numbers at an index of each row less that: what a softmax
is in most gradients.

It is the one that the rules of a softmax, a product and a difference give one after the other, but for rounding errors
of float64, in a third of the passes over the array: except for what underflows, each is in proportion to the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lossproof.oracle.rounding import Array, Radius, Rounding, exact
from lossproof.oracle.softmax_family import SoftmaxFamily

SLIGHT = 2.0**-8
"""Radii of shifted entries up to it go through the exponential almost unchanged, in a proportion up to 1 + SLIGHT."""

_TINY = 1e-290
"""Near the end of float64 nothing is in proportion."""


@dataclass(frozen=True)
class ScaledSoftmax:
    """Weights [N, V] times factors [N, 1], whose radius is width.

    shifts: radii of the shifted entries, SLIGHT at most; None for exact logits, whose shifts are off by a step alone.
    The array becomes the result. others [N, 1]: the relative radius of what the weights of a row share.
    """

    family: SoftmaxFamily
    shifts: Array | None
    others: Array
    factor: Array
    width: Radius
    rounding: Rounding

    @cached_property
    def size(self) -> Array:
        return np.abs(self.factor)

    @cached_property
    def _whole(self) -> Array:
        """The sizes to divide by: 1 for 0, whose products are 0."""
        return np.where(self.size == 0, 1.0, self.size)

    @property
    def simple(self) -> bool:
        """Whether everything is in proportion."""
        most, none = self.size + self.width, self.size == 0
        # a weight is at most 1; a nan is not below anything
        if not np.maximum.reduce(most * (2 + self.others), axis=None, initial=0.0) < self.rounding.largest:
            return False
        least = np.minimum.reduce(self.size, axis=None, where=~none, initial=1.0)
        return bool(least * self.rounding.least > _TINY) and (exact(self.width) or not most[none].any())

    def radius(self, out: Array) -> Array:
        """The radius of the products."""
        slope, base = self._line()
        sign = np.sign(self.factor)
        return self._through(out, sign * slope, sign * base)

    def radius_of_difference(self, out: Array, width: Radius, index: Array) -> Array:
        """The radius of numbers of that width at an index of each row [N], and zeros elsewhere, less the products."""
        step, place = self.rounding.step, index[:, None]
        slope, base = self._line()
        weights = np.take_along_axis(self.family.shares, place, -1)
        shifts = np.take_along_axis(self._moved, place, -1)
        products = weights * self.size
        there = self._with_least(products, products * (slope * shifts + base), weights, slice(None))
        if not exact(width):
            there += np.reshape(width, (-1, 1))
        sign = -(1 + step) * np.sign(self.factor)
        found = self._through(out, sign * slope, sign * (base + step / (1 + step)))
        np.put_along_axis(found, place, self.rounding.finish(np.take_along_axis(out, place, -1), there), -1)
        return found

    @property
    def _moved(self) -> Array:
        """What the line goes along: the radii of the shifted entries, or those entries themselves."""
        return self.family.shifted if self.shifts is None else self.shifts

    def _line(self) -> tuple[Array, Array]:
        """Slope and base of the radius of a product over its size."""
        step = self.rounding.step
        wide = (1 + step) * (self.size + self.width) / self._whole
        slope = wide * ((1 + step) * (1 + SLIGHT) * (-step if self.shifts is None else 1.0))
        return slope, wide * ((1 + step) * self.others + step) + (1 + step) * self.width / self._whole + step

    def _through(self, out: Array, slope: Array, base: Array) -> Array:
        """The radius of products along a line that has their sign."""
        radius = np.multiply(self._moved, slope, out=self.shifts)
        radius += base
        radius *= out
        low = self.rounding.least * self.family.total * np.maximum(1.0, 1.0 / self._whole)
        small = self.family.weights < np.maximum.reduce(low, axis=None, initial=0.0)
        if small.any():
            rows = np.flatnonzero(small.any(axis=-1))
            weights = self.family.shares[rows]
            radius[rows] = self._with_least(weights * self.size[rows], radius[rows], weights, rows)
        return radius

    def _with_least(self, products: Array, radius: Array, weights: Array, rows: Array | slice) -> Array:
        """What is in proportion, and `least` for a weight below it, and for a step after it that comes out below it.

        products: their sizes. There is one such step at most, after which no ball is that small.
        """
        least = self.rounding.least
        most = (1 + self.rounding.step) * (self.size + self.width)[rows]
        radius = radius + least * most * ((weights < least) & (weights > 0))
        whole = products + radius
        radius += least * ((whole < least) & (whole > 0))
        return radius
