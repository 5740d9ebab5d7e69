"""A right implementation is suspected of nothing, whatever case it is suspected at; a wrong one of one thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossproof.audit.observe import observe
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Verdict
from lossproof.audit.run import run
from lossproof.checks.cell import Cell
from lossproof.checks.observation import Observation
from lossproof.diagnosis import Inquiry, breakdown
from lossproof.frameworks import framework
from lossproof.implementation import discover
from lossproof.inputs import PROFILES, draw, expand, regimes_of
from lossproof.spec import library

LOSSES = ("cross_entropy", "kl_divergence", "mse", "multi_margin")
FAR = ("many_classes", "poisoned_row")
"""Regimes of one batch that costs much, and of one that is about other rows."""


def cell_of(loss: str) -> Cell:
    found, problems = discover("portable")
    assert not problems
    implementation = next(each for each in found if (each.loss, each.framework) == (loss, "numpy"))
    return Cell(implementation, library.get(loss), framework("numpy"), "cpu", "eager", "float32", {})


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("check", ["accuracy", "gradient"])
def test_a_right_loss_gets_no_kind_of_mistake_and_no_breakdown(loss: str, check: str) -> None:
    cell = cell_of(loss)
    for regime in (regime for regime in regimes_of(cell.spec) if regime not in FAR):
        (recipe,) = draw(cell.spec, regime, PROFILES["quick"], 0, 1)
        case = expand(cell.spec, recipe, "float32")
        seen = observe(cell, check, case, forward_mode=False)
        if seen is None or seen.verdict is not Verdict.PASS:
            continue
        accused = Observation(Verdict.FAIL, 1, 0, 9.0, "accused wrongly", seen.quantity)
        inquiry = Inquiry(cell, {check: [(case, accused)]})
        assert inquiry.of(check, case, accused).kind == "unexplained", regime
        assert breakdown(cell, check, case, accused, 64) is None, regime


EPSILON = """
import numpy as np
from lossproof import implements


@implements("cross_entropy", framework="numpy")
def epsilon_in_log(logits, labels):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    p = e[np.arange(len(labels)), labels] / e.sum(axis=-1)
    return -np.log(p + logits.dtype.type({epsilon}))
"""


@pytest.mark.parametrize("epsilon", ["1e-12", "1e-8", "1e-5"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_epsilon_in_a_logarithm_is_told_at_ordinary_and_at_confident_rows(
    dtype: str, epsilon: str, tmp_path: Path
) -> None:
    (tmp_path / "of_mine.py").write_text(EPSILON.format(epsilon=epsilon))
    (implementation,), problems = discover(f"{tmp_path}/of_mine.py:epsilon_in_log")
    assert not problems
    cell = Cell(implementation, library.get("cross_entropy"), framework("numpy"), "cpu", "eager", dtype, {})
    told = {}
    for regime in ("ordinary", "confidently_wrong", "tie"):
        for recipe in draw(cell.spec, regime, PROFILES["quick"], 0, 2):
            case = expand(cell.spec, recipe, dtype, parameters=cell.spec.defaults())
            seen = observe(cell, "accuracy", case, forward_mode=False)
            if seen is not None and seen.verdict is Verdict.FAIL:
                told[regime] = Inquiry(cell, {"accuracy": [(case, seen)]}).of("accuracy", case, seen)
    assert told
    for regime, diagnosis in told.items():
        assert diagnosis.kind == "saturates", (regime, diagnosis)
        assert f"−log({epsilon})" in diagnosis.text, (regime, diagnosis)


OF_MINE = {
    "temperature built in": (
        "info_nce",
        "def of_mine(query, keys):\n"
        "    q = query / np.linalg.norm(query, axis=-1, keepdims=True)\n"
        "    k = keys / np.linalg.norm(keys, axis=-1, keepdims=True)\n"
        "    z = q @ k.T / np.asarray(0.07, q.dtype)\n"
        "    d = z - z.max(axis=-1, keepdims=True)\n"
        "    return np.log(np.exp(d).sum(axis=-1)) - np.diagonal(d)\n",
        "another convention",
        'declare it: @implements("info_nce", …, temperature=0.07)',
    ),
    "margin built in beside another choice": (
        "triplet",
        "def of_mine(anchor, positive, negative):\n"
        "    near = ((anchor - positive) ** 2).sum(axis=-1)\n"
        "    far = ((anchor - negative) ** 2).sum(axis=-1)\n"
        "    return np.maximum(near - far + anchor.dtype.type(0.2), 0)\n",
        "another convention",
        "squared=True, margin=0.2)",
    ),
    "mean over the rows": (
        "z_loss",
        "def of_mine(logits, *, coefficient=1e-4):\n"
        "    m = logits.max(axis=-1)\n"
        "    z = np.log(np.exp(logits - m[:, None]).sum(axis=-1)) + m\n"
        "    return (logits.dtype.type(coefficient) * z**2).mean()\n",
        "wrong shape",
        "the mean over all rows",
    ),
    "complement of a share": (
        "sigmoid_focal",
        "def of_mine(logits, targets, *, alpha=0.25, gamma=2.0):\n"
        "    t, small = targets, np.exp(-np.abs(logits))\n"
        "    loss = np.maximum(logits, 0) - logits * t + np.log1p(small)\n"
        "    p, q = (np.where(s * logits > 0, 1, small) / (1 + small) for s in (1, -1))\n"
        "    share = 1.0 if alpha < 0 else (1 - alpha) * t + alpha * (1 - t)\n"
        "    wrong = p * (1 - t) + q * t\n"
        "    return (share * wrong**gamma * loss).astype(logits.dtype)\n",
        "parameter misused",
        "1 − alpha in the place of alpha",
    ),
}


@pytest.mark.parametrize("name", OF_MINE)
def test_what_a_mistake_is_and_how_to_declare_it_is_told(name: str, tmp_path: Path) -> None:
    loss, body, kind, text = OF_MINE[name]
    head = "import numpy as np\nfrom lossproof import implements\n\n\n"
    source = f'{head}@implements("{loss}", framework="numpy")\n{body}'
    (tmp_path / "of_mine.py").write_text(source)
    options = Options((f"{tmp_path}/of_mine.py",), dtypes=("float32",), jobs=1)
    found = run(plan(options), lambda event: None)
    assert not found.problems
    diagnoses = [each.diagnosis for each in found.findings if each.diagnosis is not None]
    assert any(each.kind == kind and text in each.text for each in diagnoses), diagnoses
    assert all(each.kind == kind for each in diagnoses if each.kind != "unexplained"), diagnoses
