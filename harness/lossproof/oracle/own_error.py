"""How far the wide tier's own midpoints can be off, tight enough to see that a step was exact.

Laws need it: an argument that a law computes (logits + c) is exact where the numbers were drawn on a grid, and an
implementation may then be called at it without more ado.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lossproof.floats import Format
from lossproof.oracle.radius import Radii, Term
from lossproof.oracle.rounding import Array, Radius, Rounding, exact
from lossproof.oracle.softmax_family import LEAST


def own_rounding(fmt: Format) -> Rounding:
    """What a step of the wide format for `fmt` can be off by: four of its units, for NumPy's functions."""
    bits = 113 if fmt.precision > 24 else 53
    # numbers and constants are exact or rounded once; what underflows stands as LEAST
    return Rounding(bits, 8 * 2.0**-bits, LEAST if bits == 113 else 2.0**-1022, np.inf)


class OwnError(Radii):
    """Radii in which sums, products and quotients that the wide format holds are exact."""

    storage: Format

    @classmethod
    def of(cls, storage: Format) -> Any:
        """The rules as RunningError wants them: a function of rounding and families."""

        def make(rounding: Rounding, family: Any) -> Radii:
            if not rounding.bits:
                return Radii(rounding, family)
            rules = cls(rounding, family)
            rules.storage = storage
            return rules

        return make

    def _add(self, out: Array, x: Term, y: Term) -> Radius:
        return self._unless(_sum_is_exact(x.mid, y.mid), out, super()._add(out, x, y), x, y)

    def _sub(self, out: Array, x: Term, y: Term) -> Radius:
        return self._unless(_sum_is_exact(x.mid, -y.mid), out, super()._sub(out, x, y), x, y)

    def _mul(self, out: Array, x: Term, y: Term) -> Radius:
        # two numbers of the format under test have a product that the wide format holds
        same = self._held(x.mid) & self._held(y.mid)
        return self._unless(same, out, super()._mul(out, x, y), x, y)

    def _div(self, out: Array, x: Term, y: Term) -> Radius:
        quotient = x.mid / y.mid
        same = self._held(quotient) & self._held(y.mid) & (quotient * y.mid == x.mid)
        return self._unless(same, out, super()._div(out, x, y), x, y)

    def _unless(self, same: Array, out: Array, radius: Radius, x: Term, y: Term) -> Radius:
        if not (exact(x.radius) and exact(y.radius)):
            same = same & np.asarray((x.radius == 0) & np.asarray(y.radius == 0))
        if np.all(same):
            return 0.0
        return np.where(same, 0.0, radius)

    def _held(self, mid: Array) -> Array:
        """Where the format under test holds a number."""
        near = mid.astype(np.float64).astype(self.storage.dtype).astype(np.float64)
        return np.asarray((near == mid) & np.isfinite(near))


def _sum_is_exact(x: Array, y: Array) -> Array:
    """Where the rounding error of a sum is 0 (Knuth's TwoSum); infinities are exact."""
    total = x + y
    part = total - x
    error = (x - (total - part)) + (y - part)
    return np.asarray((error == 0) | np.isinf(x) | np.isinf(y))
