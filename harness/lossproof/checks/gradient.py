"""Gradient: vector–Jacobian products, and Jacobian–vector products where the framework has forward mode."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lossproof.audit.results import Verdict
from lossproof.checks import answers
from lossproof.checks.observation import Observation, from_judgement, worst
from lossproof.checks.trial import COTANGENTS, TANGENTS, Trial
from lossproof.inputs.case import Array
from lossproof.oracle.reference import Reference
from lossproof.oracle.verdict import PASS_BITS, degraded_bits, judge
from lossproof.spec import graph

NAME = "gradient"

FORWARD = "Σ cotangent · jvp"
"""The quantity of a finding in forward mode."""

DIFFERENTIATED = "value while differentiated"
"""The quantity of a finding about the value on the way that derivatives take."""


def observe(trial: Trial) -> Observation | None:
    """None where the result's shape leaves nothing to compare; a skip where derivatives cannot be had."""
    reason = trial.has_gradients
    if reason is not None:
        return Observation(Verdict.SKIP, reason=reason)
    if not trial.shape_fits:
        return None
    spec, case = trial.cell.spec, trial.case
    slacks = {name: answers.slack(spec, case, name) for name in trial.gradient_references}
    found = []
    for name, reference in trial.gradient_references.items():
        got = trial.gradients[name]
        if got.shape != reference.shape:
            return Observation(
                Verdict.FAIL,
                got.size,
                0,
                math.inf,
                f"the gradient in {name} has shape {list(got.shape)}, not {list(reference.shape)}",
                f"gradient in {name}",
                reference.expected,
                reference.attainable,
                got,
            )
        judgement = judge(got, reference, trial.cell.working, slacks[name], certify=trial.certify)
        found.append(from_judgement(judgement, reference, got, f"gradient in {name}"))
    value = trial.differentiated
    if value is not None and not _same(value, trial.outcome.value):
        # code may take another way while it is differentiated, and that is the way that trains
        allowed = answers.slack(spec, case)
        judgement = judge(value, trial.reference, trial.cell.working, allowed, certify=trial.certify)
        seen = from_judgement(judgement, trial.reference, value, DIFFERENTIATED)
        found.append(replace(seen, judged=()))  # of the gradient's errors it is none
    along = trial.forward
    if along is not None:
        found.append(
            _forward(trial, along, max((float(np.max(each)) for each in slacks.values()), default=0.0))
        )
    return worst(found)


def _same(a: Array, b: Array) -> bool:
    if a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes():
        return True
    return np.array_equal(a.astype(np.float64), b.astype(np.float64), equal_nan=True)


def _forward(trial: Trial, got: Array, slack: float) -> Observation:
    """Σ cotangent · jvp = Σ vjp · tangent; blamed by the certified derivatives alone."""
    found = _contract(trial, slack, got, trial.gradient_references)
    if found.verdict is Verdict.PASS:
        return found
    truths = {name: reference.in_truth for name, reference in trial.gradient_references.items()}
    excuses = {name: reference.whole.excuse for name, reference in trial.gradient_references.items()}
    return _contract(trial, slack, got, truths, excuses)


