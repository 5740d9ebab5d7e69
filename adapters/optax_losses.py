"""Losses of optax, bound as they are: a defect of the library is not repaired here.

Not bound: generalized_kl_divergence (formerly convex_kl_divergence), which is Σ p log(p/q) − p + q. It is
another divergence: equal to KL only where Σp = Σq exactly, and with a derivative in q that is larger by 1. Nor
poly_loss_cross_entropy and the losses of sparsemax, which are other losses, or those that have no spec: huber_loss,
log_cosh, ctc_loss and the Dice losses.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax
from jax import Array

from lossproof import implements


def _one_hot(labels: Array, logits: Array) -> Array:
    return jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)


# ---- labels


@implements("cross_entropy", framework="jax")
def softmax_cross_entropy_with_integer_labels(logits: Array, labels: Array) -> Array:
    """optax.softmax_cross_entropy_with_integer_labels → [N]: logsumexp(z) − z_y."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


@implements("cross_entropy", framework="jax")
def softmax_cross_entropy_one_hot(logits: Array, labels: Array) -> Array:
    """optax.softmax_cross_entropy with one-hot labels → [N]."""
    return optax.softmax_cross_entropy(logits, _one_hot(labels, logits))


@implements("cross_entropy", framework="jax")
def safe_softmax_cross_entropy_one_hot(logits: Array, labels: Array) -> Array:
    """optax.safe_softmax_cross_entropy with one-hot labels → [N]: made for logits of −inf."""
    return optax.safe_softmax_cross_entropy(logits, _one_hot(labels, logits))


@implements("soft_cross_entropy", framework="jax")
def softmax_cross_entropy(logits: Array, targets: Array) -> Array:
    """optax.softmax_cross_entropy → [N]."""
    return optax.softmax_cross_entropy(logits, targets)


@implements("soft_cross_entropy", framework="jax")
def safe_softmax_cross_entropy(logits: Array, targets: Array) -> Array:
    """optax.safe_softmax_cross_entropy → [N]: made for logits of −inf."""
    return optax.safe_softmax_cross_entropy(logits, targets)


@implements("soft_cross_entropy", framework="jax")
def ranking_softmax_loss(logits: Array, targets: Array) -> Array:
    """optax.losses.ranking_softmax_loss without a reduction → [N]."""
    return optax.losses.ranking_softmax_loss(logits, targets, reduce_fn=None)


@implements("label_smoothing_cross_entropy", framework="jax", smoothing="all")
def smooth_labels(logits: Array, labels: Array, *, epsilon: float = 0.1) -> Array:
    """optax.softmax_cross_entropy with optax.smooth_labels, (1 − ε) onehot + ε/V: the convention "all"."""
    return optax.softmax_cross_entropy(logits, optax.smooth_labels(_one_hot(labels, logits), epsilon))


# ---- divergences


@implements("kl_divergence", framework="jax")
def kl_divergence(p: Array, q: Array) -> Array:
    """optax.losses.kl_divergence → [N]: takes log q first, then the target p."""
    return optax.losses.kl_divergence(jnp.log(q), p)


@implements("kl_divergence", framework="jax")
def kl_divergence_with_log_targets(p: Array, q: Array) -> Array:
    """optax.losses.kl_divergence_with_log_targets → [N]: takes log q first, then log p."""
    return optax.losses.kl_divergence_with_log_targets(jnp.log(q), jnp.log(p))


@implements("kl_divergence_from_logits", framework="jax")
def kl_divergence_of_log_softmax(a: Array, b: Array) -> Array:
    """optax.losses.kl_divergence_with_log_targets of two jax.nn.log_softmax → [N]."""
    log_p, log_q = jax.nn.log_softmax(a, axis=-1), jax.nn.log_softmax(b, axis=-1)
    return optax.losses.kl_divergence_with_log_targets(log_q, log_p)


# ---- squares


@implements("mse", framework="jax")
def squared_error(prediction: Array, target: Array) -> Array:
    """optax.squared_error, averaged over the last axis → [N]."""
    return jnp.mean(optax.squared_error(prediction, target), axis=-1)


