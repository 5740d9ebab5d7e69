"""Ascent on the inputs of a case: small moves, of which those that make an objective larger are kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lossproof.inputs.case import Array, Case
from lossproof.inputs.dice import Dice, to_dtype
from lossproof.spec.model import Domain, Spec

MOVED = (
    Domain.REAL, Domain.EXTENDED_REAL, Domain.EMBEDDING, Domain.PROBABILITY, Domain.UNIT_INTERVAL,
)  # fmt: skip
"""What can be moved freely, but for a sum or an interval that is mended afterwards."""


def ascend(
    case: Case, spec: Spec, objective: Callable[[Case], float], calls: int, *seed: object
) -> tuple[Case, float]:
    """The case at which the objective is largest among those that were tried, and the objective there.

    calls: how often the objective may be asked. It gives −inf where a case tells nothing; inf ends the ascent. The
    moves depend on the seed alone, so that the same call gives the same case everywhere.
    """
    best, height = case, objective(case)
    names = [n for n, d in spec.inputs.items() if d.domain in MOVED and _free(case.inputs[n]).any()]
    for number in range(calls - 1):
        if not names or height == math.inf:
            break
        dice = Dice.of(case.dtype, "ascent", *seed, number)
        name = names[int(dice.below(len(names)))]
        moved = _mended(_moved(best.inputs[name], dice), spec.inputs[name].domain, case.dtype)
        tried = replace(best, inputs={**best.inputs, name: moved})
        found = objective(tried)
        if found > height:
            best, height = tried, found
    return best, height


def _free(array: Array) -> Array:
    return np.isfinite(array.astype(np.float64))


def _moved(array: Array, dice: Dice) -> Array:
    """One of: an entry a little larger or smaller, an entry beside another, a row shifted, everything scaled."""
    wide = array.astype(np.float64).copy()
    places = np.argwhere(_free(array))
    place = tuple(places[int(dice.below(len(places)))])
    size = 2.0 ** -float(dice.between(0, dice.form.precision))
    signed = size if dice.chance(4) else -size
    kind = int(dice.below(5))
    if kind == 0:
        wide[place] *= 1 + signed
    elif kind == 1:
        wide[place] += signed
    elif kind == 2:
        other = tuple(places[int(dice.below(len(places)))])
        wide[place] = wide[other] * (1 + signed)
    elif kind == 3 and wide.ndim:
        row = wide[place[:-1]]
        row[np.isfinite(row)] += signed * 2.0 ** float(dice.between(0, 12))
    else:
        wide *= 2.0 ** (float(dice.between(-8, 8)) / 8)
    return wide


def _mended(wide: Array, domain: Domain, dtype: str) -> Array:
    if domain is Domain.PROBABILITY:
        wide = np.abs(wide)
        total = wide.sum(axis=-1, keepdims=True)
        wide = wide / np.where(total > 0, total, 1)
    elif domain is Domain.UNIT_INTERVAL:
        wide = np.clip(wide, 0, 1)
    return to_dtype(wide, dtype)
