"""The process from which workers are forked: it imports once what each of them would import by itself.

It starts before a run is planned, so that the caller's imports and its own take the same seconds on two cores.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Iterable
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

_PRELOADED = {"torch": "lossproof.audit.preload_torch"}
"""What imports a framework there, if it starts no thread by that. A fork copies one thread alone, and may hang for want
of JAX's others."""

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def context(frameworks: Iterable[str]) -> BaseContext:
    """How worker processes come to be. frameworks: those that they may need.

    Where fork is not safe, or not there, each is started anew.
    """
    if not _safe():
        return multiprocessing.get_context("spawn")
    begin(frameworks)
    return multiprocessing.get_context("forkserver")


def begin(frameworks: Iterable[str]) -> None:
    """Start the process, unless it runs already, and go on while it imports."""
    if _safe():
        wanted = [module for name, module in _PRELOADED.items() if name in set(frameworks)]
        multiprocessing.set_forkserver_preload(["lossproof.audit.preload", *wanted])
        forkserver.ensure_running()


def _safe() -> bool:
    """Whether the process would have one thread alone."""
    return sys.platform == "linux" and all(os.environ.get(name, "1") == "1" for name in THREADS)
