"""Whether errors are those of rounding something larger than the result, which then cancels."""

from __future__ import annotations

import numpy as np

from lossproof.diagnosis.magnitudes import largest
from lossproof.diagnosis.rays import Ray
from lossproof.diagnosis.samples import Facet
from lossproof.diagnosis.spot import Spot
from lossproof.floats import FORMATS, Format
from lossproof.inputs.case import Array

SCATTER = tuple(1 + k * 0.0137 for k in range(9))
"""Steps beyond the place where a mistake sets in: roundings scatter there, what is clipped or added does not."""


def cancelled(facet: Facet, spot: Spot, ray: Ray, start: float) -> str | None:
    """Whether the errors beyond the onset are those of rounding something larger than the result."""
    fmt = FORMATS[facet.cell.dtype]
    signed, sizes, truths, got = [], [], [], []
    for by in SCATTER:
        sample = facet.sample(ray.at(start * by))
        if sample is None or not sample.fits:
            return None
        signed.append(spot.got(sample) - spot.truth(sample))
        got.append(spot.got(sample))
        truths.append(abs(spot.truth(sample)))
        sizes.append(largest(facet.cell.spec, sample.case, spot))
    errors = np.array(signed)
    if not np.isfinite(errors).all() or not errors.any():
        return None
    steps = np.array(SCATTER)
    line = np.polyval(np.polyfit(steps, errors, 2), steps)
    if np.linalg.norm(errors - line) < 0.3 * np.linalg.norm(errors) and not _coarse(
        np.array(got), np.array(sizes), fmt
    ):
        return None
    for text, power in (("the inputs", 1), ("their squares", 2), ("1", 0)):
        large = np.array(sizes) ** power
        if (np.abs(errors) <= 16 * fmt.unit_roundoff * large).all() and large[0] > 8 * truths[0]:
            return (
                f"from there the errors, such as {abs(errors).max():.2g}, scatter like roundings at the size of {text} "
                f"({large[0]:.3g}), where the result is {truths[0]:.3g}"
            )
    return None


def _coarse(got: Array, sizes: Array, fmt: Format) -> bool:
    """Whether results are multiples of what numbers as large as the inputs are rounded to, and not of 0 alone."""
    unit = 2.0 ** (np.floor(np.log2(np.maximum(sizes, fmt.smallest_normal))) + 1 - fmt.precision) / 4
    fine = np.abs(got) < sizes / 32
    return bool(fine.all() and got.any() and (got / unit == np.round(got / unit)).all())