@implements("mse", framework="jax")
def l2_loss(prediction: Array, target: Array) -> Array:
    """optax.l2_loss is half the squared error, so it is doubled → [N]."""
    return jnp.mean(2 * optax.l2_loss(prediction, target), axis=-1)


# ---- two classes


@implements("bce_with_logits", framework="jax")
def sigmoid_binary_cross_entropy(logits: Array, targets: Array) -> Array:
    """optax.losses.sigmoid_binary_cross_entropy → [N]."""
    return optax.losses.sigmoid_binary_cross_entropy(logits, targets)


@implements("sigmoid_focal", framework="jax")
def sigmoid_focal_loss(logits: Array, targets: Array, *, gamma: float = 2.0, alpha: float = -1.0) -> Array:
    """optax.losses.sigmoid_focal_loss → [N]; alpha is None there where it is off."""
    return optax.losses.sigmoid_focal_loss(logits, targets, alpha=None if alpha < 0 else alpha, gamma=gamma)


@implements("hinge", framework="jax", margin=1.0)
def hinge_loss(scores: Array, targets: Array) -> Array:
    """optax.losses.hinge_loss → [N]: the margin is 1."""
    return optax.losses.hinge_loss(scores, targets)


@implements("hinge", framework="jax", margin=0.0)
def perceptron_loss(scores: Array, targets: Array) -> Array:
    """optax.losses.perceptron_loss → [N]: a hinge without a margin."""
    return optax.losses.perceptron_loss(scores, targets)


# ---- many classes


@implements("multi_margin", framework="jax", margin=1.0, power=1, over_classes="max")
def multiclass_hinge_loss(scores: Array, labels: Array) -> Array:
    """optax.losses.multiclass_hinge_loss, row by row → [N]: Crammer and Singer's, with the margin 1."""
    return jax.vmap(optax.losses.multiclass_hinge_loss)(scores, labels)


@implements("multi_margin", framework="jax", margin=0.0, power=1, over_classes="max")
def multiclass_perceptron_loss(scores: Array, labels: Array) -> Array:
    """optax.losses.multiclass_perceptron_loss, row by row → [N]: Crammer and Singer's without a margin."""
    return jax.vmap(optax.losses.multiclass_perceptron_loss)(scores, labels)


@implements("distillation", framework="jax")
def kl_divergence_of_softened(student: Array, teacher: Array, *, temperature: float = 2.0) -> Array:
    """optax.losses.kl_divergence of log_softmax(student/T) and softmax(teacher/T), times T² → [N]."""
    log_q = jax.nn.log_softmax(student / temperature, axis=-1)
    p = jax.nn.softmax(teacher / temperature, axis=-1)
    return temperature**2 * optax.losses.kl_divergence(log_q, p)


# ---- vectors


@implements("cosine_distance", framework="jax")
def cosine_distance(predictions: Array, targets: Array) -> Array:
    """optax.losses.cosine_distance → [N]; its epsilon, the least squared length, is 0."""
    return optax.losses.cosine_distance(predictions, targets)


@implements("nt_xent", framework="jax")
def ntxent(a: Array, b: Array, *, temperature: float = 0.1) -> Array:
    """optax.losses.ntxent over the 2N views with the example as the label: a mean over positive pairs → scalar."""
    labels = jnp.arange(len(a))
    return optax.losses.ntxent(jnp.concatenate([a, b]), jnp.concatenate([labels, labels]), temperature)


@implements("triplet", framework="jax", eps=0.0, squared=False, swap=False)
def triplet_margin_loss(
    anchor: Array, positive: Array, negative: Array, *, margin: float = 1.0, power: int = 2
) -> Array:
    """optax.losses.triplet_margin_loss → [N], without the eps that it adds to the sum under the root."""
    return optax.losses.triplet_margin_loss(
        anchor, positive, negative, norm_degree=power, margin=margin, eps=0.0
    )
