"""Frameworks: how arrays go in and out, how derivatives are taken, which devices and modes exist.

`framework(name)` gives the one object of a framework. Nothing heavy is imported until that object is used.
"""

from __future__ import annotations

import functools

from lossproof.errors import UsageError, unknown
from lossproof.frameworks.base import DEVICES, MODES, Call, Framework, Outcome

NAMES = ("numpy", "torch", "jax")

__all__ = ["DEVICES", "MODES", "NAMES", "Call", "Framework", "Outcome", "framework"]


@functools.cache
def framework(name: str) -> Framework:
    """The framework of that name; raises UsageError with the nearest right name for another word.

    It is returned also where it cannot be used here: ask `missing()` for the reason.
    """
    if name == "numpy":
        from lossproof.frameworks.numpy_framework import NumpyFramework

        return NumpyFramework()
    if name == "torch":
        from lossproof.frameworks.torch_framework import TorchFramework

        return TorchFramework()
    if name == "jax":
        from lossproof.frameworks.jax_framework import JaxFramework

        return JaxFramework()
    raise UsageError(unknown("framework", name, NAMES))
