"""Regimes of real numbers and vectors without classes, one input or several of one shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lossproof.inputs.anatomy import Anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.dice import to_dtype
from lossproof.inputs.regimes.sketch import Regime, Sketch

Row = Callable[[Sketch, int], Array]
"""One row of the main inputs' shape from the sketch and the row's number."""


def _ordinary(s: Sketch, row: int) -> Array:
    return s.values.ordinary(s.classes, s.exponent(-10, 7, 0) if row == 0 else None)


def _huge(s: Sketch, row: int) -> Array:
    """From a little below the root of the largest number, so that squares overflow, up to a quarter of it."""
    end = s.form.emax - 2
    exponent = s.exponent(s.form.emax // 2 - 1, end, row)
    line = s.values.signed(max(exponent - 2, 0), exponent, s.classes)
    return line if s.values.chance(5) else np.abs(line)


def _tiny(s: Sketch, row: int) -> Array:
    """Squares underflow."""
    low, high = 1 - s.form.emax, -(s.form.emax // 2) + 1
    exponent = s.exponent(low, high, row)
    return s.values.signed(exponent, min(exponent + 2, high), s.classes)


def _subnormal(s: Sketch, row: int) -> Array:
    line = s.values.subnormal(s.classes)
    if s.values.chance(3):
        line[s.structure.below(s.classes)] = s.values.ordinary(1)[0]
    return line


def _common_offset(s: Sketch, row: int) -> Array:
    return s.values.ordinary(s.classes)


def _paint(s: Sketch, row: Row, relation: str = "apart") -> None:
    """Every main input by rows.

    relation: "apart", "equal" (all as the first, in some rows but for one entry), "near" (within ulps of the
    first) or "offset" (one offset added to all).
    """
    count = s.rows
    lines: dict[str, list[Array]] = {name: [] for name in s.parts.main}
    for r in range(count):
        exponent = min(s.exponent(6, s.form.precision + 1, r), s.form.emax - 2)
        offset = float(s.values.signed(exponent, exponent, 1)[0])
        for k, name in enumerate(s.parts.main):
            line = row(s, r)
            if relation == "offset":
                line = line + offset
            elif relation != "apart" and k:
                first = to_dtype(lines[s.parts.main[0]][-1], s.form.name).astype(np.float64)
                line = s.values.nudged(first, 3) if relation == "near" else first
            lines[name].append(line)
    for name, rows in lines.items():
        s.put(name, rows)


def _pair(parts: Anatomy) -> bool:
    return len(parts.main) > 1


def _vectors(parts: Anatomy) -> bool:
    return parts.classes is not None


def _by_rows(row: Row) -> Callable[[Sketch], None]:
    return partial(_paint, row=row)


REALS = (
    Regime("ordinary", _by_rows(_ordinary)),
    Regime("equal", partial(_paint, row=_ordinary, relation="equal"), _pair),
    Regime("near_equal", partial(_paint, row=_ordinary, relation="near"), _pair),
    Regime("common_offset", partial(_paint, row=_common_offset, relation="offset")),
    Regime("huge", _by_rows(_huge)),
    Regime("tiny", _by_rows(_tiny)),
    Regime("subnormal", _by_rows(_subnormal)),
    Regime("one_feature", _by_rows(_ordinary), _vectors, classes="one"),
    Regime("many_features", _by_rows(_ordinary), _vectors, classes="many", batches=1),
)
