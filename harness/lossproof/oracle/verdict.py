"""From a result and its reference to a verdict on each element, by the rule of design section 1."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np

from lossproof.floats import Format
from lossproof.oracle.certified import rounded
from lossproof.oracle.estimated import Excuses
from lossproof.oracle.reference import OWN, Reference
from lossproof.oracle.structure import order_of

Array = np.ndarray[Any, np.dtype[Any]]

PASS_BITS = 3.0
PASS, DEGRADED, FAIL, UNDECIDED = 0, 1, 2, 3
AT_LIMIT = 4
"""Passed or degraded, which of them changes nothing: of what the vector tier claims, no verdict."""

ROOM = 1.25
"""How far from every limit the vector tier's verdict must be; its radii are off by far less (OWN)."""

LIMIT = 2 * (2.0**PASS_BITS + 1) * OWN
"""How far a ratio may be off where it is about to be too large to pass."""

BELOW = 2.0**24
"""How many of the smallest normal number may hang on whether a number that cancelled is 0 or not."""


class Ground(IntEnum):
    """Why a result that is not good enough to pass has not failed; of several, the first."""

    FEW_BITS = 0
    EXCUSE = 1
    SLACK = 2
    LOW_PRECISION = 3


@dataclass(frozen=True)
class Judgement:
    """Elementwise: verdicts (PASS, DEGRADED, FAIL, UNDECIDED), and the error as a multiple of the attainable one.

    ratio: inf for a wrong nan or inf, 0 where undecided. grounds: by Ground, of the degraded elements, None for no
    element; low precision is that of code that works in the storage format throughout. middle, attainable: as they
    were judged by.
    """

    verdicts: Array
    ratio: Array
    grounds: Array | None
    middle: Array
    attainable: Array
    storage: Format

    @functools.cached_property
    def expected(self) -> Array:
        """Truth rounded to the storage format, float64."""
        return rounded(self.middle, self.storage)

    @functools.cached_property
    def bits(self) -> Array:
        """Bits lost."""
        return np.asarray(np.log2(np.maximum(self.ratio, 1.0)))

    @functools.cached_property
    def passed(self) -> bool:
        """Whether every element has."""
        return bool(np.maximum.reduce(self.verdicts, axis=None, initial=PASS) == PASS)

    @functools.cached_property
    def most(self) -> float:
        """The largest of the ratios, 0 for none."""
        return float(np.maximum.reduce(self.ratio, axis=None, initial=0.0))

    @functools.cached_property
    def undecided(self) -> int:
        """The number of undecided elements."""
        return int(np.count_nonzero(self.verdicts == UNDECIDED))

    @functools.cached_property
    def worst(self) -> int | None:
        """The flat index of the worst failed or degraded element, else of the most bits lost; None if all undecided."""
        for verdict in (FAIL, DEGRADED, PASS):
            here = self.verdicts == verdict
            if here.all():
                return int(self.ratio.argmax()) if self.ratio.size else None
            if here.any():
                return int(np.where(here, self.ratio, -1.0).argmax())
        return None


def degraded_bits(fmt: Format) -> int:
    """Up to so many bits lost are degraded and not failed: a third of the significand."""
    return fmt.precision // 3


