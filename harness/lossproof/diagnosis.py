"""What kind of mistake a finding is, from evidence; "unexplained" where there is none."""

from __future__ import annotations

import math

import numpy as np

from lossproof.audit.results import Diagnosis, Verdict
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Trial
from lossproof.errors import ImplementationError
from lossproof.floats import FORMATS, Format

ENOUGH = 4
"""So many results at least, before their errors are taken for a habit."""


def diagnose(check: str, observation: Observation, ordinary: Trial | None) -> Diagnosis:
    """The kind of mistake behind a failed check.

    ordinary: the implementation at a whole batch of ordinary inputs; one minimal case proves no general habit.
    """
    if observation.verdict is Verdict.ERROR:
        return Diagnosis("raises", observation.reason or "the implementation raised")
    if check in ("purity", "determinism", "shape_and_dtype", "batch_independence"):
        return Diagnosis(check, observation.reason or "")
    if check.startswith("law:"):
        return Diagnosis(
            "unexplained", "a law does not hold; see accuracy and gradient for the value that breaks it"
        )
    if observation.bits is not None and math.isinf(observation.bits):
        return Diagnosis("not finite", observation.reason or "")
    lower = None if ordinary is None else _lower_precision(ordinary)
    if lower is not None:
        return Diagnosis(
            "low precision", f"errors on ordinary inputs are those of code that computes in {lower.name}"
        )
    return Diagnosis("unexplained", "no evidence for a particular kind of mistake")


def _lower_precision(trial: Trial) -> Format | None:
    """The widest format in which a working precision would explain every error, and errors are as large as that."""
    if trial.cell.dtype not in ("float32", "float64"):
        return None
    try:
        got = trial.outcome.value
    except ImplementationError:
        return None
    reference = trial.reference
    if not trial.shape_fits:
        return None
    known = np.isfinite(reference.attainable)
    with np.errstate(invalid="ignore", divide="ignore"):
        signed = (got.astype(np.float64) - reference.expected)[known]
        error = np.abs(signed)
        relative = signed / np.abs(reference.expected[known])
    if error.size < ENOUGH or not np.isfinite(error).all():
        return None
    relative = relative[np.isfinite(relative)]
    if not relative.size or np.std(relative) < abs(np.mean(relative)) / 4:
        return None  # all off by one factor: roundings scatter
    for name in ("float32", "tf32", "bfloat16"):
        if FORMATS[name].precision >= trial.cell.storage.precision:
            continue
        radius = reference.attainable_at(FORMATS[name])[known]
        # a constant error is no rounding: most elements must be off, each by a plausible part of the radius
        if (error <= radius).all() and (error >= radius / 256).mean() > 0.5:
            return FORMATS[name]
    return None
