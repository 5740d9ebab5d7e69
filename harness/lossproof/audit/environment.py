"""What a run ran on, for the reader of a report."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

LIBRARIES = ("numpy", "scipy", "torch", "jax", "jaxlib", "optax", "python-flint", "hypothesis", "ml_dtypes")


def environment() -> dict[str, Any]:
    """Python, platform and the versions of the libraries that matter; None for one that is not installed."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        **{name: _version(name) for name in LIBRARIES},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
