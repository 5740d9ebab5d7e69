"""Regimes of distributions, one or a pair."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from lossproof.inputs.anatomy import Anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.plain import simplex
from lossproof.inputs.regimes.sketch import Regime, Sketch

Row = Callable[[Sketch, int], Array]
"""One distribution from the sketch and the row's number."""

DYADIC_BITS = 7
"""k/2^7 has at most 8 significant bits: such entries and their sums are exact in every format."""


def target(s: Sketch, label: int, support: Array | None = None) -> Array:
    """A distribution whose likeliest class is the label: one-hot, dyadic, with zeros or general."""
    support = np.ones(s.classes, np.bool_) if support is None else support
    style = s.values.below(4)
    if style == 0:
        line = np.zeros(s.classes)
        line[label] = 1.0
        return line
    if style == 1:
        support = support & (s.structure.rng.random(s.classes) < 0.5)
        support[label] = True
    line = (
        dyadic(s, support)
        if style == 2 and s.classes <= 2**DYADIC_BITS
        else simplex(s.values, s.classes, support)
    )
    top = int(line.argmax())
    line[[label, top]] = line[[top, label]]
    return line


def dyadic(s: Sketch, support: Array | None = None) -> Array:
    """Entries k/2^7 that sum to exactly 1 in every format."""
    places = np.arange(s.classes) if support is None else np.flatnonzero(support)
    cuts = np.sort(s.values.rng.integers(0, 2**DYADIC_BITS + 1, len(places) - 1))
    units = np.diff(np.concatenate([[0], cuts, [2**DYADIC_BITS]]))
    line = np.zeros(s.classes)
    line[places] = units / 2.0**DYADIC_BITS
    return line


def _ordinary(s: Sketch, row: int) -> Array:
    return simplex(s.values, s.classes)


def _one_hot(s: Sketch, row: int) -> Array:
    line = np.zeros(s.classes)
    line[s.structure.below(s.classes)] = 1.0
    return line


def _small(s: Sketch, numbers: Callable[[int], Array]) -> Array:
    """An ordinary distribution in which some entries (never all) are replaced by very small ones."""
    few = s.special(np.arange(s.classes))[: s.classes - 1]
    support = np.ones(s.classes, np.bool_)
    support[few] = False
    line = simplex(s.values, s.classes, support)
    line[few] = numbers(len(few))
    # In half formats the small ones add up to something.
    line[int(line.argmax())] -= math.fsum(line[few])
    return line


def _tiny(s: Sketch, row: int) -> Array:
    low, high = max(1 - s.form.emax, -120), -s.form.precision - 1
    exponent = s.exponent(min(low, high), high, row)
    return _small(s, lambda count: s.values.magnitudes(exponent, min(exponent + 2, high), count))


def _subnormal(s: Sketch, row: int) -> Array:
    return _small(s, lambda count: np.abs(s.values.subnormal(count)))


def _dyadic(s: Sketch, row: int) -> Array:
    return dyadic(s)


def _uniform(s: Sketch, row: int) -> Array:
    return np.full(s.classes, 1.0 / s.classes)


def _paint(s: Sketch, first: Row, second: Row | None = None, mixed: bool = False) -> None:
    """The rows of the first distribution, and of the others (`first` again unless given).

    mixed: in a pair, one of the two is ordinary in some rows.
    """
    lines: dict[str, list[Array]] = {name: [] for name in s.parts.main}
    for r in range(s.rows):
        plain = s.structure.below(4) if mixed and len(s.parts.main) > 1 else 3
        for k, name in enumerate(s.parts.main):
            draw = _ordinary if plain == k else first if k == 0 or second is None else second
            lines[name].append(draw(s, r))
    for name, rows in lines.items():
        s.put(name, rows)


def _paint_zeros(s: Sketch, where: str) -> None:
    """Zeros at some entries, never at all. In both: at the same places, and in some rows at more in p."""
    lines: dict[str, list[Array]] = {name: [] for name in s.parts.main}
    for _ in range(s.rows):
        zeros = s.special(np.arange(s.classes))[: s.classes - 1]
        support = np.ones(s.classes, np.bool_)
        support[zeros] = False
        more = support.copy()
        if where == "both" and s.structure.chance(3) and support.sum() > 1:
            more[int(np.flatnonzero(support)[0])] = False
        for k, name in enumerate(s.parts.main):
            holds = where == "both" or (where == "p") == (k == 0)
            own = (more if k == 0 else support) if holds else None
            lines[name].append(simplex(s.values, s.classes, own))
    for name, rows in lines.items():
        s.put(name, rows)


def _paint_near(s: Sketch, most: int) -> None:
    """All main inputs within `most` ulps of the first."""
    _paint(s, _dyadic if s.structure.chance(2) and s.classes <= 2**DYADIC_BITS else _ordinary)
    first = s.arrays[s.parts.main[0]]
    for name in s.parts.main[1:]:
        s.arrays[name] = np.clip(s.values.nudged(first, most), 0.0, 1.0) if most else first.copy()


def _pair(parts: Anatomy) -> bool:
    return len(parts.main) > 1


PROBABILITIES = (
    Regime("ordinary", partial(_paint, first=_ordinary)),
    Regime("one_hot", partial(_paint, first=_one_hot, mixed=True)),
    Regime("zeros_in_p", partial(_paint_zeros, where="p")),
    Regime("zeros_in_q", partial(_paint_zeros, where="q"), _pair),
    Regime("zeros_in_both", partial(_paint_zeros, where="both"), _pair),
    Regime("near_equal", partial(_paint_near, most=3), _pair),
    Regime("equal", partial(_paint_near, most=0), _pair),
    Regime("tiny", partial(_paint, first=_tiny, mixed=True)),
    Regime("subnormal", partial(_paint, first=_subnormal, mixed=True)),
    Regime("dyadic", partial(_paint, first=_dyadic)),
    Regime("uniform", partial(_paint, first=_uniform, mixed=True)),
    Regime("one_class", partial(_paint, first=_uniform), classes="one"),
    Regime("many_classes", partial(_paint, first=_ordinary), classes="many", batches=1),
)
