"""Masks, next tokens, and entries that nothing depends on."""

from __future__ import annotations

import numpy as np
import pytest

from lossproof.checks import answers
from lossproof.checks.answers import gradient_references, value_reference
from lossproof.floats import DTYPES, FORMATS
from lossproof.inputs import PROFILES, draw, expand, regimes_of
from lossproof.inputs.case import Case
from lossproof.inputs.dice import Dice
from lossproof.inputs.plain import masks
from lossproof.oracle.unread import unread
from lossproof.spec import library
from lossproof.spec.model import Input, Spec

SEQUENCES = Spec(
    loss="of_sequences",
    title="",
    inputs={
        "logits": Input(shape=("B", "T", "V"), domain="extended_real", unread="not counts"),
        "tokens": Input(shape=("B", "T"), domain="class_index", ahead="T"),
        "mask": Input(shape=("B", "T"), domain="mask"),
    },
    let={"counts": "concat(mask[:, 1:], full(0, B, 1) == 1)"},
    definition="sum(where(counts[:, :, None], logits, 0) * where(counts[:, :, None], logits, 0))",
)


def cases(regime: str, dtype: str = "float32", count: int = 12):
    for recipe in draw(SEQUENCES, regime, PROFILES["quick"], 0, count):
        yield expand(SEQUENCES, recipe, dtype)


def counts(case: Case):
    mask = case.inputs["mask"]
    return np.concatenate([mask[:, 1:], np.zeros_like(mask[:, :1])], axis=1)


def test_masks_leave_out_all_none_the_ends_of_rows_and_some():
    found = [masks((6, 5), Dice.of("float32", seed)) for seed in range(60)]
    assert all(mask.shape == (6, 5) and mask.dtype == bool for mask in found)
    shares = {round(float(mask.mean()), 3) for mask in found}
    assert {0.0, 1.0} < shares
    padded = [mask for mask in found if (mask[:, :-1] >= mask[:, 1:]).all() and 0 < mask.mean() < 1]
    assert len(padded) > 10
    assert any(not mask.all(1).any() and 0 < mask.mean() < 0.3 for mask in found)
    assert masks((), Dice.of("float32", 0)).shape == ()


def test_what_is_not_read_is_told_by_the_condition():
    case = next(cases("ordinary"))
    found = unread(SEQUENCES, "logits", case.inputs, case.parameters)
    assert np.array_equal(found, np.broadcast_to(~counts(case)[:, :, None], case.inputs["logits"].shape))
    assert unread(SEQUENCES, "tokens", case.inputs, case.parameters) is None


@pytest.mark.parametrize("dtype", DTYPES)
def test_entries_that_are_not_read_hold_anything_and_the_others_what_they_may(dtype):
    seen = np.concatenate(
        [case.inputs["logits"].astype(np.float64).ravel() for case in cases("unread", dtype)]
    )
    assert np.isnan(seen).any()
    assert (seen == np.inf).any()
    assert (np.abs(seen[np.isfinite(seen)]) > FORMATS[dtype].largest / 5).any()
    for case in cases("unread", dtype):
        assert np.isfinite(case.inputs["logits"].astype(np.float64)[counts(case)]).all()


def test_only_losses_that_leave_entries_unread_have_the_regime():
    assert "unread" in regimes_of(SEQUENCES)
    assert "unread" not in regimes_of(library.get("cross_entropy"))


def test_nan_where_nothing_is_read_leaves_the_truth_decided():
    form = FORMATS["float32"]
    for case in cases("unread"):
        assert answers.point_of(SEQUENCES, case).void is None
        reference = value_reference(SEQUENCES, case, form, flush=False)
        assert np.isfinite(reference.expected)
        cotangent = np.ones((), np.float32)
        gradient = gradient_references(SEQUENCES, case, cotangent, form, flush=False)["logits"]
        assert np.isfinite(gradient.expected).all()
        assert (gradient.expected[~counts(case)] == 0).all()


def test_nan_where_it_is_read_is_illegal_as_ever():
    case = next(case for case in cases("ordinary") if counts(case).any())
    at = tuple(np.argwhere(counts(case))[0])
    case.inputs["logits"][at] = np.nan
    found = answers.point_of(SEQUENCES, case).void
    assert found is not None
    assert found.all()


def test_masked_classes_leave_the_next_token_alone():
    for case in cases("masked"):
        following = case.inputs["tokens"][:, 1:]
        logits = case.inputs["logits"][:, :-1]
        assert (logits == -np.inf).any()
        assert np.isfinite(np.take_along_axis(logits, following[..., None], -1)).all()
