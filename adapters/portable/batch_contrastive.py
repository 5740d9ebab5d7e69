"""Contrastive losses: each row of a batch is held against the others.

Two habits beside those of the package:

- Similarities before temperatures: (s − max s)/τ and never exp(s/τ), which overflows from τ = 1/88 on.
- A masked pair is −inf among the logits, chosen by its index. By its value (s < 1 − 1e-5) duplicates would be lost.

Shapes: query, keys, image, text, a, b [N, D]; results [N] of InfoNCE, scalars of the others. 2N views are a above b.
"""

from __future__ import annotations

import math

from array_api_compat import array_namespace

from .common import (
    Array,
    at,
    at_least_float32,
    everywhere,
    is_class,
    maximum,
    probabilities,
    round_once,
    shift,
    softplus,
)
from .vectors import across, directions, over, places, transposed, without

# ---- InfoNCE and CLIP


def _paired(logits: Array) -> Array:
    """Cross-entropy of each row [N] with its own number as the label."""
    _, d, s = shift(logits)
    return s[:, 0] - at(d, places(d))


def _paired_gradient(logits: Array) -> Array:
    """The derivative of its sum in the logits."""
    xp = array_namespace(logits)
    return probabilities(logits) - xp.astype(is_class(places(logits), logits), logits.dtype)


def _info_nce_gradient(
    query: Array, keys: Array, *, temperature: float = 0.1, similarity: str = "cosine"
) -> tuple[Array, Array]:
    q, k = at_least_float32(query), at_least_float32(keys)
    if similarity == "dot":
        g = _paired_gradient(over(q @ transposed(k), temperature)) / temperature
        return round_once(g @ k, query), round_once(transposed(g) @ q, keys)
    (u, length), (v, other) = directions(q), directions(k)
    g = _paired_gradient(over(u @ transposed(v), temperature)) / temperature
    return (
        round_once(across(g @ v, u, length), query),
        round_once(across(transposed(g) @ u, v, other), keys),
    )


@everywhere("info_nce", gradient=_info_nce_gradient)
def info_nce(query: Array, keys: Array, *, temperature: float = 0.1, similarity: str = "cosine") -> Array:
    """−log softmax(s(q_i, k_j)/τ) at j = i → [N] (van den Oord et al., arXiv:1807.03748)."""
    q, k = at_least_float32(query), at_least_float32(keys)
    if similarity == "cosine":
        q, k = directions(q)[0], directions(k)[0]
    return round_once(_paired(over(q @ transposed(k), temperature)), query)


def _clip_gradient(image: Array, text: Array, *, temperature: float = 0.07) -> tuple[Array, Array]:
    (u, length), (v, other) = directions(at_least_float32(image)), directions(at_least_float32(text))
    s = u @ transposed(v)
    g = _paired_gradient(over(s, temperature)) + transposed(
        _paired_gradient(over(transposed(s), temperature))
    )
    g = g / (2 * s.shape[0] * temperature)
    return (
        round_once(across(g @ v, u, length), image),
        round_once(across(transposed(g) @ u, v, other), text),
    )


@everywhere("clip", gradient=_clip_gradient)
def clip(image: Array, text: Array, *, temperature: float = 0.07) -> Array:
    """The mean of InfoNCE from images to texts and from texts to images (Radford et al., ICML 2021)."""
    u, v = directions(at_least_float32(image))[0], directions(at_least_float32(text))[0]
    xp, s = array_namespace(u), u @ transposed(v)
    rows = _paired(over(s, temperature)) + _paired(over(transposed(s), temperature))
    return round_once(xp.mean(rows) / 2, image)


# ---- the 2N views of SimCLR


def _views(a: Array, b: Array) -> tuple[Array, Array]:
    """Directions and lengths of the 2N views."""
    x, y = at_least_float32(a), at_least_float32(b)
    return directions(array_namespace(x).concat([x, y], axis=0))