def judge(
    got: Array,
    reference: Reference,
    working: Format,
    slack: Array | float = 0.0,
    *,
    certify: int | None = FAIL,
) -> Judgement:
    """Judge results (float arrays of the reference's shape) against their reference.

    slack: an absolute error that is degraded and not failed, beside those of the rule; broadcasts to the results. The
    vector tier acquits with room for its own error, and says degraded or failed where no limit between them is within
    a factor of ROOM; Arb judges the rest. Of an array that is no better than degraded anyway, elements at the limit
    of passing (LIMIT) are not asked about: the array's verdict does not hang on them. certify: FAIL to have the worst
    of the failed judged by Arb all the same, DEGRADED that of the degraded too, None for neither.
    """
    got = np.asarray(got).astype(np.float64, order=order_of(reference.shape)).reshape(reference.shape)
    error = distances(got, reference.middle, reference.storage, finite=reference.finite)
    known = np.ones(error.shape, dtype=bool) if reference.decided else np.isfinite(reference.attainable)
    ratio = _ratio(error, reference.attainable, known)
    sure = 2.0**PASS_BITS - LIMIT
    if np.maximum.reduce(ratio, axis=None, initial=0.0) <= sure:
        return Judgement(
            _passed(known), ratio, None, reference.middle, reference.attainable, reference.storage
        )
    doubtful = ratio > sure
    unknown = np.full(int(np.count_nonzero(doubtful)), np.nan)
    rule = _Rule(
        error[doubtful],
        ratio[doubtful],
        reference.attainable[doubtful],
        unknown,
        unknown,
        np.broadcast_to(slack, error.shape)[doubtful],
        reference.storage,
        working,
    )
    if not rule.of_few_bits(1 / ROOM).all():
        near = reference.estimated(doubtful)
        rule = replace(rule, excuse=near.excuse[doubtful], coarse=near.coarse[doubtful])
    claims = rule.claims()
    asked = claims == UNDECIDED
    for verdict in (FAIL, DEGRADED):
        here = claims == verdict
        if certify is not None and verdict >= certify and here.any():
            asked[np.where(here, rule.ratio, -1.0).argmax()] = True
    found = _settled(got, reference, ratio, known, doubtful, rule, asked)
    sure_of = (claims == FAIL) | (claims == DEGRADED)
    if (sure_of & (found.verdicts[doubtful] != claims)).any():
        return _settled(got, reference, ratio, known, doubtful, rule, np.ones(asked.shape, dtype=bool))
    return found


def _settled(
    got: Array, reference: Reference, ratio: Array, known: Array, doubtful: Array, rule: _Rule, asked: Array
) -> Judgement:
    """The verdicts, of the doubtful elements by their rule and by the certified answers where they are asked for."""
    middle, attainable = reference.middle, reference.attainable
    decided = np.ones(asked.shape, dtype=bool)
    if asked.any():
        up = np.zeros(doubtful.shape, dtype=bool)
        up[doubtful] = asked
        certified = reference.certified(up)
        middle, attainable, ratio = middle.copy(), attainable.copy(), ratio.copy()
        middle[up], attainable[up] = certified.middle[up], certified.attainable[up]
        decided = np.isfinite(attainable[doubtful])
        error = distances(got[doubtful], middle[doubtful], reference.storage)
        rule = replace(
            rule,
            error=error,
            ratio=_ratio(error, attainable[doubtful], decided),
            attainable=attainable[doubtful],
            excuse=np.where(asked, certified.excuse[doubtful], rule.excuse),
            coarse=np.where(asked, certified.coarse[doubtful], rule.coarse),
        )
        ratio[doubtful] = rule.ratio
    holds = rule.holds()
    blamed = np.where(np.any(holds, axis=0), DEGRADED, FAIL)
    passed = np.where(decided, PASS, UNDECIDED)
    verdicts = _passed(known)
    verdicts[doubtful] = np.where(decided & (rule.ratio > 2.0**PASS_BITS), blamed, passed)
    grounds = np.zeros(known.shape, np.int8)
    grounds[doubtful] = np.argmax(holds, axis=0)
    return Judgement(verdicts, ratio, grounds, middle, attainable, reference.storage)


def _passed(known: Array) -> Array:
    """The verdicts where nothing is doubtful."""
    found = np.full(known.shape, PASS, np.int8)
    found[~known] = UNDECIDED
    return found


