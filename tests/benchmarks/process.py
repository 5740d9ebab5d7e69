"""lossproof in a process of its own, where neither a cache nor the caller's imports help it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


@contextmanager
def cold(arguments: Sequence[str]) -> Iterator[tuple[list[str], dict[str, str]]]:
    """The command line `lossproof ARGUMENTS` and its environment, with an empty folder for caches."""
    with tempfile.TemporaryDirectory(prefix="lossproof-bench-") as folder:
        environment = dict(os.environ) | {"XDG_CACHE_HOME": folder, "NO_COLOR": "1"}
        yield [sys.executable, "-m", "lossproof", *arguments, "--no-cache"], environment
