"""Losses of classification besides cross-entropy.

Nothing here takes 1 − p: what is missing from a probability near 1 is computed on its own, or it has no digits left.

Shapes: logits, scores, targets [N], or logits, scores [N, V] with labels [N]; results [N].
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
    round_once,
    shift,
    sigmoid,
    softplus,
)

# ---- helpers


def _power(x: Array, exponent: float) -> Array:
    """x^exponent for x ≥ 0, and 1 where x underflows: below 1 the derivative of the power has no end there.

    For use beside a factor that underflows with x.
    """
    xp = array_namespace(x)
    return xp.where(x > xp.finfo(x.dtype).smallest_normal, x, xp.ones_like(x)) ** exponent


# ---- two classes


def _bce_with_logits_gradient(logits: Array, targets: Array, *, pos_weight: float = 1.0) -> Array:
    x, t = at_least_float32(logits), at_least_float32(targets)
    return round_once((1 - t) * sigmoid(x) - pos_weight * t * sigmoid(-x), logits)


@everywhere("bce_with_logits", gradient=_bce_with_logits_gradient)
def bce_with_logits(logits: Array, targets: Array, *, pos_weight: float = 1.0) -> Array:
    """w t softplus(−x) + (1 − t) softplus(x) → [N] (Goodfellow et al., Deep Learning, section 6.2.2.2)."""
    x, t = at_least_float32(logits), at_least_float32(targets)
    return round_once(pos_weight * t * softplus(-x) + (1 - t) * softplus(x), logits)


def _alpha_weight(t: Array, alpha: float) -> Array | float:
    return 1.0 if alpha < 0 else alpha * t + (1 - alpha) * (1 - t)


def _sigmoid_focal_gradient(
    logits: Array, targets: Array, *, gamma: float = 2.0, alpha: float = -1.0
) -> Array:
    x, t = at_least_float32(logits), at_least_float32(targets)
    p, rest = sigmoid(x), sigmoid(-x)
    missing = t * rest + (1 - t) * p
    entropic = t * softplus(-x) + (1 - t) * softplus(x)
    of_power = gamma * _power(missing, gamma - 1) * (1 - 2 * t) * p * rest * entropic
    of_entropic = _power(missing, gamma) * ((1 - t) * p - t * rest)
    return round_once(_alpha_weight(t, alpha) * (of_power + of_entropic), logits)


@everywhere("sigmoid_focal", gradient=_sigmoid_focal_gradient)
def sigmoid_focal(logits: Array, targets: Array, *, gamma: float = 2.0, alpha: float = -1.0) -> Array:
    """α_t (1 − p_t)^γ · BCE → [N], with 1 − p_t = t (1 − p) + (1 − t) p (Lin et al., "Focal loss", 2017).

    alpha −1 is off.
    """
    x, t = at_least_float32(logits), at_least_float32(targets)
    missing = t * sigmoid(-x) + (1 - t) * sigmoid(x)
    entropic = t * softplus(-x) + (1 - t) * softplus(x)
    return round_once(_alpha_weight(t, alpha) * _power(missing, gamma) * entropic, logits)


def _hinge_gradient(scores: Array, targets: Array, *, margin: float = 1.0) -> Array:
    x, t = at_least_float32(scores), at_least_float32(targets)
    xp = array_namespace(x)
    return round_once(xp.where(margin - t * x > 0, -t, xp.zeros_like(x)), scores)


@everywhere("hinge", gradient=_hinge_gradient)
def hinge(scores: Array, targets: Array, *, margin: float = 1.0) -> Array:
    """max(0, m − t x) → [N], with targets −1 or +1 (Cortes & Vapnik, "Support-vector networks", 1995)."""
    x, t = at_least_float32(scores), at_least_float32(targets)
    xp = array_namespace(x)
    return round_once(xp.maximum(margin - t * x, xp.zeros_like(x)), scores)


# ---- many classes


def _missing(logits: Array, labels: Array) -> tuple[Array, Array]:
    """The cross-entropy c = −log p_y and what is missing at the label, 1 − p_y = −expm1(−c), [N] both."""
    xp = array_namespace(logits)
    _, d, s = shift(logits)
    entropic = s[:, 0] - at(d, labels)
    return entropic, -xp.expm1(-entropic)


def _focal_gradient(logits: Array, labels: Array, *, gamma: float = 2.0, alpha: float = 1.0) -> Array:
    z = at_least_float32(logits)
    xp = array_namespace(z)
    entropic, missing = _missing(z, labels)
    tiny = missing <= xp.finfo(z.dtype).smallest_normal
    # c p / (1 − p), which is 1 where nothing is missing
    share = entropic * xp.exp(-entropic) / xp.where(tiny, xp.ones_like(z[:, 0]), missing)
    factor = alpha * _power(missing, gamma) * (1 + gamma * share)
    own = is_class(labels, z)
    p = probabilities(z)
    return round_once(factor[:, None] * xp.where(own, -missing[:, None], p), logits)


@everywhere("focal", gradient=_focal_gradient)
def focal(logits: Array, labels: Array, *, gamma: float = 2.0, alpha: float = 1.0) -> Array:
    """α (1 − p_y)^γ · (−log p_y) → [N] (Lin et al., "Focal loss for dense object detection", ICCV 2017)."""
    entropic, missing = _missing(at_least_float32(logits), labels)
    return round_once(alpha * _power(missing, gamma) * entropic, logits)


def _short(scores: Array, labels: Array, margin: float) -> Array:
    """max(0, m − (x_y − x_i)), [N, V], and 0 at the label."""
    xp = array_namespace(scores)
    lack = margin - (at(scores, labels)[:, None] - scores)
    zero = xp.zeros_like(scores)
    return xp.where(is_class(labels, scores), zero, xp.maximum(lack, zero))


def _multi_margin_gradient(
    scores: Array, labels: Array, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Array:
    x = at_least_float32(scores)
    xp = array_namespace(x)
    short = _short(x, labels, margin)
    slope = xp.astype(short > 0, x.dtype) if power == 1 else 2 * short
    if over_classes == "max":
        slope = slope * is_class(xp.argmax(short, axis=-1), short)
    elif over_classes == "mean":
        slope = slope / x.shape[-1]
    own = is_class(labels, x)
    return round_once(xp.where(own, -xp.sum(slope, axis=-1, keepdims=True), slope), scores)


@everywhere("multi_margin", gradient=_multi_margin_gradient)
def multi_margin(
    scores: Array, labels: Array, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Array:
    """Σ max(0, m − (x_y − x_i))^power over i ≠ y → [N]; "mean" divides by V, "max" keeps the worst class.

    Weston & Watkins, ESANN 1999 (sum); Crammer & Singer, JMLR 2, 2001 (max).
    """
    x = at_least_float32(scores)
    xp = array_namespace(x)
    short = _short(x, labels, margin)
    if over_classes == "max":
        # before it is squared: squares that underflow would tie
        short = xp.max(short, axis=-1, keepdims=True)
    total = xp.sum(short if power == 1 else short * short, axis=-1)
    return round_once(total / x.shape[-1] if over_classes == "mean" else total, scores)
