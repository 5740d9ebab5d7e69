"""Right losses in JAX, one for each family beside cross-entropy: the harness blames none of them."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from lossproof import implements

in_jax = functools.partial(implements, framework="jax", dtypes=["float32"])


def _directions(x: jax.Array) -> jax.Array:
    return x / jnp.linalg.norm(x, axis=-1, keepdims=True)


@in_jax("info_nce", similarity="cosine")
def diagonal_of_log_softmax(query: jax.Array, keys: jax.Array, *, temperature: float = 0.1) -> jax.Array:
    s = _directions(query) @ _directions(keys).T
    return -jnp.diagonal(jax.nn.log_softmax(s / temperature))


@in_jax("contrastive")
def root_of_another_number(
    x1: jax.Array, x2: jax.Array, y: jax.Array, *, margin: float = 1.0, factor: float = 1.0
) -> jax.Array:
    """`where` before the root and after it."""
    square = jnp.square(x1 - x2).sum(-1)
    apart = square > 0
    d = jnp.where(apart, jnp.sqrt(jnp.where(apart, square, 1)), 0)
    return factor * jnp.where(y == 1, square, jax.nn.relu(margin - d) ** 2)


@in_jax("cosface")
def margin_by_one_hot(
    embeddings: jax.Array, weights: jax.Array, labels: jax.Array, *, scale: float = 64.0, margin: float = 0.35
) -> jax.Array:
    own = jax.nn.one_hot(labels, len(weights), dtype=embeddings.dtype)
    cosines = _directions(embeddings) @ _directions(weights).T
    log_p = jax.nn.log_softmax(scale * (cosines - margin * own))
    return -jnp.take_along_axis(log_p, labels[:, None], axis=-1)[:, 0]


@in_jax("vocab_parallel_cross_entropy")
def two_shards(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """What lies outside a shard is 0 there: `fill` for an index that is out of it."""
    largest = jax.lax.stop_gradient(logits.max(-1, keepdims=True))
    d = logits - jnp.where(jnp.isfinite(largest), largest, 0)
    half = -(-d.shape[-1] // 2)
    total, at_label = jnp.zeros_like(d[:, 0]), jnp.zeros_like(d[:, 0])
    for start, shard in ((0, d[:, :half]), (half, d[:, half:])):
        place = jnp.arange(shard.shape[-1]) + start
        total = total + jnp.exp(shard).sum(-1)
        at_label = at_label + jnp.where(place == labels[:, None], shard, 0).sum(-1)
    return jnp.log(total) - at_label


@in_jax("dpo")
def two_log_sigmoids(
    chosen: jax.Array,
    rejected: jax.Array,
    reference_chosen: jax.Array,
    reference_rejected: jax.Array,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> jax.Array:
    z = beta * ((chosen - rejected) - (reference_chosen - reference_rejected))
    return -(1 - label_smoothing) * jax.nn.log_sigmoid(z) - label_smoothing * jax.nn.log_sigmoid(-z)


@in_jax("js_divergence")
def two_relative_entropies(p: jax.Array, q: jax.Array) -> jax.Array:
    def terms(x: jax.Array, both: jax.Array) -> jax.Array:
        # the derivative of a quotient divides by a square, and half of the sum underflows
        live = x > 0
        log_x, log_both = jnp.log(jnp.where(live, x, 1)), jnp.log(jnp.where(live, both, 2))
        return jnp.where(live, x, 0) * (log_x - log_both + jnp.log(2))

    return (terms(p, p + q) + terms(q, p + q)).sum(-1) / 2


@in_jax("focal")
def power_of_what_is_missing(
    logits: jax.Array, labels: jax.Array, *, gamma: float = 2.0, alpha: float = 1.0
) -> jax.Array:
    log_p = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)[:, 0]
    missing = -jnp.expm1(log_p)
    return -alpha * jnp.maximum(missing, jnp.finfo(missing.dtype).tiny) ** gamma * log_p
