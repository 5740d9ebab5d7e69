"""The variables of laws, and the grids on which sums with them are exact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from lossproof.errors import SpecError
from lossproof.floats import FORMATS
from lossproof.inputs.anatomy import Family, anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.dice import Dice, to_dtype
from lossproof.inputs.plain import plain
from lossproof.inputs.sizes import dimension_names, extent
from lossproof.spec.graph import kind_of
from lossproof.spec.model import Domain, Shape, Spec, Variable

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
    classes = anatomy(spec).labelled
    array = plain(part.domain, extent(part.shape, sizes), dice, sizes[classes] if classes else 2)
    return to_dtype(array, dtype) if kind_of(part.domain) == "real" else array


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
        arrays = {n: inputs[n].astype(np.float64) for n in peers}
        arrays |= {n: drawn[n].astype(np.float64) for n in names}
        fresh = {n: variables[n] for n in names if variables[n].like is None}
        rows = spec.inputs[target].shape[:1]
        together = any(_shape(spec, variables[n])[:1] != rows for n in names)
        lines = {n: a.reshape(1 if together else len(a), -1) for n, a in arrays.items()}
        _redraw([lines[n] for n in peers], lines, fresh, dtype, dice)
        if spec.inputs[target].domain == Domain.PROBABILITY:
            grid = _grid(np.asarray(1.0 + len(names)), len(names) > 1, dtype)
            wholes = {n: arrays[n] for n in arrays if n not in fresh}
            lines |= {n: _snap_distributions(whole, grid) for n, whole in wholes.items()}
        else:
            bound = np.add.reduce([_most([lines[n] for n in peers]), *(_most([lines[n]]) for n in names)])
            grid, wholes = _grid(bound, len(names) > 1, dtype), {}
        lines |= {n: _snap(lines[n], grid) for n in arrays if n not in wholes}
        for n, array in arrays.items():
            (inputs if n in peers else drawn)[n] = to_dtype(lines[n].reshape(array.shape), dtype)


def _shape(spec: Spec, part: Variable) -> Shape:
    return spec.inputs[part.like].shape if part.like is not None else part.shape or ()


def grid_peers(spec: Spec, target: str) -> tuple[str, ...]:
    """The inputs on a grid with `target`: vectors are moved together, logits each on their own."""
    parts = anatomy(spec)
    if parts.family not in (Family.REALS, Family.EMBEDDINGS) or target not in parts.main:
        return (target,)
    return tuple(name for name in parts.main if spec.inputs[name].shape == spec.inputs[target].shape)


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


def _most(lines: Sequence[Array]) -> Array:
    """The largest finite magnitude of each row of arrays [rows, …] with the same rows: [rows, 1]."""
    found = [np.where(np.isfinite(a), np.abs(a), 0.0).max(axis=1, keepdims=True, initial=0.0) for a in lines]
    return np.asarray(np.maximum.reduce(found))


def _redraw(
    entries: list[Array], lines: dict[str, Array], parts: Mapping[str, Variable], dtype: str, dice: Dice
) -> None:
    """Gives real and positive variables magnitudes around those of the entries, row by row."""
    form, most = FORMATS[dtype], _most(entries)
    exponents = np.frexp(most)[1]
    sharp = dice.chance(5, most.shape)
    for name, part in parts.items():
        if part.domain not in (Domain.REAL, Domain.EXTENDED_REAL, Domain.POSITIVE):
            continue
        # In most rows the offset does not drown the entries; in some it does.
        near, far = dice.between(-8, 2, most.shape), dice.between(2, form.precision - 2, most.shape)
        high = np.clip(exponents + np.where(sharp, near, far), 2 - form.emax, form.emax - 2)
        draw = dice.magnitudes if part.domain == Domain.POSITIVE else dice.signed
        lines[name] = draw(high - 1, high - 1, lines[name].shape).astype(np.float64)


def _grid(bound: Array, several: bool, dtype: str) -> Array:
    """The exponent of the grid on which entries and offsets are held whole, and every sum of them (int32).

    bound: of the magnitude of every sum of an entry and its offsets. Rounded up to a power of two 2^e it
    bounds the sums after the rounding too where there is one offset, so the grid 2^(e − precision) does;
    several can add a step.
    """
    form = FORMATS[dtype]
    mantissas, exponents = np.frexp(bound)
    exponents = exponents - (mantissas == 0.5) + several
    return np.asarray(np.maximum(exponents - form.precision, 2 - form.emax - form.precision), np.int32)


def _snap(lines: Array, grid: Array) -> Array:
    """The numbers rounded to multiples of 2^grid; −inf, +inf and nan stay."""
    return np.asarray(np.ldexp(np.rint(np.ldexp(lines, -grid)), grid))


def _snap_distributions(distributions: Array, grid: Array) -> Array:
    """Distributions rounded to multiples of 2^grid (one grid for all) that sum to exactly 1.

    Their partial sums are rounded, so that no entry falls below 0 and a class of probability 0 keeps it; the
    likeliest class takes what the sum was off by. Rows with nan or +inf stay.
    """
    lines = distributions.reshape(-1, distributions.shape[-1])
    finite = np.isfinite(lines).all(axis=1, keepdims=True)
    whole = np.ldexp(1.0, -grid)
    with np.errstate(invalid="ignore"):
        ends = np.minimum(np.rint(np.ldexp(np.add.accumulate(lines, axis=1), -grid)), whole)
        steps = ends.copy()
        steps[:, 1:] -= ends[:, :-1]
    steps[np.arange(len(lines)), lines.argmax(axis=1)] += whole - ends[:, -1]
    return np.asarray(np.where(finite, np.ldexp(steps, grid), lines))
