"""The deep profile ascends on inputs, and tells the worst that it found also of what passes."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest

from lossproof.audit.encoding import decode
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Run, Verdict
from lossproof.audit.run import run
from lossproof.inputs import Case
from lossproof.inputs.ascent import ascend
from lossproof.report import json
from lossproof.report.console import console
from lossproof.report.terminal import summary
from lossproof.spec import library

SPEC = library.get("logsumexp")


def case_of(logits: list[list[float]]) -> Case:
    return Case("logsumexp", "float32", "ordinary", {"logits": np.array(logits, np.float32)}, {})


def peak(case: Case) -> float:
    """Largest where the first logit is 3."""
    return -abs(float(case.inputs["logits"][0, 0]) - 3.0)


def test_an_ascent_climbs_and_the_same_seed_climbs_the_same_way() -> None:
    start = case_of([[1.0, -2.0, 0.5]])
    best, height = ascend(start, SPEC, peak, 200, 0)
    assert height == peak(best) > -0.1 > peak(start)
    again, _ = ascend(start, SPEC, peak, 200, 0)
    assert np.array_equal(best.inputs["logits"], again.inputs["logits"])


def test_an_ascent_asks_no_more_often_than_it_may_and_stops_at_infinity() -> None:
    asked: list[float] = []

    def counted(case: Case) -> float:
        asked.append(peak(case))
        return math.inf if len(asked) == 7 else asked[-1]

    ascend(case_of([[1.0, 2.0]]), SPEC, lambda case: counted(case), 5, 0)
    assert len(asked) == 5
    asked.clear()
    ascend(case_of([[1.0, 2.0]]), SPEC, counted, 100, 0)
    assert len(asked) == 7


def test_masked_entries_and_distributions_stay_what_they_are() -> None:
    masked = ascend(case_of([[-math.inf, 1.0, 2.0]]), SPEC, peak_of_second, 60, 0)[0]
    assert masked.inputs["logits"][0, 0] == -math.inf
    p = np.array([[0.25, 0.75]], np.float32)
    entropy = library.get("entropy")
    start = Case("entropy", "float32", "ordinary", {"p": p}, {})
    moved, _ = ascend(start, entropy, lambda case: float(case.inputs["p"][0, 0]), 60, 0)
    assert moved.inputs["p"][0, 0] > 0.25
    assert moved.inputs["p"].sum() == pytest.approx(1, abs=1e-6)
    assert (moved.inputs["p"] >= 0).all()


def peak_of_second(case: Case) -> float:
    return float(case.inputs["logits"][0, 1])


LOSSES = """
import numpy as np
from lossproof import implements


@implements("logsumexp", framework="numpy", dtypes=["float32"])
def right(logits):
    m = logits.max(axis=-1, keepdims=True)
    return m[:, 0] + np.log(np.exp(logits - m).sum(axis=-1))
"""


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("losses") / "losses_to_search.py"
    path.write_text(LOSSES)
    options = Options((str(path),), regimes=("ordinary", "near_tie"), profile="deep", jobs=1)
    return run(plan(options), lambda event: None)


def test_the_worst_input_is_told_of_what_passes(deep: Run) -> None:
    (row,) = [row for row in deep.results if row.worst is not None]
    assert (row.check, row.verdict) == ("accuracy", Verdict.PASS)
    assert row.worst is not None
    assert 0 < row.worst.error <= 8
    logits = decode(row.worst.inputs["logits"], "float32")
    got = float(np.log(np.exp(logits - logits.max()).sum()) + logits.max())
    assert len(logits) == 1
    assert math.isfinite(got)


def test_it_is_shown_on_the_terminal_and_survives_the_file(deep: Run) -> None:
    stream = io.StringIO()
    summary(deep, console(stream))
    text = " ".join(stream.getvalue().split())
    assert "Worst inputs found · losses_to_search.right · numpy float32 eager · value:" in text
    again = json.parse(json.text(deep), "there")
    assert [row.worst for row in again.results] == [row.worst for row in deep.results]


def test_other_profiles_have_none_and_their_rows_say_nothing_of_it() -> None:
    options = Options(("portable",), losses=("mse",), frameworks=("numpy",), regimes=("ordinary",), jobs=1)
    found = run(plan(options), lambda event: None)
    assert all(row.worst is None for row in found.results)
    assert '"worst"' not in json.text(found)
