"""Regimes of real numbers and vectors without classes, one input or several of one shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from lossproof.inputs.anatomy import Anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.regimes.sketch import Regime, Sketch
from lossproof.spec.model import Domain

Lines = Callable[[Sketch], Array]
"""All rows of a main input [rows, features] from the sketch."""


def ordinary(s: Sketch) -> Array:
    return s.values.ordinary(*s.lines, s.dialled(-10, 7))


def huge(s: Sketch) -> Array:
    """From a little below the root of the largest number, so that squares overflow, up to a quarter of it; in
    some rows all positive."""
    exponents = s.exponents(s.form.emax // 2 - 1, s.form.emax - 2)[:, None]
    lines = s.values.signed(np.maximum(exponents - 2, 0), exponents, s.lines)
    rows = np.flatnonzero(s.values.chance(3, s.rows))
    lines[rows] = np.abs(lines[rows])
    return lines


def tiny(s: Sketch, spare: int = 0) -> Array:
    """Squares underflow, or nearly. spare: so many powers of two below, the sum of a vector's squares does as well."""
    low, high = 1 - s.form.emax, -(s.form.emax // 2) + 1 - spare
    exponents = s.exponents(low, high)[:, None]
    return s.values.signed(exponents, np.minimum(exponents + 2, high), s.lines)


def subnormal(s: Sketch) -> Array:
    """Subnormal numbers, in some rows with an ordinary one among them."""
    lines, at = s.values.subnormal(s.lines), s.anywhere()
    rows = np.flatnonzero(s.values.chance(3, s.rows))
    lines[rows, at[rows]] = s.values.ordinary(rows.size, 1)[:, 0]
    return lines


def _paint(s: Sketch, lines: Lines) -> None:
    for name in s.parts.main:
        s.put(name, lines(s))


def _paint_equal(s: Sketch) -> None:
    """All main inputs are the first."""
    first, *others = s.parts.main
    s.put(first, ordinary(s))
    for name in others:
        s.put(name, s.arrays[first].copy())


def _paint_near(s: Sketch) -> None:
    """All main inputs within ulps of the first; in half of the rows they are small numbers instead and apart by any
    part of them, so that of a difference digits are left which beside 1, or in its square, are not."""
    first, *others = s.parts.main
    lines, dice, digits = ordinary(s), s.values, s.form.precision
    apart = dice.chance(4, (s.rows, 1))
    lines *= np.ldexp(1.0, np.where(apart, -dice.between(0, digits, (s.rows, 1)), 0)).astype(lines.dtype)
    s.put(first, lines)
    for name in others:
        step = dice.signed(3 - digits, -4, s.lines) * lines
        s.put(name, np.where(apart, lines + step, dice.nudged(lines, 3)).astype(lines.dtype))


def _paint_offset(s: Sketch) -> None:
    """One offset for each row, added to all main inputs."""
    exponents = s.exponents(6, min(s.form.precision + 1, s.form.emax - 2))
    offsets = s.values.signed(exponents, exponents, s.rows)[:, None]
    for name in s.parts.main:
        s.put(name, s.values.ordinary(*s.lines) + offsets)


def _paint_confident(s: Sketch) -> None:
    """Numbers of 4 to 1024, where an exponential of them drowns beside 1 and underflows at last; the exponents of the
    first input take turns. Beside targets most numbers are on the side of theirs: the loss there is what is left of the
    exponential."""
    turn = 2 + (s.every + s.dialled(0, 7)) % 8
    for place, name in enumerate(s.parts.main):
        low, high = (turn[:, None], turn[:, None]) if place == 0 else (2, 9)
        lines = s.values.signed(low, high, s.lines)
        for side in _sides(s, name):
            agree = s.values.chance(6, s.lines) & (side != 0)
            lines = np.where(agree, np.copysign(lines, side), lines)
        s.put(name, lines)


def _sides(s: Sketch, name: str) -> Iterator[Array]:
    """1 or −1 where a target says which side a main input should be on, else 0 [rows, features]."""
    for other in s.parts.plain:
        declared = s.spec.inputs[other]
        if declared.domain in _BOTTOM and declared.shape == s.spec.inputs[name].shape:
            target = s.arrays[other].reshape(s.lines)
            yield 1.0 * (target == 1) - 1.0 * (target == _BOTTOM[declared.domain])


_BOTTOM = {Domain.UNIT_INTERVAL: 0.0, Domain.BINARY: 0.0, Domain.SIGN: -1.0}
"""Domains of targets that lie between this number and 1."""


def _pair(parts: Anatomy) -> bool:
    return len(parts.main) > 1


def vectors(parts: Anatomy) -> bool:
    return parts.classes is not None


def _scalars(parts: Anatomy) -> bool:
    return parts.classes is None


def _by(lines: Lines) -> Callable[[Sketch], None]:
    return partial(_paint, lines=lines)


REALS = (
    Regime("ordinary", _by(ordinary)),
    Regime("equal", _paint_equal, _pair),
    Regime("near_equal", _paint_near, _pair),
    Regime("confident", _paint_confident, _scalars),
    Regime("common_offset", _paint_offset),
    Regime("huge", _by(huge)),
    Regime("tiny", _by(tiny)),
    Regime("subnormal", _by(subnormal)),
    Regime("one_feature", _by(ordinary), vectors, classes="one"),
    Regime("many_features", _by(ordinary), vectors, classes="many", batches=1),
)
