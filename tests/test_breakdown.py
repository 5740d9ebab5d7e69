"""A finding tells the magnitude up to which its implementation is right."""

from __future__ import annotations

import re

import pytest

from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Finding, Run
from lossproof.audit.run import run
from lossproof.report import json
from lossproof.report.facts import facts

pytestmark = pytest.mark.xdist_group("breakdown")
"""What its fixture has examined serves all of its tests."""

pytest.importorskip("torch")

LOSSES = """
import numpy as np
from lossproof import implements


@implements("logsumexp", framework="numpy", dtypes=["float32"])
def unshifted(logits):
    with np.errstate(all="ignore"):
        return np.log(np.exp(logits).sum(axis=-1))


@implements("log_softmax", framework="numpy", dtypes=["float32"])
def whole(logits):
    m = logits.max(axis=-1, keepdims=True)
    return logits - (m + np.log(np.exp(logits - m).sum(axis=-1, keepdims=True)))


@implements("nll", framework="numpy", dtypes=["float32"])
def capped(log_probs, labels):
    return -np.maximum(np.take_along_axis(log_probs, labels[:, None], axis=-1)[:, 0], np.float32(-20))


@implements("softmax", framework="numpy", dtypes=["float32"])
def of_twos(logits):
    e = np.exp2(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Run:
    path = tmp_path_factory.mktemp("losses") / "losses_that_break.py"
    path.write_text(LOSSES)
    return run(plan(Options((str(path),), modes=("eager",), jobs=1)), lambda event: None)


def accuracy(found: Run, name: str) -> Finding:
    return next(f for f in found.findings if f.check == "accuracy" and f.implementation.endswith(name))


@pytest.mark.parametrize(
    ("name", "magnitude", "least", "most", "then"),
    [
        # exp has fewer digits from 87.3 down, and overflows from 88.7 up
        ("unshifted", "common offset|logits", 85.0, 96.0, "is nan or inf|loses digits"),
        ("whole", "common offset|logits", 4.0, 4096.0, "loses digits"),
        ("capped", "log_probs|gap in log_probs", 19.0, 21.5, "loses digits"),
    ],
)
def test_a_finding_tells_up_to_where_results_are_right(
    found: Run, name: str, magnitude: str, least: float, most: float, then: str
) -> None:
    point = accuracy(found, name).breakdown
    assert point is not None
    assert re.fullmatch(magnitude, point["magnitude"]), point
    assert least <= abs(point["value"]) <= most, point
    assert point["text"].startswith(f"right {'down' if point['value'] < 0 else 'up'} to ")
    assert re.search(f", then ({then})$", point["text"]), point


def test_what_is_wrong_at_gentle_inputs_too_has_no_such_magnitude(found: Run) -> None:
    assert accuracy(found, "of_twos").breakdown is None


def test_the_magnitude_is_shown_and_survives_the_file(found: Run) -> None:
    finding = accuracy(found, "capped")
    assert finding.breakdown is not None
    assert ("breakdown", finding.breakdown["text"]) in facts(finding)
    again = json.parse(json.text(found), "there")
    assert accuracy(again, "capped").breakdown == finding.breakdown
