"""Cross-entropies of logits, with labels or a weight for every class.

Shapes: logits, log_probs, targets [N, V]; labels [N], integers; results [N].
"""

from __future__ import annotations

from array_api_compat import array_namespace

from .common import (
    Array,
    at,
    at_least_float32,
    everywhere,
    is_class,
    probabilities,
    reduced,
    round_once,
    shift,
)

# ---- labels


def _nll_gradient(log_probs: Array, labels: Array) -> Array:
    return -round_once(is_class(labels, log_probs), like=log_probs)


@everywhere("nll", gradient=_nll_gradient)
def nll(log_probs: Array, labels: Array) -> Array:
    """−log_probs_y → [N]."""
    return -at(log_probs, labels)


def kept_rows(
    logits: Array, labels: Array, class_weight: Array | None, ignore_index: int | None
) -> tuple[Array, Array, Array, Array]:
    """Logits and labels with the ignored rows made harmless, the weight of each row, and which are kept.

    An ignored row may hold nan: it is replaced before anything is computed, so that no gradient sees it.
    """
    xp = array_namespace(logits)
    z = at_least_float32(logits)
    kept = xp.ones_like(labels, dtype=xp.bool) if ignore_index is None else labels != ignore_index
    z = xp.where(kept[:, None], z, xp.zeros_like(z))
    y = xp.where(kept, labels, xp.zeros_like(labels))
    weight = xp.ones_like(z[:, 0]) if class_weight is None else xp.take(at_least_float32(class_weight), y)
    return z, y, xp.where(kept, weight, xp.zeros_like(weight)), kept


def _mean_denominator(weight: Array, kept: Array, mean_over: str) -> Array:
    xp = array_namespace(weight)
    return xp.sum(weight if mean_over == "weights" else xp.astype(kept, weight.dtype))


def _cross_entropy_gradient(
    logits: Array,
    labels: Array,
    *,
    class_weight: Array | None = None,
    ignore_index: int | None = None,
    reduction: str = "none",
    mean_over: str = "weights",
) -> Array:
    xp = array_namespace(logits)
    z, y, weight, kept = kept_rows(logits, labels, class_weight, ignore_index)
    result = weight[:, None] * (probabilities(z) - xp.astype(is_class(y, z), z.dtype))
    if reduction == "mean":
        result = result / _mean_denominator(weight, kept, mean_over)
    return round_once(result, logits)


@everywhere("cross_entropy", gradient=_cross_entropy_gradient)
def cross_entropy(
    logits: Array,
    labels: Array,
    *,
    class_weight: Array | None = None,
    ignore_index: int | None = None,
    reduction: str = "none",
    mean_over: str = "weights",
) -> Array:
    """log Σ exp(z − m) − (z_y − m) → [N], times class_weight[y]; rows labelled ignore_index are left out.

    The mean divides by the weights of the kept rows ("weights", PyTorch's) or by their number ("count").
    """
    z, y, weight, kept = kept_rows(logits, labels, class_weight, ignore_index)
    _, d, s = shift(z)
    rows = weight * (s[:, 0] - at(d, y))
    return round_once(reduced(rows, reduction, _mean_denominator(weight, kept, mean_over)), logits)


# ---- weights of every class


def _surprise(z: Array, t: Array) -> Array:
    """Σ t (log Σ exp z − z), [N]: a class with t = 0 adds nothing, even if its logit is −inf."""
    xp = array_namespace(z)
    _, d, s = shift(z)
    return xp.sum(t * (s - xp.where(t != 0, d, xp.zeros_like(d))), axis=-1)


def _soft_cross_entropy_gradient(logits: Array, targets: Array) -> Array:
    z, t = at_least_float32(logits), at_least_float32(targets)
    return round_once(array_namespace(z).sum(t, axis=-1, keepdims=True) * probabilities(z) - t, logits)


@everywhere("soft_cross_entropy", gradient=_soft_cross_entropy_gradient)
def soft_cross_entropy(logits: Array, targets: Array) -> Array:
    """Σ t (log Σ exp(z − m) − (z − m)) → [N]."""
    return round_once(_surprise(at_least_float32(logits), at_least_float32(targets)), logits)


def _smoothed(labels: Array, z: Array, epsilon: float, smoothing: str) -> Array:
    """The smoothed labels, [N, V]. "others" gives ε to the other V − 1 classes, "all" to all V."""
    xp = array_namespace(z)
    classes = z.shape[-1]
    rest = epsilon / classes if smoothing == "all" else epsilon / max(classes - 1, 1)
    own = 1 - epsilon + rest if smoothing == "all" else 1 - epsilon
    return xp.where(is_class(labels, z), xp.full_like(z, own), xp.full_like(z, rest))


def _label_smoothing_cross_entropy_gradient(
    logits: Array,
    labels: Array,
    *,
    epsilon: float = 0.1,
    smoothing: str = "others",
    reduction: str = "none",
) -> Array:
    z = at_least_float32(logits)
    t = _smoothed(labels, z, epsilon, smoothing)
    result = array_namespace(z).sum(t, axis=-1, keepdims=True) * probabilities(z) - t
    return round_once(result / z.shape[0] if reduction == "mean" else result, logits)


@everywhere("label_smoothing_cross_entropy", gradient=_label_smoothing_cross_entropy_gradient)
def label_smoothing_cross_entropy(
    logits: Array,
    labels: Array,
    *,
    epsilon: float = 0.1,
    smoothing: str = "others",
    reduction: str = "none",
) -> Array:
    """Cross-entropy with smoothed labels → [N] (Szegedy et al., "Rethinking the Inception architecture")."""
    z = at_least_float32(logits)
    rows = _surprise(z, _smoothed(labels, z, epsilon, smoothing))
    return round_once(reduced(rows, reduction), logits)
