"""Shape and dtype: the result has the shape that the spec gives it and keeps the dtype of the inputs."""

from __future__ import annotations

from lossproof.audit.results import Verdict
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Trial

NAME = "shape_and_dtype"


def observe(trial: Trial) -> Observation | None:
    """Fails on another shape, or on another dtype."""
    outcome, wanted = trial.outcome, trial.reference.shape
    if outcome.value.shape != wanted:
        reason = f"the result has shape {list(outcome.value.shape)}, not {list(wanted)}"
    elif outcome.dtype != trial.cell.dtype:
        reason = f"the result is {outcome.dtype} for {trial.cell.dtype} inputs"
    else:
        return Observation(Verdict.PASS, 1)
    return Observation(
        Verdict.FAIL, 1, reason=reason, expected=trial.reference.expected, got=outcome.value,
        attainable=trial.reference.attainable,
    )  # fmt: skip
