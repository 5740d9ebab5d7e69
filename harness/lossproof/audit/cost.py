"""About how long things take, which decides what is done where and first, and never what comes of it."""

from __future__ import annotations

FEW = 6.0
"""Seconds of work for which no process is started: it would take as long to start."""

IMPORT = {"torch": 2.0, "jax": 2.0}
"""Seconds to import a framework: a process does not begin with one for less than that."""

_CELL = {("jax", "eager"): 2.0, ("jax", "compiled"): 1.6, ("torch", "compiled"): 25.0}


def seconds(framework: str, mode: str) -> float:
    """About what a cell takes in the quick profile, on one core."""
    return _CELL.get((framework, mode), 0.2)
