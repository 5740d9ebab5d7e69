"""scipy.special, bound as it is: a defect of the library is not repaired here.

Not bound: scipy.special.kl_div, which is p log(p/q) − p + q, and scipy.stats.entropy, which first divides p
and q by their sums. Both are other functions: equal to these only where the sums are exactly 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

from lossproof import implements

Array = np.ndarray[Any, np.dtype[Any]]


# ---- distributions of logits


@implements("logsumexp", framework="numpy")
def logsumexp(logits: Array) -> Array:
    """scipy.special.logsumexp → [N]."""
    return scipy.special.logsumexp(logits, axis=-1)


@implements("softmax", framework="numpy")
def softmax(logits: Array) -> Array:
    """scipy.special.softmax → [N, V]."""
    return scipy.special.softmax(logits, axis=-1)


@implements("log_softmax", framework="numpy")
def log_softmax(logits: Array) -> Array:
    """scipy.special.log_softmax → [N, V]."""
    return scipy.special.log_softmax(logits, axis=-1)


# ---- entropies and divergences


@implements("entropy", framework="numpy")
def entr(p: Array) -> Array:
    """scipy.special.entr, summed over classes → [N]."""
    return scipy.special.entr(p).sum(axis=-1)


@implements("distribution_cross_entropy", framework="numpy")
def xlogy(p: Array, q: Array) -> Array:
    """−scipy.special.xlogy(p, q), summed over classes → [N]."""
    return -scipy.special.xlogy(p, q).sum(axis=-1)


@implements("kl_divergence", framework="numpy")
def rel_entr(p: Array, q: Array) -> Array:
    """scipy.special.rel_entr, summed over classes → [N]."""
    return scipy.special.rel_entr(p, q).sum(axis=-1)


# ---- labels


@implements("cross_entropy", framework="numpy")
def log_softmax_at_label(logits: Array, labels: Array) -> Array:
    """−scipy.special.log_softmax at the label → [N]."""
    return -np.take_along_axis(scipy.special.log_softmax(logits, axis=-1), labels[:, None], axis=-1)[:, 0]


# ---- two classes


@implements("bce_with_logits", framework="numpy")
def log_expit(logits: Array, targets: Array, *, pos_weight: float = 1.0) -> Array:
    """−scipy.special.log_expit of x and −x, weighted by the target → [N]."""
    positive, negative = scipy.special.log_expit(logits), scipy.special.log_expit(-logits)
    return -pos_weight * targets * positive - (1 - targets) * negative


@implements("z_loss", framework="numpy")
def squared_logsumexp(logits: Array, *, coefficient: float = 1e-4) -> Array:
    """The square of scipy.special.logsumexp → [N]."""
    return coefficient * np.square(scipy.special.logsumexp(logits, axis=-1))
