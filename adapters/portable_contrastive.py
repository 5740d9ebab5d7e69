"""Contrastive losses in array-API code: each row of a batch is held against the others.

Three habits beside those of portable.py:

- Directions by the largest coordinate first, so that no square leaves the exponent range, and with no epsilon: the
  direction of a vector of length 1e-20 is as good as any other.
- Similarities before temperatures: (s − max s)/τ and never exp(s/τ), which overflows from τ = 1/88 on.
- A masked pair is −inf among the logits, chosen by its index. By its value (s < 1 − 1e-5) duplicates would be lost.

Shapes: query, keys, image, text, a, b, embeddings [N, D]; labels [N], any integers. 2N views are a above b.
NumPy has no automatic derivative, so each loss comes with its closed form.
"""

from __future__ import annotations

import math
from typing import Any

from array_api_compat import array_namespace, device
from lossproof.builtin.adapters.portable import (
    _at,
    _at_least_float32,
    _constant,
    _is_class,
    _maximum,
    _round_once,
    _shift,
    _softmax,
    everywhere,
)
from lossproof.builtin.adapters.portable_classification import _softplus

Array = Any


# ---- helpers


def _directions(x: Array) -> tuple[Array, Array]:
    """x / ‖x‖ and ‖x‖ [N, 1]; nan for a zero vector, which has no direction."""
    xp = array_namespace(x)
    largest = _constant(xp.max(xp.abs(x), axis=-1, keepdims=True))
    y = x / largest
    length = xp.sqrt(xp.sum(y * y, axis=-1, keepdims=True))
    return y / length, largest * length


def _across(g: Array, direction: Array, length: Array) -> Array:
    """The derivative in a vector from that in its direction: what lies along the vector has no influence."""
    xp = array_namespace(g)
    return (g - direction * xp.sum(g * direction, axis=-1, keepdims=True)) / length


def _transposed(x: Array) -> Array:
    return array_namespace(x).matrix_transpose(x)


def _places(x: Array) -> Array:
    """0, 1, … for the rows of x."""
    return array_namespace(x).arange(x.shape[0], device=device(x))


# ---- InfoNCE and CLIP


def _over(similarities: Array, temperature: float) -> Array:
    """(s − max s)/τ, row by row."""
    xp = array_namespace(similarities)
    return (similarities - _maximum(similarities, xp.argmax(similarities, axis=-1))) / temperature


def _paired(logits: Array) -> Array:
    """Cross-entropy of each row [N] with its own number as the label."""
    _, d, s = _shift(logits)
    return s[:, 0] - _at(d, _places(d))


def _paired_gradient(logits: Array) -> Array:
    """The derivative of its sum in the logits."""
    xp = array_namespace(logits)
    return _softmax(logits) - xp.astype(_is_class(_places(logits), logits), logits.dtype)


def _info_nce_gradient(
    query: Array, keys: Array, *, temperature: float = 0.1, similarity: str = "cosine"
) -> tuple[Array, Array]:
    q, k = _at_least_float32(query), _at_least_float32(keys)
    if similarity == "dot":
        g = _paired_gradient(_over(q @ _transposed(k), temperature)) / temperature
        return _round_once(g @ k, query), _round_once(_transposed(g) @ q, keys)
    (u, length), (v, other) = _directions(q), _directions(k)
    g = _paired_gradient(_over(u @ _transposed(v), temperature)) / temperature
    return (
        _round_once(_across(g @ v, u, length), query),
        _round_once(_across(_transposed(g) @ u, v, other), keys),
    )


@everywhere("info_nce", gradient=_info_nce_gradient)
def info_nce(query: Array, keys: Array, *, temperature: float = 0.1, similarity: str = "cosine") -> Array:
    """−log softmax(s(q_i, k_j)/τ) at j = i → [N] (van den Oord et al., arXiv:1807.03748)."""
    q, k = _at_least_float32(query), _at_least_float32(keys)
    if similarity == "cosine":
        q, k = _directions(q)[0], _directions(k)[0]
    return _round_once(_paired(_over(q @ _transposed(k), temperature)), query)


def _clip_gradient(image: Array, text: Array, *, temperature: float = 0.07) -> tuple[Array, Array]:
    (u, length), (v, other) = _directions(_at_least_float32(image)), _directions(_at_least_float32(text))
    s = u @ _transposed(v)
    g = _paired_gradient(_over(s, temperature)) + _transposed(
        _paired_gradient(_over(_transposed(s), temperature))
    )
    g = g / (2 * s.shape[0] * temperature)
    return (
        _round_once(_across(g @ v, u, length), image),
        _round_once(_across(_transposed(g) @ u, v, other), text),
    )