def _contract(
    trial: Trial,
    slack: float,
    got: Array,
    references: Mapping[str, Reference],
    excuses: Mapping[str, Array] | None = None,
) -> Observation:
    """Both sides for each row where rows are independent and share no input, else in all.

    excuses: by input, what one roundoff of each real input explains in its derivative.
    """
    tangents = trial.tangents
    if got.shape != trial.cotangent.shape:
        return Observation(Verdict.FAIL, 1, 0, math.inf, f"forward mode gives shape {list(got.shape)}")
    spec = trial.cell.spec
    output = [s.name for s in graph.definition(spec, graph.statics_of(spec, trial.case.parameters)).shape]
    # an input that all rows share has a derivative in which they are added up
    shared = any(spec.independent not in spec.inputs[name].shape for name in references)
    axis = spec.independent if spec.independent in output and not shared else None

    def by_row(array: Array, shape: Sequence[str | int | None]) -> Array:
        kept = () if axis is None else (axis,)
        return np.asarray(array.sum(axis=tuple(i for i, n in enumerate(shape) if n not in kept)))

    with np.errstate(all="ignore"):
        cotangent = trial.cotangent.astype(np.float64)
        # the cotangent is zero where the value is infinite, and so is that row's derivative then
        shares = np.where(cotangent == 0, 0.0, cotangent * got.astype(np.float64))
        contracted = np.asarray(by_row(shares, list(output)))
        expected, attainable = np.zeros(contracted.shape), np.zeros(contracted.shape)
        size, excuse = np.zeros(contracted.shape), np.zeros(contracted.shape)
        for name, reference in references.items():
            shape = list(spec.inputs[name].shape)
            tangent = tangents[name].astype(np.float64)
            # a row with one infinite or undecided derivative is undecided: its sum tells nothing
            known = np.isfinite(reference.expected) & np.isfinite(reference.attainable)
            expected = expected + by_row(np.where(known, reference.expected, 0.0) * tangent, shape)
            size = size + by_row(np.where(known, np.abs(reference.expected * tangent), 0.0), shape)
            radius = np.where(known, reference.attainable, np.inf)
            attainable = attainable + by_row(radius * np.abs(tangent), shape)
            if excuses is not None:
                excuse = excuse + by_row(np.where(known, excuses[name], 0.0) * np.abs(tangent), shape)
        roundoff = trial.cell.storage.unit_roundoff
        # each jvp is rounded, and so is each step of the sum over an input's entries inside it
        steps = 1 + math.ceil(math.log2(max(2, trial.case.inputs[trial.differentiable[0]].size)))
        attainable = attainable + roundoff * by_row(np.abs(np.nan_to_num(shares)), list(output))
        attainable = attainable + steps * trial.cell.working.unit_roundoff * size
        # the jvp itself, before the cotangent makes it smaller, may lie past the largest number
        least = min(abs(each) for each in COTANGENTS if each)
        inside = size <= trial.cell.storage.largest * least / 2
        compared = np.isfinite(attainable) & np.isfinite(expected) & inside
        error = np.where(compared, np.abs(contracted - expected), 0.0)
        error = np.where(np.isnan(error), np.inf, error)
        bits = np.maximum(
            np.log2(error / attainable, where=error > attainable, out=np.zeros(error.shape)), 0.0
        )
    undecided = int((~compared).sum())
    if not compared.any():
        return Observation(Verdict.PASS, 0, undecided)
    lost = float(bits.max())
    excused = (bits <= degraded_bits(trial.cell.storage)) | (error <= slack) | _low(trial, error)
    # backward stable, as for the derivative itself
    excused |= error <= 2.0**PASS_BITS * (attainable + excuse)
    verdict = Verdict.PASS if lost <= PASS_BITS else Verdict.DEGRADED if excused.all() else Verdict.FAIL
    reason = None if verdict is Verdict.PASS else f"forward mode: {lost:.1f} bits lost"
    if math.isinf(lost):
        reason = "forward mode: not finite where the truth is"
    return Observation(
        verdict,
        int(compared.sum()),
        undecided,
        lost,
        reason,
        FORWARD,
        expected,
        attainable,
        contracted,
    )


def _low(trial: Trial, error: Array) -> Array:
    """Half-precision code may work in its own format throughout; its forward mode is then as coarse."""
    if trial.cell.storage.precision >= trial.cell.working.precision:
        return np.zeros(error.shape, dtype=bool)
    coarse = 0.0
    for reference in trial.gradient_references.values():
        radius = reference.whole.coarse
        coarse += float(np.where(np.isfinite(radius), radius, 0.0).sum()) * max(map(abs, TANGENTS))
    return error <= 8 * coarse
