"""Where a mistake sets in that ordinary inputs do not show: at special entries, or at a magnitude."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis import saturation
from lossproof.diagnosis.cancellation import cancelled
from lossproof.diagnosis.magnitudes import biggest, limits
from lossproof.diagnosis.rays import Ray, onset, rays
from lossproof.diagnosis.samples import Facet, Sample
from lossproof.diagnosis.special import at_special_entries
from lossproof.diagnosis.spot import Spot, spot_of
from lossproof.floats import FORMATS, Format
from lossproof.inputs.case import Case


def at_extremes(facet: Facet, failing: Sample) -> Diagnosis | None:
    """The mistake of a case that ordinary inputs do not show."""
    spot = spot_of(failing)
    if spot is None:
        return None
    special = at_special_entries(facet, failing, spot)
    if special is not None:
        return special
    for ray in rays(facet, failing.case):
        found = _along(facet, failing, spot, ray)
        if found is not None:
            return found
    return None


def _along(facet: Facet, failing: Sample, spot: Spot, ray: Ray) -> Diagnosis | None:
    """Bisects along a ray for where the mistake sets in, and tells its kind by what it is like beyond."""
    infinite = not math.isfinite(spot.got(failing))

    def fails(by: float) -> bool:
        sample = facet.sample(ray.at(by))
        if sample is None or not sample.fits or not spot.wrong(sample):
            return False
        # what is nan or inf in the end sets in where it first is so, not where digits go
        return not infinite or not math.isfinite(spot.got(sample))

    found = onset(fails)
    if found is None:
        return None
    low, high = found
    good, bad = ray.at(low), ray.at(high)
    broken = facet.sample(bad)
    if broken is None:
        return None
    return _named(facet, failing, spot, ray, high, good, broken)


def _named(
    facet: Facet, failing: Sample, spot: Spot, ray: Ray, by: float, good: Case, broken: Sample
) -> Diagnosis | None:
    fmt = FORMATS[facet.cell.dtype]
    where = spot.told
    passed = [each for each in limits(facet.cell.spec, good, spot, ray.what) if each[1]]
    until = f"right up to {passed[0][0]} {passed[0][1]:.4g}" if passed else "right on gentler inputs"
    got, truth = spot.got(failing), spot.truth(failing)
    first = spot.got(broken)
    if facet.gradient and math.isnan(first):
        value = Facet(facet.cell, gradient=False).sample(broken.case)
        if value is not None and np.isfinite(value.got["value"]).all():
            return Diagnosis(
                "nan from 0*inf", f"{where} is {until}, and nan beyond, where the value is finite"
            )
    if not math.isfinite(first) and math.isfinite(spot.truth(broken)):
        for text, limit in passed:
            for kind, reason, least, most in _thresholds(fmt):
                if least <= limit <= most:
                    return Diagnosis(
                        kind, f"{where} is right up to {text} {limit:.4g} and {first:.6g} beyond: {reason}"
                    )
        return Diagnosis("out of range", f"{where} is {until} and {first:.6g} beyond")
    if math.isfinite(got) and math.isfinite(truth):
        lost = cancelled(facet, spot, ray, by)
        if lost is not None:
            return Diagnosis("cancels", f"{where} is right up to {biggest(passed)}; {lost}")
    steady = saturation.steady(facet, spot, ray, failing)
    if steady is not None:
        if steady == 0 and spot.name != "value":
            return Diagnosis(
                "dead gradient", f"{where} is {until}, and 0 beyond, where the truth is {truth:.6g}"
            )
        if 0 < abs(steady) <= saturation.GRAIN * fmt.unit_roundoff:
            return None  # the grain of a difference of numbers near 1, and no limit
        if math.isfinite(steady):
            if spot.name == "value" and steady == 0 and abs(spot.truth(broken)) < fmt.smallest_normal**0.5:
                return Diagnosis("underflows", f"{where} is 0 where the truth is {truth:.3g}")
            if spot.name == "value":
                sample = facet.sample(good)
                until = until if sample is None else f"right up to {spot.truth(sample):.4g}"
                if math.isinf(truth) and sample is not None and abs(steady) < abs(spot.truth(sample)) / 2:
                    return Diagnosis(
                        "drops infinity", f"{where} is {until}, and {steady:.6g} where the truth is {truth}"
                    )
            return Diagnosis(
                "saturates",
                f"{where} is {until}, and stays at {steady:.6g} beyond{saturation.epsilon(steady)}",
            )
    if not math.isfinite(got) and math.isfinite(truth):
        return Diagnosis("out of range", f"{where} is {until}, and {got:.6g} at the failing case")
    return None


def _thresholds(fmt: Format) -> Iterator[tuple[str, str, float, float]]:
    top = math.log(fmt.largest)
    yield "overflows", f"exp overflows at {top:.1f}, no maximum is subtracted", top - 0.9, top * 1.003
    bottom = -math.log(fmt.smallest_subnormal)
    yield "underflows", f"exp underflows to 0 at {bottom:.1f}", bottom - 1.2, bottom + 1.2
    yield (
        "overflows",
        f"its square's exponential overflows at {top / 2:.1f}",
        top / 2 * 0.997,
        top / 2 * 1.003,
    )
    root = math.sqrt(fmt.largest)
    yield "overflows", f"a square overflows at {root:.3g}", root / 4, root * 1.01
    yield "overflows", f"the largest number is {fmt.largest:.3g}", fmt.largest / 16, fmt.largest * 1.01
