"""What kind of mistake a finding is, from evidence; "unexplained" where there is none."""

from __future__ import annotations

import math

import numpy as np

from lossproof.audit.results import Diagnosis, Verdict
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Trial
from lossproof.floats import FORMATS, Format
from lossproof.inputs.case import Array
from lossproof.oracle.reference import Reference


def diagnose(check: str, trial: Trial, observation: Observation) -> Diagnosis:
    """The kind of mistake behind a failed check at its minimal case."""
    if observation.verdict is Verdict.ERROR:
        return Diagnosis("raises", observation.reason or "the implementation raised")
    if check in ("purity", "determinism", "shape_and_dtype", "batch_independence"):
        return Diagnosis(check, observation.reason or "")
    if check.startswith("law:"):
        return Diagnosis("unexplained", "a law does not hold; see accuracy and gradient for the value that breaks it")
    if observation.bits is not None and math.isinf(observation.bits):
        return Diagnosis("not finite", observation.reason or "")
    reference = _reference(trial, observation.quantity)
    if reference is not None and observation.got is not None:
        lower = _lower_precision(trial, reference, np.asarray(observation.got).astype(np.float64))
        if lower is not None:
            return Diagnosis(
                "low precision", f"the error is that of code which computes in {lower.name} ({lower.precision} bits)"
            )
    return Diagnosis("unexplained", "no evidence for a particular kind of mistake")


def _reference(trial: Trial, quantity: str) -> Reference | None:
    if quantity == "value":
        return trial.reference
    name = quantity.removeprefix("gradient in ")
    return trial.gradient_references.get(name)


def _lower_precision(trial: Trial, reference: Reference, got: Array) -> Format | None:
    """The widest format in which a working precision would explain the error, if it is no mere coincidence."""
    if got.shape != reference.truth.shape or trial.cell.dtype not in ("float32", "float64"):
        return None
    names = ["float32", "tf32", "bfloat16"] if trial.cell.dtype == "float64" else ["tf32", "bfloat16"]
    for name in names:
        radius = reference.attainable_at(FORMATS[name])
        with np.errstate(invalid="ignore"):
            error = np.abs(got - reference.expected)
        known = np.isfinite(reference.attainable)
        # every element inside, the worst one at a typical distance: a constant error is no rounding
        inside = (error[known] <= 4 * radius[known]).all() and np.isfinite(radius[known]).all()
        if inside and got.size >= 1 and (error[known] >= radius[known] / 64).any():
            return FORMATS[name]
    return None
