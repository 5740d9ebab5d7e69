"""How much is measured, and the clock: turns, medians, budgets."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Shape = tuple[int, int]
"""Rows and classes."""


@dataclass(frozen=True)
class Scale:
    """rounds: most turns of each measurement; its median counts. seconds: budget of one row of a table, after
    which no further turn begins; the first is always finished, and a process is given four times as long."""

    rounds: int = 9
    seconds: float = 10.0


FULL = Scale()
SHARE = 0.02
"""The part of a row's budget that one measurement of ordinary inputs or by hand is to take in a turn."""

TINY = Scale(rounds=1, seconds=0.0)
"""One turn of everything: for the tests of the benchmarks."""


def in_turns(
    tasks: Mapping[str, Callable[[int], float]], scale: Scale, warm_up: bool = True
) -> dict[str, list[float]]:
    """What each task returned in each turn. A task gets the turn's number, for a fresh seed.

    warm_up: turn 0 is dropped, where there is time for another.
    """
    found: dict[str, list[float]] = {name: [] for name in tasks}
    begun = time.perf_counter()
    for turn in range(scale.rounds + warm_up):
        for name, task in tasks.items():
            found[name].append(task(turn))
        if time.perf_counter() - begun >= scale.seconds:
            break
    return {name: each[1:] if warm_up and len(each) > 1 else each for name, each in found.items()}


def seconds(task: Callable[[], object]) -> float:
    """Wall time of one call."""
    begun = time.perf_counter()
    task()
    return time.perf_counter() - begun


def median(numbers: Iterable[float]) -> float:
    return float(statistics.median(numbers))


def ratio(above: Iterable[float], below: Iterable[float]) -> float:
    """The median of the ratios, turn by turn."""
    return median(a / b for a, b in zip(above, below, strict=True))


def shown(number: float | None, digits: int = 3) -> str:
    """Three digits, thousands with commas; a dash for nothing."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.{digits}g}"


def named(shape: Shape) -> str:
    return f"{shape[0]:,} × {shape[1]:,}"
