"""(f) The share of rows that the vector tier hands up to arb, by regime.

The checks accuracy, gradient and finiteness of every loss of adapters/portable, NumPy, in float32 and float64,
over the recipes of the profile "standard". The oracle keeps the count; where it keeps none, the table says so.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.table import Table

from lossproof.checks import answers
from lossproof.checks.trial import Cell, Trial
from lossproof.frameworks import framework
from lossproof.implementation import Implementation, discover
from lossproof.inputs import PROFILES, batches_of, draw, expand, regimes_of
from lossproof.spec import library

from .pipeline import CHECKS
from .scale import FULL, Scale, shown

LETTER, TITLE = "f", "share of rows handed up to arb"
DTYPES = ("float32", "float64")
PROFILE = PROFILES["standard"]

Counter = Callable[[], tuple[int, int]]
"""Rows whose truth was asked for since the process began, and those of them that went up to arb."""


def counter() -> Counter | None:
    """The oracle's count, None where it keeps none."""
    found: Counter | None = getattr(importlib.import_module("lossproof.oracle.reference"), "counted", None)
    return found


def measure(scale: Scale = FULL, count: Counter | None = None, losses: Sequence[str] = ()) -> dict[str, Any]:
    """By regime: rows, handed_up, share. complete: whether the budget reached to the last loss."""
    count = count or counter()
    if count is None:
        return {"reason": "the oracle keeps no count", "regimes": {}, "complete": False}
    found: dict[str, dict[str, Any]] = {}
    end, complete = time.perf_counter() + 2 * scale.seconds, True
    for implementation in discover("portable")[0]:
        loss = implementation.loss
        if implementation.framework != "numpy" or (losses and loss not in losses):
            continue
        for dtype in DTYPES:
            if found and time.perf_counter() > end:
                complete = False
                continue
            for regime in regimes_of(library.get(loss)):
                before = count()
                _verify(implementation, regime, dtype)
                rows, up = (now - then for now, then in zip(count(), before, strict=True))
                row = found.setdefault(regime, {"rows": 0, "handed_up": 0})
                row["rows"] += rows
                row["handed_up"] += up
    for row in found.values():
        row["share"] = row["handed_up"] / max(1, row["rows"])
    return {"regimes": found, "complete": complete}


def _verify(implementation: Implementation, regime: str, dtype: str) -> None:
    spec = library.get(implementation.loss)
    cell = Cell(implementation, spec, framework("numpy"), "cpu", "eager", dtype)
    fixed = {
        name: implementation.fixed.get(name, default)
        for name, default in spec.defaults().items()
        if name not in implementation.free
    }
    answers.forget()
    for recipe in draw(spec, regime, PROFILE, 0, batches_of(spec, regime, PROFILE.batches)):
        trial = Trial(cell, expand(spec, recipe, dtype, parameters=fixed))
        for check in CHECKS:
            check.observe(trial)
    answers.forget()


def table(found: dict[str, Any]) -> Table:
    reason = found.get("reason") or (None if found["complete"] else "not over every loss: the time was up")
    made = Table(title=f"({LETTER}) {TITLE}", caption=reason)
    for head in ("regime", "rows", "handed up", "%"):
        made.add_column(head, justify="right")
    for regime, each in found["regimes"].items():
        made.add_row(regime, f"{each['rows']:,}", f"{each['handed_up']:,}", shown(100 * each["share"]))
    return made
