"""Finiteness: no nan and no inf, in value or gradient, where the truth has none."""

from __future__ import annotations

import math

import numpy as np

from lossproof.audit.results import Verdict
from lossproof.checks.observation import Observation, worst
from lossproof.checks.trial import Trial
from lossproof.inputs.case import Array
from lossproof.oracle.reference import Reference
from lossproof.oracle.verdict import distance

NAME = "finiteness"


def observe(trial: Trial) -> Observation | None:
    """None where the result's shape leaves nothing to compare."""
    if not trial.shape_fits:
        return None
    found = [_look(trial.outcome.value, trial.reference, "value")]
    if trial.has_gradients is None:
        for name, reference in trial.gradient_references.items():
            got = trial.gradients[name]
            if got.shape == reference.truth.shape:
                found.append(_look(got, reference, f"gradient in {name}"))
    return worst(found)


def _look(got: Array, reference: Reference, quantity: str) -> Observation:
    known = np.isfinite(reference.attainable)
    got = np.asarray(got).astype(np.float64)
    for index in np.argwhere(known & ~np.isfinite(got)):
        at = tuple(int(i) for i in index)
        if math.isinf(distance(float(got[at]), reference, at)):
            return Observation(
                Verdict.FAIL,
                int(known.sum()),
                int((~known).sum()),
                None,
                f"{quantity} is {got[at]} where the truth is {reference.expected[at]:.6g}",
                quantity,
                reference.expected,
                reference.attainable,
                got,
            )
    return Observation(Verdict.PASS, int(known.sum()), int((~known).sum()))
