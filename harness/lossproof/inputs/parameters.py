"""The values of a spec's parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lossproof.inputs.dice import Dice, to_dtype
from lossproof.inputs.plain import plain
from lossproof.inputs.sizes import extent
from lossproof.spec.model import Domain, Parameter, Spec

OFF_INDEX = "ignore_index"
"""The parameter that names a label whose rows are left out."""


def pool(spec: Spec, name: str, seed: int) -> list[Any]:
    """The values among which a run chooses: every choice; of a number the default, the ends and two more.

    Few, because a parameter is static under compilation and each new value compiles again.
    """
    parameter = spec.parameters[name]
    if parameter.choices is not None:
        return list(parameter.choices)
    values = [parameter.default, *parameter.ends]
    if parameter.range is not None:
        dice = Dice.of("float64", spec.loss, name, seed)
        values += [_inside(parameter, dice) for _ in range(2)]
    return list({(type(v), v): v for v in map(_plain_number(parameter), values)}.values())


def parameters_of(
    spec: Spec,
    values: Mapping[str, Any],
    arrays: tuple[str, ...],
    fixed: Mapping[str, Any],
    sizes: Mapping[str, int],
    dtype: str,
    dice: Dice,
) -> dict[str, Any]:
    """Every parameter: the fixed value, else the drawn one, else its default; arrays in the dtype."""
    found: dict[str, Any] = {}
    for name, parameter in spec.parameters.items():
        value = fixed[name] if name in fixed else values.get(name, parameter.default)
        if parameter.shape is not None:
            shape = extent(parameter.shape, sizes)
            if name not in fixed and name in arrays:
                value = plain(parameter.domain or Domain.POSITIVE, shape, dice)
            if value is not None:
                value = to_dtype(np.broadcast_to(np.asarray(value, np.float64), shape), dtype)
        found[name] = value
    return found


def _inside(parameter: Parameter, dice: Dice) -> float:
    """A number of three digits inside the range; evenly over the magnitudes where the range spans many."""
    assert parameter.range is not None
    low, high = parameter.range
    if parameter.integer:
        return int(dice.between(math.ceil(low), math.floor(high)))
    if low > 0 and high / low >= 100:
        exponents = math.frexp(low)[1] - 1, math.frexp(high)[1] - 1
        value = float(dice.magnitudes(*exponents))
    else:
        value = low + (high - low) * float(dice.uniform())
    return min(max(float(f"{value:.3g}"), low), high)


def _plain_number(parameter: Parameter) -> Any:
    def convert(value: Any) -> Any:
        if value is None or isinstance(value, str):
            return value
        return int(value) if parameter.integer else float(value)

    return convert
