"""Accuracy: the value against the truth at the input that the implementation was given."""

from __future__ import annotations

from lossproof.checks import answers
from lossproof.checks.observation import Observation, from_judgement
from lossproof.checks.trial import Trial
from lossproof.oracle.verdict import judge

NAME = "accuracy"


def observe(trial: Trial) -> Observation | None:
    """None where the result's shape leaves nothing to compare (shape_and_dtype reports that)."""
    if not trial.shape_fits:
        return None
    got = trial.outcome.value
    slack = answers.slack(trial.cell.spec, trial.case)
    judgement = judge(got, trial.reference, trial.cell.working, slack, certify=trial.certify)
    return from_judgement(judgement, trial.reference, got, "value")
