"""Determinism: the same call gives the same bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lossproof.audit.results import Verdict
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Trial, with_inputs
from lossproof.errors import ImplementationError
from lossproof.inputs.case import Array

NAME = "determinism"

SECOND = "value of the second call"
"""The quantity of a finding about two equal calls."""


def observe(trial: Trial) -> Observation | None:
    """Fails where a second call differs; two nans are the same."""
    first = trial.outcome.value
    second = Trial(trial.cell, trial.case).outcome.value
    same = first.shape == second.shape and np.array_equal(
        first.astype(np.float64), second.astype(np.float64), equal_nan=True
    )
    if same and trial.outcome.again is not None:
        return _kept(trial, trial.outcome.again)
    if same:
        return Observation(Verdict.PASS, 1)
    return Observation(
        Verdict.FAIL, 1, reason="a second call with the same inputs gives another result",
        quantity=SECOND, expected=first, got=second,
    )  # fmt: skip


def _kept(trial: Trial, again: Callable[[], Array]) -> Observation:
    """Whether the first result still stands after a call with the rows in another order."""
    first = trial.outcome.value
    turned = {name: np.ascontiguousarray(array[::-1]) for name, array in trial.case.inputs.items()}
    try:
        _ = Trial(trial.cell, with_inputs(trial.case, turned)).outcome
    except ImplementationError:
        return Observation(Verdict.PASS, 1)
    now = again()
    if now.shape == first.shape and now.tobytes() == first.tobytes():
        return Observation(Verdict.PASS, 1)
    return Observation(
        Verdict.FAIL, 1, reason="a later call with other inputs changes the result of this one",
        quantity="value after a later call", expected=first, got=now,
    )  # fmt: skip
