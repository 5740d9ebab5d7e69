"""Regimes of embeddings: vectors of one input or of several, whose directions and distances count.

The vectors of all main inputs are drawn together, one input after the other, so that coincidences (duplicates,
antipodes) fall within an input and between inputs alike. None is zero but in the regime "zero_vector".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lossproof.inputs.anatomy import Anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.dice import to_dtype
from lossproof.inputs.plain import nonzero
from lossproof.inputs.regimes.reals import huge, ordinary, subnormal, tiny, vectors
from lossproof.inputs.regimes.sketch import Regime, Sketch

Lines = Callable[[Sketch], Array]
"""The vectors of all main inputs [rows, features] from the sketch."""


def _few(s: Sketch) -> Array:
    """Every vector is one of a few: of a single one, of two to four, or of as many as there are."""
    style = int(s.structure.below(4))
    kinds = (1, 2, int(s.structure.between(2, 4)), s.rows)[style]
    return np.asarray(ordinary(s)[s.structure.below(min(kinds, s.rows), s.rows)])


def _signs(s: Sketch) -> Array:
    return np.where(s.structure.chance(4, (s.rows, 1)), 1.0, -1.0)


def _antipodal(s: Sketch) -> Array:
    """The same few directions and their opposites, some of them at other lengths."""
    lengths = s.values.magnitudes(-4, 4, (s.rows, 1))
    return _few(s) * _signs(s) * np.where(s.values.chance(3, (s.rows, 1)), lengths, 1.0)


def _near_equal(s: Sketch) -> Array:
    """Within ulps of one of a few vectors, or of its opposite."""
    return s.values.nudged(_few(s), 3) * np.where(s.structure.chance(2, (s.rows, 1)), -1.0, 1.0)


def _clustered(s: Sketch) -> Array:
    """Around one of a few vectors, at a distance from a quarter of its length down to what the format resolves."""
    centres, least = _few(s), 2 - s.form.precision
    around = np.ldexp(np.abs(centres).max(axis=1), s.exponents(least, -2))[:, None]
    return np.asarray(centres + around * s.values.even(0, s.lines))


def _axes(s: Sketch) -> Array:
    """Multiples of unit vectors: at right angles, or along one line."""
    lines, rows = np.zeros(s.lines), s.every
    lines[rows, s.anywhere()] = s.values.ordinary(s.rows, 1)[:, 0]
    return lines


def _scales(s: Sketch) -> Array:
    """Each vector at a scale of its own; no product of two of them, over a temperature, leaves the range.

    None is shorter than 1e-8, where PyTorch's own directions end (the eps of F.cosine_similarity).
    """
    most = max(s.form.emax // 2 - 17, 0)
    return np.asarray(nonzero(ordinary(s)) * np.ldexp(1.0, s.exponents(-min(most, 13), most))[:, None])


def _common_offset(s: Sketch) -> Array:
    """One offset for all vectors; where rows do not touch each other, one for each row of the inputs together."""
    exponents = s.exponents(6, min(s.form.precision + 1, s.form.emax - 2))
    offsets = s.values.signed(exponents, exponents, s.rows)
    together = s.rows // len(s.parts.main) if s.parts.independent is not None else 1
    return np.asarray(s.values.ordinary(*s.lines) + np.resize(offsets[:together], s.rows)[:, None])


def _zero_vector(s: Sketch) -> Array:
    lines, zero = nonzero(ordinary(s)), s.structure.chance(1, s.rows)
    zero[s.structure.below(s.rows)] = True
    return np.where(zero[:, None], 0.0, lines)


def _paint(s: Sketch, lines: Lines, *, zero: bool = False) -> None:
    """Every main input; a vector that is 0, or becomes so when it is rounded, is one along the first axis."""
    whole, start = to_dtype(lines(s), s.form.name).astype(s.values.word.real), 0
    whole = whole if zero else nonzero(whole)
    for name in s.parts.main:
        end = start + int(np.prod(s.shape(name)[:-1]))
        s.put(name, whole[start:end])
        start = end


def _alone(parts: Anatomy) -> bool:
    """Where rows touch each other, the products of huge vectors are infinities of both signs in right code too."""
    return parts.independent is not None


def _by(lines: Lines) -> Callable[[Sketch], None]:
    return partial(_paint, lines=lines)


EMBEDDINGS = (
    Regime("ordinary", _by(ordinary)),
    Regime("equal", _by(_few)),
    Regime("antipodal", _by(_antipodal)),
    Regime("near_equal", _by(_near_equal)),
    Regime("clustered", _by(_clustered)),
    Regime("axes", _by(_axes)),
    Regime("common_offset", _by(_common_offset)),
    Regime("scales", _by(_scales)),
    Regime("huge", _by(huge), _alone),
    Regime("tiny", _by(tiny)),
    Regime("subnormal", _by(subnormal)),
    Regime("zero_vector", partial(_paint, lines=_zero_vector, zero=True)),
    Regime("one_feature", _by(ordinary), vectors, classes="one"),
    Regime("many_features", _by(ordinary), vectors, classes="many", batches=1),
)
