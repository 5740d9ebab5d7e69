"""Arrays drawn by a domain alone, for inputs, parameters and variables that no regime shapes."""

from __future__ import annotations

import math

import numpy as np

from lossproof.inputs.case import Array
from lossproof.inputs.dice import Dice, natural_log
from lossproof.spec.model import Domain


def plain(domain: Domain, shape: tuple[int, ...], dice: Dice, classes: int = 2) -> Array:
    """An array of the domain: float64, int64 (class_index, class_id, permutation) or bool (mask).

    classes: one more than the largest class index.
    """
    match domain:
        case Domain.CLASS_INDEX:
            return dice.below(max(classes, 1), shape)
        case Domain.CLASS_ID:
            return class_ids(partition(dice, shape), dice)
        case Domain.PERMUTATION:
            return dice.uniform(shape).argsort(axis=-1)
        case Domain.MASK:
            return masks(shape, dice)
        case Domain.SIGN:
            return np.where(dice.chance(4, shape), 1.0, -1.0)
        case Domain.BINARY:
            return np.where(dice.chance(4, shape), 1.0, 0.0)
        case Domain.POWER_OF_TWO:
            return np.asarray(np.ldexp(1.0, dice.between(-4, 4, shape)))
        case Domain.UNIT_INTERVAL:
            # half of them at the ends, where what is missing has digits of its own
            return np.where(dice.chance(4, shape), dice.below(2, shape), dice.below(17, shape) / 16.0)
        case Domain.POSITIVE:
            return dice.magnitudes(-3, 3, shape)
        case Domain.NONNEGATIVE:
            return np.where(dice.chance(2, shape), 0.0, dice.magnitudes(-3, 3, shape))
        case Domain.PROBABILITY | Domain.LOG_PROBABILITY:
            whole = simplex(weights(dice, math.prod(shape[:-1]), shape[-1])).reshape(shape)
            return whole if domain == Domain.PROBABILITY else log_of(whole)
        case Domain.EMBEDDING:
            return nonzero(dice.ordinary(math.prod(shape[:-1]), shape[-1])).reshape(shape)
    numbers = dice.ordinary(1, math.prod(shape)).reshape(shape)
    if domain == Domain.EXTENDED_REAL:
        return np.where(dice.chance(1, shape), -np.inf, numbers)
    return numbers


def masks(shape: tuple[int, ...], dice: Dice) -> Array:
    """False throughout, True throughout, padding at the end of each row, few entries or half of them."""
    style, count = int(dice.below(8)), shape[-1] if shape else 1
    ends = dice.below(count + 1, shape[:-1])[..., None] if shape else dice.below(2)
    few, half = dice.chance(1, shape), dice.chance(4, shape)
    found = (np.zeros(shape, bool), np.ones(shape, bool), np.arange(count) < ends, few, half)
    return np.asarray(found[(0, 1, 2, 2, 2, 3, 4, 4)[style]]).reshape(shape)


def partition(dice: Dice, shape: tuple[int, ...]) -> Array:
    """The number of each entry's class, from 0 up without gaps (int64): one class for all, a class for each, pairs,
    one entry by itself, or some classes, among them such of one member."""
    count = math.prod(shape)
    style, order = int(dice.below(8)), dice.uniform(count).argsort()
    some = dice.below(np.maximum(dice.between(1, count), 2), count)
    at, whole = np.arange(count), np.zeros(count, np.int64)
    found = (whole, at, at // 2, np.minimum(at, 1))[style] if style < 4 else some
    found[order] = found.copy()
    return np.unique(found, return_inverse=True)[1].reshape(shape)


def class_ids(classes: Array, dice: Dice) -> Array:
    """Names of classes that are numbered from 0 up: other numbers in another order, the same ones for equal classes.

    Small ones, with those among them that code may take for a sign (−100, −1, 0), or any that 32 bits hold.
    """
    count = int(classes.max(initial=0)) + 1
    low, room = (-(2**31), 2**32 // (count + 1)) if dice.chance(3) else (-3, 1)
    names = low + np.cumsum(dice.between(1, room, count))
    if dice.chance(4) and room > 1:
        names = -1 - names
    if dice.chance(2):
        names[0] = min(int(names[0]), -100)
    return np.asarray(names[dice.uniform(count).argsort()][classes])


def nonzero(vectors: Array) -> Array:
    """The vectors [rows, features] with 1 in the first place of those that were 0 throughout."""
    zero = ~np.any(vectors != 0, axis=-1)
    if zero.any():
        vectors = vectors.copy()
        vectors[zero, 0] = 1.0
    return vectors


def weights(dice: Dice, rows: int, classes: int, support: Array | None = None) -> Array:
    """[rows, classes] positive integers as float64, 0 off the support (bool [rows, classes]) where there is one.

    Below 2^32, so that their sums are exact in any order and the same on every machine. Those of a row lie
    within a factor of 2 to 4096 of each other.
    """
    spread = dice.below(12, (rows, 1))
    found = np.floor(dice.magnitudes(20, 20 + spread, (rows, classes))).astype(np.float64)
    return found if support is None else found * support


def simplex(masses: Array) -> Array:
    """The distributions [rows, classes] in proportion to weights."""
    return np.asarray(masses / np.maximum(masses.sum(axis=-1, keepdims=True), 1.0))


def log_of(distributions: Array) -> Array:
    """The logarithms of distributions, −inf at 0."""
    positive = distributions > 0
    return np.asarray(np.where(positive, natural_log(np.where(positive, distributions, 1.0)), -np.inf))
