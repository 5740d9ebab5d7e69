"""Implementations: declaring them, finding them, and holding their signatures against a spec."""

from __future__ import annotations

from lossproof.implementation.binding import bind
from lossproof.implementation.declare import implements
from lossproof.implementation.discovery import AdapterSkip, bind_target, bundled, discover, registered
from lossproof.implementation.model import Implementation
from lossproof.implementation.targets import importable, whole

__all__ = [
    "AdapterSkip",
    "Implementation",
    "bind",
    "bind_target",
    "bundled",
    "discover",
    "implements",
    "importable",
    "registered",
    "whole",
]
