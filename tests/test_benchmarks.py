"""The benchmarks run at their tiniest and give what their JSON promises; what they compare with is no straw man."""

from __future__ import annotations

import io
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from lossproof.floats import FORMATS

torch = pytest.importorskip("torch")
pytest.importorskip("mpmath")

from benchmarks import (  # noqa: E402 (they compare PyTorch with mpmath)
    __main__,
    baseline,
    first_finding,
    handed_up,
    overhead,
    peak_memory,
    rows_per_second,
    two_jobs,
)
from benchmarks.scale import TINY, Scale, in_turns, ratio  # noqa: E402

F = torch.nn.functional
SMALL = (4, 3)

ADAPTER = """
import numpy as np
from lossproof import implements

@implements("entropy", framework="numpy", dtypes=["float32"])
def zero_log_zero(p):
    return -(p * np.log(p)).sum(axis=-1)

@implements("softmax", framework="numpy", dtypes=["float64"])
def softmax(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
"""


@pytest.fixture
def adapter(tmp_path: Path) -> str:
    path = tmp_path / "one_mistake.py"
    path.write_text(ADAPTER)
    return str(path)


def shows(module: Any, found: Any) -> str:
    """The table as text, of figures that went through JSON."""
    console = Console(file=io.StringIO(), width=200)
    console.print(module.table(json.loads(json.dumps(found))))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def loss_of_logits(name: str) -> Any:
    def saturates(z: Any, y: Any) -> Any:
        p = torch.softmax(z, -1).gather(-1, y[:, None])[:, 0]
        return -torch.log(p + 1e-12)

    def forgets_cotangent(z: Any, y: Any) -> Any:
        value = F.cross_entropy(z, y, reduction="none")
        return value.detach() + (value - value.detach()).sum() / len(y)

    def half(z: Any, y: Any) -> Any:
        return F.cross_entropy(z.bfloat16(), y, reduction="none").float()

    def library(z: Any, y: Any) -> Any:
        return F.cross_entropy(z, y, reduction="none")

    return {each.__name__: each for each in (saturates, forgets_cotangent, half, library)}[name]


def batch(classes: int = 7) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    logits = rng.uniform(-50, 50, (16, classes)).astype(np.float32)
    return logits, rng.integers(0, classes, 16)


@pytest.mark.parametrize("classes", [1, 2, 7, 1000])
def test_the_checks_by_hand_pass_the_library(classes: int) -> None:
    assert baseline.check(loss_of_logits("library"), *batch(classes)) == 16


@pytest.mark.parametrize(
    ("name", "what"), [("saturates", "value"), ("half", "value"), ("forgets_cotangent", "gradient")]
)
def test_the_checks_by_hand_flag_a_broken_loss(name: str, what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        baseline.check(loss_of_logits(name), *batch())


def test_the_properties_by_hand_pass_the_library_and_flag_a_broken_loss() -> None:
    assert baseline.by_rows(loss_of_logits("library"), 3, 5, seed=0) > 0
    assert baseline.by_arrays(loss_of_logits("library"), 4, 3, 5, seed=0) > 0
    with pytest.raises(AssertionError):
        baseline.by_rows(loss_of_logits("half"), 5, 50, seed=0)


def test_the_truth_by_hand_is_that_of_the_definition() -> None:
    value, gradient = baseline.truth([0.0, 21.0], 0)
    assert value == 21.000000000758256
    assert gradient[0] == -gradient[1]
    assert FORMATS["float32"].unit_roundoff == baseline.ROUNDOFF


def test_rows_per_second_names_its_figures() -> None:
    (found,) = rows_per_second.measure(TINY, shapes=(SMALL,))
    rates = {"ordinary", "every_regime", "by_hand", "by_rows", "by_arrays", "checks_alone"}
    assert set(found["rows_per_second"]) == rates
    assert set(found["ratios"]) == {
        f"{a}_over_{b}"
        for a in ("ordinary", "every_regime")
        for b in ("by_hand", "by_rows", "by_arrays", "checks_alone")
    }
    assert all(rate > 0 for rate in found["rows_per_second"].values())
    assert found["blamed"] == 0
    assert "4 × 3" in shows(rows_per_second, [found])


def test_overhead_names_its_figures() -> None:
    (found,) = overhead.measure(TINY, shapes=(SMALL,))
    assert set(found["seconds_per_batch"]) == {"bare", "calls", "verification", "expand", "draw"}
    assert min(found["seconds_per_batch"].values()) > 0
    assert set(found["ratios"]) == {
        "verification_over_calls",
        "with_inputs_over_calls",
        "verification_over_bare",
    }
    assert "4 × 3" in shows(overhead, [found])


def test_two_jobs_give_the_same_results(adapter: str) -> None:
    found = two_jobs.measure(TINY, ("check", adapter, "--regime", "ordinary"))
    assert found["same"]
    assert found["cells"] == 2
    assert set(found["seconds"]) == {"one", "two"}
    assert shows(two_jobs, found)


def test_an_audit_that_does_not_run_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="no_such"):
        two_jobs.measure(TINY, ("check", "no_such_adapter"))


