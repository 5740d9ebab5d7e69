"""Every mistake of adapters/textbook.py is found, by the checks that fit it, with a minimal case."""

from __future__ import annotations

import numpy as np
import pytest

from lossproof.audit.encoding import decode
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Finding, Run, Verdict
from lossproof.audit.run import run

pytestmark = pytest.mark.xdist_group("textbook")
"""What its fixture has examined serves all of its tests."""

TABLE = {
    "no_maximum_shift": {"accuracy", "finiteness"},
    "log_of_unshifted_sum": {"accuracy", "finiteness"},
    "log_of_softmax": {"accuracy"},
    "one_maximum_for_the_batch": {"accuracy", "batch_independence"},
    "softmax_over_the_batch": {"accuracy", "batch_independence", "law:sums_to_one"},
    "epsilon_in_log": {"accuracy"},
    "clipped_probabilities": {"accuracy"},
    "maximum_added_back_first": {"accuracy"},
    "one_hot_times_log_softmax": {"accuracy", "finiteness"},
    "softmax_applied_twice": {"accuracy"},
    "shift_in_place": {"purity"},
    "bfloat16_inside": {"accuracy"},
    "dropout_left_on": {"accuracy", "determinism"},
    "backward_without_cotangent": {"gradient"},
    "mean_over_ignored_rows": {"accuracy"},
    "weighted_sum_over_rows": {"accuracy"},
    "mean_of_micro_batch_means": {"accuracy"},
    "mean_whatever_the_reduction": {"shape_and_dtype"},
    "smoothing_over_all_classes": {"accuracy", "law:equals_soft_cross_entropy"},
    "smoothing_over_other_classes": {"accuracy", "law:equals_soft_cross_entropy"},
    "zero_log_zero": {"accuracy", "finiteness"},
    "clamped_log": {"accuracy", "law:infinite_where_impossible"},
    "swapped_arguments": {"accuracy"},
    "epsilon_in_ratio": {"accuracy", "law:infinite_where_impossible"},
    "mean_for_batchmean": {"accuracy"},
    "where_after_the_product": {"gradient"},
    "compares_every_pair": {"accuracy", "law:zero_at_equal"},
    "axis_kept": {"shape_and_dtype"},
    "float64_out": {"shape_and_dtype"},
}

ONLY = {
    "shift_in_place": {"purity"},
    "backward_without_cotangent": {"gradient"},
    "where_after_the_product": {"gradient", "finiteness"},
    "axis_kept": {"shape_and_dtype"},
    "float64_out": {"shape_and_dtype"},
}
"""What is right about these passes."""


KINDS = {
    "no_maximum_shift": {"overflows"},
    # it does both
    "log_of_unshifted_sum": {"overflows", "underflows"},
    "log_of_softmax": {"underflows"},
    # another row decides how far a row may lie below the maximum
    "one_maximum_for_the_batch": {"batch coupled"},
    "softmax_over_the_batch": {"wrong axis"},
    "epsilon_in_log": {"saturates"},
    "clipped_probabilities": {"saturates"},
    "maximum_added_back_first": {"cancels"},
    "one_hot_times_log_softmax": {"nan from 0*inf"},
    "softmax_applied_twice": {"another formula"},
    "shift_in_place": {"purity"},
    "bfloat16_inside": {"low precision"},
    "dropout_left_on": {"determinism"},
    "backward_without_cotangent": {"ignores cotangent"},
    "mean_over_ignored_rows": {"constant factor"},
    "weighted_sum_over_rows": {"another convention"},
    "mean_of_micro_batch_means": {"another formula"},
    "mean_whatever_the_reduction": {"another convention"},
    "smoothing_over_all_classes": {"another convention"},
    "smoothing_over_other_classes": {"another convention"},
    "zero_log_zero": {"nan from 0*inf"},
    "clamped_log": {"saturates"},
    "swapped_arguments": {"swapped arguments"},
    "epsilon_in_ratio": {"saturates", "epsilon added"},
    "mean_for_batchmean": {"another convention"},
    "where_after_the_product": {"nan from 0*inf"},
    "compares_every_pair": {"another formula"},
    "axis_kept": {"wrong shape"},
    "float64_out": {"wrong dtype"},
}
"""The kind of mistake that the clearest finding tells."""

