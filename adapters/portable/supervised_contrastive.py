"""Losses of labelled embeddings: who is like whom is told by class ids.

Shapes: embeddings [N, D]; labels [N], any integers, equal ones for members of a class. Every loss is a scalar.
"""

from __future__ import annotations

from array_api_compat import array_namespace

from .common import Array, at_least_float32, everywhere, probabilities, round_once, shift
from .vectors import across, directions, over, places, transposed, without


def _pairs(labels: Array) -> tuple[Array, Array]:
    """Which others are of the same class as each, and which are of another one: [N, N] bool both."""
    xp = array_namespace(labels)
    place, same = places(labels), labels[:, None] == labels[None, :]
    return xp.logical_and(same, place[:, None] != place[None, :]), xp.logical_not(same)


def _gradient(g: Array, directions: Array, lengths: Array, like: Array) -> Array:
    """The gradient in the embeddings from that in their similarities [N, N]."""
    return round_once(across((g + transposed(g)) @ directions, directions, lengths), like)


# ---- supervised contrastive


def _factors(
    positive: Array, like: Array, temperature: float, base_temperature: float | None, no_positives: str
) -> Array:
    """What each anchor's sum over its positives is multiplied by, [N]."""
    xp = array_namespace(like)
    count = xp.sum(xp.astype(positive, like.dtype), axis=-1)
    anchors = xp.sum(xp.astype(count > 0, like.dtype))
    divisor = xp.maximum(anchors, xp.ones_like(anchors)) if no_positives == "skip" else like.shape[0]
    scale = 1.0 if base_temperature is None else temperature / base_temperature
    return scale / (xp.maximum(count, xp.ones_like(count)) * divisor)


def _sup_con_gradient(
    embeddings: Array,
    labels: Array,
    *,
    temperature: float = 0.1,
    base_temperature: float | None = None,
    no_positives: str = "skip",
) -> Array:
    u, length = directions(at_least_float32(embeddings))
    xp, (positive, _) = array_namespace(u), _pairs(labels)
    p = probabilities(over(without(places(u), u @ transposed(u)), temperature))
    weight = xp.astype(positive, u.dtype)
    g = xp.sum(weight, axis=-1, keepdims=True) * p - weight
    factors = _factors(positive, u, temperature, base_temperature, no_positives)
    return _gradient(g * factors[:, None] / temperature, u, length, embeddings)


@everywhere("sup_con", gradient=_sup_con_gradient)
def sup_con(
    embeddings: Array,
    labels: Array,
    *,
    temperature: float = 0.1,
    base_temperature: float | None = None,
    no_positives: str = "skip",
) -> Array:
    """The mean over anchors of −mean log softmax(s/τ) over their positives (Khosla et al., NeurIPS 2020)."""
    u, _ = directions(at_least_float32(embeddings))
    xp, (positive, _) = array_namespace(u), _pairs(labels)
    _, d, s = shift(over(without(places(u), u @ transposed(u)), temperature))
    rows = xp.sum(xp.where(positive, s - d, xp.zeros_like(d)), axis=-1)
    factors = _factors(positive, u, temperature, base_temperature, no_positives)
    return round_once(xp.sum(rows * factors), embeddings)


# ---- multi-similarity


def _beside_one(chosen: Array, logits: Array) -> Array:
    """Logits [N, N + 1] with 0 in front, −inf where they are not chosen: for log(1 + Σ exp)."""
    xp = array_namespace(logits)
    kept = xp.where(chosen, logits, xp.full_like(logits, -xp.inf))
    return xp.concat([xp.zeros_like(logits[:, :1]), kept], axis=-1)


def _multi_similarity_gradient(
    embeddings: Array, labels: Array, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Array:
    u, length = directions(at_least_float32(embeddings))
    (positive, negative), s = _pairs(labels), u @ transposed(u) - base
    drawn, pushed = (
        probabilities(_beside_one(positive, -alpha * s)),
        probabilities(_beside_one(negative, beta * s)),
    )
    return _gradient((pushed - drawn)[:, 1:] / s.shape[0], u, length, embeddings)


@everywhere("multi_similarity", gradient=_multi_similarity_gradient)
def multi_similarity(
    embeddings: Array, labels: Array, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Array:
    """mean log(1 + Σ_P exp(−α(s − λ)))/α + log(1 + Σ_N exp(β(s − λ)))/β (Wang et al., CVPR 2019)."""
    u, _ = directions(at_least_float32(embeddings))
    (positive, negative), s = _pairs(labels), u @ transposed(u) - base
    m, _, total = shift(_beside_one(positive, -alpha * s))
    n, _, other = shift(_beside_one(negative, beta * s))
    rows = (m + total) / alpha + (n + other) / beta
    return round_once(array_namespace(u).mean(rows), embeddings)
