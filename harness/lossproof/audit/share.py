"""What of a profile a cell takes, where the other mode of the same implementation takes the rest.

A framework that compiles each operation for each shape, eager mode too, spends almost all of a quick run on that:
some twenty operations for a shape, where the compiled function is one. So compiled mode takes all that asks for more
shapes, and eager mode what one shape tells. A run that looks long, or in modes that were asked for, shares nothing.
"""

from __future__ import annotations

from enum import StrEnum


class Share(StrEnum):
    """ALL: everything. NO_LAWS: eager mode takes them. ONE_SHAPE: compiled mode takes the laws and other shapes."""

    ALL = "all"
    NO_LAWS = "no laws"
    ONE_SHAPE = "one shape"


NO_LAWS = "laws run compiled with --mode compiled; here they ran in eager mode"
ONE_SHAPE = "ran in compiled mode; it runs in eager mode with --mode eager"


def share(profile: str, mode: str, *, asked: bool, compiles: bool, compiled_too: bool) -> Share:
    """The share of a cell.

    asked: whether the user named the modes. compiles: whether the framework compiles in eager mode too.
    compiled_too: whether the implementation runs in compiled mode, on the same device in the same dtype.
    """
    if asked or profile == "deep":
        return Share.ALL
    divided = profile == "quick" and compiles and compiled_too
    if mode == "compiled":
        return Share.ALL if divided else Share.NO_LAWS
    return Share.ONE_SHAPE if divided else Share.ALL