@everywhere("clip", gradient=_clip_gradient)
def clip(image: Array, text: Array, *, temperature: float = 0.07) -> Array:
    """The mean of InfoNCE from images to texts and from texts to images (Radford et al., ICML 2021)."""
    u, v = _directions(_at_least_float32(image))[0], _directions(_at_least_float32(text))[0]
    xp, s = array_namespace(u), u @ _transposed(v)
    rows = _paired(_over(s, temperature)) + _paired(_over(_transposed(s), temperature))
    return _round_once(xp.mean(rows) / 2, image)


# ---- the 2N views of SimCLR


def _views(a: Array, b: Array) -> tuple[Array, Array]:
    """Directions and lengths of the 2N views."""
    x, y = _at_least_float32(a), _at_least_float32(b)
    return _directions(array_namespace(x).concat([x, y], axis=0))


def _partners(views: Array) -> Array:
    """The place of each view's other view."""
    return (_places(views) + views.shape[0] // 2) % views.shape[0]


def _without(places: Array, similarities: Array) -> Array:
    """Similarities [M, M] with −inf at one place [M] of each row."""
    xp = array_namespace(similarities)
    return xp.where(_is_class(places, similarities), xp.full_like(similarities, -xp.inf), similarities)


def _views_gradient(g: Array, directions: Array, lengths: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """The gradients in a and b from that in the similarities of the views [2N, 2N]."""
    found = _across((g + _transposed(g)) @ directions, directions, lengths)
    return _round_once(found[: a.shape[0], :], a), _round_once(found[a.shape[0] :, :], b)


def _nt_xent_gradient(a: Array, b: Array, *, temperature: float = 0.1) -> tuple[Array, Array]:
    z, length = _views(a, b)
    xp, s = array_namespace(z), _without(_places(z), z @ _transposed(z))
    g = _softmax(_over(s, temperature)) - xp.astype(_is_class(_partners(z), s), s.dtype)
    return _views_gradient(g / (s.shape[0] * temperature), z, length, a, b)


@everywhere("nt_xent", gradient=_nt_xent_gradient)
def nt_xent(a: Array, b: Array, *, temperature: float = 0.1) -> Array:
    """The mean over the 2N views of −log softmax(s/τ) at the other view, itself left out (Chen et al., ICML 2020)."""
    z, _ = _views(a, b)
    _, d, s = _shift(_over(_without(_places(z), z @ _transposed(z)), temperature))
    return _round_once(array_namespace(z).mean(s[:, 0] - _at(d, _partners(z))), a)


# ---- negatives that are corrected and weighted


def _negatives(z: Array, temperature: float, beta: float) -> tuple[Array, Array, Array, Array]:
    """Of each view: log Σ w exp((s − pair)/τ) with weights w of mean 1 in proportion to exp(βs/τ), and pair [2N].

    Also the weights, and the shares of the negatives in the weighted sum [2N, 2N]; both sum to 1 in each row.
    """
    xp = array_namespace(z)
    similarities, partners = z @ _transposed(z), _partners(z)
    pair = _at(similarities, partners)
    kept = _without(partners, _without(_places(z), similarities))
    hardest = _maximum(kept, xp.argmax(kept, axis=-1))
    negative = xp.isfinite(kept)
    x = xp.where(negative, (similarities - hardest) / temperature, xp.zeros_like(similarities))
    _, d, s = _shift(xp.where(negative, beta * x, xp.full_like(x, -xp.inf)))
    log_weights = d - s
    terms = xp.where(negative, xp.where(negative, log_weights, xp.zeros_like(x)) + x, log_weights)
    m, d, s = _shift(terms)
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
    positive, negatives = xp.exp(-_softplus(total)), xp.exp(-_softplus(-total))
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
    g = g - in_pair[:, None] * xp.astype(_is_class(_partners(z), g), g.dtype)
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
    return _round_once(xp.mean(_softplus(total) + xp.log(positive + left)), a)


def _debiased_contrastive_gradient(
    a: Array, b: Array, *, temperature: float = 0.5, tau_plus: float = 0.1
) -> tuple[Array, Array]:
    return _hard_negative_contrastive_gradient(a, b, temperature=temperature, tau_plus=tau_plus, beta=0.0)


@everywhere("debiased_contrastive", gradient=_debiased_contrastive_gradient)
def debiased_contrastive(a: Array, b: Array, *, temperature: float = 0.5, tau_plus: float = 0.1) -> Array:
    """Negatives corrected for a share τ⁺ of positives among them (Chuang et al., NeurIPS 2020)."""
    return hard_negative_contrastive(a, b, temperature=temperature, tau_plus=tau_plus, beta=0.0)
