"""Whether code leaves out what is exponentially small from a threshold on, where it counts in the format still."""

from __future__ import annotations

import math

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis.magnitudes import limits, until
from lossproof.diagnosis.overflow import steps
from lossproof.diagnosis.rays import Ray
from lossproof.diagnosis.samples import Facet, Sample
from lossproof.diagnosis.spot import Spot
from lossproof.inputs.case import Case

FURTHER = (0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
"""So much larger than the threshold is a magnitude at which the error is measured."""

LEAST = 4
"""And so many of them it takes: the error falls as the exponential does at each."""

FROM, UP_TO = 4.0, 700.0
"""A smaller magnitude has no exponentially small part, and of a larger one no format holds it."""

GRAIN = 32.0
"""Attainable errors that the error at the threshold must exceed; farther on, fewer of them."""


def left_out(facet: Facet, spot: Spot, ray: Ray, low: float, high: float) -> Diagnosis | None:
    """The error sets in at a magnitude m with exp(−m) in full, and falls from there as exp(−m) does.

    low, high: factors of the ray at which the result is right and wrong, close together.
    """
    good, bad = facet.sample(ray.at(low)), facet.sample(ray.at(high))
    if good is None or bad is None or not _counts(spot, bad, GRAIN):
        return None
    jump = abs(_error(spot, bad))
    if not math.isfinite(jump) or abs(_error(spot, good)) > jump / 8:
        return None
    signed = _magnitudes(facet, spot, ray, bad.case)
    for name, size in signed.items():
        at = abs(size)
        share = jump * math.exp(at) if FROM < at < UP_TO else 0.0
        if share <= 0 or not _falls(facet, spot, ray, high, name, at, share):
            continue
        before = abs(_magnitudes(facet, spot, ray, good.case).get(name, at))
        number = round((at + before) / 2, 1)
        number = number if abs(at - number) < 0.05 else at
        form = "a linear or constant form" if spot.name == "value" else "a constant"
        return Diagnosis(
            "saturates",
            f"{spot.told} is right {until(name, math.copysign(number, size))}, and off by {jump:.2g} just beyond, by a "
            f"share of exp(−size) all the way: from a threshold of {number:.4g} on, {form} is taken, without the "
            "exponential that the format still holds",
        )
    return None


def _falls(facet: Facet, spot: Spot, ray: Ray, high: float, name: str, at: float, share: float) -> bool:
    """Whether the error is the same share of the exponential at larger magnitudes."""
    told = 0
    for more in FURTHER:
        sample = facet.sample(ray.at(high * (at + more) / at))
        if sample is None or not sample.fits:
            return False
        size = abs(_magnitudes(facet, spot, ray, sample.case).get(name, math.nan))
        if not at < size < UP_TO or not _counts(spot, sample, 4.0):
            continue
        error = abs(_error(spot, sample)) * math.exp(size)
        # what is rounded of the larger result, and the square of the exponential
        slack = 2 * spot.attainable(sample) * math.exp(size) + 2 * share * math.exp(-at)
        if not abs(error - share) <= 0.02 * share + slack:
            return False
        told += 1
    return told >= LEAST


def _counts(spot: Spot, sample: Sample, times: float) -> bool:
    return sample.fits and abs(_error(spot, sample)) > times * spot.attainable(sample)


def _error(spot: Spot, sample: Sample) -> float:
    got, truth = sample.got[spot.name][spot.place], sample.truth[spot.name].middle[spot.place]
    return float(got - truth)


def _magnitudes(facet: Facet, spot: Spot, ray: Ray, case: Case) -> dict[str, float]:
    """Sizes of inputs and of the definition's exponents by their names."""
    found = (*limits(facet.cell.spec, case, spot, ray.what), *steps(facet, case, spot))
    return dict(found)
