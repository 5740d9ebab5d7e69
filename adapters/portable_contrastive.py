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
