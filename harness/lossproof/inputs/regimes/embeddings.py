"""Regimes of embeddings: vectors of one input or of several, whose directions and distances count.

The vectors of all main inputs are drawn together, one input after the other, so that coincidences (duplicates,
antipodes) fall within an input and between inputs alike. None is zero but in the regime "zero_vector".
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

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


SHORTEST = -22
"""No vector is shorter than 2^-22 where its direction is to be compared, so that a law may take a sixteenth of it: at
1e-8 PyTorch's own directions end (the eps of F.cosine_similarity; that of F.normalize is 1e-12), and right code uses
them."""

SPARE = 17
"""So many powers of two under the root of the largest number, no product of two vectors, over a temperature of 1e-3,
leaves the range; nor do the squares and the quotients of a gradient, which is shorter as the vectors are longer."""


def _scales(s: Sketch) -> Array:
    """Each vector at a scale of its own, from SHORTEST to SPARE."""
    most = max(s.form.emax // 2 - SPARE, 0)
    low = -min(most, -SHORTEST - 10)  # an ordinary number is 2^-10 at least
    return np.asarray(nonzero(ordinary(s)) * np.ldexp(1.0, s.exponents(low, most))[:, None])


def _squares_stay(s: Sketch) -> bool:
    """Whether the squares of a batch's vectors are to stay in the range, as they do in half of the batches.

    Where they leave it a definition by sqrt(sum(square(x))), and right code with it, has no answer, so that nothing
    of the batch would be compared: all of it, where rows touch each other or share the weights of classes. Half
    formats are computed in float32, which holds their squares but those of bfloat16.
    """
    return s.form.emax > 15 and bool(s.structure.chance(4))


def _huge(s: Sketch) -> Array:
    """Where rows touch each other the squares always stay in the range: past it the products of two vectors are
    infinities of both signs in right code too."""
    stay = _squares_stay(s)
    if not stay and s.parts.independent is not None:
        return huge(s)
    end = max(s.form.emax // 2 - SPARE + 7, 0)
    exponents = s.exponents(max(end - 7, 0), end)[:, None]
    lines = s.values.signed(np.maximum(exponents - 2, 0), exponents, s.lines)
    alike = s.values.chance(3, (s.rows, 1))
    return np.where(alike, np.abs(lines), lines)


def _tiny(s: Sketch) -> Array:
    if not _squares_stay(s):
        return tiny(s, spare=8)
    exponents = s.exponents(SHORTEST, SHORTEST + 10)[:, None]
    return np.asarray(s.values.signed(exponents, exponents + 2, s.lines))


def _subnormal(s: Sketch) -> Array:
    """Subnormal numbers, in some vectors or in all of them with an ordinary one among them."""
    lines, at = subnormal(s), s.anywhere()
    if _squares_stay(s):
        lines[s.every, at] = s.values.ordinary(s.rows, 1)[:, 0]
    return lines


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
    Regime("huge", _by(_huge)),
    Regime("tiny", _by(_tiny)),
    Regime("subnormal", _by(_subnormal)),
    Regime("zero_vector", partial(_paint, lines=_zero_vector, zero=True)),
    Regime("one_feature", _by(ordinary), vectors, classes="one"),
    Regime("many_features", _by(ordinary), vectors, classes="many", batches=1),
)
