"""The worst result of a failing case, by which it is followed from input to input."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lossproof.diagnosis.samples import Sample


@dataclass(frozen=True)
class Spot:
    """The worst result of a failing case: its name ("value", or the input whose gradient it is) and its place."""

    name: str
    place: tuple[int, ...]

    @property
    def told(self) -> str:
        return "the value" if self.name == "value" else f"the gradient in {self.name}"

    def got(self, sample: Sample) -> float:
        return float(sample.got[self.name][self.place])

    def truth(self, sample: Sample) -> float:
        return float(sample.truth[self.name].middle[self.place])

    def attainable(self, sample: Sample) -> float:
        return float(sample.truth[self.name].attainable[self.place])

    def wrong(self, sample: Sample | None) -> bool:
        return sample is None or not sample.fits or bool(sample.wrong(self.name)[self.place])


def spot_of(sample: Sample) -> Spot | None:
    """A finite wrong result before one that is nan or inf, the farthest from its truth."""
    best: tuple[float, Spot] | None = None
    for name, got in sample.got.items():
        wrong = sample.wrong(name)
        truth = sample.truth[name]
        for index in np.argwhere(wrong)[:64]:
            place = tuple(int(i) for i in index)
            with np.errstate(all="ignore"):
                off = abs(float(got[place]) - float(truth.middle[place])) / max(
                    float(truth.attainable[place]), 1e-320
                )
            rank = off if math.isfinite(off) else -1.0
            if best is None or rank > best[0]:
                best = rank, Spot(name, place)
    return None if best is None else best[1]
