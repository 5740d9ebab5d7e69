"""Regimes of logits: one input or a pair, beside labels, beside a distribution of targets, or alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lossproof.inputs.anatomy import Anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.dice import to_dtype
from lossproof.inputs.regimes.probabilities import target
from lossproof.inputs.regimes.sketch import Regime, Sketch

Row = Callable[[Sketch, int, int], Array]
"""The logits of one row from the sketch, the row's own class and the row's number."""


def _ordinary(s: Sketch, label: int, row: int) -> Array:
    return s.values.ordinary(s.classes, s.exponent(-10, 7, 0) if row == 0 else None)


def _peak(s: Sketch, at: int, row: int) -> Array:
    """One class above the rest by a gap of 10 to 700."""
    gap = min(10.0 + 690.0 * (s.dial / 63 if row == 0 else s.values.below(64) / 63), s.form.largest / 8)
    gap = gap if s.values.chance(4) else round(gap)
    logits = -s.values.rng.random(s.classes) * (gap / 8 if s.values.chance(2) else 1.0)
    logits = np.zeros(s.classes) if s.values.chance(2) else logits
    logits[at] = gap
    return np.asarray(logits - (0.0 if s.values.chance(4) else gap))


def _confident(s: Sketch, label: int, row: int) -> Array:
    return _peak(s, label, row)


def _confidently_wrong(s: Sketch, label: int, row: int) -> Array:
    return _peak(s, (label + 1 + s.structure.below(max(s.classes - 1, 1))) % s.classes, row)


def _tie(s: Sketch, label: int, row: int) -> Array:
    """Two or more classes share the largest logit, in half of the rows the label among them."""
    logits = s.values.ordinary(s.classes)
    top = s.special(np.arange(s.classes), least=2)
    if s.structure.chance(4):
        top[0] = label
    logits[top] = logits.max()
    return logits


def _near_tie(s: Sketch, label: int, row: int) -> Array:
    logits = _tie(s, label, row)
    if s.values.chance(4):
        logits = logits + float(s.values.signed(0, 10, 1)[0])
    top = logits == logits.max()
    return np.asarray(np.where(top, s.values.nudged(logits, 3), logits))


def _offset(s: Sketch, row: int) -> float:
    """A common offset, from 64 up; for most rows the gaps keep some digits, for some they drown."""
    end = s.form.emax - 2
    drowning = s.dial >= 48 if row == 0 else s.values.chance(2)
    high = end if drowning else min(s.form.precision + 1, end)
    exponent = 6 + round((high - 6) * (s.dial % 48) / 47) if row == 0 else s.values.between(6, max(high, 6))
    return float(s.values.signed(exponent, exponent, 1)[0])


def _common_offset(s: Sketch, label: int, row: int) -> Array:
    offset = _offset(s, row)
    return np.asarray(s.values.ordinary(s.classes) + (round(offset) if s.values.chance(4) else offset))


def _uniform(s: Sketch, label: int, row: int) -> Array:
    style = s.values.below(4)
    value = (0.0, float(s.values.ordinary(1)[0]), _offset(s, row), float(_huge(s, label, row)[0]))[style]
    return np.full(s.classes, value)


def _huge(s: Sketch, label: int, row: int) -> Array:
    """Magnitudes up to a quarter of the largest number; one sign or both, among ordinary ones or alone."""
    end = s.form.emax - 2
    exponent = s.exponent(min(10, end), end, row)
    logits = s.values.signed(max(exponent - 2, 0), exponent, s.classes)
    style = s.values.below(4)
    if style == 0:
        return np.abs(logits)
    if style == 1:
        return -np.abs(logits)
    if style == 2:
        ordinary = s.values.ordinary(s.classes)
        ordinary[s.structure.below(s.classes)] = logits[0]
        return ordinary
    return logits


def _subnormal(s: Sketch, label: int, row: int) -> Array:
    logits = s.values.subnormal(s.classes)
    if s.values.chance(3):
        logits[s.structure.below(s.classes)] = s.values.ordinary(1)[0]
    elif s.values.chance(3):
        logits[s.special(np.arange(s.classes))] = 0.0
    return logits


def _one(s: Sketch, label: int, row: int) -> Array:
    return np.asarray([0.0, s.values.ordinary(1)[0], _offset(s, row), _huge(s, label, row)[0]])[
        [s.values.below(4)]
    ]


def _many(s: Sketch, label: int, row: int) -> Array:
    logits = s.values.ordinary(s.classes, 2 + s.dial // 16)
    if s.values.chance(4):
        logits[label] += 8.0
    # the last class weighs most, or a kernel that loses the tail of a row goes unseen
    logits[-1] = logits.max() + 4.0
    return logits


def _near(s: Sketch, first: Array) -> Array:
    """The same distribution but for a few ulps, in some rows shifted as a whole."""
    second = s.values.nudged(first, 3)
    return np.asarray(second + float(s.values.ordinary(1)[0])) if s.values.chance(2) else second


def _same(s: Sketch, first: Array) -> Array:
    return first.copy()


def _paint(s: Sketch, row: Row, second: Callable[[Sketch, Array], Array] | None = None) -> None:
    """Every main input by rows; beside a distribution of targets, rows agree with its likeliest class."""
    labels, lines = s.labels(), {name: [] for name in s.parts.main}  # type: list[int], dict[str, list[Array]]
    for r, label in enumerate(labels):
        for k, name in enumerate(s.parts.main):
            if k and second is not None:
                first = to_dtype(lines[s.parts.main[0]][-1], s.form.name).astype(np.float64)
                lines[name].append(second(s, first))
            else:
                # In a pair "wrong" means that the two disagree: only the first one leaves the row's class.
                own = _confident if k and row is _confidently_wrong else row
                lines[name].append(own(s, label, r))
    for name, rows in lines.items():
        s.put(name, rows)
    for name in s.parts.targets:
        s.put(name, [target(s, label) for label in labels])


def _paint_masked(s: Sketch, at_label: bool) -> None:
    """−inf at some classes: beside the label, or at it. A pair is masked in the first, the second or both.

    Beside targets that are a distribution, those of masked classes are 0, but for the regime "forbidden
    label".
    """
    labels = s.labels()
    _paint(s, _confident if s.structure.chance(1) else _ordinary)
    for r, label in enumerate(labels):
        others = np.delete(np.arange(s.classes), label)
        masked = s.special(others, least=0 if at_label else 1) if len(others) else others
        if at_label:
            masked = np.append(masked[: max(len(others) - 1, 0)], label)
        which = s.structure.below(3) if len(s.parts.main) > 1 else 2
        for k, name in enumerate(s.parts.main):
            if which in (k, 2) and len(others):
                s.arrays[name].reshape(-1, s.classes)[r, masked] = -np.inf
        support = np.ones(s.classes, np.bool_)
        support[masked if not at_label else masked[:-1]] = False
        for name in s.parts.targets:
            s.arrays[name].reshape(-1, s.classes)[r] = target(s, label, support)


def _pair(parts: Anatomy) -> bool:
    return len(parts.main) > 1


def _has_side(parts: Anatomy) -> bool:
    return bool(parts.labels or parts.targets) or _pair(parts)


def _extended(parts: Anatomy) -> bool:
    return parts.extended


def _forbidden(parts: Anatomy) -> bool:
    return parts.extended and bool(parts.labels or parts.targets)


def _by_rows(row: Row) -> Callable[[Sketch], None]:
    return partial(_paint, row=row)


LOGITS = (
    Regime("ordinary", _by_rows(_ordinary)),
    Regime("confident", _by_rows(_confident)),
    Regime("confidently_wrong", _by_rows(_confidently_wrong), _has_side, least_classes=2),
    Regime("near_tie", _by_rows(_near_tie)),
    Regime("tie", _by_rows(_tie)),
    Regime("uniform", _by_rows(_uniform)),
    Regime("near_equal", partial(_paint, row=_ordinary, second=_near), _pair),
    Regime("equal", partial(_paint, row=_ordinary, second=_same), _pair),
    Regime("common_offset", _by_rows(_common_offset)),
    Regime("huge", _by_rows(_huge)),
    Regime("subnormal", _by_rows(_subnormal)),
    Regime("masked", partial(_paint_masked, at_label=False), _extended, least_classes=2),
    Regime("forbidden_label", partial(_paint_masked, at_label=True), _forbidden, least_classes=2),
    Regime("one_class", _by_rows(_one), classes="one"),
    Regime("many_classes", _by_rows(_many), classes="many", batches=1),
)
