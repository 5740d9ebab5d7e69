"""Ways from gentle inputs to those of a failing case, and on beyond them; and where along one a mistake sets in."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from lossproof.diagnosis.samples import Facet, wide
from lossproof.floats import FORMATS
from lossproof.inputs.case import Array, Case
from lossproof.spec.model import Domain, Spec

HALVINGS = 14
"""Steps of a bisection, on a logarithmic scale."""

GENTLE = 4.0
"""A magnitude of real inputs at which nothing overflows and little is rounded away."""

SCALED = (Domain.REAL, Domain.EXTENDED_REAL, Domain.EMBEDDING, Domain.LOG_PROBABILITY)


@dataclass(frozen=True)
class Ray:
    """at: the case at a factor: gentle near 0, the failing case itself at 1. what: changes along it."""

    what: str
    at: Callable[[float], Case]


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


def rays(facet: Facet, case: Case) -> Iterator[Ray]:
    """Ways from a gentle case to the failing one: by a factor from small to 1, and on beyond it."""
    spec = facet.cell.spec
    domains = {declared.domain for declared in spec.inputs.values()}
    if domains & set(SCALED):
        yield Ray("scale", lambda by: _scaled(spec, case, by))
    if Domain.PROBABILITY in domains:
        if any((case.inputs[n] == 0).any() for n, d in spec.inputs.items() if d.domain is Domain.PROBABILITY):
            yield Ray("smallness", lambda by: _opened(spec, case, by))
        yield Ray("sharpness", lambda by: _sharpened(spec, case, by))
    for name, parameter in spec.parameters.items():
        value, default = case.parameters[name], parameter.default
        if name not in facet.cell.implementation.free or parameter.kind != "number":
            continue
        # on a logarithmic scale, which has no way through 0
        if value is None or default is None or value * default <= 0 or value == default or parameter.integer:
            continue

        def ray(by: float, name: str = name, value: float = value, default: float = default) -> Case:
            # at 1 the case itself, at 0 the default
            share = min(1.0, max(0.0, 1 + math.log2(by) / 16)) if by < 1 else 1.0
            number = default * (value / default) ** share
            return replace(case, parameters={**case.parameters, name: number})

        yield Ray(name, ray)


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
