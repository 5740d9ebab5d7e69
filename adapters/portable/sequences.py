"""Cross-entropies of language models: of sequences, of shards of the vocabulary, of a linear layer.

Shapes: logits [B, T, V] or [N, V], tokens [B, T], mask [B, T] (bool), hidden [N, D], weight [V, D], labels [N].
"""

from __future__ import annotations

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
)
from .cross_entropies import kept_rows

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
    z, y, _, counts = kept_rows(z, xp.reshape(targets, (-1,)), None, OUT)
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
    rows = xp.where(counts[:, None], probabilities(z) - xp.astype(is_class(y, z), z.dtype), xp.zeros_like(z))
    rows = xp.reshape(rows / _number(counts, z, reduction, empty), logits[:, :-1, :].shape)
    return round_once(xp.concat([rows, xp.zeros_like(rows[:, :1, :])], axis=1), logits)


@everywhere("sequence_cross_entropy", gradient=_sequence_cross_entropy_gradient)
def sequence_cross_entropy(
    logits: Array, tokens: Array, mask: Array, *, reduction: str = "token_mean", empty: str = "zero"
) -> Array:
    """Cross-entropy of the next token → scalar: the sum over the targets that count, or their mean."""
    xp = array_namespace(logits)
    z, y, counts = _predictions(logits, tokens, mask)
    _, d, s = shift(z)
    rows = xp.where(counts, s[:, 0] - at(d, y), xp.zeros_like(s[:, 0]))
    return round_once(xp.sum(rows) / _number(counts, z, reduction, empty), logits)


# ---- shards of the vocabulary

SHARDS = 3
"""As many as there would be devices; of the last ones some may hold no class."""


def _shards(logits: Array) -> list[tuple[int, Array]]:
    """The first class of each shard and its logits [N, V/SHARDS]."""
    width = -(-logits.shape[-1] // SHARDS)
    return [(start, logits[:, start : start + width]) for start in range(0, logits.shape[-1], width)]


def _owned(labels: Array, start: int, shard: Array) -> tuple[Array, Array]:
    """Which rows have their label in a shard, and the label's place there (0 in the others)."""
    xp = array_namespace(shard)
    own = (labels >= start) & (labels < start + shard.shape[-1])
    return own, xp.where(own, labels - start, xp.zeros_like(labels))


def _vocab_parallel_gradient(logits: Array, labels: Array) -> Array:
    z = at_least_float32(logits)
    return round_once(probabilities(z) - array_namespace(z).astype(is_class(labels, z), z.dtype), logits)


@everywhere("vocab_parallel_cross_entropy", gradient=_vocab_parallel_gradient)
def vocab_parallel_cross_entropy(logits: Array, labels: Array) -> Array:
    """Cross-entropy from shards of the classes → [N], with the three exchanges of Megatron-LM.

    1. The largest logit of all shards (a constant, 0 where every class is masked).
    2. The sum of exponentials. The first maximum enters as expm1(0) = 0 and log1p adds its 1 back, so that the
       shard that holds it says so; see shift.
    3. The label's logit, less the maximum, from the one shard that has it.
    """
    z = at_least_float32(logits)
    xp = array_namespace(z)
    top = xp.argmax(z, axis=-1)
    m = maximum(z, top)
    beyond_one, at_label = xp.zeros_like(m[:, 0]), xp.zeros_like(m[:, 0])
    for start, shard in _shards(z):
        d = shard - m
        leads, place = _owned(top, start, shard)
        first = is_class(place, shard) & leads[:, None]
        beyond_one = beyond_one + xp.sum(xp.where(first, xp.expm1(d), xp.exp(d)), axis=-1)
        own, place = _owned(labels, start, shard)
        at_label = at_label + xp.where(own, at(d, place), xp.zeros_like(at_label))
    return round_once(xp.log1p(beyond_one) - at_label, logits)


# ---- a linear layer and its cross-entropy

CHUNK = 16
"""The rows whose logits are held at once."""


def _chunks(hidden: Array, labels: Array) -> list[tuple[Array, Array]]:
    starts = range(0, hidden.shape[0], CHUNK)
    return [(at_least_float32(hidden[i : i + CHUNK, :]), labels[i : i + CHUNK]) for i in starts]


def _fused_linear_gradient(hidden: Array, weight: Array, labels: Array) -> tuple[Array, Array]:
    w = at_least_float32(weight)
    xp = array_namespace(w)
    in_hidden, in_weight = [], xp.zeros_like(w)
    for h, y in _chunks(hidden, labels):
        z = h @ w.T
        residual = probabilities(z) - xp.astype(is_class(y, z), z.dtype)
        in_hidden.append(residual @ w)
        in_weight = in_weight + residual.T @ h
    return round_once(xp.concat(in_hidden, axis=0), hidden), round_once(in_weight, weight)


@everywhere("fused_linear_cross_entropy", gradient=_fused_linear_gradient)
def fused_linear_cross_entropy(hidden: Array, weight: Array, labels: Array) -> Array:
    """Cross-entropy of hidden weightᵀ → [N], by chunks of rows (as Liger Kernel has it): never more than CHUNK · V
    logits at once."""
    w = at_least_float32(weight)
    xp = array_namespace(w)
    rows = []
    for h, y in _chunks(hidden, labels):
        _, d, s = shift(h @ w.T)
        rows.append(s[:, 0] - at(d, y))
    return round_once(xp.concat(rows, axis=0), hidden)
