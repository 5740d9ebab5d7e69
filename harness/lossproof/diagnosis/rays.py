"""Ways from gentle inputs to those of a failing case, and on beyond them; and where along one a mistake sets in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lossproof.diagnosis.samples import Facet, wide
from lossproof.diagnosis.spot import Spot
from lossproof.floats import FORMATS
from lossproof.inputs.case import Array, Case
from lossproof.spec.model import Domain, Spec

HALVINGS = 14
"""Steps of a bisection, on a logarithmic scale."""

GENTLE = 4.0
"""A magnitude of real inputs at which nothing overflows and little is rounded away."""

Ends = tuple[float, float] | None

SMALL = "smallness"

SCALED = (Domain.REAL, Domain.EXTENDED_REAL, Domain.EMBEDDING, Domain.LOG_PROBABILITY)


@dataclass(frozen=True)
class Ray:
    """at: the case at a factor: gentle near 0, the failing case itself at 1. what: changes along it.

    through_zero: on a linear scale, with an effect that may shrink to nothing: it tells where a result is nan or inf.
    """

    what: str
    at: Callable[[float], Case]
    through_zero: bool = False


def put(case: Case, changes: dict[str, Array]) -> Case:
    return replace(case, inputs={**case.inputs, **changes})


def gentle(spec: Spec, case: Case) -> Case:
    """The case with its real inputs scaled down together to a small size, special entries kept."""
    arrays = [wide(case.inputs[n]) for n, d in spec.inputs.items() if d.domain in SCALED]
    most = max((float(np.abs(a[np.isfinite(a)]).max(initial=0.0)) for a in arrays), default=0.0)
    return case if most <= GENTLE else _scaled(spec, case, GENTLE / most)


def _scaled(spec: Spec, case: Case, by: float, names: tuple[str, ...] | None = None) -> Case:
    changes = {}
    for name, declared in spec.inputs.items():
        if declared.domain in SCALED and (names is None or name in names):
            with np.errstate(invalid="ignore", over="ignore"):
                changes[name] = (wide(case.inputs[name]) * by).astype(case.inputs[name].dtype)
    return put(case, changes)


def _sharpened(spec: Spec, case: Case, by: float) -> Case:
    changes = {}
    for name, declared in spec.inputs.items():
        if declared.domain is Domain.PROBABILITY:
            with np.errstate(divide="ignore", under="ignore"):
                array = wide(case.inputs[name]) ** by
            total = array.sum(axis=-1, keepdims=True)
            changes[name] = (array / np.where(total > 0, total, 1)).astype(case.inputs[name].dtype)
    return put(case, changes)


def _opened(spec: Spec, case: Case, by: float) -> Case:
    """With a number for the zeros of distributions that nears 0 as `by` grows."""
    least = -math.log(FORMATS[case.dtype].smallest_normal)
    changes = {}
    for name, declared in spec.inputs.items():
        if declared.domain is Domain.PROBABILITY:
            array = wide(case.inputs[name])
            open_ = np.where(array == 0, math.exp(-min(700.0, least * by)), array)
            changes[name] = (open_ / open_.sum(axis=-1, keepdims=True)).astype(case.inputs[name].dtype)
    return put(case, changes)


def rays(facet: Facet, case: Case, spot: Spot) -> Iterator[Ray]:
    """Ways from a gentle case to the failing one: by a factor from small to 1, and on beyond it."""
    spec = facet.cell.spec
    domains = {declared.domain for declared in spec.inputs.values()}
    if Domain.EMBEDDING in domains:
        # of vectors the directions count before the lengths, and a temperature is what makes them large
        yield from _of_parameters(facet, case)
    if domains & set(SCALED):
        yield Ray("scale", lambda by: _scaled(spec, case, by))
    if Domain.PROBABILITY in domains:
        if any((case.inputs[n] == 0).any() for n, d in spec.inputs.items() if d.domain is Domain.PROBABILITY):
            yield Ray("openness", lambda by: _opened(spec, case, by))
        yield Ray("sharpness", lambda by: _sharpened(spec, case, by))
    if Domain.EMBEDDING not in domains:
        yield from _of_parameters(facet, case)
    yield from _down(facet.cell.spec, case, spot)


def _of_parameters(facet: Facet, case: Case) -> Iterator[Ray]:
    """From the default of each number to what the case has."""
    spec = facet.cell.spec
    for name, parameter in spec.parameters.items():
        value, default = case.parameters[name], parameter.default
        if name not in facet.cell.implementation.free or parameter.kind != "number":
            continue
        if value is None or default is None or value == default or parameter.integer:
            continue
        # a logarithmic scale has no way through 0
        straight = value * default <= 0

        def ray(
            by: float,
            name: str = name,
            value: float = value,
            default: float = default,
            ends: Ends = parameter.range,
            straight: bool = straight,
        ) -> Case:
            # at 1 the case itself, at 0 the default
            if straight:
                number = default + (value - default) * by
            else:
                number = default * (value / default) ** max(0.0, 1 + math.log2(by) / 16)
            number = number if ends is None else min(max(number, ends[0]), ends[1])
            return replace(case, parameters={**case.parameters, name: number})

        yield Ray(name, ray, straight)


def _down(spec: Spec, case: Case, spot: Spot) -> Iterator[Ray]:
    """The other way: from gentle numbers down to small ones, in the row where the result is wrong."""
    for names in _scaled_names(spec):
        row = _row(spec, case, names, spot)
        sizes = [np.abs(wide(case.inputs[n])[row[n]]) for n in names]
        most = max((float(a[np.isfinite(a)].max(initial=0.0)) for a in sizes), default=0.0)
        if not 0 < most < GENTLE:
            continue
        share = (most / GENTLE) ** (1 / 16)

        def at(
            by: float, names: tuple[str, ...] = names, row: Mapping[str, Any] = row, share: float = share
        ) -> Case:
            changes = {}
            for name in names:
                array = wide(case.inputs[name]).copy()
                array[row[name]] *= share ** math.log2(by)
                changes[name] = array.astype(case.inputs[name].dtype)
            return put(case, changes)

        yield Ray(SMALL, at)


def _scaled_names(spec: Spec) -> list[tuple[str, ...]]:
    """All inputs that can be scaled, then each by itself."""
    names = tuple(name for name, declared in spec.inputs.items() if declared.domain in SCALED)
    return [names, *((name,) for name in names)] if len(names) > 1 else [names] if names else []


def _row(spec: Spec, case: Case, names: tuple[str, ...], spot: Spot) -> dict[str, Any]:
    """Where the row of a spot stands in each input; all of an input in which it has none."""
    rows = spec.independent or next((d.shape[0] for d in spec.inputs.values() if len(d.shape) > 1), None)
    found: dict[str, Any] = {}
    for name in names:
        shape = spec.inputs[name].shape
        inside = spot.place and shape and shape[0] == rows and case.inputs[name].shape[0] > spot.place[0]
        found[name] = spot.place[0] if inside else ...
    return found


def onset(fails: Callable[[float], bool]) -> tuple[float, float] | None:
    """Two factors close together, right at the first and failing at the second; None where it fails all along."""
    low = None
    by = 0.5
    for _ in range(16):
        if not fails(by):
            low = by
            break
        by = by / 2 if by > 2**-4 else by / 16
    if low is None:
        return None
    high = min(1.0, by * (2 if by >= 2**-4 else 16))
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        if fails(middle):
            high = middle
        else:
            low = middle
    return low, high
