"""From a result and its reference to a verdict on each element, by the rule of design section 1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossproof.floats import Format
from lossproof.oracle.reference import Reference

Array = np.ndarray[Any, np.dtype[Any]]

PASS_BITS = 3.0
PASS, DEGRADED, FAIL, UNDECIDED = 0, 1, 2, 3


@dataclass(frozen=True)
class Judgement:
    """Verdicts (PASS, DEGRADED, FAIL, UNDECIDED) and bits lost, elementwise; inf bits for a wrong nan or inf.

    low_precision: elements that are right for code that works in the storage format throughout.
    """

    verdicts: Array
    bits: Array
    low_precision: Array

    @property
    def worst(self) -> int | None:
        """The flat index of the worst failed or degraded element, else of the most bits lost; None if all undecided."""
        decided = self.verdicts != UNDECIDED
        if not decided.any():
            return None
        rank = np.where(decided, self.verdicts * 1e6 + np.minimum(self.bits, 1e5), -1.0)
        return int(rank.argmax())


def degraded_bits(fmt: Format) -> int:
    """Up to so many bits lost are degraded and not failed: a third of the significand."""
    return fmt.precision // 3


def judge(got: Array, reference: Reference, working: Format, slack: Array | float = 0.0) -> Judgement:
    """Judge results (float arrays of the reference's shape) against their reference.

    slack: an absolute error that is degraded and not failed, beside those of the rule.
    """
    shape = reference.truth.shape
    got = np.asarray(got).astype(np.float64).reshape(shape)
    verdicts = np.full(shape, UNDECIDED, dtype=np.int8)
    bits = np.zeros(shape)
    low = np.zeros(shape, dtype=bool)
    slack = np.broadcast_to(slack, shape)
    for index in np.ndindex(shape):
        attainable = float(reference.attainable[index])
        if not math.isfinite(attainable):
            continue
        error = distance(float(got[index]), reference, index)
        lost = (
            0.0 if error <= attainable else math.inf if math.isinf(error) else math.log2(error / attainable)
        )
        bits[index] = lost
        if lost <= PASS_BITS:
            verdicts[index] = PASS
        elif (
            lost <= degraded_bits(min(reference.storage, working, key=lambda fmt: fmt.precision))
            or error <= slack[index]
            or _excused(error, reference, index)
        ):
            verdicts[index] = DEGRADED
        elif _low(error, reference, index, working):
            verdicts[index], low[index] = DEGRADED, True
        else:
            verdicts[index] = FAIL
    return Judgement(verdicts, bits, low)


def distance(got: float, reference: Reference, index: tuple[int, ...]) -> float:
    """|got − truth|; inf where one of them is not finite and the other differs.

    Near the largest number both neighbours of the limit are right: the truth may round to inf or to it.
    """
    truth, fmt = reference.truth[index], reference.storage
    if math.isnan(got):
        return math.inf
    expected = float(reference.expected[index])
    if math.isinf(got) or math.isinf(expected):
        if got == expected:
            return 0.0
        limit = fmt.largest * (1 - 16 * fmt.unit_roundoff)
        if (
            truth.is_finite()
            and (got > 0) == (expected > 0)
            and min(abs(got), float(truth.abs_upper())) >= limit
        ):
            return 0.0
        return math.inf
    return float(abs(truth.mid() - got))


def _excused(error: float, reference: Reference, index: tuple[int, ...]) -> bool:
    if math.isinf(error):
        return False
    return error <= 8 * (float(reference.attainable[index]) + float(reference.excuse[index]))


def _low(error: float, reference: Reference, index: tuple[int, ...], working: Format) -> bool:
    """Whether half-precision code that works in its own format throughout explains the error."""
    if reference.storage.precision >= working.precision or math.isinf(error):
        return False
    attainable = float(reference.attainable_at(reference.storage)[index])
    return math.isinf(attainable) or error <= 8 * attainable
