"""Whether results are cut off at a size that ordinary truths pass."""

from __future__ import annotations

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis.samples import ENOUGH, Facet, Sample


def clipped(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """Results are right up to one size, and stay at that size where the truth is larger."""
    names = [name for name in samples[0].got if any(sample.wrong(name).any() for sample in samples)]
    if not names or not all(sample.fits for sample in samples):
        return None
    told = sum(int(sample.wrong(name).sum()) for sample in samples for name in names)
    sizes = [
        {float(f"{abs(v):.4g}") for s in samples for n in names for v in s.truth[n].middle[mask(s, n)] if v}
        for mask in (Sample.wrong, Sample.right)
    ]
    if min(map(len, sizes)) < 2 * ENOUGH:
        return None  # a few numbers, as the slopes of a hinge, say nothing of a limit
    for by_cotangent in (False, True) if facet.gradient else (False,):
        found = [_limit(s, name, by_cotangent) for s in samples for name in names if s.wrong(name).any()]
        limits = [each for each in found if each is not None]
        if len(limits) < max(2, len(found)) or told < 2 * ENOUGH:
            continue
        if not by_cotangent and max(limits) - min(limits) > 1e-3 * max(limits):
            continue
        what = "gradient in " + " and ".join(names) if facet.gradient else "value"
        times = " times its cotangent" if by_cotangent else ""
        return Diagnosis(
            "saturates",
            f"the {what} stays at ±{limits[0]:.6g}{times} where the truth is larger, in {told} results",
        )
    return None


def _limit(sample: Sample, name: str, by_cotangent: bool) -> float | None:
    """The size above which a batch has no result, where all smaller truths are met."""
    got, truth, wrong = sample.got[name], sample.truth[name].middle.astype(np.float64), sample.wrong(name)
    if by_cotangent:
        rows = sample.cotangent.astype(np.float64)
        if rows.ndim != 1 or got.ndim < 1 or got.shape[0] != rows.size:
            return None
        size = np.abs(rows).reshape(-1, *[1] * (got.ndim - 1))
        with np.errstate(all="ignore"):
            got, truth = got / size, truth / size
        wrong = wrong & (size > 0)
    if not wrong.any():
        return None
    limit = float(np.abs(got[wrong]).max())
    right = sample.truth[name].known & ~wrong & np.isfinite(truth)
    meets = np.abs(np.abs(got[wrong]) - limit) <= 1e-5 * limit
    beyond = (np.sign(got[wrong]) == np.sign(truth[wrong])) & (np.abs(truth[wrong]) > limit)
    small = np.abs(truth[right]) <= limit * (1 + 1e-4)
    return limit if limit > 0 and meets.all() and beyond.all() and small.all() and right.any() else None
