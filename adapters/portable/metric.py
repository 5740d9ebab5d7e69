"""Losses of pairs and triplets of vectors.

Shapes: x1, x2, anchor, positive, negative, predictions, targets [N, D]; y [N], 0 or 1. Every loss returns [N]. The root
of a sum of squares has no derivative at 0: where two points coincide the root is taken of another number, and its
result thrown away.
"""

from __future__ import annotations

from array_api_compat import array_namespace

from .common import Array, at_least_float32, everywhere, round_once
from .vectors import across, directions


def _euclidean(u: Array) -> tuple[Array, Array]:
    """The length of each vector [N], and its derivative [N, D]: 0 at 0."""
    xp = array_namespace(u)
    zero = xp.all(u == 0, axis=-1)
    safe = xp.where(zero[:, None], xp.ones_like(u), u)
    root = xp.sqrt(xp.sum(safe * safe, axis=-1))
    slope = xp.where(zero[:, None], xp.zeros_like(u), safe / root[:, None])
    return xp.where(zero, xp.zeros_like(root), root), slope


def _nonzero(x: Array) -> tuple[Array, Array]:
    """x with ones for a zero vector, and where those are [N, 1]."""
    xp = array_namespace(x)
    zero = xp.all(x == 0, axis=-1, keepdims=True)
    return xp.where(zero, xp.ones_like(x), x), zero


# ---- pairs


def _cosine_distance_gradient(predictions: Array, targets: Array) -> tuple[Array, Array]:
    xp = array_namespace(predictions)
    (x, none), (t, no_target) = (_nonzero(at_least_float32(each)) for each in (predictions, targets))
    (u, length), (v, target_length) = directions(x), directions(t)
    apart = xp.where(none | no_target, xp.zeros_like(u), u - v)
    return (
        round_once(across(apart, u, length), predictions),
        round_once(-across(apart, v, target_length), targets),
    )


@everywhere("cosine_distance", gradient=_cosine_distance_gradient)
def cosine_distance(predictions: Array, targets: Array) -> Array:
    """1 − cos θ → [N], as half the squared distance of the directions; 1 at a zero vector."""
    xp = array_namespace(predictions)
    (x, none), (t, no_target) = (_nonzero(at_least_float32(each)) for each in (predictions, targets))
    apart = directions(x)[0] - directions(t)[0]
    rows = xp.sum(apart * apart, axis=-1) / 2
    return round_once(xp.where((none | no_target)[:, 0], xp.ones_like(rows), rows), predictions)


def _contrastive_gradient(
    x1: Array, x2: Array, y: Array, *, margin: float = 1.0, factor: float = 1.0, squared: bool = True
) -> tuple[Array, Array]:
    xp = array_namespace(x1)
    apart = at_least_float32(x1) - at_least_float32(x2)
    distance, slope = _euclidean(apart)
    lack = xp.where(distance < margin, margin - distance, xp.zeros_like(distance))
    if squared:
        pull = xp.where((y == 1)[:, None], 2 * factor * apart, -2 * factor * lack[:, None] * slope)
    else:
        lacks = xp.astype((lack > 0)[:, None], slope.dtype)
        pull = factor * slope * xp.where((y == 1)[:, None], xp.ones_like(lacks), -lacks)
    return round_once(pull, x1), round_once(-pull, x2)


@everywhere("contrastive", gradient=_contrastive_gradient)
def contrastive(
    x1: Array, x2: Array, y: Array, *, margin: float = 1.0, factor: float = 1.0, squared: bool = True
) -> Array:
    """factor · d² where y = 1, factor · max(0, margin − d)² elsewhere → [N] (Hadsell, Chopra & LeCun).

    Without `squared` neither is squared.
    """
    xp = array_namespace(x1)
    apart = at_least_float32(x1) - at_least_float32(x2)
    distance, _ = _euclidean(apart)
    lack = xp.where(distance < margin, margin - distance, xp.zeros_like(distance))
    if squared:
        rows = xp.where(y == 1, xp.sum(apart * apart, axis=-1), lack * lack)
    else:
        rows = xp.where(y == 1, distance, lack)
    return round_once(factor * rows, x1)


# ---- triplets


def _distance(a: Array, b: Array, power: int, eps: float, squared: bool) -> tuple[Array, Array]:
    """The distance [N] and its derivative in a [N, D]; that in b is the negative."""
    xp = array_namespace(a)
    u = a - b + eps
    if power == 2 and squared:
        return xp.sum(u * u, axis=-1), 2 * u
    length, slope = (xp.sum(xp.abs(u), axis=-1), xp.sign(u)) if power == 1 else _euclidean(u)
    return (length * length, 2 * length[:, None] * slope) if squared else (length, slope)


def _triplet_gradient(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    margin: float = 1.0,
    power: int = 2,
    eps: float = 0.0,
    squared: bool = False,
    swap: bool = False,
) -> tuple[Array, Array, Array]:
    xp = array_namespace(anchor)
    a, p, n = map(at_least_float32, (anchor, positive, negative))
    near, pull = _distance(a, p, power, eps, squared)
    far, push = _distance(a, n, power, eps, squared)
    across, aside = _distance(p, n, power, eps, squared)
    swapped = (across < far)[:, None] if swap else xp.zeros_like(far[:, None], dtype=xp.bool)
    away = xp.where(swapped[:, 0], across, far)
    none = xp.zeros_like(a)
    lacks = (near - away + margin > 0)[:, None]
    in_anchor = xp.where(lacks, pull - xp.where(swapped, none, push), none)
    in_positive = xp.where(lacks, -pull - xp.where(swapped, aside, none), none)
    in_negative = xp.where(lacks, xp.where(swapped, aside, push), none)
    return (
        round_once(in_anchor, anchor),
        round_once(in_positive, positive),
        round_once(in_negative, negative),
    )


@everywhere("triplet", gradient=_triplet_gradient)
def triplet(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    margin: float = 1.0,
    power: int = 2,
    eps: float = 0.0,
    squared: bool = False,
    swap: bool = False,
) -> Array:
    """max(0, d(a, p) − d(a, n) + margin) → [N]; eps is added to each coordinate of a difference.

    swap takes the smaller of d(a, n) and d(p, n) (Balntas et al.); squared squares the distances (FaceNet).
    """
    xp = array_namespace(anchor)
    a, p, n = map(at_least_float32, (anchor, positive, negative))
    near, _ = _distance(a, p, power, eps, squared)
    away, _ = _distance(a, n, power, eps, squared)
    if swap:
        across, _ = _distance(p, n, power, eps, squared)
        away = xp.where(across < away, across, away)
    lack = near - away + margin
    return round_once(xp.where(lack > 0, lack, xp.zeros_like(lack)), anchor)
