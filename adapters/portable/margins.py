"""Losses with an angular margin.

Shapes: embeddings [N, D], weights [V, D], labels [N]. Every loss is the cross-entropy of scale · cos, where the cosine
of the label is replaced, → [N]. Both sides are normalised; what is said of an embedding's direction u and a centre's
direction v holds for each row of theirs.
"""

from __future__ import annotations

import math
from typing import Any

from array_api_compat import array_namespace

from .common import Array, at, at_least_float32, everywhere, is_class, probabilities, round_once, shift
from .vectors import across, directions

# ---- helpers


def _both(embeddings: Array, weights: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Directions and lengths of both."""
    return directions(at_least_float32(embeddings)), directions(at_least_float32(weights))


def _replaced(cosines: Array, labels: Array, at_label: Array) -> Array:
    xp = array_namespace(cosines)
    return xp.where(is_class(labels, cosines), at_label[:, None], cosines)


def _loss(cosines: Array, labels: Array, target: Array, scale: float, like: Array) -> Array:
    _, d, s = shift(scale * _replaced(cosines, labels, target))
    return round_once(s[:, 0] - at(d, labels), like)


def _residual(cosines: Array, labels: Array, target: Array, scale: float) -> Array:
    """The derivative in the cosines, [N, V]: at the label in the one that replaces it."""
    xp = array_namespace(cosines)
    p = probabilities(scale * _replaced(cosines, labels, target))
    return scale * (p - xp.astype(is_class(labels, p), p.dtype))


def _unnormalised(in_u: Array, u: Array, length: Array, like: Array) -> Array:
    """The derivative in x from that in x/‖x‖."""
    return round_once(across(in_u, u, length), like)


def _by_cosine(
    embeddings: Array, weights: Array, labels: Array, scale: float, target: Any, slope: Any
) -> tuple[Array, Array]:
    """Both gradients of a loss whose label has the cosine target(c), with the derivative slope(c)."""
    (u, u_length), (v, v_length) = _both(embeddings, weights)
    cosines = u @ v.T
    c = at(cosines, labels)
    g = _residual(cosines, labels, target(c), scale)
    g = _replaced(g, labels, at(g, labels) * slope(c))
    return _unnormalised(g @ v, u, u_length, embeddings), _unnormalised(g.T @ u, v, v_length, weights)


# ---- CosFace


def _cosface_gradient(
    embeddings: Array, weights: Array, labels: Array, *, scale: float = 64.0, margin: float = 0.35
) -> tuple[Array, Array]:
    one = array_namespace(embeddings).ones_like
    return _by_cosine(embeddings, weights, labels, scale, lambda c: c - margin, one)


@everywhere("cosface", gradient=_cosface_gradient)
def cosface(
    embeddings: Array, weights: Array, labels: Array, *, scale: float = 64.0, margin: float = 0.35
) -> Array:
    """cos θ − m at the label (Wang et al.)."""
    (u, _), (v, _) = _both(embeddings, weights)
    cosines = u @ v.T
    return _loss(cosines, labels, at(cosines, labels) - margin, scale, embeddings)


# ---- SphereFace


def _psi(c: Array, margin: int) -> tuple[Array, Array]:
    """(−1)^k cos(mθ) − 2k and its derivative in c = cos θ, for m from 1 to 4, without acos."""
    xp = array_namespace(c)
    if margin == 1:
        return c, xp.ones_like(c)
    if margin == 2:
        return 2 * c * xp.abs(c) - 1, 4 * xp.abs(c)
    if margin == 3:
        whole, slope = c * (4 * c * c - 3), 12 * c * c - 3
        ends = (0.5, -0.5)
    else:
        whole, slope = 8 * c * c * (c * c - 1) + 1, 16 * c * (2 * c * c - 1)
        ends = (math.sqrt(0.5), 0.0, -math.sqrt(0.5))
    k = sum(xp.astype(c < end, c.dtype) for end in ends)
    sign = 1 - 2 * (k - 2 * xp.floor(k / 2))
    return sign * whole - 2 * k, sign * slope


def _sphereface_gradient(
    embeddings: Array, weights: Array, labels: Array, *, scale: float = 64.0, margin: int = 2
) -> tuple[Array, Array]:
    return _by_cosine(
        embeddings, weights, labels, scale, lambda c: _psi(c, margin)[0], lambda c: _psi(c, margin)[1]
    )


@everywhere("sphereface", gradient=_sphereface_gradient)
def sphereface(
    embeddings: Array, weights: Array, labels: Array, *, scale: float = 64.0, margin: int = 2
) -> Array:
    """ψ(θ) = (−1)^k cos(mθ) − 2k at the label (Liu et al.)."""
    (u, _), (v, _) = _both(embeddings, weights)
    cosines = u @ v.T
    return _loss(cosines, labels, _psi(at(cosines, labels), margin)[0], scale, embeddings)


# ---- ArcFace


def _sideways(u: Array, v: Array, c: Array) -> tuple[Array, Array]:
    """sin θ = ‖u − v cos θ‖ [N] and that vector's direction [N, D], both 0 where u and v agree or are opposite.

    sqrt(1 − cos²) and acos lose half of the digits where cos rounds to ±1, and their derivatives are infinite there.
    """
    xp = array_namespace(u)
    apart = u - v * c[:, None]
    least = 4 * xp.finfo(u.dtype).eps
    none = xp.sum(apart * apart, axis=-1) <= least * least
    safe = xp.where(none[:, None], xp.ones_like(apart), apart)
    sine = xp.sqrt(xp.sum(safe * safe, axis=-1))
    zero = xp.zeros_like(sine)
    return xp.where(none, zero, sine), xp.where(none[:, None], zero[:, None], safe / sine[:, None])


def _turned(c: Array, sine: Array, margin: float, past_pi: str) -> tuple[Array, Array]:
    """The label's cosine with the margin, and where it is cos(θ + m)."""
    xp = array_namespace(c)
    turned = c * math.cos(margin) - sine * math.sin(margin)
    if past_pi == "none":
        return turned, xp.ones_like(c, dtype=xp.bool)
    holds = c > 0 if past_pi == "easy" else c >= -math.cos(margin)
    return xp.where(holds, turned, c if past_pi == "easy" else c - margin * math.sin(margin)), holds


def _arcface_gradient(
    embeddings: Array,
    weights: Array,
    labels: Array,
    *,
    scale: float = 64.0,
    margin: float = 0.5,
    past_pi: str = "none",
) -> tuple[Array, Array]:
    xp = array_namespace(embeddings)
    (u, u_length), (v, v_length) = _both(embeddings, weights)
    cosines, own = u @ v.T, xp.take(v, labels, axis=0)
    c = at(cosines, labels)
    sine, from_v = _sideways(u, own, c)
    _, from_u = _sideways(own, u, c)
    target, holds = _turned(c, sine, margin, past_pi)
    g = _residual(cosines, labels, target, scale)
    # cos(θ + m) falls by sin(θ + m) for each radian, and the shortest way to turn one direction is towards the other
    turn = xp.where(holds, at(g, labels) * (sine * math.cos(margin) + c * math.sin(margin)), xp.zeros_like(c))
    g = _replaced(g, labels, xp.where(holds, xp.zeros_like(c), at(g, labels)))
    own_rows = xp.astype(is_class(labels, cosines), u.dtype)
    in_u = g @ v + turn[:, None] * from_u
    in_v = g.T @ u + own_rows.T @ (turn[:, None] * from_v)
    return _unnormalised(in_u, u, u_length, embeddings), _unnormalised(in_v, v, v_length, weights)


@everywhere("arcface", gradient=_arcface_gradient)
def arcface(
    embeddings: Array,
    weights: Array,
    labels: Array,
    *,
    scale: float = 64.0,
    margin: float = 0.5,
    past_pi: str = "none",
) -> Array:
    """cos(θ + m) at the label (Deng et al.), as cos θ cos m − sin θ sin m."""
    xp = array_namespace(embeddings)
    (u, _), (v, _) = _both(embeddings, weights)
    cosines = u @ v.T
    c = at(cosines, labels)
    sine, _ = _sideways(u, xp.take(v, labels, axis=0), c)
    return _loss(cosines, labels, _turned(c, sine, margin, past_pi)[0], scale, embeddings)
