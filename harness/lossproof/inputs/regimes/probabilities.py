"""Regimes of distributions, one or a pair."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lossproof.inputs.anatomy import Anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.plain import simplex, weights
from lossproof.inputs.regimes.sketch import Regime, Sketch

Lines = Callable[[Sketch], Array]
"""The distributions of all rows [rows, classes] from the sketch."""

DYADIC_BITS = 7
"""k/2^7 has at most 8 significant bits: such entries and their sums are exact in every format."""


def target(s: Sketch, labels: Array, support: Array | None = None) -> Array:
    """Distributions whose likeliest class is the label: one-hot, with zeros, dyadic or general.

    labels: [rows]. support: bool [rows, classes], where a distribution may be positive, the label included.
    """
    style = s.values.below(4, s.rows)
    half = s.structure.octets(s.lines) < 128
    holds = (half | (style != 1)[:, None]) & (style != 0)[:, None]
    if support is not None:
        holds &= support
    holds[s.every, labels] = True
    masses = weights(s.values, *s.lines, holds)
    lines = simplex(masses)
    if s.classes <= 2**DYADIC_BITS:
        rows = np.flatnonzero(style == 2)
        lines[rows] = dyadic(masses[rows])
    top = lines.argmax(axis=1)
    lines[s.every, labels], lines[s.every, top] = lines[s.every, top], lines[s.every, labels]
    return lines


def dyadic(masses: Array) -> Array:
    """Distributions about in proportion to weights, of entries k/2^7: they sum to exactly 1 in every format."""
    shares = np.add.accumulate(masses, axis=-1)
    shares /= np.maximum(shares[:, -1:], 1.0)
    units = np.diff(np.floor(shares * 2.0**DYADIC_BITS), axis=-1, prepend=0.0)
    return np.asarray(units / 2.0**DYADIC_BITS)


def _ordinary(s: Sketch) -> Array:
    return simplex(weights(s.values, *s.lines))


def _one_hot(s: Sketch) -> Array:
    lines = np.zeros(s.lines)
    lines[s.every, s.anywhere()] = 1.0
    return lines


def _small(s: Sketch, numbers: Array) -> Array:
    """Ordinary distributions in which some entries (never all) are replaced by very small numbers."""
    few = s.special(spared=s.anywhere())
    small = numbers * few
    # In half formats the small ones add up to something; summed in order, the same on every machine.
    gone = np.add.accumulate(small, axis=1)[:, -1:]
    return np.asarray(simplex(weights(s.values, *s.lines, ~few)) * (1.0 - gone) + small)


def _tiny(s: Sketch) -> Array:
    # so small that all of them together leave the others more than a half
    low, high = max(1 - s.form.emax, -120), -max(s.form.precision + 1, s.classes.bit_length() + 2)
    exponents = s.exponents(min(low, high), high)[:, None]
    return _small(s, s.values.magnitudes(exponents, np.minimum(exponents + 2, high), s.lines))


def _subnormal(s: Sketch) -> Array:
    return _small(s, np.abs(s.values.subnormal(s.lines)))


def _dyadic(s: Sketch) -> Array:
    return dyadic(weights(s.values, *s.lines))


def _uniform(s: Sketch) -> Array:
    return np.full(s.lines, 1.0 / s.classes)


def _paint(s: Sketch, lines: Lines, mixed: bool = False) -> None:
    """Every main input. mixed: in a pair, one of the two is ordinary in some rows."""
    plain = s.structure.below(4, s.rows)
    for number, name in enumerate(s.parts.main):
        drawn = lines(s)
        if mixed and len(s.parts.main) > 1:
            drawn = np.where((plain == number)[:, None], _ordinary(s), drawn)
        s.put(name, drawn)


def _paint_zeros(s: Sketch, where: str) -> None:
    """Zeros at some entries, never at all. In both: at the same places, and in some rows at one more in p."""
    support = ~s.special(spared=s.anywhere())
    more = support.copy()
    if where == "both":
        rows = np.flatnonzero(s.structure.chance(3, s.rows) & (support.sum(axis=1) > 1))
        more[rows, support[rows].argmax(axis=1)] = False
    for number, name in enumerate(s.parts.main):
        holds = where == "both" or (where == "p") == (number == 0)
        own = (more if number == 0 else support) if holds else None
        s.put(name, simplex(weights(s.values, *s.lines, own)))


def _paint_near(s: Sketch, most: int) -> None:
    """All main inputs within `most` ulps of the first."""
    dyadic_ones = s.structure.chance(2) and s.classes <= 2**DYADIC_BITS
    first, *others = s.parts.main
    s.put(first, _dyadic(s) if dyadic_ones else _ordinary(s))
    for name in others:
        s.put(
            name,
            np.clip(s.values.nudged(s.arrays[first], most), 0.0, 1.0) if most else s.arrays[first].copy(),
        )


def _pair(parts: Anatomy) -> bool:
    return len(parts.main) > 1


PROBABILITIES = (
    Regime("ordinary", partial(_paint, lines=_ordinary)),
    Regime("one_hot", partial(_paint, lines=_one_hot, mixed=True)),
    Regime("zeros_in_p", partial(_paint_zeros, where="p")),
    Regime("zeros_in_q", partial(_paint_zeros, where="q"), _pair),
    Regime("zeros_in_both", partial(_paint_zeros, where="both"), _pair),
    Regime("near_equal", partial(_paint_near, most=3), _pair),
    Regime("equal", partial(_paint_near, most=0), _pair),
    Regime("tiny", partial(_paint, lines=_tiny, mixed=True)),
    Regime("subnormal", partial(_paint, lines=_subnormal, mixed=True)),
    Regime("dyadic", partial(_paint, lines=_dyadic)),
    Regime("uniform", partial(_paint, lines=_uniform, mixed=True)),
    Regime("one_class", partial(_paint, lines=_uniform), classes="one"),
    Regime("many_classes", partial(_paint, lines=_ordinary), classes="many", batches=1),
)
