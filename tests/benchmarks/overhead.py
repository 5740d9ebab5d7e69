"""(b) What verification costs beside the implementation's own calls, cross-entropy of PyTorch.

calls: the time inside the framework's `value` and `vjp`, arrays in and out included. bare: the same
function and its backward pass on tensors that lie ready. verification: what the checks take beyond the calls
(references, verdicts); with inputs: recipes and their expansion too. Ordinary inputs, one thread, in turns.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from rich.table import Table

from lossproof.checks.trial import COTANGENTS
from lossproof.frameworks import Call, Outcome, framework
from lossproof.inputs import Case

from .pipeline import Pipeline, implementation
from .scale import FULL, SHARE, Scale, Shape, in_turns, median, named, shown

LETTER, TITLE = "b", "verification over the implementation's own calls"
SHAPES: tuple[Shape, ...] = ((256, 16), (256, 128), (8, 128_256))


class Timed:
    """A framework that keeps the time spent inside `value` and `vjp`."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.seconds = inner, 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def value(self, call: Call) -> Outcome:
        begun = time.perf_counter()
        outcome: Outcome = self._inner.value(call)
        self.seconds += time.perf_counter() - begun
        return outcome

    def vjp(self, call: Call, cotangent: np.ndarray, wrt: tuple[int, ...]) -> Outcome:
        begun = time.perf_counter()
        outcome: Outcome = self._inner.vjp(call, cotangent, wrt)
        self.seconds += time.perf_counter() - begun
        return outcome


def measure(scale: Scale = FULL, shapes: tuple[Shape, ...] = SHAPES) -> list[dict[str, Any]]:
    with framework("torch").one_thread():
        return [_measure(shape, scale) for shape in shapes]


def _measure(shape: Shape, scale: Scale) -> dict[str, Any]:
    engine = Timed(framework("torch"))
    pipeline = Pipeline(implementation("torch"), shape, engine)
    steps: list[dict[str, float]] = []

    def one(turn: int) -> float:
        engine.seconds = 0.0
        times = pipeline.during(("ordinary",), turn, time.perf_counter() + scale.seconds * SHARE)
        cases = [pipeline.case(recipe) for recipe in pipeline.recipes("ordinary", turn)]
        bare = sum(_bare(pipeline, case) for case in cases) / len(cases)
        batches = times.rows / shape[0]
        steps.append(
            {
                "draw": times.draw / batches,
                "expand": times.expand / batches,
                "calls": engine.seconds / batches,
                "verification": (times.check - engine.seconds) / batches,
                "bare": bare,
            }
        )
        return times.whole

    count = len(in_turns({"whole": one}, scale)["whole"])
    steps = steps[-count:]
    return {
        "rows": shape[0],
        "classes": shape[1],
        "turns": count,
        "seconds_per_batch": {name: median(step[name] for step in steps) for name in steps[0]},
        "ratios": {
            "verification_over_calls": median(s["verification"] / s["calls"] for s in steps),
            "with_inputs_over_calls": median(
                (s["verification"] + s["expand"] + s["draw"]) / s["calls"] for s in steps
            ),
            "verification_over_bare": median(
                (s["verification"] + s["calls"] - s["bare"]) / s["bare"] for s in steps
            ),
        },
    }


def _bare(pipeline: Pipeline, case: Case) -> float:
    """Seconds of one forward pass, and of a forward and a backward pass, as `value` and `vjp` make them."""
    function = pipeline.cell.implementation.function
    arguments = pipeline.cell.call(case).parameters
    logits, labels = torch.tensor(case.inputs["logits"]), torch.tensor(case.inputs["labels"])
    upstream = torch.tensor(np.resize(COTANGENTS, len(labels)), dtype=logits.dtype)
    leaf = logits.clone().requires_grad_()
    begun = time.perf_counter()
    function(logits, labels, **arguments)
    torch.autograd.grad(function(leaf, labels, **arguments), leaf, upstream)
    return time.perf_counter() - begun


def table(found: list[dict[str, Any]]) -> Table:
    made = Table(title=f"({LETTER}) {TITLE}, milliseconds a batch")
    for head in (
        "shape", "bare", "calls", "verification", "expand", "draw",
        "verification / calls", "with inputs / calls", "beyond bare / bare",
    ):  # fmt: skip
        made.add_column(head, justify="right")
    for each in found:
        step, ratios = each["seconds_per_batch"], each["ratios"]
        made.add_row(
            named((each["rows"], each["classes"])),
            *(shown(1e3 * step[name]) for name in ("bare", "calls", "verification", "expand", "draw")),
            *(shown(ratios[name]) for name in ratios),
        )
    return made
