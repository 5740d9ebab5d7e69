"""Waivers: findings that are known and accepted, each with a reason, a scope and an expiry date."""

from __future__ import annotations

from lossproof.waivers.conditions import require_conditions
from lossproof.waivers.file import PLACEHOLDER, bundled, load, parse, says_nothing
from lossproof.waivers.model import Waiver, covering
from lossproof.waivers.rows import without

__all__ = [
    "PLACEHOLDER",
    "Waiver",
    "bundled",
    "covering",
    "load",
    "parse",
    "require_conditions",
    "says_nothing",
    "without",
]
