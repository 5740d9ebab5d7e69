"""Reference losses of language models in array-API code, bound for NumPy, PyTorch and JAX; see portable.py.

Shapes: logits [B, T, V] or [N, V], tokens [B, T], mask [B, T] (bool), hidden [N, D], weight [V, D], labels [N].
"""

from __future__ import annotations

from typing import Any

from array_api_compat import array_namespace
from lossproof.builtin.adapters.portable import (
    _at,
    _is_class,
    _kept_rows,
    _round_once,
    _shift,
    _softmax,
    everywhere,
)

Array = Any

OUT = -100
"""Stands for a token that is no target, as in PyTorch's and Hugging Face's code."""


# ---- sequences


def _predictions(logits: Array, tokens: Array, mask: Array) -> tuple[Array, Array, Array]:
    """Position t beside token t + 1: logits [B·(T−1), V], their targets, and which of them count.

    Logits whose target does not count are replaced before anything is computed: a mask that multiplies the loss
    or the gradient afterwards would make nan of nan and of inf.
    """
    xp = array_namespace(logits)
    targets = xp.where(mask, tokens, xp.full_like(tokens, OUT))[:, 1:]
    z = xp.reshape(logits[:, :-1, :], (-1, logits.shape[-1]))
    z, y, _, counts = _kept_rows(z, xp.reshape(targets, (-1,)), None, OUT)
    return z, y, counts


def _number(counts: Array, z: Array, reduction: str, empty: str) -> Array | int:
    """What the sum is divided by: the number of targets that count, over the whole batch."""
    if reduction == "sum":
        return 1
    xp = array_namespace(z)
    number = xp.sum(xp.astype(counts, z.dtype))
    return xp.where(number > 0, number, xp.ones_like(number)) if empty == "zero" else number


def _sequence_cross_entropy_gradient(
    logits: Array, tokens: Array, mask: Array, *, reduction: str = "token_mean", empty: str = "zero"
) -> Array:
    xp = array_namespace(logits)
    z, y, counts = _predictions(logits, tokens, mask)
    rows = xp.where(counts[:, None], _softmax(z) - xp.astype(_is_class(y, z), z.dtype), xp.zeros_like(z))
    rows = xp.reshape(rows / _number(counts, z, reduction, empty), logits[:, :-1, :].shape)
    return _round_once(xp.concat([rows, xp.zeros_like(rows[:, :1, :])], axis=1), logits)


@everywhere("sequence_cross_entropy", gradient=_sequence_cross_entropy_gradient)
def sequence_cross_entropy(
    logits: Array, tokens: Array, mask: Array, *, reduction: str = "token_mean", empty: str = "zero"
) -> Array:
    """Cross-entropy of the next token → scalar: the sum over the targets that count, or their mean."""
    xp = array_namespace(logits)
    z, y, counts = _predictions(logits, tokens, mask)
    _, d, s = _shift(z)
    rows = xp.where(counts, s[:, 0] - _at(d, y), xp.zeros_like(s[:, 0]))
    return _round_once(xp.sum(rows) / _number(counts, z, reduction, empty), logits)
