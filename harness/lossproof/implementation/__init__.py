"""Implementations: declaring them, finding them, and holding their signatures against a spec."""

from __future__ import annotations

from lossproof.implementation.binding import bind
from lossproof.implementation.declare import implements
from lossproof.implementation.discovery import (
    AdapterSkip,
    Undeclared,
    bind_target,
    bundled,
    discover,
    registered,
)
from lossproof.implementation.model import Implementation
from lossproof.implementation.targets import importable, is_pattern, matches, whole

__all__ = [
    "AdapterSkip",
    "Implementation",
    "Undeclared",
    "bind",
    "bind_target",
    "bundled",
    "discover",
    "implements",
    "importable",
    "is_pattern",
    "matches",
    "registered",
    "whole",
]