def test_first_finding_is_timed_and_none_where_there_is_none(adapter: str) -> None:
    found = first_finding.measure(Scale(1, 10.0), adapter)
    times = found["numpy"]["functions"]
    assert times["zero_log_zero"] > 0
    assert times["softmax"] is None
    assert found["numpy"]["of"] == 2
    assert "2 of 2" in shows(first_finding, found)


def test_peak_memory_is_that_of_a_process_of_its_own() -> None:
    (found,) = peak_memory.measure(TINY, SMALL, ("numpy",))
    assert 2**24 < found["imports"] <= found["bytes"] < 2**31
    assert found["blamed"] == 0
    assert "numpy" in shows(peak_memory, [found])


def test_a_process_that_dies_is_a_row_with_its_reason() -> None:
    (found,) = peak_memory.measure(TINY, SMALL, ("nothing",))
    assert "KeyError" in found["reason"]
    assert "KeyError" in shows(peak_memory, [found])


def test_the_share_handed_up_is_by_regime() -> None:
    calls = itertools.count()
    found = handed_up.measure(TINY, lambda: (10 * next(calls), 0), ("entropy",))
    assert found["regimes"]["one_hot"] == {"rows": 10, "handed_up": 0, "share": 0.0}
    assert not found["complete"]
    assert "one_hot" in shows(handed_up, found)


def test_turns_drop_the_first_where_there_is_another() -> None:
    assert in_turns({"a": float}, Scale(2, 60.0)) == {"a": [1.0, 2.0]}
    assert in_turns({"a": float}, Scale(2, 60.0), warm_up=False) == {"a": [0.0, 1.0]}
    assert in_turns({"a": float}, TINY) == {"a": [0.0]}
    assert ratio([2.0, 6.0, 4.0], [1.0, 2.0, 1.0]) == 3.0


def test_the_command_writes_what_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out" / "bench.json"
    monkeypatch.setattr(sys, "argv", ["bench", "f", "--seconds", "0", "--json", str(path)])
    __main__.main()
    written = json.loads(path.read_text())
    assert set(written) == {"schema", "lossproof", "machine", "handed_up", "seconds"}
    assert written["machine"]["versions"]["torch"]


def test_every_benchmark_has_a_letter_and_a_title() -> None:
    assert [each.LETTER for each in __main__.ALL] == list("abcdef")
    assert all(each.TITLE and (each.__doc__ or "").startswith(f"({each.LETTER})") for each in __main__.ALL)


def test_an_unknown_letter_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "z"])
    with pytest.raises(SystemExit) as stopped:
        __main__.main()
    assert stopped.value.code == 2
    assert "unknown letter z (known: a, b, c, d, e, f)" in capsys.readouterr().err
