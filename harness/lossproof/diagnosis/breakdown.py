"""The magnitude up to which an implementation is right on the way to a failing case: its breakdown point."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.checks import accuracy, gradient
from lossproof.checks.cell import Cell
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Trial
from lossproof.diagnosis.magnitudes import limits
from lossproof.diagnosis.rays import SMALL, Ray, put, rays
from lossproof.diagnosis.samples import Facet, wide
from lossproof.diagnosis.spot import Spot
from lossproof.errors import ExpressionError, ImplementationError
from lossproof.inputs.anatomy import Family, anatomy
from lossproof.inputs.case import Case
from lossproof.inputs.cut import can_cut, cut, layout, sizes, used_classes
from lossproof.oracle.verdict import PASS_BITS

GENTLER = (2.0**-2, 2.0**-5, 2.0**-12)
"""Factors at which a point that passes is looked for."""

HALVINGS = 9
"""A hundredth of a power of two, from the farthest of them."""

EVERYWHERE = frozenset({
    "another convention", "another power", "constant added", "constant factor", "detached factor", "ignores an input",
    "ignores cotangent", "off by one", "parameter misused", "sign", "swapped arguments", "wrong axis",
})  # fmt: skip
"""Kinds of mistake that explain a failure at every magnitude: none of them sets in anywhere."""

OF_FORMULAS = frozenset({"another derivative", "another formula"})
"""And those of a formula that is wrong at ordinary inputs: near one value of a parameter it may be right by chance."""

Breakdown = dict[str, Any]
"""magnitude: its name; value: a number; text: both in a sentence."""


class _Spent(Exception):
    """The calls that a breakdown may cost are spent."""


class _Way:
    """From case to case: how many bits each loses in the check that failed, within a number of calls."""

    def __init__(self, cell: Cell, check: str, calls: int) -> None:
        self.cell, self.calls = replace(cell, certify=None), calls
        self.observe = accuracy.observe if check == accuracy.NAME else gradient.observe

    def bits(self, case: Case) -> float | None:
        """None where nothing can be told."""
        if self.calls <= 0:
            raise _Spent
        self.calls -= 1
        try:
            seen = self.observe(Trial(self.cell, case, forward_mode=False))
        except (ImplementationError, ExpressionError):
            return None
        return seen.bits if seen is not None and seen.cases else None

    def right(self, case: Case) -> bool:
        bits = self.bits(case)
        return bits is not None and bits <= PASS_BITS

    def wrong(self, case: Case) -> bool:
        bits = self.bits(case)
        return bits is not None and bits > PASS_BITS


def breakdown(
    cell: Cell, check: str, case: Case, seen: Observation, calls: int, told: Diagnosis | None = None
) -> Breakdown | None:
    """Where a failed accuracy or gradient sets in, on a way from gentler inputs to the case.

    calls: how many the search may cost. told: its diagnosis. None where that explains the failure at every magnitude,
    and where no way was found on which it passes before and fails beyond.
    """
    if told is not None and told.kind in EVERYWHERE:
        return None
    if check not in (accuracy.NAME, gradient.NAME) or seen.bits is None or seen.quantity == gradient.FORWARD:
        return None
    way = _Way(cell, check, calls)
    with np.errstate(all="ignore"):
        try:
            spot = _spot(Facet(cell, check == gradient.NAME), case)
            if spot is None:
                return None
            for ray in (*_offset(cell, case), *rays(Facet(cell, check == gradient.NAME), case, spot)):
                if told is not None and told.kind in OF_FORMULAS and ray.what in cell.spec.parameters:
                    continue
                found = _along(way, ray)
                if found is not None:
                    return _told(way, ray, spot, *found)
            return _of_sizes(way, case)
        except _Spent:
            return None


def _spot(facet: Facet, case: Case) -> Spot | None:
    """The element that is farthest from its truth, in attainable errors."""
    sample = facet.sample(case)
    if sample is None or not sample.fits:
        return None
    best: tuple[float, Spot] | None = None
    for name, got in sample.got.items():
        truth = sample.truth[name]
        if not got.size or not truth.known.any():
            continue
        off = np.abs(got - truth.middle).astype(np.float64) / np.maximum(truth.attainable, 1e-320)
        off = np.where(truth.known, np.nan_to_num(off, nan=np.inf), -1.0)
        place = tuple(int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
        if best is None or off[place] > best[0]:
            best = float(off[place]), Spot(name, place)
    return None if best is None else best[1]


def _offset(cell: Cell, case: Case) -> Iterator[Ray]:
    """Rows of logits whose common offset is taken away, where it is larger than what is between them."""
    parts = anatomy(cell.spec)
    if parts.family != Family.LOGITS:
        return
    middles = {}
    for name in parts.main:
        array = wide(case.inputs[name])
        finite = np.where(np.isfinite(array), array, np.nan)
        if array.ndim < 2 or np.isnan(finite).all(axis=-1).any():
            return
        middles[name] = np.nanmean(finite, axis=-1, keepdims=True)
        if np.nanmax(np.abs(middles[name])) < 4 * np.nanmax(np.abs(finite - middles[name])):
            return

    def at(by: float) -> Case:
        moved = {
            n: (wide(case.inputs[n]) - (1 - by) * m).astype(case.inputs[n].dtype) for n, m in middles.items()
        }
        return put(case, moved)

    yield Ray("offset", at)


def _along(way: _Way, ray: Ray) -> tuple[float, float] | None:
    """Two factors close together: right at the first and before, wrong at the second and mostly beyond."""
    low = next((by for by in GENTLER if way.right(ray.at(by))), None)
    if low is None:
        return None
    high = 1.0
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        if way.right(ray.at(middle)):
            low = middle
        else:
            high = middle
    before = [low * 2.0**-k for k in (0.5, 2, 4)]
    beyond = [high ** (k / 4) for k in (1, 2, 3)]
    if not all(way.right(ray.at(by)) for by in before):
        return None
    # what rounds may come out right by luck
    return (low, high) if sum(way.wrong(ray.at(by)) for by in beyond) >= 2 else None


def _told(way: _Way, ray: Ray, spot: Spot, low: float, high: float) -> Breakdown | None:
    case = ray.at(low)
    if ray.what == "offset":
        array = wide(case.inputs[anatomy(way.cell.spec).main[0]])
        array = np.where(np.isfinite(array), array, np.nan)
        name, value = "common offset", float(np.nanmax(np.abs(array))) * (1 if np.nanmax(array) > 0 else -1)
    else:
        before = dict(limits(way.cell.spec, ray.at(low / 4), spot, ray.what))
        passed = [
            (name, value)
            for name, value in limits(way.cell.spec, case, spot, ray.what)
            if value and abs(value - before.get(name, value)) > 0.01 * abs(value)
        ]
        if ray.what == SMALL:
            passed = [each for each in passed if not each[0].startswith("a gap")]
        if not passed:
            return None
        name, value = passed[0][0].removeprefix("a ").removesuffix(" of"), passed[0][1]
    value = float(f"{value:.6g}")
    down = value < 0 or _falls(way, ray, name, high)
    return _sentence(way, name, value, ray.at(high), "down" if down else "up")


def _falls(way: _Way, ray: Ray, name: str, high: float) -> bool:
    """Whether the magnitude falls along the ray."""
    if ray.what == SMALL:
        return True
    if ray.what not in way.cell.spec.parameters or name != ray.what:
        return False
    return float(ray.at(1.0).parameters[ray.what]) < float(ray.at(high / 2).parameters[ray.what])


def _sentence(way: _Way, name: str, value: float, bad: Case, direction: str = "up") -> Breakdown:
    bits = way.bits(bad)
    then = "loses digits" if bits is None or math.isfinite(bits) else "is nan or inf"
    article = "a " if name.startswith(("gap", "common")) else ""
    shown = f"{value:,.0f}" if value >= 1000 and value == int(value) and value < 1e6 else f"{value:.4g}"
    told = (
        f"{shown} {name}" if name == "rows" or name.startswith("entries") else f"{article}{name} of {shown}"
    )
    return {"magnitude": name, "value": value, "text": f"right {direction} to {told}, then {then}"}


def _of_sizes(way: _Way, case: Case) -> Breakdown | None:
    """How many rows, classes or features of the case are right."""
    spec = way.cell.spec
    if way.cell.framework.compiles_operations:
        return None  # each size compiles again
    plan = layout(case, spec)
    for dim, size in sizes(case, plan).items():
        if size < 4 or not can_cut(plan, dim):
            continue
        held = used_classes(case, plan) if dim == plan.classes else set()

        def at(count: int, dim: str = dim, size: int = size, held: set[int] = held) -> Case:
            kept = sorted({*held, *[k for k in range(size) if k not in held][: max(0, count - len(held))]})
            return cut(case, plan, dim, kept)

        least = max(plan.least.get(dim, 1), len(held), 1)
        found = _count(way, at, least, size)
        if found is not None:
            name = (
                "rows" if dim == (spec.independent or dim) and dim != plan.classes else f"entries along {dim}"
            )
            return _sentence(way, name, float(found), at(found + 1))
    return None


def _count(way: _Way, at: Callable[[int], Case], least: int, most: int) -> int | None:
    """The largest size that passes, where smaller ones do as well and larger ones do not."""
    if not way.right(at(least)):
        return None
    low, high = least, most
    while high - low > 1:
        middle = (low + high) // 2
        if way.right(at(middle)):
            low = middle
        else:
            high = middle
    smaller = {least + (low - least) // 2, least + 3 * (low - least) // 4}
    larger = {high + (most - high) // 2, high + 3 * (most - high) // 4}
    monotone = all(way.right(at(n)) for n in smaller) and all(way.wrong(at(n)) for n in larger)
    return low if monotone else None
