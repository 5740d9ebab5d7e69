"""Finiteness: no nan and no inf, in value or gradient, where the truth has none."""

from __future__ import annotations

import numpy as np

from lossproof.audit.results import Verdict
from lossproof.checks.observation import Observation, worst
from lossproof.checks.trial import Trial
from lossproof.inputs.case import Array
from lossproof.oracle.certified import rounded
from lossproof.oracle.reference import Reference
from lossproof.oracle.verdict import all_finite, distances

NAME = "finiteness"


def observe(trial: Trial) -> Observation | None:
    """None where the result's shape leaves nothing to compare."""
    if not trial.shape_fits:
        return None
    certify = trial.certify
    found = [_look(trial.outcome.value, trial.reference, "value", certify=certify)]
    if trial.has_gradients is None:
        for name, reference in trial.gradient_references.items():
            got = trial.gradients[name]
            if got.shape == reference.shape:
                found.append(_look(got, reference, f"gradient in {name}", certify=certify))
    return worst(found)


def _look(got: Array, reference: Reference, quantity: str, *, certify: int | None) -> Observation:
    if reference.decided and all_finite(got):
        return Observation(Verdict.PASS, reference.size, 0)
    known = np.isfinite(reference.attainable)
    got = np.asarray(got).astype(np.float64)
    told = int(np.count_nonzero(known))
    if all_finite(got):
        return Observation(Verdict.PASS, told, known.size - told)
    wrong = _wrong(got, known, reference.middle, reference)
    if wrong.any():
        middle = reference.middle
        if certify is not None:
            certified = reference.certified(wrong)
            middle = certified.middle
            known = known & ~(wrong & np.isinf(certified.attainable))
            wrong = wrong & _wrong(got, known, middle, reference)
        expected = rounded(middle, reference.storage)
        for index in np.argwhere(wrong)[:1]:
            at = tuple(int(i) for i in index)
            return Observation(
                Verdict.FAIL,
                int(known.sum()),
                int((~known).sum()),
                None,
                f"{quantity} is {got[at]} where the truth is {expected[at]:.6g}",
                quantity,
                np.where(wrong, expected, reference.expected),
                reference.attainable,
                got,
            )
    return Observation(Verdict.PASS, int(known.sum()), int((~known).sum()))


def _wrong(got: Array, known: Array, middle: Array, reference: Reference) -> Array:
    """Elements that are nan or inf where the truth is another."""
    strange = known & ~np.isfinite(got)
    return strange & np.isinf(distances(got, middle, reference.storage)) if strange.any() else strange
