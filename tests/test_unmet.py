"""A keyword that is nearly a parameter is told where a function is checked, again and again, and changes no outcome."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

import lossproof
from lossproof.implementation import bundled, discover
from repository import call

LOSS = """
import numpy as np
from lossproof import implements


@implements("bce_with_logits", framework="numpy")
def bce(logits, targets, weight=2.0):
    return weight * targets * np.logaddexp(0, -logits) + (1 - targets) * np.logaddexp(0, logits)
"""
SAID = "my_losses.py:6: bce has a keyword 'weight', which is no parameter of bce_with_logits and stays 2.0;"


def bce(logits, targets, weight=2.0):  # type: ignore[no-untyped-def]
    raise ValueError("not of interest here")


@pytest.mark.parametrize("command", ["check", "gate"])
def test_the_command_line_tells_it_at_the_end_of_each_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    (tmp_path / "my_losses.py").write_text(LOSS)
    (tmp_path / "pyproject.toml").write_text('[tool.lossproof]\ntargets = ["my_losses.py"]\n')
    target = ["my_losses.py"] if command == "check" else []
    for _ in range(2):  # the second run takes its plan from the first
        found = call(command, *target, "--regime", "ordinary", "--dtype", "float64")
        assert found.exit_code == 1
        assert " ".join(found.output.split()).count(f"Perhaps meant otherwise · {SAID}") == 1
    (tmp_path / "my_losses.py").write_text(LOSS.replace("weight", "pos_weight"))
    found = call(command, *target, "--regime", "ordinary", "--dtype", "float64")
    assert (found.exit_code, "meant" in found.output) == (0, False)


def test_python_warns_of_it_at_the_line_of_the_call() -> None:
    for entry in (lossproof.check, lossproof.verify):
        with (
            pytest.warns(UserWarning, match="bce has a keyword 'weight'") as told,
            pytest.raises(AssertionError),
        ):
            assert not entry(bce, "bce_with_logits", framework="numpy", dtypes="float64", regimes="ordinary")
        assert [each.filename for each in told] == [__file__]


def test_what_is_fixed_or_taken_is_not_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        options = {"framework": "numpy", "dtypes": "float64", "regimes": "ordinary"}
        lossproof.check(bce, "bce_with_logits", pos_weight=2.0, **options)


def test_the_bundled_adapters_give_no_cause() -> None:
    assert [said for name in bundled() for each in discover(name)[0] for said in each.remarks] == []


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ("mse", r"value for each row \(shape \[N\]\), and has no reduction: declare"),
        ("clip", "one number for the whole batch: leave reduction out"),
    ],
)
def test_a_reduction_that_a_loss_does_not_have_says_what_it_has(loss: str, said: str) -> None:
    with pytest.raises(lossproof.errors.AdapterError, match=said):
        lossproof.check(lambda a, b: a, loss, framework="numpy", reduction="mean")


def test_a_mean_of_a_loss_that_has_no_reduction_is_told_as_one() -> None:
    findings = lossproof.check(
        lambda x, y: ((x - y) ** 2).mean(), "mse", framework="numpy", dtypes="float64", regimes="ordinary"
    )
    assert any(
        re.search(r"mean over all rows.*\(mse has no reduction\)", each.diagnosis.text) for each in findings
    )
