"""From a recipe to a case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lossproof.inputs.anatomy import Family, anatomy
from lossproof.inputs.case import Array, Case
from lossproof.inputs.dice import Dice, to_dtype
from lossproof.inputs.parameters import OFF_INDEX, parameters_of
from lossproof.inputs.plain import plain
from lossproof.inputs.recipe import Recipe
from lossproof.inputs.regimes import POISONED, poison, regime_of
from lossproof.inputs.regimes.sketch import Sketch
from lossproof.inputs.variables import sizes_with, snap_to_grid, variable
from lossproof.spec.model import Domain, Spec, Variable


def expand(
    spec: Spec,
    recipe: Recipe,
    dtype: str,
    variables: Mapping[str, Variable] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Case:
    """The case that a recipe stands for: a pure function of its arguments.

    Real inputs come in the dtype ("bfloat16" as ml_dtypes.bfloat16), labels as int64, masks as bool.
    Numbers are drawn in float64 and rounded once, so a distribution sums to 1 up to rounding (exactly in
    the regime "dyadic"). variables: those of a law, to be drawn too. parameters: values that are fixed,
    over the drawn ones; where `ignore_index` is an integer among them, labels hold it.
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
    drawn: dict[str, Array] = {}
    copies: dict[str, int] = {}
    for name, part in variables.items():
        if part.like is not None:
            copies[part.like] = copies.get(part.like, 0) + 1
            drawn[name] = _again(spec, recipe, sizes, dtype, part.like, copies[part.like], inputs)
        else:
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
    )
    others = Dice.of(dtype, recipe.seed, "others", draw)
    for name in (*parts.labels, *parts.plain):
        domain = spec.inputs[name].domain
        given = None if kept is None else kept.get(name)
        new = plain(domain, sketch.shape(name), others, sketch.classes)
        sketch.arrays[name] = new if given is None else given
    regime_of(spec, recipe.regime).paint(sketch)
    if recipe.regime == POISONED:
        poison(sketch)
    return {name: _typed(sketch.arrays[name], spec.inputs[name].domain, dtype) for name in spec.inputs}


def _again(
    spec: Spec,
    recipe: Recipe,
    sizes: Mapping[str, int],
    dtype: str,
    name: str,
    draw: int,
    inputs: Mapping[str, Array],
) -> Array:
    """Another draw of an input under the same regime; it fits the labels that stand."""
    parts = anatomy(spec)
    classes = sizes[parts.classes] if parts.classes else 1
    labels = {n: inputs[n] for n in parts.labels if n != name}
    # Rows that are ignored have no class of their own; any will do to shape their logits.
    legal = {n: np.where((array < 0) | (array >= classes), 0, array) for n, array in labels.items()}
    return _inputs(spec, recipe, sizes, dtype, draw, legal)[name]


def _ignore(spec: Spec, inputs: dict[str, Array], values: Mapping[str, Any], dice: Dice) -> None:
    """Some labels, all or none become the ignored index, where there is one."""
    index = values.get(OFF_INDEX)
    if index is None or isinstance(index, bool | str):
        return
    for name, part in spec.inputs.items():
        if part.domain == Domain.CLASS_INDEX:
            mode, labels = dice.below(8), inputs[name]
            chosen = dice.rng.integers(0, 2, labels.shape) == 1
            where = np.zeros_like(chosen) if mode < 2 else np.ones_like(chosen) if mode < 3 else chosen
            inputs[name] = np.where(where, np.int64(int(index)), labels)


def _typed(array: Array, domain: Domain, dtype: str) -> Array:
    if domain in (Domain.CLASS_INDEX, Domain.PERMUTATION):
        return array.astype(np.int64)
    return array.astype(np.bool_) if domain == Domain.MASK else to_dtype(array, dtype)
