"""(a) Verified rows a second, value and gradient, float32 cross-entropy, against the same checks by hand.

Ours: recipes drawn, expanded, stacked as an audit stacks them, called, and judged by the checks accuracy,
gradient and finiteness; over ordinary inputs, and over every regime that can have the shape, in equal shares.
By hand: baseline.py with Hypothesis, a row an example (at 128,256 classes, which Hypothesis cannot draw, one
array mostly of its fill value); and the checks of baseline.py alone, on the ordinary inputs that ours draws.
One thread, fresh seeds in every turn, all in turns; the ratios are medians over the turns. The JSON holds
more: both idioms of Hypothesis, each regime, ours without draws.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from rich.table import Table

from lossproof.frameworks import framework

from . import baseline
from .pipeline import Pipeline, Times, implementation
from .scale import FULL, SHARE, Scale, Shape, in_turns, median, named, ratio, seconds, shown

LETTER, TITLE = "a", "verified rows a second"
SHAPES: tuple[Shape, ...] = ((64, 16), (256, 16), (256, 128), (8, 128_256))
MOST_DRAWN = 1000
"""Hypothesis draws no rows of more numbers."""


def measure(scale: Scale = FULL, shapes: tuple[Shape, ...] = SHAPES) -> list[dict[str, Any]]:
    with framework("torch").one_thread():
        return [_measure(shape, scale) for shape in shapes]


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, labels, reduction="none")


def _measure(shape: Shape, scale: Scale) -> dict[str, Any]:
    rows, classes = shape
    ours, took = Pipeline(implementation("torch"), shape), scale.seconds * SHARE
    kept: dict[str, list[Times]] = {"ordinary": [], "every_regime": []}

    def keep(name: str, times: Times) -> float:
        kept[name].append(times)
        return times.rows / times.whole

    def ordinary(turn: int) -> float:
        end = time.perf_counter() + took
        return keep("ordinary", ours.during(("ordinary",), turn, end))

    def every_regime(turn: int) -> float:
        # where the time is up before the last regime, another one comes first in the next turn
        first, end = 5 * turn % len(ours.regimes), time.perf_counter() + scale.seconds / 4
        regimes = ours.regimes[first:] + ours.regimes[:first]
        return keep("every_regime", ours.run(regimes, 1000 + turn, 1, lambda: time.perf_counter() > end))

    # by hand one measurement is as many rows as fit its share of the budget, found from a first short one
    case = ours.case(ours.recipes("ordinary", 0)[0])
    first = slice(0, 1)
    single = seconds(
        lambda: baseline.check(cross_entropy, case.inputs["logits"][first], case.inputs["labels"][first])
    )
    alone = slice(0, _fit(took, single, rows))
    batch = _fit(took / 2, single, rows)

    def checks_alone(turn: int) -> float:
        case = ours.case(ours.recipes("ordinary", 2000 + turn)[0])
        logits, labels = case.inputs["logits"][alone], case.inputs["labels"][alone]
        return len(labels) / seconds(lambda: baseline.check(cross_entropy, logits, labels))

    def by_arrays(turn: int) -> float:
        return baseline.by_arrays(cross_entropy, batch, classes, 2, turn)

    def by_rows(turn: int) -> float:
        return baseline.by_rows(cross_entropy, classes, _fit(took, 4 * single, 1000), turn)

    tasks = {
        "ordinary": ordinary,
        "every_regime": every_regime,
        "by_arrays": by_arrays,
        "checks_alone": checks_alone,
    }
    if classes <= MOST_DRAWN:
        tasks["by_rows"] = by_rows
    # one turn by hand takes seconds there
    patient = replace(scale, seconds=3 * scale.seconds) if classes > MOST_DRAWN else scale
    rates = in_turns(tasks, patient)
    rates["by_hand"] = rates["by_rows" if "by_rows" in rates else "by_arrays"]
    return {
        "rows": rows,
        "classes": classes,
        "turns": len(rates["ordinary"]),
        "rows_per_second": {name: median(each) for name, each in rates.items()},
        "ratios": {
            f"{name}_over_{other}": ratio(rates[name], rates[other])
            for name in ("ordinary", "every_regime")
            for other in rates
            if other not in ("ordinary", "every_regime")
        },
        "without_draw": {
            name: median(each.rows / (each.whole - each.draw) for each in kept[name]) for name in kept
        },
        "regimes": {
            regime: median(each.rates[regime] for each in kept["every_regime"] if regime in each.rates)
            for regime in ours.regimes
            if any(regime in each.rates for each in kept["every_regime"])
        },
        "undecided": _share(kept["every_regime"]),
        "blamed": sum(each.blamed for every in kept.values() for each in every),
    }


def _fit(budget: float, one: float, most: int) -> int:
    return max(1, min(most, int(budget / one)))


def _share(times: list[Times]) -> float:
    compared, undecided = sum(t.compared for t in times), sum(t.undecided for t in times)
    return undecided / max(1, compared + undecided)


def table(found: list[dict[str, Any]]) -> Table:
    made = Table(title=f"({LETTER}) {TITLE}, value and gradient, float32 cross-entropy")
    for head in (
        "shape", "ordinary", "every regime", "by hand", "its checks alone",
        "ordinary / by hand", "every regime / by hand", "ordinary / checks alone",
    ):  # fmt: skip
        made.add_column(head, justify="right")
    for each in found:
        rate, ratios = each["rows_per_second"], each["ratios"]
        made.add_row(
            named((each["rows"], each["classes"])),
            *(shown(rate[name]) for name in ("ordinary", "every_regime", "by_hand", "checks_alone")),
            shown(ratios["ordinary_over_by_hand"]),
            shown(ratios["every_regime_over_by_hand"]),
            shown(ratios["ordinary_over_checks_alone"]),
        )
        if each["blamed"]:
            made.caption = "a right loss was blamed: the figures do not count"
    return made
