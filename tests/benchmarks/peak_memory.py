"""(e) Peak memory of a process that verifies one batch of 64 × 128,256, float32 cross-entropy, value and gradient.

The largest resident set from start to end, interpreter and imports included. `imports` is what stood before
the batch was expanded. A process that needs more than LIMIT is stopped by the system, and the row says so.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from .scale import FULL, Scale, Shape, named, shown

LETTER, TITLE = "e", "peak memory"
SHAPE: Shape = (64, 128_256)
FRAMEWORKS = ("numpy", "torch")
LIMIT = 8 * 2**30
"""Bytes that a process may allocate."""


def measure(
    scale: Scale = FULL, shape: Shape = SHAPE, frameworks: Sequence[str] = FRAMEWORKS
) -> list[dict[str, Any]]:
    return [_measure(framework, shape, scale) for framework in frameworks]


def _measure(framework: str, shape: Shape, scale: Scale) -> dict[str, Any]:
    row: dict[str, Any] = {"framework": framework, "rows": shape[0], "classes": shape[1]}
    # beside whatever is on the path already
    home = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = dict(os.environ) | {"PYTHONPATH": home}
    command = [sys.executable, "-m", __name__, framework, *map(str, shape)]
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30 + 4 * scale.seconds,
        )
    except subprocess.TimeoutExpired as error:
        return row | {"reason": f"not done after {error.timeout:.0f} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]
        return row | {"reason": f"{last} (limit {LIMIT / 2**30:.0f} GiB)"}
    return row | json.loads(done.stdout)


def _resident() -> int:
    """Bytes. Linux hands ru_maxrss on from the process that started this one, so its own mark is read there."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


def main(framework: str, rows: int, classes: int) -> None:
    """In the process that is measured: prints what it took as JSON."""
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    from .pipeline import Pipeline, Times, implementation

    pipeline, times = Pipeline(implementation(framework), (rows, classes)), Times()
    recipe = pipeline.recipes("ordinary", 0)[0]
    imports = _resident()
    pipeline.verify(pipeline.case(recipe), times)
    print(json.dumps({"bytes": _resident(), "imports": imports, "blamed": times.blamed}))


def table(found: list[dict[str, Any]]) -> Table:
    made = Table(title=f"({LETTER}) {TITLE}, MiB")
    for head in ("framework", "shape", "peak", "before the batch", ""):
        made.add_column(head, justify="right")
    for each in found:
        sizes = (each[key] / 2**20 if key in each else None for key in ("bytes", "imports"))
        made.add_row(
            each["framework"],
            named((each["rows"], each["classes"])),
            *map(shown, sizes),
            each.get("reason", ""),
        )
    return made


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