EVIDENCE = {
    "epsilon_in_log": "−log(1e-12)",
    "clipped_probabilities": "−log(1e-7)",
    "clamped_log": "clamped at −100",
    "no_maximum_shift": "88.7",
    "bfloat16_inside": "bfloat16",
    "mean_over_ignored_rows": "kept labels/N",
    "weighted_sum_over_rows": "mean_over: count",
    "mean_whatever_the_reduction": "reduction: mean",
    "smoothing_over_all_classes": "smoothing: all",
    "smoothing_over_other_classes": "smoothing: others",
    "mean_for_batchmean": "reduction: mean",
    "swapped_arguments": "p and q exchanged",
    "where_after_the_product": "−inf in a",
}
"""What the text must say of it."""

LEADING = ("shape_and_dtype", "purity", "accuracy", "gradient")


def _function(name: str) -> str:
    return name.rpartition(".")[2]


@pytest.fixture(scope="module")
def textbook() -> Run:
    pytest.importorskip("torch")
    options = Options(("textbook",), devices=("cpu",), modes=("eager",), dtypes=("float32",), jobs=1)
    return run(plan(options), lambda event: None)


@pytest.fixture(scope="module")
def failed(textbook: Run) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {_function(row.implementation): set() for row in textbook.results}
    for row in textbook.results:
        if row.verdict in (Verdict.FAIL, Verdict.ERROR):
            found[_function(row.implementation)].add(row.check)
    return found


def test_the_table_names_every_function(failed: dict[str, set[str]]) -> None:
    assert set(failed) == set(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_each_mistake_fails_on_the_checks_that_fit_it(failed: dict[str, set[str]], name: str) -> None:
    assert TABLE[name] <= failed[name]


@pytest.mark.parametrize("name", ONLY)
def test_what_is_right_about_a_mistake_is_not_blamed(failed: dict[str, set[str]], name: str) -> None:
    assert failed[name] <= ONLY[name]


@pytest.mark.parametrize("name", TABLE)
def test_each_mistake_comes_with_a_minimal_case(textbook: Run, name: str) -> None:
    findings = {f.check: f for f in textbook.findings if _function(f.implementation) == name}
    for check in TABLE[name]:
        real = [a for a in _inputs(findings[check]).values() if a.dtype.kind == "f"]
        # what answers by chance may pass on any smaller case
        assert name == "dropout_left_on" or all(array.size <= 10 for array in real), findings[check].inputs
        assert findings[check].snippet


@pytest.mark.parametrize("name", TABLE)
def test_each_mistake_is_named_for_what_it_is(textbook: Run, name: str) -> None:
    findings = {f.check: f for f in textbook.findings if _function(f.implementation) == name}
    leading = next(findings[check] for check in LEADING if check in TABLE[name] & set(findings))
    assert leading.diagnosis.kind in KINDS[name], leading.diagnosis
    assert EVIDENCE.get(name, "") in leading.diagnosis.text


def test_no_mistake_is_an_error_or_a_problem(textbook: Run) -> None:
    assert textbook.problems == []
    assert [row for row in textbook.results if row.verdict is Verdict.ERROR] == []


def test_the_epsilon_is_shown_with_two_classes_and_short_numbers(textbook: Run) -> None:
    found = [f for f in textbook.findings if _function(f.implementation) == "epsilon_in_log"]
    assert found
    for finding in found:
        logits = _inputs(finding)["logits"]
        assert logits.shape[0] == 1
        assert logits.shape[1] <= 2
        for number in logits.flat:
            digits = f"{float(number):g}".lstrip("-").replace(".", "").strip("0")
            assert len(digits) <= 3, finding.inputs
        assert abs(logits).max() < 1000


def _inputs(finding: Finding) -> dict[str, np.ndarray]:
    return {
        name: decode(array, "int64" if name == "labels" else finding.dtype)
        for name, array in finding.inputs.items()
    }
