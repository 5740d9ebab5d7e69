"""The checks, one file each: `observe` looks at one implementation at one case.

CASE_CHECKS run on every case, those of BY_REGIME with a row for each regime; FIRST_CASE_CHECKS, which call the
implementation again, on the first case of each regime. Laws have cases of their own (laws.py).
"""

from __future__ import annotations

from typing import Protocol

from lossproof.checks import (
    accuracy,
    batch_independence,
    determinism,
    finiteness,
    gradient,
    purity,
    shape_and_dtype,
)
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Trial


class Check(Protocol):
    """A module with the name of a check and its `observe`, which gives None where it does not apply."""

    NAME: str

    def observe(self, trial: Trial) -> Observation | None: ...


CASE_CHECKS: tuple[Check, ...] = (accuracy, gradient, finiteness, shape_and_dtype)
BY_REGIME: tuple[Check, ...] = (accuracy, gradient, finiteness)
FIRST_CASE_CHECKS: tuple[Check, ...] = (batch_independence, purity, determinism)
NAMES = tuple(check.NAME for check in (*CASE_CHECKS, *FIRST_CASE_CHECKS))
