"""A right implementation is suspected of nothing, whatever case it is suspected at."""

from __future__ import annotations

import pytest

from lossproof.audit.observe import observe
from lossproof.audit.results import Verdict
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
