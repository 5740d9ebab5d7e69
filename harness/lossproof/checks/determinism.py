"""Determinism: the same call gives the same bits."""

from __future__ import annotations

import numpy as np

from lossproof.audit.results import Verdict
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Trial

NAME = "determinism"


def observe(trial: Trial) -> Observation | None:
    """Fails where a second call differs; two nans are the same."""
    first = trial.outcome.value
    second = Trial(trial.cell, trial.case).outcome.value
    same = first.shape == second.shape and np.array_equal(
        first.astype(np.float64), second.astype(np.float64), equal_nan=True
    )
    if same:
        return Observation(Verdict.PASS, 1)
    return Observation(
        Verdict.FAIL, 1, reason="a second call with the same inputs gives another result",
        quantity="value of the second call", expected=first, got=second,
    )  # fmt: skip
