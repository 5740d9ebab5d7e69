"""Regimes of logits: one input or a pair, beside labels, beside a distribution of targets, or alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lossproof.inputs.anatomy import Anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.regimes.probabilities import target
from lossproof.inputs.regimes.sketch import Regime, Sketch

Lines = Callable[[Sketch, Array], Array]
"""The logits of all rows [rows, classes] from the sketch and the rows' own classes [rows]."""


def _ordinary(s: Sketch, labels: Array) -> Array:
    return s.values.ordinary(s.rows, s.classes, s.dialled(-10, 7))


def _peak(s: Sketch, at: Array) -> Array:
    """One class above the rest by a gap of 10 to 704, evenly spread over its exponents: code changes its way at
    thresholds of 8 to 100."""
    dice, rows = s.values, s.rows
    exponents = np.floor(x := 3.25 + 6.125 * s.turned())
    gap = np.ldexp(1 + (x - exponents), exponents.astype(np.int64))
    gap = np.minimum(gap, s.form.largest / 8).astype(dice.word.real)
    gap = np.where(dice.chance(4, rows), gap, np.rint(gap))
    spread = np.where(dice.chance(2, rows), gap / 8, 1.0)
    spread = np.where(dice.chance(2, rows), 0.0, spread)
    base = np.where(dice.chance(4, rows), 0.0, -gap)
    logits = np.abs(dice.even(0, s.lines))
    logits *= -spread[:, None]
    logits += base[:, None]
    logits[s.every, at] = base + gap
    return logits


def _confident(s: Sketch, labels: Array) -> Array:
    return _peak(s, labels)


def _confidently_wrong(s: Sketch, labels: Array) -> Array:
    return _peak(s, s.beside(labels))


def _top(s: Sketch, labels: Array) -> Array:
    """Two or more classes of each row, in half of the rows the label among them."""
    own = np.where(s.structure.chance(4, s.rows), labels, s.anywhere())
    top = s.special(spared=own)
    top[s.every, own] = True
    return top


def _tie(s: Sketch, labels: Array) -> Array:
    """Two or more classes share the largest logit."""
    logits = s.values.ordinary(*s.lines)
    return _replaced(logits, _top(s, labels), logits.max(axis=1, keepdims=True))


def _near_tie(s: Sketch, labels: Array) -> Array:
    """Two or more classes lie within ulps of the largest logit; half of the rows are shifted as a whole."""
    dice, one = s.values, (s.rows, 1)
    logits = dice.ordinary(*s.lines)
    logits += np.where(dice.chance(4, one), dice.signed(0, 10, one), 0.0)
    near = dice.nudged(logits.max(axis=1, keepdims=True), 3, s.lines)
    return _replaced(logits, _top(s, labels), near)


def _replaced(logits: Array, where: Array, by: Array) -> Array:
    """Finite logits, some of them replaced in place; by products, as a branch on random bits is slow."""
    logits *= ~where
    logits += by * where
    return logits


def _masked(logits: Array, where: Array) -> Array:
    """Logits, some of them set to −inf in place: 1/0 is taken off there and 0/1 elsewhere."""
    with np.errstate(divide="ignore"):
        logits -= np.divide(where, ~where, dtype=logits.dtype)
    return logits


def _offsets(s: Sketch) -> Array:
    """A common offset for each row, from 64 up; in most rows the gaps keep some digits, in some they drown."""
    end, turned = s.form.emax - 2, s.turned()
    drown = turned >= 0.75
    high = np.where(drown, end, min(s.form.precision + 1, end))
    steps = np.minimum(np.where(drown, 4.0 * turned - 3.0, turned / 0.75) * (high - 5), high - 6)
    exponents = 6 + steps.astype(np.int64)
    return s.values.signed(exponents, exponents, s.rows)


def _common_offset(s: Sketch, labels: Array) -> Array:
    offsets = _offsets(s)
    offsets = np.where(s.values.chance(4, s.rows), np.rint(offsets), offsets)
    logits = s.values.ordinary(*s.lines)
    logits += offsets[:, None]
    return logits


def _uniform(s: Sketch, labels: Array) -> Array:
    """Equal logits: 0, ordinary, large or huge ones."""
    kinds = (
        np.zeros(s.rows, np.float32),
        s.values.ordinary(s.rows, 1)[:, 0],
        _offsets(s),
        _huge_numbers(s, 1)[:, 0],
    )
    return np.repeat(np.choose(s.values.below(4, s.rows), kinds)[:, None], s.classes, axis=1)


def _huge_numbers(s: Sketch, classes: int) -> Array:
    """[rows, classes] magnitudes up to a quarter of the format's largest number."""
    end = s.form.emax - 2
    exponents = s.exponents(min(10, end), end)[:, None]
    return s.values.signed(np.maximum(exponents - 2, 0), exponents, (s.rows, classes))


