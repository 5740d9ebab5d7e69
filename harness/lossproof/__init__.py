"""lossproof verifies implementations of machine-learning loss functions.

    from lossproof import implements

    @implements("cross_entropy", framework="torch")
    def my_loss(logits, labels): ...

`check` returns the findings of one function, `verify` raises AssertionError with the minimal case.
Everything is loaded on first use: importing lossproof imports no framework and no part of the engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossproof.api import check as check
    from lossproof.api import verify as verify
    from lossproof.implementation.declare import implements as implements

__version__ = "0.1.0"

__all__ = ["__version__", "check", "implements", "verify"]


def __getattr__(name: str) -> Any:
    if name == "implements":
        from lossproof.implementation.declare import implements

        return implements
    if name in ("check", "verify"):
        from lossproof import api

        return getattr(api, name)
    raise AttributeError(f"module 'lossproof' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
