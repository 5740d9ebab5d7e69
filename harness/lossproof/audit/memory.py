"""The memory of a worker process: what a framework compiles stays there until it is told to forget it, and what
arrays had is kept for the next ones."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable

from lossproof.frameworks import framework

ROOM = 1.25 * 2**30
"""Bytes of a process beyond which it forgets what was compiled.

Measured with JAX, which compiles each operation for each shape, over seven losses in two dtypes: a process that
keeps it all comes to 3.6 GB, this one to 1.7 GB, in the same time.
"""

own = False
"""Whether the process is lossproof's own: in that of a user, what they have compiled is theirs."""

inherited = 0
"""Bytes that the process had from its start, those of the one from which it was forked."""


LARGEST, KEPT = 2**26, 2**28
"""Bytes: of the largest array that comes from the heap, and of freed memory at its end that is not given back."""


def keep_freed() -> None:
    """Keep what is freed for the next arrays, where the process has the GNU C library.

    By default an array of a few hundred kilobytes comes from the system afresh and goes back to it, and each of its
    pages is cleared and mapped once more: a tenth of the time of a verification. See mallopt(3).
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, size in ((_MMAP_THRESHOLD, LARGEST), (_TRIM_THRESHOLD, KEPT), (_TOP_PAD, LARGEST)):
            mallopt(option, size)


_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
"""Of malloc.h."""


def free(frameworks: Iterable[str]) -> None:
    """Let frameworks forget what they compiled, where the process is lossproof's own and has become large."""
    if own and resident() - inherited > ROOM:
        for name in frameworks:
            framework(name).forget()


def resident() -> int:
    """Bytes of this process that are in memory; the most that there ever were, where the system tells no more."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        pass
    try:
        import resource
    except ImportError:  # on Windows
        return 0
    unit = 1 if os.uname().sysname == "Darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
