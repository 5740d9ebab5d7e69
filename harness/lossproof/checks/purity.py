"""Purity: the call leaves its inputs as they were, bit by bit."""

from __future__ import annotations

import numpy as np

from lossproof.audit.results import Verdict
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Trial

NAME = "purity"

AFTER = " after the call"
"""How the quantity of a finding ends, behind the name of what was written to."""


def observe(trial: Trial) -> Observation | None:
    """Fails where an input was written to."""
    for (name, before), after in zip(trial.case.inputs.items(), trial.outcome.inputs, strict=True):
        if before.shape != after.shape or before.tobytes() != after.tobytes():
            return Observation(
                Verdict.FAIL, 1, reason=f"the call changed its input {name}", quantity=f"{name}{AFTER}",
                expected=before, got=after,
            )  # fmt: skip
    for name, now in trial.outcome.parameters.items():
        before = np.asarray(trial.case.parameters[name])
        if before.shape != now.shape or before.tobytes() != now.tobytes():
            return Observation(
                Verdict.FAIL, 1, reason=f"the call changed its parameter {name}",
                quantity=f"{name}{AFTER}", expected=before, got=now,
            )  # fmt: skip
    return Observation(Verdict.PASS, 1)
