"""Fabricated runs for the tests of reports and commands."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from lossproof.audit.results import (
    Axis,
    Bound,
    Diagnosis,
    Finding,
    Plane,
    Problem,
    Result,
    Run,
    StabilityMap,
    Tolerance,
    Verdict,
)

SCRIPT = "<script>alert('x')</script>"


def result(**changes: Any) -> Result:
    row = Result(
        loss="cross_entropy",
        implementation="torch_functional.cross_entropy",
        framework="torch",
        device="cpu",
        mode="eager",
        dtype="float32",
        check="accuracy",
        regime="ordinary",
        verdict=Verdict.PASS,
        cases=1200,
        undecided=3,
        bits_lost=0.5,
    )
    return dataclasses.replace(row, **changes)


def finding(**changes: Any) -> Finding:
    found = Finding(
        id="f1a2",
        loss="cross_entropy",
        implementation="textbook.cross_entropy_epsilon",
        framework="torch",
        device="cpu",
        mode="eager",
        check="accuracy",
        dtype="float32",
        regime="confidently wrong",
        verdict=Verdict.FAIL,
        inputs={"logits": [[(0.0).hex(), (30.5).hex()]], "labels": [0]},
        parameters={"reduction": "none", "epsilon": 0.1},
        variables={},
        cotangent=None,
        quantity="value",
        expected=[(30.5).hex()],
        attainable=[(3.637978807091713e-06).hex()],
        got=[(27.631021499633789).hex()],
        bits_lost=16.4,
        reason="27.631 instead of 30.5",
        diagnosis=Diagnosis("epsilon in the logarithm", "saturates at -log(1e-12)"),
        snippet="import torch\nprint(loss(torch.tensor([[0.0, 30.5]]), torch.tensor([0])))\n",
        target="textbook:cross_entropy_epsilon",
    )
    return dataclasses.replace(found, **changes)


def tolerance(**changes: Any) -> Tolerance:
    found = Tolerance(
        loss="cross_entropy",
        implementation="torch_functional.cross_entropy",
        framework="torch",
        device="cpu",
        mode="eager",
        dtype="float32",
        quantity="value",
        regime="ordinary",
        counts={"exact": 700, "-6": 12, "-2": 180, "-1": 300, "0": 8},
        fixed={"torch": {"refused": 3, "accepted": 0}, "numpy": {"refused": 41, "accepted": 0}},
    )
    return dataclasses.replace(found, **changes)


def plane(**changes: Any) -> Plane:
    found = Plane(
        loss="cross_entropy",
        x=Axis("common offset", "log", [1.0, 100.0, 1e4, 1e6]),
        y=Axis("gap", "log", [0.001, 1.0, 30.0]),
        text="Two classes, the label's logit below the other by the gap, both moved by the common offset.",
    )
    return dataclasses.replace(found, **changes)


def stability_map(**changes: Any) -> StabilityMap:
    found = StabilityMap(
        loss="cross_entropy",
        implementation="torch_functional.cross_entropy",
        framework="torch",
        device="cpu",
        mode="eager",
        dtype="float32",
        quantity="value",
        bits=[[0.0, 0.0, 0.3, None], [0.0, 0.0, 0.0, 0.0], [0.0, 0.1, 0.0, 0.0]],
        breakdown=[None, None, None],
    )
    return dataclasses.replace(found, **changes)


def run(*results: Result, findings: tuple[Finding, ...] = (), problems: tuple[Problem, ...] = ()) -> Run:
    environment = {"python": "3.11.9", "libraries": {"torch": "2.13.0", "jax": None}, "devices": ["cpu"]}
    return Run("0.1.0", 7, "quick", environment, list(results), list(findings), list(problems), 12.34)


def clean_run() -> Run:
    return run(result(), result(check="gradient", bits_lost=1.25), result(check="law:uniform", regime=None))


def full_run() -> Run:
    """One of everything."""
    found = _rows_and_findings()
    broken = {"implementation": "textbook.cross_entropy_epsilon"}
    found.tolerances = [
        tolerance(),
        tolerance(quantity="gradient"),
        tolerance(regime="confident", counts={"-1": 60, "0": 4}, fixed={}),
        tolerance(
            **broken,
            regime="confident",
            counts={"0": 30, "17": 4, "60": 1, "inf": 2},
            fixed={"torch": {"refused": 0, "accepted": 2}, "numpy": {"refused": 1, "accepted": 0}},
        ),
    ]
    found.implementations = [
        Bound(
            "cross_entropy",
            "torch_functional.cross_entropy",
            "torch",
            {"mean_over": "weights"},
            ("ignore_index", "reduction"),
        ),
        Bound("cross_entropy", "textbook.cross_entropy_epsilon", "torch", {"class_weight": None}),
    ]
    found.planes = [plane()]
    found.maps = [
        stability_map(),
        stability_map(quantity="gradient"),
        stability_map(
            **broken,
            bits=[[0.0, 4.5, "nan", "inf"], [0.0, 7.2, 12.0, "nan"], [16.4, 16.4, "-inf", None]],
            breakdown=[1e4, 1e4, 1.0],
        ),
    ]
    return found


def _rows_and_findings() -> Run:
    wrong = {"implementation": "textbook.cross_entropy_epsilon", "verdict": Verdict.FAIL, "bits_lost": 16.4}
    return run(
        result(),
        result(check="gradient", bits_lost=2.5),
        result(check="law:uniform", regime=None, reason="nll is the definition"),
        result(check="purity", regime=None, bits_lost=None),
        result(
            mode="compiled",
            verdict=Verdict.SKIP,
            cases=0,
            undecided=0,
            bits_lost=None,
            reason="no C compiler",
        ),
        result(
            device="cuda", verdict=Verdict.SKIP, cases=0, undecided=0, bits_lost=None, reason="no CUDA device"
        ),
        result(**wrong, finding="f1a2", reason="27.631 instead of 30.5"),
        result(**wrong, dtype="float64", finding="f3", reason="27.631 instead of 30.5"),
        result(
            implementation="textbook.cross_entropy_epsilon",
            check="gradient",
            verdict=Verdict.ERROR,
            bits_lost=None,
            reason="RuntimeError: no grad",
        ),
        result(
            implementation="optax_losses.kl",
            loss="kl_divergence",
            framework="jax",
            verdict=Verdict.WAIVED,
            bits_lost=math.inf,
            reason="nan for target 0, known upstream",
            finding="f4",
        ),
        result(
            implementation="jax_nn.logsumexp",
            loss="logsumexp",
            framework="jax",
            verdict=Verdict.DEGRADED,
            bits_lost=4.2,
            reason="cancels under an offset",
        ),
        findings=(
            finding(),
            finding(id="f3", dtype="float64"),
            finding(
                id="f4",
                loss="kl_divergence",
                implementation="optax_losses.kl",
                framework="jax",
                verdict=Verdict.WAIVED,
                bits_lost=math.inf,
                waiver="nan for target 0, known upstream",
            ),
        ),
        problems=(Problem("mine.py:3", "cannot be imported: No module named 'nope'"),),
    )


def hostile_run() -> Run:
    """Markup and terminal codes in every text that others write."""
    evil = f"{SCRIPT}\x1b[31m[bold]\x07"
    found = _hostile_rows(evil)
    named = {"loss": evil, "implementation": f"{evil}.{evil}"}
    found.tolerances = [tolerance(**named, regime=evil)]
    found.planes = [plane(loss=evil, x=Axis(evil, "log", [1.0, 2.0, 3.0, 4.0]), text=evil)]
    found.maps = [stability_map(**named)]
    return found


def _hostile_rows(evil: str) -> Run:
    return run(
        result(
            loss=evil,
            implementation=f"{evil}.{evil}",
            reason=evil,
            check=f"law:{evil}",
            verdict=Verdict.FAIL,
            finding="f1a2",
            regime=evil,
        ),
        result(implementation=f"a.{evil}", verdict=Verdict.SKIP, reason=evil, bits_lost=None),
        result(implementation=f"b.{evil}", verdict=Verdict.ERROR, reason=evil, bits_lost=None),
        findings=(
            finding(
                implementation=f"{evil}.{evil}",
                reason=evil,
                snippet=evil,
                parameters={evil: evil},
                inputs={evil: ["0x1p+0"]},
                diagnosis=Diagnosis(evil, evil),
                waiver=evil,
                quantity=evil,
            ),
        ),
        problems=(Problem(evil, evil),),
    )
