"""Whether two mistakes at once fit: inputs that are exchanged or turned round, and a factor."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis.exchanges import changes
from lossproof.diagnosis.ratios import NAMED
from lossproof.diagnosis.samples import Facet, Sample, Truth, Truths

KINDS = ("sign", "swapped arguments")
"""What is tried with a factor: nothing of it loses an input, after which a factor is easily met."""

NEAR = 1e-2
"""How near the median of the quotients must be to a factor, which then has to fit every result."""


def exchanged_and_scaled(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """The truth at exchanged inputs, times a factor that has a name, fits every result."""
    for kind, text, change in changes(facet.cell.spec):
        if kind not in KINDS:
            continue
        supposed = facet.under(change)
        named = _factor(samples[0], supposed)
        if named is None:
            continue
        name, number = named

        def scaled(sample: Sample, supposed=supposed, number=number) -> Truths | None:  # type: ignore[no-untyped-def]
            found = supposed(sample)
            return found and {
                each: Truth(truth.middle * number, truth.attainable * abs(number))
                for each, truth in found.items()
            }

        if facet.explained(samples, scaled):
            what = "gradient" if facet.gradient else "value"
            return Diagnosis(
                kind,
                f"two mistakes at once fit: this is {name} times the {what} with {text}, on {len(samples)} batches",
            )
    return None


def _factor(sample: Sample, supposed: Callable[[Sample], Truths | None]) -> tuple[str, float] | None:
    """The name and the number nearest to what the results of a batch are times the supposed truth."""
    truths = supposed(sample)
    if truths is None:
        return None
    quotients = []
    for name, got in sample.got.items():
        middle = truths[name].middle.astype(np.float64)
        if middle.shape != got.shape:
            return None
        usable = truths[name].known & (np.abs(middle) > 256 * truths[name].attainable)
        quotients.append((got[usable] / middle[usable]).ravel())
    every = np.concatenate(quotients)
    if not every.size:
        return None
    number = float(np.median(every))
    return next(((n, v) for n, v in NAMED.items() if v != 1 and abs(number - v) <= NEAR * abs(v)), None)
