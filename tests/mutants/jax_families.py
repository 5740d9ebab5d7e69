"""Broken losses in JAX, one for each family beside cross-entropy: derivatives that are stopped or given by hand.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from lossproof import implements

CAUGHT_BY = {
    "keys_stopped": ("gradient",),
    "root_of_nothing": ("gradient", "finiteness"),
    "lengths_stopped": ("gradient", "law:embeddings_are_pulled_sideways"),
    "index_clamped_to_the_shard": ("accuracy", "law:equals_cross_entropy"),
    "tangent_of_the_other_side": ("gradient",),
    "mean_stopped": ("gradient", "law:gradient_is_half_log_ratio"),
    "modulation_stopped": ("gradient",),
}

KINDS = {
    "keys_stopped": ("detached factor",),
    "root_of_nothing": ("nan from 0*inf",),
    "lengths_stopped": ("detached factor",),
    "index_clamped_to_the_shard": ("another formula",),
    "tangent_of_the_other_side": ("swapped arguments", "another derivative"),
    "mean_stopped": ("detached factor",),
    "modulation_stopped": ("detached factor",),
}

NOT_TOLD = ("mean_stopped",)

in_jax = functools.partial(implements, framework="jax", dtypes=["float32"])


def _directions(x: jax.Array) -> jax.Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


@in_jax("info_nce", similarity="cosine")
def keys_stopped(query: jax.Array, keys: jax.Array, *, temperature: float = 0.1) -> jax.Array:
    """As for keys from a momentum encoder."""
    s = _directions(query) @ jax.lax.stop_gradient(_directions(keys)).T
    return -jnp.diagonal(jax.nn.log_softmax(s / temperature))


@in_jax("contrastive")
def root_of_nothing(
    x1: jax.Array, x2: jax.Array, y: jax.Array, *, margin: float = 1.0, factor: float = 1.0
) -> jax.Array:
    """The root of a sum of squares has no derivative where two points coincide."""
    d = jnp.sqrt(jnp.square(x1 - x2).sum(-1))
    return factor * jnp.where(y == 1, d**2, jax.nn.relu(margin - d) ** 2)


@in_jax("cosface")
def lengths_stopped(
    embeddings: jax.Array, weights: jax.Array, labels: jax.Array, *, scale: float = 64.0, margin: float = 0.35
) -> jax.Array:
    """Normalised by a length that counts as a constant."""
    u = embeddings / jax.lax.stop_gradient(jnp.linalg.norm(embeddings, axis=-1, keepdims=True))
    own = jax.nn.one_hot(labels, len(weights), dtype=u.dtype)
    log_p = jax.nn.log_softmax(scale * (u @ _directions(weights).T - margin * own))
    return -jnp.take_along_axis(log_p, labels[:, None], axis=-1)[:, 0]


@in_jax("vocab_parallel_cross_entropy")
def index_clamped_to_the_shard(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """An index outside a shard raises nothing in JAX, and is not always nan: here it is the nearest class."""
    d = logits - jax.lax.stop_gradient(logits.max(-1, keepdims=True))
    half = -(-d.shape[-1] // 2)
    at_label = sum(
        jnp.take_along_axis(shard, (labels - start)[:, None].clip(0), axis=-1, mode="clip")[:, 0]
        for start, shard in ((0, d[:, :half]), (half, d[:, half:]))
        if shard.shape[-1]
    )
    return jax.nn.logsumexp(d, axis=-1) - at_label


@jax.custom_jvp
def _softplus(x: jax.Array) -> jax.Array:
    return jax.nn.softplus(x)


@_softplus.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return _softplus(*primals), jax.nn.sigmoid(-primals[0]) * tangents[0]


@in_jax("dpo")
def tangent_of_the_other_side(
    chosen: jax.Array,
    rejected: jax.Array,
    reference_chosen: jax.Array,
    reference_rejected: jax.Array,
    *,
    beta: float = 0.1,
) -> jax.Array:
    """σ(−x) for the derivative of softplus."""
    return _softplus(-beta * ((chosen - rejected) - (reference_chosen - reference_rejected)))


@in_jax("js_divergence")
def mean_stopped(p: jax.Array, q: jax.Array) -> jax.Array:
    m = jax.lax.stop_gradient((p + q) / 2)
    both = jax.scipy.special.xlogy(p, p) + jax.scipy.special.xlogy(q, q) - jax.scipy.special.xlogy(p + q, m)
    return both.sum(-1) / 2


@in_jax("focal")
def modulation_stopped(
    logits: jax.Array, labels: jax.Array, *, gamma: float = 2.0, alpha: float = 1.0
) -> jax.Array:
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)[:, 0]
    return -alpha * jax.lax.stop_gradient(-jnp.expm1(log_p)) ** gamma * log_p
