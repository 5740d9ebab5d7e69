"""Regimes of logarithms of distributions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lossproof.inputs.anatomy import Anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.dice import LN2
from lossproof.inputs.plain import log_of, simplex
from lossproof.inputs.regimes.probabilities import target
from lossproof.inputs.regimes.sketch import Regime, Sketch

Row = Callable[[Sketch, int, int], Array]
"""The log-probabilities of one row from the sketch, the row's own class and the row's number."""


def _ordinary(s: Sketch, label: int, row: int) -> Array:
    return log_of(simplex(s.values, s.classes))


def _peak(s: Sketch, at: int, row: int) -> Array:
    """One class takes nearly all; the others have probability 2^−k, k from 14 to 1000."""
    bits = np.asarray([float(s.exponent(14, 1000, row)) for _ in range(s.classes)])
    line = -bits * LN2
    rest = np.ldexp(1.0, -bits.astype(np.int64))
    rest[at] = 0.0
    gone = float(rest.sum())
    # log(1 − gone) by its series, gone being below 0.01; a power would call the platform's library.
    series = 0.0
    for k in range(9, 0, -1):
        series = gone * (1.0 / k + series)
    line[at] = -series
    return line


def _confident(s: Sketch, label: int, row: int) -> Array:
    return _peak(s, label, row)


def _confidently_wrong(s: Sketch, label: int, row: int) -> Array:
    return _peak(s, (label + 1 + s.structure.below(max(s.classes - 1, 1))) % s.classes, row)


def _uniform(s: Sketch, label: int, row: int) -> Array:
    return log_of(np.full(s.classes, 1.0 / s.classes))


def _with_zeros(s: Sketch, label: int, row: int, at_label: bool) -> Array:
    others = np.delete(np.arange(s.classes), label)
    zeros = s.special(others, least=0 if at_label else 1)
    if at_label:
        zeros = np.append(zeros[: max(len(others) - 1, 0)], label)
    support = np.ones(s.classes, np.bool_)
    support[zeros] = False
    return log_of(simplex(s.values, s.classes, support))


def _paint(s: Sketch, row: Row) -> None:
    labels = s.labels()
    for name in s.parts.main:
        s.put(name, [row(s, label, r) for r, label in enumerate(labels)])
    for name in s.parts.targets:
        s.put(name, [target(s, label) for label in labels])


def _beside(parts: Anatomy) -> bool:
    return bool(parts.labels or parts.targets)


def _classes(parts: Anatomy) -> bool:
    return parts.classes is not None


def _by_rows(row: Row) -> Callable[[Sketch], None]:
    return partial(_paint, row=row)


LOG_PROBABILITIES = (
    Regime("ordinary", _by_rows(_ordinary)),
    Regime("confident", _by_rows(_confident), _classes),
    Regime("confidently_wrong", _by_rows(_confidently_wrong), _beside, least_classes=2),
    Regime("uniform", _by_rows(_uniform), _classes),
    Regime("masked", _by_rows(partial(_with_zeros, at_label=False)), _classes, least_classes=2),
    Regime("forbidden_label", _by_rows(partial(_with_zeros, at_label=True)), _beside, least_classes=2),
    Regime("one_class", _by_rows(_uniform), _classes, classes="one"),
    Regime("many_classes", _by_rows(_ordinary), _classes, classes="many", batches=1),
)
