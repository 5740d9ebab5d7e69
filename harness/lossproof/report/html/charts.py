"""What the charts of a loss show, in numbers: for a reader without them, and to know whether there are any.

The charts themselves are drawn in the page from the results that are embedded there.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lossproof.audit.results import Run, StabilityMap, Tolerance

PASSED = 3.0
"""The bits up to which a result passes (oracle.verdict)."""


@dataclass(frozen=True)
class Stability:
    """The plane of a loss: its sentence, the name of its x, and a row for each map."""

    text: str
    x: str
    rows: list[dict[str, Any]]


def stability(run: Run, loss: str) -> Stability | None:
    """The maps of a loss in numbers; None where the run has none."""
    plane = next((plane for plane in run.planes if plane.loss == loss), None)
    maps = [each for each in run.maps if each.loss == loss]
    if plane is None or not maps:
        return None
    return Stability(plane.text, plane.x.name, [_map_row(each) for each in maps])


def tolerances(run: Run, loss: str) -> list[dict[str, Any]]:
    """The errors of a loss in numbers, over all regimes: a row for each implementation, setting and quantity."""
    grouped: dict[tuple[str, ...], list[Tolerance]] = {}
    for each in run.tolerances:
        if each.loss == loss:
            key = (each.implementation, each.framework, _where(each), each.dtype, each.quantity)
            grouped.setdefault(key, []).append(each)
    names = list(dict.fromkeys(name for group in grouped.values() for each in group for name in each.fixed))
    return [
        {
            "implementation": implementation,
            "framework": framework,
            "where": where,
            "dtype": dtype,
            "quantity": quantity,
            **_spread(group),
            "fixed": {name: _said(group, name) for name in names},
        }
        for (implementation, framework, where, dtype, quantity), group in grouped.items()
    ]


def multiple(key: str) -> str:
    """The upper end of a bin as a multiple of the attainable error: `"0.25 ×"`, `"8 ×"`, `"2⁴⁰ ×"`."""
    if key == "exact":
        return "exact"
    if key == "inf":
        return "nan or inf"
    bits = int(key)
    if bits <= 10:
        return f"{2.0**bits:.4g} ×"
    return "2" + str(bits).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")) + " ×"


def order(key: str) -> float:
    """A sort key of bins: exact first, inf last."""
    return -math.inf if key == "exact" else float(key)


def _spread(group: Sequence[Tolerance]) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    for each in group:
        counts.update(each.counts)
    whole = sum(counts.values())
    return {
        "elements": whole,
        "half": _within(counts, whole * 0.5),
        "most": _within(counts, whole * 0.99),
        "all": _within(counts, whole),
    }


def _within(counts: Counter[str], wanted: float) -> str:
    seen = 0
    for key in sorted(counts, key=order):
        seen += counts[key]
        if counts[key] and seen >= wanted:
            return multiple(key)
    return "–"


def _said(group: Sequence[Tolerance], name: str) -> dict[str, int] | None:
    """What a fixed tolerance says wrongly, in all; None where it was not asked."""
    said = [each.fixed[name] for each in group if name in each.fixed]
    return (
        {word: sum(each.get(word, 0) for each in said) for word in ("refused", "accepted")} if said else None
    )


def _map_row(each: StabilityMap) -> dict[str, Any]:
    points = [point for row in each.bits for point in row]
    lost = [point for point in points if isinstance(point, int | float)]
    nonfinite = sum(isinstance(point, str) for point in points)
    return {
        "implementation": each.implementation,
        "where": _where(each),
        "quantity": each.quantity,
        "within": sum(point <= PASSED for point in lost),
        "more": sum(point > PASSED for point in lost),
        "nonfinite": nonfinite,
        "undecided": sum(point is None for point in points),
        "worst": math.inf if nonfinite else max(lost, default=None),
        "breakdown": _breakdown(each.breakdown),
    }


def _breakdown(breakdown: Iterable[float | None]) -> str:
    """From where on it fails: `"never"`, `"from 27.6 on"`, `"from 88.7 to 1e+04 on, in 3 of 12 rows"`."""
    every = list(breakdown)
    found = [x for x in every if x is not None]
    if not found:
        return "never"
    low, high = min(found), max(found)
    span = f"from {low:.3g} on" if low == high else f"from {low:.3g} to {high:.3g} on"
    return span if len(found) == len(every) else f"{span}, in {len(found)} of {len(every)} rows"


def _where(each: Tolerance | StabilityMap) -> str:
    device = [] if each.device == "cpu" else [each.device]
    return " ".join([each.framework, *device, each.dtype, each.mode])
