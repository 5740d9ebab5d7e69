"""Regimes of logarithms of distributions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lossproof.inputs.anatomy import Anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.dice import LN2
from lossproof.inputs.plain import log_of, simplex, weights
from lossproof.inputs.regimes.probabilities import target
from lossproof.inputs.regimes.sketch import Regime, Sketch

Lines = Callable[[Sketch, Array], Array]
"""The log-probabilities of all rows [rows, classes] from the sketch and the rows' own classes [rows]."""


def _ordinary(s: Sketch, labels: Array) -> Array:
    return log_of(simplex(weights(s.values, *s.lines)))


def _peak(s: Sketch, at: Array) -> Array:
    """One class takes nearly all; the others have probability 2^−k, k from 14 to 1000, in the first row all
    the same."""
    least = 7 + max(7, s.classes.bit_length())
    bits = s.values.between(least, 1000, s.lines).astype(np.int32)
    bits[0] = s.dialled(least, 1000)
    rest = np.ldexp(1.0, -bits)
    rest[s.every, at] = 0.0
    gone = np.add.accumulate(rest, axis=1)[:, -1]  # in order, the same on every machine
    # log(1 − gone) by its series, gone being below 2^−7; a power would call the platform's library.
    series = np.zeros(s.rows)
    for k in range(9, 0, -1):
        series = gone * (1.0 / k + series)
    lines = bits * -LN2
    lines[s.every, at] = -series
    return lines


def _confident(s: Sketch, labels: Array) -> Array:
    return _peak(s, labels)


def _confidently_wrong(s: Sketch, labels: Array) -> Array:
    return _peak(s, s.beside(labels))


def _uniform(s: Sketch, labels: Array) -> Array:
    return log_of(np.full(s.lines, 1.0 / s.classes))


def _with_zeros(s: Sketch, labels: Array, at_label: bool) -> Array:
    forbidden = s.bad() & at_label & (s.classes > 1)
    zeros = s.special(spared=np.where(forbidden, s.beside(labels), labels))
    zeros[s.every, labels] = forbidden
    return log_of(simplex(weights(s.values, *s.lines, ~zeros)))


def _paint(s: Sketch, lines: Lines) -> None:
    labels = s.labels()
    for name in s.parts.main:
        s.put(name, lines(s, labels))
    for name in s.parts.targets:
        s.put(name, target(s, labels))


def _beside(parts: Anatomy) -> bool:
    return bool(parts.labels or parts.targets)


def _classes(parts: Anatomy) -> bool:
    return parts.classes is not None


def _by(lines: Lines) -> Callable[[Sketch], None]:
    return partial(_paint, lines=lines)


LOG_PROBABILITIES = (
    Regime("ordinary", _by(_ordinary)),
    Regime("confident", _by(_confident), _classes),
    Regime("confidently_wrong", _by(_confidently_wrong), _beside, least_classes=2),
    Regime("uniform", _by(_uniform), _classes),
    Regime("masked", _by(partial(_with_zeros, at_label=False)), _classes, least_classes=2),
    Regime("forbidden_label", _by(partial(_with_zeros, at_label=True)), _beside, least_classes=2),
    Regime("one_class", _by(_uniform), _classes, classes="one"),
    Regime("many_classes", _by(_ordinary), _classes, classes="many", batches=1),
)