@dataclass(frozen=True)
class _Rule:
    """What makes a result degraded that does not pass: a vector of elements each.

    slack: an absolute error; the others as in Certified, nan where the vector tier cannot tell.
    """

    error: Array
    ratio: Array
    attainable: Array
    excuse: Array
    coarse: Array
    slack: Array
    storage: Format
    working: Format

    def claims(self) -> Array:
        """Verdicts of which the vector tier is sure, UNDECIDED where Arb is to be asked."""
        beyond = self.ratio > 2.0**PASS_BITS + LIMIT
        known = Excuses(self.excuse, self.coarse).told
        at_most = np.any(self.holds(1 / ROOM), axis=0)
        failed = beyond & known & ~np.any(self.holds(ROOM), axis=0)
        degraded = beyond & at_most
        claims = np.where(failed, FAIL, np.where(degraded, DEGRADED, UNDECIDED))
        if (failed | degraded).any():
            claims[at_most & ~beyond] = AT_LIMIT
        return claims

    def holds(self, room: float = 1.0) -> list[Array]:
        """By Ground, where it holds with all that is allowed times `room`.

        With room there is more of it beside the smallest normal number, where a step's own rounding is an absolute
        one, and not there for a number that is exactly 0.
        """
        finite = np.isfinite(self.error)
        with np.errstate(invalid="ignore", over="ignore"):
            found = [
                self.of_few_bits(room),
                finite & (self.error <= room * 2.0**PASS_BITS * (self._with_room(room) + self.excuse)),
                finite & (self.error <= room * self.slack),
            ]
            if self.storage.precision < self.working.precision:
                found.append(finite & (self.error <= room * 2.0**PASS_BITS * self.coarse))
        return found

    def of_few_bits(self, room: float) -> Array:
        """Where few bits are lost (Ground), with all that is allowed times `room`."""
        lost = degraded_bits(min(self.storage, self.working, key=lambda fmt: fmt.precision))
        with np.errstate(invalid="ignore", over="ignore"):
            few = self.error <= room * 2.0**lost * self._with_room(room)
        return np.asarray(np.isfinite(self.error) & few)

    def _with_room(self, room: float) -> Array:
        more = (room - 1) * BELOW * self.working.smallest_normal
        return np.maximum(self.attainable + more, 0.0)


def _ratio(error: Array, attainable: Array, known: Array) -> Array:
    """error / attainable, 0 where nothing is known; inf only where the error is."""
    with np.errstate(invalid="ignore", over="ignore"):
        ratio = error / attainable
    if np.maximum.reduce(ratio, axis=None, initial=0.0) < np.inf:
        return np.asarray(ratio)
    ratio = np.where(known, ratio, 0.0)
    return np.where(np.isinf(ratio) & np.isfinite(error), np.finfo(np.float64).max, ratio)


def all_finite(array: Array) -> bool:
    """Whether no entry is nan or inf: by the sum, which shows either, and entry by entry where the sum overflows."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.add.reduce(array, axis=None))) or bool(np.isfinite(array).all())


def distances(got: Array, middle: Array, fmt: Format, *, finite: bool = False) -> Array:
    """|got − truth|, float64; inf where one of them is not finite and the other differs.

    finite: whether the truth is known to be finite everywhere, and within the format.

    Near the largest number both neighbours of the limit are right: the truth may round to inf or to it.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.asarray(got - middle)
        error = np.asarray(np.abs(apart, out=apart).astype(np.float64, copy=False))
    if finite and np.maximum.reduce(error, axis=None, initial=0.0) < np.inf:
        return error
    expected = rounded(middle, fmt)
    if all_finite(got) and all_finite(expected):
        return error
    strange = ~(np.isfinite(got) & np.isfinite(expected))
    limit = fmt.largest * (1 - 16 * fmt.unit_roundoff)
    with np.errstate(invalid="ignore", over="ignore"):
        size = np.abs(middle.astype(np.float64))
        beyond = np.isfinite(middle) & (np.minimum(np.abs(got), size) >= limit)
        same = (got == expected) | (beyond & ((got > 0) == (expected > 0)))
    return np.where(strange, np.where(same, 0.0, np.inf), error)
