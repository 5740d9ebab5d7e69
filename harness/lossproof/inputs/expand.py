"""From a recipe to a case."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from lossproof.floats import numpy_dtype
from lossproof.inputs.anatomy import Family, anatomy
from lossproof.inputs.case import Array, Case
from lossproof.inputs.dice import Dice, to_dtype
from lossproof.inputs.parameters import OFF_INDEX, parameters_of
from lossproof.inputs.plain import class_ids, partition, plain
from lossproof.inputs.recipe import Recipe
from lossproof.inputs.regimes import POISONED, UNREAD, poison, regime_of
from lossproof.inputs.regimes.sketch import Sketch
from lossproof.inputs.variables import sizes_with, snap_to_grid, variable
from lossproof.oracle.unread import unread
from lossproof.spec.graph import kind_of
from lossproof.spec.model import Domain, Spec, Variable


def expand(
    spec: Spec,
    recipe: Recipe,
    dtype: str,
    variables: Mapping[str, Variable] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Case:
    """The case that a recipe stands for: a pure function of its arguments.

    Real inputs come in the dtype ("bfloat16" as ml_dtypes.bfloat16), labels and class ids as int64, masks as bool.
    Numbers are drawn in float32 (float64 for float64 and for distributions) and rounded once, so a
    distribution sums to 1 up to rounding (exactly in the regime "dyadic"). variables: those of a law, to be
    drawn too. parameters: values that are fixed, over the drawn ones; where `ignore_index` is an integer
    among them, labels hold it.
    """
    variables, fixed = variables or {}, parameters or {}
    sizes = sizes_with(recipe.sizes, variables.values())
    inputs = _inputs(spec, recipe, sizes, dtype, draw=0)
    values = parameters_of(
        spec,
        dict(recipe.parameters),
        recipe.arrays,
        fixed,
        sizes,
        dtype,
        Dice.of(dtype, recipe.seed, "parameters"),
    )
    _ignore(spec, inputs, values, Dice.of(dtype, recipe.seed, "ignored"))
    if recipe.regime == UNREAD:
        _fill_unread(spec, inputs, values, Dice.of(dtype, recipe.seed, UNREAD))
    drawn = _again(spec, recipe, sizes, dtype, variables, inputs) if variables else {}
    for name, part in variables.items():
        if part.like is None:
            drawn[name] = variable(spec, part, sizes, dtype, Dice.of(dtype, recipe.seed, "variable", name))
    snap_to_grid(spec, inputs, drawn, variables, dtype, Dice.of(dtype, recipe.seed, "grid"))
    return Case(spec.loss, dtype, recipe.regime, inputs, values, drawn)


def _inputs(
    spec: Spec,
    recipe: Recipe,
    sizes: Mapping[str, int],
    dtype: str,
    draw: int,
    kept: Mapping[str, Array] | None = None,
) -> dict[str, Array]:
    """The inputs in the spec's order, in the dtype. draw: a number for each further draw of them.

    kept: inputs that another draw keeps (labels).
    """
    parts = anatomy(spec)
    # What masks what belongs to the structure: another draw of logits masks the same classes, or it would put
    # −inf at a label. Distributions have no such ties, and laws are sharper where the supports differ.
    same = parts.family != Family.PROBABILITIES
    sketch = Sketch(
        spec=spec,
        parts=parts,
        sizes=sizes,
        structure=Dice.of(dtype, recipe.seed, "structure", 0 if same else draw),
        values=Dice.of(dtype, recipe.seed, "values", draw),
        dial=recipe.dial,
        density=recipe.density,
        arrays=dict(kept or {}),
    )
    for name in (*parts.labels, *parts.plain):
        if name not in sketch.arrays:
            domain, shape = spec.inputs[name].domain, sketch.shape(name)
            if domain == Domain.CLASS_ID:
                # another draw of class ids gives the same classes other names
                sketch.arrays[name] = class_ids(partition(sketch.structure, shape), sketch.values)
            else:
                sketch.arrays[name] = plain(domain, shape, sketch.values, sketch.labelled)
    regime_of(spec, recipe.regime).paint(sketch)
    if recipe.regime == POISONED:
        poison(sketch)
    return {name: _typed(sketch.arrays[name], spec.inputs[name].domain, dtype) for name in spec.inputs}


def _again(
    spec: Spec,
    recipe: Recipe,
    sizes: Mapping[str, int],
    dtype: str,
    variables: Mapping[str, Variable],
    inputs: Mapping[str, Array],
) -> dict[str, Array]:
    """The variables that are another draw of an input, under the same regime and fit for the labels that stand.

    The first other draws of several inputs belong together, as the inputs do; so do the second ones.
    """
    parts = anatomy(spec)
    classes = sizes[parts.labelled] if parts.labelled else 1
    # Rows that are ignored have no class of their own; any will do to shape their logits.
    labels = {n: np.where((inputs[n] < 0) | (inputs[n] >= classes), 0, inputs[n]) for n in parts.labels}
    found: dict[str, Array] = {}
    copies: Counter[str] = Counter()
    draws: dict[tuple[int, str | None], dict[str, Array]] = {}
    for name, part in variables.items():
        if part.like is None:
            continue
        copies[part.like] += 1
        new = part.like if part.like in labels else None
        key = copies[part.like], new
        if key not in draws:
            kept = {n: array for n, array in labels.items() if n != new}
            draws[key] = _inputs(spec, recipe, sizes, dtype, copies[part.like], kept)
        found[name] = draws[key][part.like]
    return found


def _ignore(spec: Spec, inputs: dict[str, Array], values: Mapping[str, Any], dice: Dice) -> None:
    """Some labels, all or none become the ignored index, where there is one."""
    index = values.get(OFF_INDEX)
    if index is None or isinstance(index, bool | str):
        return
    for name, part in spec.inputs.items():
        if part.domain == Domain.CLASS_INDEX:
            mode, labels = dice.below(8), inputs[name]
            where = dice.chance(0 if mode < 2 else 8 if mode < 3 else 4, labels.shape)
            inputs[name] = np.where(where, np.int64(int(index)), labels)


def _fill_unread(spec: Spec, inputs: dict[str, Array], values: Mapping[str, Any], dice: Dice) -> None:
    """Entries that are not read become nan, infinite or huge, whole lines of them alike or each on its own."""
    for name, declared in spec.inputs.items():
        where = unread(spec, name, inputs, values) if declared.is_real else None
        if where is None:
            continue
        huge = dice.form.largest / 4
        junk = np.array([np.nan, np.nan, np.inf, -np.inf, huge, -huge])
        shape = where.shape if dice.chance(4) else (*where.shape[:-1], 1)
        anything = junk[dice.below(len(junk), shape)].astype(inputs[name].dtype)
        inputs[name] = np.where(where, anything, inputs[name])


def _typed(array: Array, domain: Domain, dtype: str) -> Array:
    if kind_of(domain) == "integer":
        return array.astype(np.int64, copy=False)
    if kind_of(domain) == "boolean":
        return array.astype(np.bool_, copy=False)
    return array if array.dtype == numpy_dtype(dtype) else to_dtype(array, dtype)
