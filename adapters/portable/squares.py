"""Squared differences.

Shapes: prediction, target [N, D]; logits [N, V] with labels [N]; results [N].
"""

from __future__ import annotations

from array_api_compat import array_namespace

from .common import Array, at_least_float32, everywhere, is_class, probabilities, round_once


def _mse_gradient(prediction: Array, target: Array) -> Array:
    difference = at_least_float32(prediction) - at_least_float32(target)
    return round_once(2 * difference / prediction.shape[-1], prediction)


@everywhere("mse", gradient=_mse_gradient)
def mse(prediction: Array, target: Array) -> Array:
    """mean (x − t)² over the last axis → [N]."""
    difference = at_least_float32(prediction) - at_least_float32(target)
    return round_once(array_namespace(difference).mean(difference * difference, axis=-1), prediction)


def _softmax_mse_gradient(logits: Array, labels: Array) -> Array:
    z = at_least_float32(logits)
    xp = array_namespace(z)
    p = probabilities(z)
    difference = p - xp.astype(is_class(labels, z), z.dtype)
    inner = xp.sum(p * difference, axis=-1, keepdims=True)
    return round_once(2 * p * (difference - inner), logits)


@everywhere("softmax_mse", gradient=_softmax_mse_gradient)
def softmax_mse(logits: Array, labels: Array) -> Array:
    """Σ (softmax(z) − onehot)² → [N]."""
    z = at_least_float32(logits)
    xp = array_namespace(z)
    difference = probabilities(z) - xp.astype(is_class(labels, z), z.dtype)
    return round_once(xp.sum(difference * difference, axis=-1), logits)
