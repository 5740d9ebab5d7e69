"""The distribution of errors of a cell, and what fixed tolerances would have said of the same elements."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Run, Tolerance
from lossproof.audit.run import run
from lossproof.checks import distribution
from lossproof.checks.distribution import FIXED, Distribution, Judged
from lossproof.floats import DTYPES, FORMATS
from lossproof.oracle.verdict import FAIL, PASS, UNDECIDED, Judgement


def judged(
    ratio: list[float], verdicts: list[int], got: list[float], truth: list[float], dtype: str = "float32"
) -> Judged:
    middle = np.array(truth)
    judgement = Judgement(
        np.array(verdicts, np.int8), np.array(ratio), None, middle, np.ones_like(middle), FORMATS[dtype]
    )
    return Judged(judgement, np.array(got, FORMATS[dtype].dtype))


def examined(target: str, loss: str, **options: Any) -> Run:
    asked = {"dtypes": ("float32",), "frameworks": ("numpy",), "jobs": 1} | options
    return run(plan(Options((target,), losses=(loss,), **asked)), lambda event: None)


def of(found: Run, name: str, quantity: str = "value") -> list[Tolerance]:
    return [t for t in found.tolerances if t.implementation.endswith(name) and t.quantity == quantity]


def test_elements_are_counted_by_the_bits_of_their_error() -> None:
    found = Distribution("float32")
    ratio = [0.0, 2.0**-40, 0.25, 0.26, 1.0, 1.01, 8.0, 2.0**70, np.inf, 0.0]
    verdicts = [PASS] * 7 + [FAIL, FAIL, UNDECIDED]
    found.add(judged(ratio, verdicts, [1.0] * 10, [1.0] * 10))
    assert found.counts == {
        "exact": 1, "-6": 1, "-2": 1, "-1": 1, "0": 1, "1": 1, "3": 1, "60": 1, "inf": 1,
    }  # fmt: skip


def test_a_fixed_tolerance_refuses_what_passes_and_accepts_what_fails() -> None:
    found = Distribution("float32")
    got, truth = [1.00001, 1e-6, 0.0, np.inf, np.nan, -np.inf], [1.0, 2e-6, 3e-6, np.inf, 1.0, 0.0]
    found.add(judged([1.0] * 6, [PASS, PASS, FAIL, PASS, FAIL, FAIL], got, truth))
    # |1e-5| is more than numpy's 1e-7, and within 1e-5 + 1.3e-6; the absolute 1e-5 swallows 0 for 3e-6
    assert found.fixed == {
        "torch": {"refused": 0, "accepted": 1},
        "numpy": {"refused": 2, "accepted": 0},
    }


def test_what_is_counted_in_pieces_is_what_is_counted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, pieces = Distribution("float64"), Distribution("float64")
    for start in range(5):
        part = judged([1.0 + start, 0.5], [PASS, PASS], [1.0, 2.0], [1.0, 2.0 + 1e-7 * start], "float64")
        whole.add(part)
        monkeypatch.setattr(distribution, "_PENDING", 0)
        pieces.add(part)
        monkeypatch.undo()
    assert (whole.counts, whole.fixed) == (pieces.counts, pieces.fixed)


def test_the_fixed_tolerances_are_the_libraries_own() -> None:
    torch = pytest.importorskip("torch")
    comparison = pytest.importorskip("torch.testing._comparison")
    for dtype in DTYPES:
        assert FIXED["torch"][dtype] == comparison.default_tolerances(getattr(torch, dtype))
        defaults = inspect.signature(np.testing.assert_allclose).parameters
        assert FIXED["numpy"][dtype] == (defaults["rtol"].default, defaults["atol"].default)


def test_right_code_is_near_its_attainable_error_in_every_regime() -> None:
    found = examined("portable", "cross_entropy")
    cases = {row.regime: row.cases for row in found.results if row.check == "accuracy" and row.cases}
    values = of(found, ".cross_entropy")
    assert {each.regime: sum(each.counts.values()) for each in values} == cases
    assert {each.regime for each in of(found, ".cross_entropy", "gradient")} <= set(cases)
    for each in found.tolerances:
        assert not {str(bits) for bits in range(4, 61)} & each.counts.keys()
        assert "inf" not in each.counts
        assert each.fixed["torch"]["accepted"] == each.fixed["numpy"]["accepted"] == 0
    # a relative error alone blames right code, where a loss is near 0
    assert sum(each.fixed["numpy"]["refused"] for each in found.tolerances) > 0


def test_wrong_code_is_far_from_it_where_it_breaks_and_a_fixed_tolerance_takes_some_of_it() -> None:
    found = examined("textbook:clipped_probabilities", "cross_entropy")
    by_regime = {each.regime: each for each in of(found, "clipped_probabilities")}
    wrong = by_regime["confidently_wrong"].counts
    assert sum(count for bits, count in wrong.items() if bits != "exact" and int(bits) > 8) > 0
    # an epsilon of 1e-6 moves small divergences by less than the absolute tolerance of float64, 1e-7
    moved = examined("textbook:epsilon_in_ratio", "kl_divergence", dtypes=("float64",))
    assert sum(each.fixed["torch"]["accepted"] for each in of(moved, "epsilon_in_ratio")) > 0
