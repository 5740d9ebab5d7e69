"""Arrays drawn by a domain alone, for inputs, parameters and variables that no regime shapes."""

from __future__ import annotations

import math

import numpy as np

from lossproof.inputs.case import Array
from lossproof.inputs.dice import Dice, natural_log
from lossproof.spec.model import Domain


def plain(domain: Domain, shape: tuple[int, ...], dice: Dice, classes: int = 2) -> Array:
    """An array of the domain: float64, int64 (class_index, permutation) or bool (mask).

    classes: one more than the largest class index.
    """
    count = math.prod(shape)
    match domain:
        case Domain.CLASS_INDEX:
            return np.asarray(dice.rng.integers(0, max(classes, 1), shape))
        case Domain.PERMUTATION:
            lines = [dice.rng.permutation(shape[-1]) for _ in range(math.prod(shape[:-1]))]
            return np.asarray(lines, np.int64).reshape(shape)
        case Domain.MASK:
            return np.asarray(dice.rng.integers(0, 2, shape) == 1)
        case Domain.SIGN:
            return dice.signs(count).reshape(shape)
        case Domain.POWER_OF_TWO:
            return np.asarray(np.ldexp(1.0, dice.rng.integers(-4, 5, shape)))
        case Domain.UNIT_INTERVAL:
            return np.asarray(dice.rng.integers(0, 17, shape) / 16.0)
        case Domain.POSITIVE:
            return dice.magnitudes(-3, 3, count).reshape(shape)
        case Domain.NONNEGATIVE:
            zero = dice.rng.integers(0, 4, count) == 0
            return np.asarray(np.where(zero, 0.0, dice.magnitudes(-3, 3, count)).reshape(shape))
        case Domain.PROBABILITY | Domain.LOG_PROBABILITY:
            lines = [simplex(dice, shape[-1]) for _ in range(math.prod(shape[:-1]))]
            whole = np.asarray(lines, np.float64).reshape(shape)
            return whole if domain == Domain.PROBABILITY else log_of(whole)
        case Domain.EXTENDED_REAL:
            numbers = dice.ordinary(count)
            return np.asarray(np.where(dice.rng.integers(0, 8, count) == 0, -np.inf, numbers).reshape(shape))
    return dice.ordinary(count).reshape(shape)


def simplex(dice: Dice, classes: int, support: Array | None = None) -> Array:
    """A distribution over the classes, positive exactly on the support (all of them unless given).

    Weights are integers, whose sum is exact in any order: the result is the same on every machine.
    """
    support = np.ones(classes, np.bool_) if support is None else support
    spread = dice.below(12)
    weights = np.floor(dice.magnitudes(20, 20 + spread, classes)).astype(np.int64) * support
    return np.asarray(weights / float(max(int(weights.sum()), 1)))


def log_of(distribution: Array) -> Array:
    """The logarithm of a distribution, −inf at 0."""
    positive = distribution > 0
    return np.asarray(np.where(positive, natural_log(np.where(positive, distribution, 1.0)), -np.inf))
