"""The variables of laws, and the grids on which sums with them are exact."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from lossproof.errors import SpecError
from lossproof.floats import FORMATS
from lossproof.inputs.anatomy import Family, anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.dice import Dice, to_dtype
from lossproof.inputs.plain import plain
from lossproof.inputs.sizes import dimension_names, extent
from lossproof.spec.model import Domain, Spec, Variable

OWN_SIZE = 3
"""The size of a dimension that only variables have."""


def sizes_with(sizes: Mapping[str, int], variables: Iterable[Variable]) -> dict[str, int]:
    """The sizes of the spec's dimensions and of those that only variables have."""
    own = dimension_names(part.shape for part in variables if part.shape is not None)
    return {**dict.fromkeys(own, OWN_SIZE), **sizes}


def variable(spec: Spec, part: Variable, sizes: Mapping[str, int], dtype: str, dice: Dice) -> Array:
    """A variable that is not another draw of an input: in the dtype, int64 or bool."""
    if part.shape is None or part.domain is None:
        raise SpecError(f"a variable of {spec.loss} needs 'like', or 'shape' and 'domain'")
    classes = anatomy(spec).classes
    array = plain(part.domain, extent(part.shape, sizes), dice, sizes[classes] if classes else 2)
    if part.domain in (Domain.CLASS_INDEX, Domain.PERMUTATION, Domain.MASK):
        return array
    return to_dtype(array, dtype)


def snap_to_grid(
    spec: Spec,
    inputs: dict[str, Array],
    drawn: dict[str, Array],
    variables: Mapping[str, Variable],
    dtype: str,
    dice: Dice,
) -> None:
    """Rounds the variables that have a grid, and their inputs, to it, in place.

    A real variable is redrawn in a magnitude that suits the grid; another draw of an input stays what it is.
    Row by row where both have the same rows: a power of two g such that all entries are multiples of g and no
    sum of an entry and a variable needs more digits than the format has. −inf, +inf and nan stay.
    """
    by_input: dict[str, list[str]] = {}
    for name, part in variables.items():
        if part.grid is not None:
            by_input.setdefault(part.grid, []).append(name)
    for target, names in by_input.items():
        peers = grid_peers(spec, target)
        rows = spec.inputs[target].shape[:1]
        together = any((variables[name].shape or ())[:1] != rows for name in names)
        arrays = {n: inputs[n].astype(np.float64) for n in peers}
        arrays |= {n: drawn[n].astype(np.float64) for n in names}
        distributions = spec.inputs[target].domain == Domain.PROBABILITY
        fresh = {n: variables[n] for n in names if variables[n].like is None}
        for row in range(1 if together else len(arrays[target])):
            place = slice(None) if together else slice(row, row + 1)
            entries = [arrays[n][place] for n in peers]
            _redraw(entries, {n: arrays[n][place] for n in fresh}, fresh, dtype, dice)
            offsets = [arrays[n][place] for n in names]
            bound = 1.0 + len(names) if distributions else _most(entries) + sum(_most([o]) for o in offsets)
            _round([*entries, *offsets], bound, len(offsets) > 1, dtype)
        if distributions:
            for n in (*peers, *(n for n in names if n not in fresh)):
                _refill(arrays[n])
        inputs.update({n: to_dtype(arrays[n], dtype) for n in peers})
        drawn.update({n: to_dtype(arrays[n], dtype) for n in names})


def grid_peers(spec: Spec, target: str) -> tuple[str, ...]:
    """The inputs on a grid with `target`: vectors are moved together, logits each on their own."""
    parts = anatomy(spec)
    return parts.main if parts.family == Family.REALS and target in parts.main else (target,)


def is_exact(entries: Array, offsets: Array, dtype: str) -> bool:
    """Whether the format holds every sum of an entry and its offset (arrays of the dtype, broadcast).

    The rounding error of the sum in float64 is recovered exactly (Knuth's TwoSum), so this holds for any
    dtype.
    """
    with np.errstate(all="ignore"):
        a, b = np.broadcast_arrays(entries.astype(np.float64), offsets.astype(np.float64))
        finite = np.isfinite(a) & np.isfinite(b)
        a, b = np.where(finite, a, 0.0), np.where(finite, b, 0.0)
        total = a + b
        part = total - a
        error = (a - (total - part)) + (b - part)
        return bool(np.all(error == 0) and np.all(to_dtype(total, dtype).astype(np.float64) == total))


def _most(arrays: Sequence[Array]) -> float:
    """The largest finite magnitude."""
    return max((float(np.where(np.isfinite(a), np.abs(a), 0.0).max()) for a in arrays if a.size), default=0.0)


def _redraw(
    entries: list[Array], offsets: dict[str, Array], parts: Mapping[str, Variable], dtype: str, dice: Dice
) -> None:
    """Gives real and positive offsets magnitudes around those of the entries, in place."""
    form = FORMATS[dtype]
    exponent = int(np.frexp(_most(entries))[1])
    sharp = dice.chance(5)
    for name, offset in offsets.items():
        if parts[name].domain not in (Domain.REAL, Domain.EXTENDED_REAL, Domain.POSITIVE):
            continue
        # In most rows the offset does not drown the entries; in some it does.
        shift = dice.between(-8, 2) if sharp else dice.between(2, form.precision - 2)
        high = min(max(exponent + shift, 1 - form.emax), form.emax - 2)
        new = dice.signed(high - 1, high - 1, offset.size).reshape(offset.shape)
        offset[...] = np.abs(new) if parts[name].domain == Domain.POSITIVE else new


def _round(arrays: list[Array], bound: float, several: bool, dtype: str) -> None:
    """Rounds the entries and the offsets to one grid, in place.

    bound: of the magnitude of every sum of an entry and its offsets. Rounded up to a power of two 2^e it
    bounds the sums after the rounding too where there is one offset, so the grid 2^(e − precision) does;
    several can add a step.
    """
    form = FORMATS[dtype]
    mantissa, exponent = np.frexp(bound)
    exponent = int(exponent) - int(mantissa == 0.5) + int(several)
    grid = max(exponent - form.precision, 2 - form.emax - form.precision)
    for array in arrays:
        keep = ~np.isfinite(array)
        steps = np.rint(np.ldexp(np.where(keep, 0.0, array), -grid))
        array[...] = np.where(keep, array, np.ldexp(steps, grid))


def _refill(distributions: Array) -> None:
    """Makes rows on a grid sum to exactly 1 again: the likeliest class takes the difference, in place."""
    for line in distributions.reshape(-1, distributions.shape[-1]):
        if np.isfinite(line).all():
            at = int(line.argmax())
            line[at] = 1.0 - math.fsum(np.delete(line, at))
