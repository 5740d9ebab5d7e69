"""How large the inputs of a case are, by the names that a person has for it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from lossproof.diagnosis.rays import SCALED
from lossproof.diagnosis.samples import wide
from lossproof.diagnosis.spot import Spot
from lossproof.inputs.case import Array, Case
from lossproof.spec.model import Domain, Spec

OFFSET = 2.0**-3
"""A gap that is a smaller part of the largest entry is not what grows too large."""


def limits(spec: Spec, case: Case, spot: Spot, what: str) -> Iterator[tuple[str, float]]:
    """Magnitudes of a case: gaps of logits, largest entries, differences, and these times or over a parameter.

    A largest entry has its sign where all have the same.
    """
    found: list[tuple[str, float]] = []
    arrays, slight = {}, set()
    for name, declared in spec.inputs.items():
        if declared.domain in SCALED and case.inputs[name].ndim:
            array = wide(case.inputs[name])
            axis = declared.shape.index(spec.independent) if spec.independent in declared.shape else None
            if axis is not None and spot.place and array.shape[axis] > spot.place[0]:
                array = np.take(array, [spot.place[0]], axis)
            arrays[name] = np.where(np.isfinite(array), array, np.nan)
    with np.errstate(all="ignore"):
        for name, array in arrays.items():
            if np.isnan(array).all():
                continue
            size = _signed(array)
            found.append((f"{name} of", size))
            if array.ndim > 1:
                rows = array[~np.isnan(array).all(axis=-1)]
                gap = float(np.nanmax(np.nanmax(rows, -1) - np.nanmin(rows, -1)))
                found.append((f"a gap in {name} of", gap))
                if gap < OFFSET * abs(size):
                    slight.add(f"a gap in {name} of")
                above = float(np.nanmax(np.nanmax(rows, -1) - np.nanmean(rows, -1)))
                found.append((f"{name} above their mean of", above))
        names = list(arrays)
        for place, one in enumerate(names):
            for two in names[place + 1 :]:
                if arrays[one].shape == arrays[two].shape and not np.isnan(arrays[one] - arrays[two]).all():
                    found.append((f"|{one} − {two}| of", float(np.nanmax(np.abs(arrays[one] - arrays[two])))))
                    top, bottom = (f([f(arrays[one]), f(arrays[two])]) for f in (np.nanmax, np.nanmin))
                    found.append((f"a gap over {one} and {two} of", float(top - bottom)))
    for name, declared in spec.inputs.items():
        if declared.domain is Domain.PROBABILITY:
            array = wide(case.inputs[name])
            least = float(array[array > 0].min(initial=1.0))
            found.append((f"−log {name} of", -math.log(least)))
    if what in spec.parameters:
        number = float(case.parameters[what])
        yield f"{what}", number
        yield f"1/{what} of", 1 / number
        yield f"2/{what} of", 2 / number
    found.sort(key=lambda each: not each[0].startswith("a gap") or each[0] in slight)
    yield from found
    for name, array in arrays.items():
        if not np.isnan(array).all() and np.nanmax(array) < 0:
            yield f"{name} of at most", float(np.nanmax(array))
    for name, parameter in spec.parameters.items():
        value = case.parameters[name]
        if parameter.kind == "number" and value and value != 1:
            for text, each in found:
                yield f"{text[:-3]} · {name} of", each * value
                yield f"{text[:-3]} / {name} of", each / value


def _signed(array: Array) -> float:
    """The largest size in an array, negative where no entry is positive."""
    size = float(np.nanmax(np.abs(array)))
    return size if np.nanmax(array) > 0 else -size


def until(text: str, value: float) -> str:
    """Up to a magnitude, or down to one below 0."""
    return f"{'down' if value < 0 else 'up'} to {text} {value:.4g}"


def biggest(found: list[tuple[str, float]]) -> str:
    """Up to which magnitude, the first that is no gap."""
    return until(
        *next(
            (each for each in found if not each[0].startswith("a gap")),
            found[0] if found else ("inputs of", math.nan),
        )
    )


def largest(spec: Spec, case: Case, spot: Spot) -> float:
    found = 0.0
    for name, declared in spec.inputs.items():
        if declared.domain in SCALED:
            array = wide(case.inputs[name])
            axis = declared.shape.index(spec.independent) if spec.independent in declared.shape else None
            if axis is not None and spot.place and array.shape[axis] > spot.place[0]:
                array = np.take(array, [spot.place[0]], axis)
            found = max(found, float(np.abs(array[np.isfinite(array)]).max(initial=0.0)))
    return found
