"""Where an exception of an implementation was raised, in code that is neither lossproof's nor installed."""

from __future__ import annotations

import functools
import os
import sysconfig
import traceback

import lossproof
from lossproof.errors import Place, shown


def place_of(error: BaseException) -> Place | None:
    """The innermost line of the user's own code in the traceback; None where there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = os.path.realpath(frame.filename)
        # torch.compile writes Python of its own into a folder of this name
        if os.path.isfile(path) and not path.startswith(_of_others()) and "torchinductor_" not in path:
            return Place(shown(frame.filename), frame.lineno)
    return None


@functools.cache
def _of_others() -> tuple[str, ...]:
    folders = [sysconfig.get_path(key) for key in ("purelib", "platlib", "stdlib", "platstdlib")]
    folders += [os.path.dirname(os.path.abspath(lossproof.__file__))]
    return tuple({os.path.join(os.path.realpath(folder), "") for folder in folders})