def _partners(views: Array) -> Array:
    """The place of each view's other view."""
    return (places(views) + views.shape[0] // 2) % views.shape[0]


def _views_gradient(g: Array, directions: Array, lengths: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """The gradients in a and b from that in the similarities of the views [2N, 2N]."""
    found = across((g + transposed(g)) @ directions, directions, lengths)
    return round_once(found[: a.shape[0], :], a), round_once(found[a.shape[0] :, :], b)


def _nt_xent_gradient(a: Array, b: Array, *, temperature: float = 0.1) -> tuple[Array, Array]:
    z, length = _views(a, b)
    xp, s = array_namespace(z), without(places(z), z @ transposed(z))
    g = probabilities(over(s, temperature)) - xp.astype(is_class(_partners(z), s), s.dtype)
    return _views_gradient(g / (s.shape[0] * temperature), z, length, a, b)


@everywhere("nt_xent", gradient=_nt_xent_gradient)
def nt_xent(a: Array, b: Array, *, temperature: float = 0.1) -> Array:
    """The mean over the 2N views of −log softmax(s/τ) at the other view, itself left out (Chen et al., ICML 2020)."""
    z, _ = _views(a, b)
    _, d, s = shift(over(without(places(z), z @ transposed(z)), temperature))
    return round_once(array_namespace(z).mean(s[:, 0] - at(d, _partners(z))), a)


# ---- negatives that are corrected and weighted


def _negatives(z: Array, temperature: float, beta: float) -> tuple[Array, Array, Array, Array]:
    """Of each view: log Σ w exp((s − pair)/τ) with weights w of mean 1 in proportion to exp(βs/τ), and pair [2N].

    Also the weights, and the shares of the negatives in the weighted sum [2N, 2N]; both sum to 1 in each row.
    """
    xp = array_namespace(z)
    similarities, partners = z @ transposed(z), _partners(z)
    pair = at(similarities, partners)
    kept = without(partners, without(places(z), similarities))
    hardest = maximum(kept, xp.argmax(kept, axis=-1))
    negative = xp.isfinite(kept)
    x = xp.where(negative, (similarities - hardest) / temperature, xp.zeros_like(similarities))
    _, d, s = shift(xp.where(negative, beta * x, xp.full_like(x, -xp.inf)))
    log_weights = d - s
    terms = xp.where(negative, xp.where(negative, log_weights, xp.zeros_like(x)) + x, log_weights)
    m, d, s = shift(terms)
    count = similarities.shape[0] - 2
    total = (m + s)[:, 0] + (hardest[:, 0] - pair) / temperature + math.log(count)
    return total, pair, xp.exp(log_weights), xp.exp(d - s)


def _corrected(
    total: Array, pair: Array, count: int, temperature: float, tau_plus: float
) -> tuple[Array, Array, Array]:
    """What the positive and the uncorrected negatives have of their sum, and the corrected negatives beside them [2N].

    Nothing overflows: all three are divided by that sum. The correction never leaves less than count · exp(−1/τ).
    """
    xp = array_namespace(total)
    positive, negatives = xp.exp(-softplus(total)), xp.exp(-softplus(-total))
    least = count * xp.exp(-(1 + pair) / temperature) * positive
    return positive, negatives, xp.maximum((negatives - tau_plus * count * positive) / (1 - tau_plus), least)


def _hard_negative_contrastive_gradient(
    a: Array, b: Array, *, temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0
) -> tuple[Array, Array]:
    z, length = _views(a, b)
    xp, count = array_namespace(z), z.shape[0] - 2
    total, pair, weights, shares = _negatives(z, temperature, beta)
    positive, negatives, left = _corrected(total, pair, count, temperature, tau_plus)
    free = left > count * xp.exp(-(1 + pair) / temperature) * positive
    in_total = xp.where(free, negatives / (1 - tau_plus), xp.zeros_like(left)) / (positive + left)
    in_pair = in_total + xp.where(free, xp.zeros_like(left), left) / (positive + left)
    g = in_total[:, None] * ((1 + beta) * shares - beta * weights)
    g = g - in_pair[:, None] * xp.astype(is_class(_partners(z), g), g.dtype)
    return _views_gradient(g / (z.shape[0] * temperature), z, length, a, b)


@everywhere("hard_negative_contrastive", gradient=_hard_negative_contrastive_gradient)
def hard_negative_contrastive(
    a: Array, b: Array, *, temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0
) -> Array:
    """Debiased, with negatives weighted by exp(βs/τ) (Robinson et al., ICLR 2021)."""
    z, _ = _views(a, b)
    xp, count = array_namespace(z), z.shape[0] - 2
    total, pair, _, _ = _negatives(z, temperature, beta)
    positive, _, left = _corrected(total, pair, count, temperature, tau_plus)
    return round_once(xp.mean(softplus(total) + xp.log(positive + left)), a)


def _debiased_contrastive_gradient(
    a: Array, b: Array, *, temperature: float = 0.5, tau_plus: float = 0.1
) -> tuple[Array, Array]:
    return _hard_negative_contrastive_gradient(a, b, temperature=temperature, tau_plus=tau_plus, beta=0.0)


@everywhere("debiased_contrastive", gradient=_debiased_contrastive_gradient)
def debiased_contrastive(a: Array, b: Array, *, temperature: float = 0.5, tau_plus: float = 0.1) -> Array:
    """Negatives corrected for a share τ⁺ of positives among them (Chuang et al., NeurIPS 2020)."""
    return hard_negative_contrastive(a, b, temperature=temperature, tau_plus=tau_plus, beta=0.0)
