"""Extreme inputs: regimes, recipes drawn by Hypothesis, cases expanded from them, cases cut down."""

from __future__ import annotations

from lossproof.inputs.case import Array, Case
from lossproof.inputs.drive import draw, explore
from lossproof.inputs.expand import expand
from lossproof.inputs.minimise import minimise
from lossproof.inputs.parameters import pool
from lossproof.inputs.profile import PROFILES, Profile
from lossproof.inputs.recipe import Recipe, recipes
from lossproof.inputs.regimes import batches_of, regimes_of

__all__ = [
    "PROFILES",
    "Array",
    "Case",
    "Profile",
    "Recipe",
    "batches_of",
    "draw",
    "expand",
    "explore",
    "minimise",
    "pool",
    "recipes",
    "regimes_of",
]
