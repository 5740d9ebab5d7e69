"""jax.nn and jax.scipy.special, bound as they are: a defect of the library is not repaired here.

Not bound: jax.scipy.special.kl_div, which is p log(p/q) − p + q. It is another divergence: equal to KL only
where Σp = Σq exactly, and with a derivative in q that is larger by 1.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import jax.scipy.special
from jax import Array

from lossproof import implements

# ---- distributions of logits


@implements("logsumexp", framework="jax")
def logsumexp(logits: Array) -> Array:
    """jax.nn.logsumexp → [N]; jax.scipy.special.logsumexp is the same function."""
    return jax.nn.logsumexp(logits, axis=-1)


@implements("softmax", framework="jax")
def softmax(logits: Array) -> Array:
    """jax.nn.softmax → [N, V]."""
    return jax.nn.softmax(logits, axis=-1)


@implements("log_softmax", framework="jax")
def log_softmax(logits: Array) -> Array:
    """jax.nn.log_softmax → [N, V]."""
    return jax.nn.log_softmax(logits, axis=-1)


# ---- entropies and divergences


@implements("entropy", framework="jax")
def entr(p: Array) -> Array:
    """jax.scipy.special.entr, summed over classes → [N]."""
    return jnp.sum(jax.scipy.special.entr(p), axis=-1)


@implements("distribution_cross_entropy", framework="jax")
def xlogy(p: Array, q: Array) -> Array:
    """−jax.scipy.special.xlogy(p, q), summed over classes → [N]."""
    return -jnp.sum(jax.scipy.special.xlogy(p, q), axis=-1)


@implements("kl_divergence", framework="jax")
def rel_entr(p: Array, q: Array) -> Array:
    """jax.scipy.special.rel_entr, summed over classes → [N]."""
    return jnp.sum(jax.scipy.special.rel_entr(p, q), axis=-1)


# ---- labels


@implements("cross_entropy", framework="jax")
def log_softmax_at_label(logits: Array, labels: Array) -> Array:
    """−jax.nn.log_softmax at the label → [N]."""
    log_probs = jax.nn.log_softmax(logits, axis=-1)
    return -jnp.take_along_axis(log_probs, labels[:, None], axis=-1)[:, 0]


# ---- squares


@implements("softmax_mse", framework="jax")
def squared_distance_of_softmax(logits: Array, labels: Array) -> Array:
    """Squared distance of jax.nn.softmax from jax.nn.one_hot, summed over classes → [N]."""
    targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return jnp.sum(jnp.square(jax.nn.softmax(logits, axis=-1) - targets), axis=-1)
