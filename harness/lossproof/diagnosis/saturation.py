"""Numbers at which results stay while the truth goes on, and the epsilon that one implies."""

from __future__ import annotations

import math

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis.rays import Ray
from lossproof.diagnosis.samples import ENOUGH, Facet, Sample
from lossproof.diagnosis.spot import Spot
from lossproof.floats import FORMATS

GRAIN = 64.0
"""Roundoffs up to which a number that results stay at is that of a rounding."""


SOFT = 16.0
"""Attainable errors and roundoffs up to which a value is that of a probability with something added."""


def steady(facet: Facet, spot: Spot, ray: Ray, failing: Sample) -> float | None:
    """The number at which results stay while the truth goes on; None where they do not."""
    for steps in ((0.96, 1.0, 1.1, 1.3), (2.0, 3.0, 4.0), (16.0, 24.0, 32.0)):
        samples = [failing if by == 1 else facet.sample(ray.at(by)) for by in steps]
        found = _common(spot, [s for s in samples if s is not None and s.fits])
        if found is not None:
            return found
    return None


def _common(spot: Spot, samples: list[Sample]) -> float | None:
    got = [spot.got(s) for s in samples]
    truth = [spot.truth(s) for s in samples]
    wrong = [spot.wrong(s) for s in samples]
    kept = [(g, t) for g, t, w in zip(got, truth, wrong, strict=True) if w and math.isfinite(g)]
    if len(kept) < 3:
        return None
    values = [g for g, _ in kept]
    spread = max(values) - min(values)
    truths = [t for _, t in kept]
    goes_on = any(map(math.isinf, truths)) or max(truths) - min(truths) > max(
        10 * spread, 0.01 * abs(truths[0])
    )
    if spot.name != "value":
        goes_on = goes_on or all(v == 0 for v in values)
    if spread <= 1e-3 * abs(values[0]) and goes_on:
        return values[0]
    return None


def softened(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """Every value is −log(p + ε), where the truth is −log p: right for small values, and −log ε in the end."""
    if not all(sample.fits for sample in samples):
        return None
    truths = [s.truth["value"] for s in samples]
    got = np.concatenate([s.got["value"][t.known] for s, t in zip(samples, truths, strict=True)])
    truth = np.concatenate([t.middle[t.known].astype(np.float64) for t in truths])
    allowed = np.concatenate([t.attainable[t.known] for t in truths])
    told = np.isfinite(truth)
    if not told.any() or not np.isfinite(got).all():
        return None
    got, truth, allowed = got[told], truth[told], allowed[told]
    farthest = int(truth.argmax())
    added = math.exp(-got[farthest]) - math.exp(-truth[farthest]) if got[farthest] > 0 else 0.0
    if not 0 < added < 0.1:
        return None
    supposed = -np.log(np.exp(-truth) + added)
    allowed = SOFT * (allowed + FORMATS[facet.cell.dtype].unit_roundoff * np.maximum(1.0, np.abs(got)))
    differs = np.abs(supposed - truth) > 2 * allowed
    if np.count_nonzero(differs) < 2 * ENOUGH or (np.abs(got - supposed) > allowed).any():
        return None
    limit = -math.log(added)
    return Diagnosis(
        "saturates",
        f"the value is −log(p + {added:.3g}) where the truth is −log p, in {got.size} ordinary results: it stays at "
        f"{limit:.6g} in the end{epsilon(limit)}",
    )


def epsilon(number: float) -> str:
    """What is added or clipped to, of which this is the logarithm."""
    size = abs(number)
    if abs(size - 100) < 0.01:
        return ": a logarithm clamped at −100"
    for text, value in (
        *((f"1e-{k}", 10.0**-k) for k in range(3, 46)),
        ("float32's machine epsilon", 2.0**-23), ("float32's smallest normal number", 2.0**-126),
        ("float64's machine epsilon", 2.0**-52), ("float16's machine epsilon", 2.0**-10),
    ):  # fmt: skip
        if abs(size + math.log(value)) < 0.02 * max(1.0, size / 16):
            return f", which is −log({text})"
    return ""
