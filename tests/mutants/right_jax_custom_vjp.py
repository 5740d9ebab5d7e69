"""A right loss in JAX with a backward of its own, for which JAX has no forward mode: it is not blamed for that."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lossproof import implements


def _rows(logits: jax.Array, labels: jax.Array) -> jax.Array:
    d = logits - logits.max(-1, keepdims=True)
    return jax.nn.logsumexp(d, axis=-1) - jnp.take_along_axis(d, labels[:, None], axis=-1)[:, 0]


def _backward(kept: tuple[jax.Array, jax.Array], g: jax.Array) -> tuple[jax.Array, None]:
    logits, labels = kept
    onehot = jax.nn.one_hot(labels, logits.shape[-1], dtype=g.dtype)
    return (jax.nn.softmax(logits) - onehot) * g[:, None], None


_by_hand = jax.custom_vjp(_rows)
_by_hand.defvjp(lambda logits, labels: (_rows(logits, labels), (logits, labels)), _backward)


@implements("cross_entropy", framework="jax", dtypes=["float32"])
def custom_vjp(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return _by_hand(logits, labels)