def _huge(s: Sketch, labels: Array) -> Array:
    """Huge numbers of one sign or of both, or a single one among ordinary ones."""
    logits, style, at = _huge_numbers(s, s.classes), s.values.below(4, s.rows), s.anywhere()
    for number, sign in enumerate((1.0, -1.0)):
        rows = np.flatnonzero(style == number)
        logits[rows] = np.copysign(logits[rows], sign)
    rows = np.flatnonzero(style == 2)
    alone = logits[rows, 0]
    logits[rows] = s.values.ordinary(rows.size, s.classes)
    logits[rows, at[rows]] = alone
    return logits


def _subnormal(s: Sketch, labels: Array) -> Array:
    """Subnormal numbers, in some rows with an ordinary one or with zeros among them."""
    logits, dice, at = s.values.subnormal(s.lines), s.values, s.anywhere()
    beside = dice.chance(3, s.rows)
    zeros = ~beside & dice.chance(3, s.rows)
    logits *= ~(s.special(spared=at) & zeros[:, None])
    logits += 0.0  # never −0
    rows = np.flatnonzero(beside)
    logits[rows, at[rows]] = dice.ordinary(rows.size, 1)[:, 0]
    return logits


def _many(s: Sketch, labels: Array) -> Array:
    logits = s.values.even(2 + s.dial // 16, s.lines)
    logits[s.every, labels] += np.where(s.values.chance(4, s.rows), 8.0, 0.0)
    # the last class weighs most, or a kernel that loses the tail of a row goes unseen
    logits[:, -1] = logits.max(axis=1) + 4.0
    return logits


def _near(s: Sketch, first: Array) -> Array:
    """The same distributions but for a few ulps, in some rows shifted as a whole."""
    one = (s.rows, 1)
    shift = np.where(s.values.chance(2, one), s.values.ordinary(*one), 0.0)
    return s.values.nudged(first, 3) + shift


def _same(s: Sketch, first: Array) -> Array:
    return first.copy()


def _paint(s: Sketch, lines: Lines, second: Callable[[Sketch, Array], Array] | None = None) -> None:
    """Every main input; beside a distribution of targets, rows agree with its likeliest class."""
    labels, first = s.labels(), s.parts.main[0]
    for name in s.parts.main:
        if name != first and second is not None:
            s.put(name, second(s, s.arrays[first].reshape(s.lines)))
        else:
            # In a pair "wrong" means that the two disagree: only the first one leaves the row's class.
            own = _confident if name != first and lines is _confidently_wrong else lines
            s.put(name, own(s, labels))
    for name in s.parts.targets:
        s.put(name, target(s, labels))


def _paint_masked(s: Sketch, at_label: bool) -> None:
    """−inf at some classes: beside the label, or in some rows at it. A pair is masked in the first, the second or both.

    Beside targets that are a distribution, those of masked classes are 0, but for the regime "forbidden
    label".
    """
    labels = s.labels()
    lines = _confident if s.structure.chance(1) else _ordinary
    forbidden = s.bad() & at_label & (s.classes > 1)
    masked = s.special(spared=np.where(forbidden, s.beside(labels), labels))
    masked[s.every, labels] = forbidden
    spared = s.structure.below(3, s.rows)
    for number, name in enumerate(s.parts.main):
        where = masked & (spared != number)[:, None] if len(s.parts.main) > 1 else masked
        s.put(name, _masked(lines(s, labels), where))
    support = ~masked
    support[s.every, labels] = True
    for name in s.parts.targets:
        s.put(name, target(s, labels, support))


def _pair(parts: Anatomy) -> bool:
    return len(parts.main) > 1


def _has_side(parts: Anatomy) -> bool:
    return bool(parts.labels or parts.targets) or _pair(parts)


def _extended(parts: Anatomy) -> bool:
    return parts.extended


def _forbidden(parts: Anatomy) -> bool:
    return parts.extended and bool(parts.labels or parts.targets)


def _by(lines: Lines) -> Callable[[Sketch], None]:
    return partial(_paint, lines=lines)


LOGITS = (
    Regime("ordinary", _by(_ordinary)),
    Regime("confident", _by(_confident)),
    Regime("confidently_wrong", _by(_confidently_wrong), _has_side, least_classes=2),
    Regime("near_tie", _by(_near_tie)),
    Regime("tie", _by(_tie)),
    Regime("uniform", _by(_uniform)),
    Regime("near_equal", partial(_paint, lines=_ordinary, second=_near), _pair),
    Regime("equal", partial(_paint, lines=_ordinary, second=_same), _pair),
    Regime("common_offset", _by(_common_offset)),
    Regime("huge", _by(_huge)),
    Regime("subnormal", _by(_subnormal)),
    Regime("masked", partial(_paint_masked, at_label=False), _extended, least_classes=2),
    Regime("forbidden_label", partial(_paint_masked, at_label=True), _forbidden, least_classes=2),
    Regime("one_class", _by(_uniform), classes="one"),
    Regime("many_classes", _by(_many), classes="many", batches=1),
)
