"""Whether errors are those of rounding something larger than the result, which then cancels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lossproof.diagnosis.magnitudes import largest
from lossproof.diagnosis.rays import Ray
from lossproof.diagnosis.samples import Facet
from lossproof.diagnosis.spot import Spot
from lossproof.floats import FORMATS, Format
from lossproof.inputs.case import Array

SCATTER = tuple(1 + k * 0.0137 for k in range(9))
"""Steps beyond the place where a mistake sets in: roundings scatter there, what is clipped or added does not."""


BINADES = (1.0, 2.1, 4.3, 8.7, 17.3)
"""And steps over several powers of two, with which roundings grow."""


@dataclass(frozen=True)
class _Errors:
    """Along a ray: the errors at a spot, the results, the truths and how large the inputs are."""

    signed: Array
    got: Array
    truths: Array
    sizes: Array


def cancelled(facet: Facet, spot: Spot, ray: Ray, start: float) -> str | None:
    """Whether the errors beyond the onset are those of rounding something larger than the result."""
    fmt = FORMATS[facet.cell.dtype]
    near = _errors(facet, spot, ray, [start * by for by in SCATTER])
    if near is None or not near.signed.any() or not near.sizes.any():
        return None  # among probabilities an epsilon of the format looks the same
    steps = np.array(SCATTER)
    line = np.polyval(np.polyfit(steps, near.signed, 2), steps)
    smooth = np.linalg.norm(near.signed - line) < 0.3 * np.linalg.norm(near.signed)
    # roundings go either way, but where all digits are gone
    smooth |= bool(near.got.any() and ((near.signed >= 0).all() or (near.signed <= 0).all()))
    if smooth and not _coarse(near.got, near.sizes, fmt) and not _grows(facet, spot, ray, start, fmt):
        return None
    for text, power in (("the inputs", 1), ("their squares", 2), ("1", 0)):
        large = near.sizes**power
        errors = np.abs(near.signed)
        if (errors <= 16 * fmt.unit_roundoff * large).all() and large[0] > 8 * near.truths[0]:
            return (
                f"from there the errors, such as {errors.max():.2g}, are those of rounding at the size of {text} "
                f"({large[0]:.3g}), where the result is {near.truths[0]:.3g}"
            )
    return None


def _errors(facet: Facet, spot: Spot, ray: Ray, factors: list[float]) -> _Errors | None:
    samples = [facet.sample(ray.at(by)) for by in factors]
    if not all(sample is not None and sample.fits for sample in samples):
        return None
    there = [sample for sample in samples if sample is not None]
    got, truth = np.array([spot.got(s) for s in there]), np.array([spot.truth(s) for s in there])
    sizes = np.array([largest(facet.cell.spec, s.case, spot) for s in there])
    return _Errors(got - truth, got, np.abs(truth), sizes) if np.isfinite(got - truth).all() else None


def _grows(facet: Facet, spot: Spot, ray: Ray, start: float, fmt: Format) -> bool:
    """Whether errors are in proportion to the last place of the inputs over several powers of two.

    That of z + log 2 − z is one number while z stays between two powers of two, and scatters nowhere.
    """
    far = _errors(facet, spot, ray, [start * by for by in BINADES])
    if far is None or np.ptp(far.truths) > 0.01 * far.truths.max():
        return False
    share = np.abs(far.signed) / (fmt.unit_roundoff * far.sizes)
    return bool((share <= 16).all() and (share >= 2.0**-5).sum() >= 3)


def _coarse(got: Array, sizes: Array, fmt: Format) -> bool:
    """Whether results are multiples of what numbers as large as the inputs are rounded to, and not of 0 alone."""
    unit = 2.0 ** (np.floor(np.log2(np.maximum(sizes, fmt.smallest_normal))) + 1 - fmt.precision) / 4
    fine = np.abs(got) < sizes / 32
    return bool(fine.all() and got.any() and (got / unit == np.round(got / unit)).all())
