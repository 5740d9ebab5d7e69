"""What a check saw at one case."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossproof.audit.results import Verdict
from lossproof.checks.distribution import Judged
from lossproof.inputs.case import Array
from lossproof.oracle import verdict as oracle_verdict
from lossproof.oracle.reference import Reference
from lossproof.oracle.verdict import Ground, Judgement


@dataclass(frozen=True)
class Observation:
    """One check at one case.

    cases: elements compared; undecided: elements that could not be. bits: the worst lost. quantity: what
    `expected`, `attainable` and `got` are, for a person ("value", "gradient in logits"). judged: what was judged
    element by element, for the distribution of its errors.
    """

    verdict: Verdict
    cases: int = 0
    undecided: int = 0
    bits: float | None = None
    reason: str | None = None
    quantity: str = "value"
    expected: Any = None
    attainable: Any = None
    got: Any = None
    judged: tuple[Judged, ...] = ()


_VERDICTS = {
    oracle_verdict.PASS: Verdict.PASS,
    oracle_verdict.DEGRADED: Verdict.DEGRADED,
    oracle_verdict.FAIL: Verdict.FAIL,
    oracle_verdict.UNDECIDED: Verdict.PASS,
}


def from_judgement(judgement: Judgement, reference: Reference, got: Array, quantity: str) -> Observation:
    """The observation of a judged array of results."""
    if judgement.passed:
        count = judgement.verdicts.size
        lost = math.log2(max(1.0, judgement.most)) if count else None
        return Observation(Verdict.PASS, count, 0, lost, quantity=quantity)
    undecided = judgement.undecided
    compared = judgement.verdicts.size - undecided
    worst = judgement.worst
    if worst is None:
        return Observation(Verdict.PASS, 0, undecided, None, quantity=quantity)
    index = np.unravel_index(worst, judgement.verdicts.shape)
    found = _VERDICTS[int(judgement.verdicts[index])]
    bits = math.log2(max(1.0, float(judgement.ratio[index])))
    judged = (Judged(judgement, got),)
    if found is Verdict.PASS:
        return Observation(found, compared, undecided, bits, quantity=quantity, judged=judged)
    ground = Ground.FEW_BITS if judgement.grounds is None else Ground(int(judgement.grounds[index]))
    return Observation(
        found,
        compared,
        undecided,
        bits,
        _reason(found, bits, ground, reference, float(got[index])),
        quantity,
        judgement.expected,
        judgement.attainable,
        got,
        judged,
    )


def _reason(found: Verdict, bits: float, ground: Ground, reference: Reference, got: float) -> str:
    fmt = reference.storage
    if math.isinf(bits):
        return (
            "not finite where the truth is"
            if not math.isfinite(got)
            else "finite where the truth is infinite"
        )
    lost = (
        f"{bits:.1f} of {fmt.precision} bits lost"
        if bits < fmt.precision
        else f"all {fmt.precision} bits lost"
    )
    if found is Verdict.FAIL:
        return lost
    why = {
        Ground.FEW_BITS: "",
        Ground.EXCUSE: ": backward stable only",
        Ground.SLACK: ": within the slack of the spec",
        Ground.LOW_PRECISION: f": computes in {fmt.name} throughout",
    }
    return lost + why[ground]


def worst(observations: list[Observation]) -> Observation:
    """Several observations of one check at one case as one: the worst verdict, the sums of the counts."""
    rank = [Verdict.SKIP, Verdict.PASS, Verdict.DEGRADED, Verdict.FAIL, Verdict.ERROR]
    top = max(observations, key=lambda o: (rank.index(o.verdict), o.bits if o.bits is not None else -1.0))
    measured = [o.bits for o in observations if o.bits is not None]
    return Observation(
        top.verdict,
        sum(o.cases for o in observations),
        sum(o.undecided for o in observations),
        max(measured) if measured else None,
        top.reason,
        top.quantity,
        top.expected,
        top.attainable,
        top.got,
        tuple(each for o in observations for each in o.judged),
    )
