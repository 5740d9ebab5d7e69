"""(c) How much faster two worker processes are than one, start and imports included.

A fixed part of the audit, all of NumPy and PyTorch (JAX takes its time to compile), with `--jobs 1` and `--jobs 2`
in turns, no cache. `same` says whether both wrote the same results.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from .process import ROOT, cold
from .scale import FULL, Scale, in_turns, median, ratio, shown

LETTER, TITLE = "c", "two worker processes over one"
SUBSET = ("audit", "--profile", "quick", "--framework", "numpy,torch")
LIMIT = 600.0
"""Seconds after which an audit is given up."""


def measure(scale: Scale = FULL, subset: Sequence[str] = SUBSET) -> dict[str, Any]:
    """Raises RuntimeError where an audit does not run through."""
    written: dict[int, Any] = {}

    def run(jobs: int) -> float:
        took, written[jobs] = _audit([*subset, "--jobs", str(jobs)])
        return took

    # processes start cold, so no turn warms up: the first counts as the others do
    turns = Scale(max(1, scale.rounds // 3), scale.seconds * 4)
    took = in_turns({"one": lambda turn: run(1), "two": lambda turn: run(2)}, turns, warm_up=False)
    return {
        "command": " ".join(subset),
        "turns": len(took["one"]),
        "seconds": {name: median(each) for name, each in took.items()},
        "ratio": ratio(took["one"], took["two"]),
        "cells": len({_cell(row) for row in written[1]["results"] if row["verdict"] != "skip"}),
        "same": all(written[1][part] == written[2][part] for part in ("results", "findings", "problems")),
    }


def _audit(arguments: list[str]) -> tuple[float, Any]:
    with tempfile.TemporaryDirectory() as folder, cold(arguments) as (command, environment):
        path = Path(folder, "results.json")
        begun = time.perf_counter()
        done = subprocess.run(
            [*command, "--json", str(path)],
            env=environment, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT, check=False,
        )  # fmt: skip
        took = time.perf_counter() - begun
        if done.returncode not in (0, 1):
            raise RuntimeError(
                f"lossproof {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-500:]}"
            )
        return took, json.loads(path.read_text())


def _cell(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in ("loss", "implementation", "framework", "device", "mode", "dtype"))


def table(found: dict[str, Any]) -> Table:
    made = Table(title=f"({LETTER}) {TITLE}")
    for head in ("cells", "--jobs 1, s", "--jobs 2, s", "ratio", "same results"):
        made.add_column(head, justify="right")
    seconds = found["seconds"]
    made.add_row(
        str(found["cells"]), shown(seconds["one"]), shown(seconds["two"]), shown(found["ratio"]),
        "yes" if found["same"] else "NO",
    )  # fmt: skip
    return made
