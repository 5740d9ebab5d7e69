"""`python -m benchmarks [LETTER…] [--json FILE] [--seconds N]`, with tests/ on the path; `make bench` calls it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

import lossproof
from lossproof.audit.environment import environment

from . import baseline, first_finding, handed_up, overhead, peak_memory, rows_per_second, two_jobs
from .scale import FULL

ALL = (rows_per_second, overhead, two_jobs, first_finding, peak_memory, handed_up)


def machine() -> dict[str, Any]:
    """What the figures depend on beside the code."""
    return {
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "mpmath": baseline.BACKEND,
        "versions": environment(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    letters = [each.LETTER for each in ALL]
    parser.add_argument("letters", nargs="*", metavar="LETTER", help="only these: " + ", ".join(letters))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--seconds", type=float, default=FULL.seconds, help="budget of one row of a table")
    given = parser.parse_args()
    if unknown := set(given.letters) - set(letters):
        parser.error(f"unknown letter {', '.join(sorted(unknown))} (known: {', '.join(letters)})")
    scale = replace(FULL, seconds=given.seconds)
    console = Console()
    console = console if console.is_terminal else Console(width=120)
    written: dict[str, Any] = {"schema": 1, "lossproof": lossproof.__version__, "machine": machine()}
    begun = time.perf_counter()
    for each in ALL:
        if given.letters and each.LETTER not in given.letters:
            continue
        with console.status(each.TITLE):
            found = each.measure(scale)
        written[each.__name__.rpartition(".")[2]] = found
        console.print(each.table(found))
    written["seconds"] = time.perf_counter() - begun
    if given.json is not None:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(written, indent=1) + "\n")
        console.print(f"figures: {given.json}")


if __name__ == "__main__":
    main()
