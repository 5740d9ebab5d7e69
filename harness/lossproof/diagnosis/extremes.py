"""Where a mistake sets in that ordinary inputs do not show: at special entries, or at a magnitude."""

from __future__ import annotations

import itertools
import math

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis import magnitudes, saturation, thresholds
from lossproof.diagnosis.cancellation import cancelled
from lossproof.diagnosis.exchanges import beside_others
from lossproof.diagnosis.overflow import limit_passed
from lossproof.diagnosis.rays import SMALL, Ray, onset, rays
from lossproof.diagnosis.samples import Facet, Sample
from lossproof.diagnosis.special import at_special_entries
from lossproof.diagnosis.spot import Spot, spot_of
from lossproof.diagnosis.ties import wrong_at_ties
from lossproof.floats import FORMATS
from lossproof.inputs.case import Case

FAR = 32.0
"""How much larger than the last right value the one can be at which values stay: 100 after 16, where 1 − p is 0."""


def at_extremes(facet: Facet, failing: Sample) -> Diagnosis | None:
    """The mistake of a case that ordinary inputs do not show."""
    spot = spot_of(failing)
    if spot is None:
        return None
    special = beside_others(facet, failing, spot) or at_special_entries(facet, failing, spot)
    if special is not None:
        return special
    finite = math.isfinite(spot.got(failing))
    for ray in rays(facet, failing.case, spot):
        if ray.through_zero and finite:
            continue
        found = _along(facet, failing, spot, ray)
        if found is not None:
            return found
    return wrong_at_ties(facet, failing, spot)


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
    if not infinite:
        threshold = thresholds.left_out(facet, spot, ray, low, high)
        if threshold is not None:
            return threshold
    return _named(facet, failing, spot, ray, high, good, broken)


def _named(
    facet: Facet, failing: Sample, spot: Spot, ray: Ray, by: float, good: Case, broken: Sample
) -> Diagnosis | None:
    fmt = FORMATS[facet.cell.dtype]
    where = spot.told
    passed = [each for each in magnitudes.limits(facet.cell.spec, good, spot, ray.what) if each[1]]
    until = f"right {magnitudes.until(*passed[0])}" if passed else "right on gentler inputs"
    if ray.what in facet.cell.spec.parameters:
        number = float(good.parameters[ray.what])
        way = "up" if number < float(failing.case.parameters[ray.what]) else "down"
        until = f"right {way} to {ray.what} {number:.4g}"
    got, truth = spot.got(failing), spot.truth(failing)
    first = spot.got(broken)
    if not math.isfinite(first) and math.isfinite(spot.truth(broken)):
        found = limit_passed(facet, spot, good, first, passed)
        if found is not None:
            return found
        if facet.gradient and math.isnan(first):
            value = Facet(facet.cell, gradient=False).sample(broken.case)
            if value is not None and np.isfinite(value.got["value"]).all():
                return Diagnosis(
                    "nan from 0*inf", f"{where} is {until}, and nan beyond, where the value is finite"
                )
        return Diagnosis("out of range", f"{where} is {until} and {first:.6g} beyond")
    if math.isfinite(got) and math.isfinite(truth):
        lost = cancelled(facet, spot, ray, by)
        if lost is not None:
            return Diagnosis("cancels", f"{where} is right {magnitudes.biggest(passed)}; {lost}")
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
                if sample is not None and abs(steady) > FAR * abs(spot.truth(sample)):
                    return None  # what is right up to a number stays near it
                until = until if sample is None else f"right up to {spot.truth(sample):.4g}"
                if math.isinf(truth) and sample is not None and abs(steady) < abs(spot.truth(sample)) / 2:
                    return Diagnosis(
                        "drops infinity", f"{where} is {until}, and {steady:.6g} where the truth is {truth}"
                    )
            return Diagnosis(
                "saturates",
                f"{where} is {until}, and stays at {steady:.6g} beyond{saturation.epsilon(steady)}",
            )
    if ray.what == SMALL and math.isfinite(got):
        return _added(facet, spot, ray, by, passed)
    if not math.isfinite(got) and math.isfinite(truth):
        return Diagnosis("out of range", f"{where} is {until}, and {got:.6g} at the failing case")
    return None


GROWING = (1.0, 1.6, 2.5, 4.0, 6.3)
"""Steps towards smaller numbers, along which the effect of something added grows."""


def _added(
    facet: Facet, spot: Spot, ray: Ray, by: float, passed: list[tuple[str, float]]
) -> Diagnosis | None:
    """Errors that set in where numbers are small and grow smoothly as these shrink: something is added to them."""
    errors = []
    for step in GROWING:
        sample = facet.sample(ray.at(by * step))
        if sample is None or not sample.fits or not math.isfinite(spot.got(sample)):
            return None
        errors.append(spot.got(sample) - spot.truth(sample))
    same = all(error > 0 for error in errors) or all(error < 0 for error in errors)
    if not same or any(abs(b) <= abs(a) for a, b in itertools.pairwise(errors)):
        return None
    slopes = [
        math.log(b / a) / math.log(after / before)
        for (a, b), (before, after) in zip(
            itertools.pairwise(errors), itertools.pairwise(GROWING), strict=True
        )
    ]
    if max(slopes) > 2 * min(slopes):
        return None  # no power of the size: a branch that begins there, as a hinge does
    sizes = [each for each in passed if not each[0].startswith("a gap")]
    until = f"down to {sizes[0][0]} {sizes[0][1]:.3g}" if sizes else "for larger numbers"
    return Diagnosis(
        "epsilon added",
        f"{spot.told} is right {until}, and off by more and more below it, smoothly: something small is added",
    )
