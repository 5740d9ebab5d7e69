"""Entropies and divergences, of probabilities and of the logits behind them.

Shapes: p, q, a, b, student, teacher [N, V]; results [N].
"""

from __future__ import annotations

import math

from array_api_compat import array_namespace

from .common import Array, at_least_float32, everywhere, maximum, probabilities, reduced, round_once, shift

LOG2 = math.log(2)


# ---- of probabilities


def _xlogy(x: Array, y: Array) -> Array:
    """x log y, and 0 at x = 0 whatever y is."""
    xp = array_namespace(x)
    return x * xp.log(xp.where(x > 0, y, xp.ones_like(y)))


@everywhere("entropy")
def entropy(p: Array) -> Array:
    """−Σ p log p → [N]."""
    x = at_least_float32(p)
    return round_once(-array_namespace(x).sum(_xlogy(x, x), axis=-1), p)


def _minus_ratio(p: Array, q: Array) -> Array:
    xp = array_namespace(p)
    live = p > 0
    return -xp.where(live, p, xp.zeros_like(p)) / xp.where(live, q, xp.ones_like(q))


def _distribution_cross_entropy_gradient(p: Array, q: Array) -> Array:
    return round_once(_minus_ratio(at_least_float32(p), at_least_float32(q)), q)


@everywhere("distribution_cross_entropy", gradient=_distribution_cross_entropy_gradient)
def distribution_cross_entropy(p: Array, q: Array) -> Array:
    """−Σ p log q → [N]; +inf where p > 0 = q."""
    terms = _xlogy(at_least_float32(p), at_least_float32(q))
    return round_once(-array_namespace(terms).sum(terms, axis=-1), q)


def _kl_denominator(p: Array, reduction: str) -> int:
    return p.shape[0] * p.shape[1] if reduction == "mean" else p.shape[0]


def _kl_divergence_gradient(p: Array, q: Array, *, reduction: str = "none") -> Array:
    weight = at_least_float32(p)
    if reduction in ("mean", "batchmean"):
        # before the division by q, which may overflow where the mean does not
        weight = weight / _kl_denominator(p, reduction)
    return round_once(_minus_ratio(weight, at_least_float32(q)), q)


@everywhere("kl_divergence", gradient=_kl_divergence_gradient)
def kl_divergence(p: Array, q: Array, *, reduction: str = "none") -> Array:
    """Σ p log(p/q) → [N]; +inf where p > 0 = q. "mean" divides by N·V, "batchmean" by N.

    log(p/q) is small, with a small error, where p ≈ q, and log p − log q is not. But the quotient leaves the
    exponent range for tiny entries, and so does its derivative (1/q² in JAX): those take the difference,
    whose error counts for nothing beside that of the large entries.
    """
    x, y = at_least_float32(p), at_least_float32(q)
    xp = array_namespace(x)
    one = xp.ones_like(x)
    near = (x > 1e-9) & (y > 1e-9)
    far = (x > 0) & ~near
    ratio = xp.where(near, x, one) / xp.where(near, y, one)
    difference = xp.log(xp.where(far, x, one)) - xp.log(xp.where(far, y, one))
    rows = xp.sum(x * (xp.log(ratio) + difference), axis=-1)
    return round_once(reduced(rows, reduction, _kl_denominator(p, reduction)), q)


def _log_ratio(p: Array, q: Array) -> tuple[Array, Array, Array]:
    """The smaller of p and q, whether it is positive, and log(smaller / larger), 0 where it is not.

    By logarithms: a quotient of tiny entries leaves the exponent range, and so does its derivative.
    """
    xp = array_namespace(p)
    first = p > q
    larger, smaller = xp.where(first, p, q), xp.where(first, q, p)
    live, one = smaller > 0, xp.ones_like(p)
    return smaller, live, xp.log(xp.where(live, smaller, one)) - xp.log(xp.where(live, larger, one))


def _js_divergence_gradient(p: Array, q: Array) -> Array:
    x, y = at_least_float32(p), at_least_float32(q)
    xp = array_namespace(x)
    _, live, log_ratio = _log_ratio(x, y)
    zero = xp.zeros_like(x)
    of_mean = LOG2 - xp.log1p(xp.where(live, xp.exp(log_ratio), zero))
    # log(q / m); a class with q = 0 gets the derivative 0, so that a mask of zeros stays one
    result = of_mean + xp.where(x > y, log_ratio, zero)
    return round_once(xp.where(y > 0, result / 2, zero), q)


@everywhere("js_divergence", gradient=_js_divergence_gradient)
def js_divergence(p: Array, q: Array) -> Array:
    """½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q)/2 → [N].

    Of each class, with b ≤ a: ½ ((a + b) (log 2 − log(1 + b/a)) + b log(b/a)), which takes no quotient by m
    (Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37(1), 1991).
    """
    x, y = at_least_float32(p), at_least_float32(q)
    xp = array_namespace(x)
    smaller, live, log_ratio = _log_ratio(x, y)
    ratio = xp.where(live, xp.exp(log_ratio), xp.zeros_like(x))
    terms = (x + y) * (LOG2 - xp.log1p(ratio)) + smaller * log_ratio
    return round_once(xp.sum(terms, axis=-1) / 2, q)


# ---- of logits


def _kl_divergence_from_logits_terms(a: Array, b: Array) -> tuple[Array, Array]:
    """p = softmax(a) and p (log softmax(a) − log softmax(b)), [N, V] both."""
    xp = array_namespace(a)
    zero = xp.zeros_like(a)
    p = probabilities(a)
    _, da, sa = shift(a)
    _, db, sb = shift(b)
    # What a allows and b forbids is infinitely surprising, even where p underflows.
    forbidden = xp.isfinite(a) & xp.isinf(b)
    live = (p > 0) & ~forbidden
    terms = p * (xp.where(live, da - sa, zero) - xp.where(live, db - sb, zero))
    return p, xp.where(forbidden, xp.full_like(a, float("inf")), terms)


def _kl_divergence_from_logits_gradient(a: Array, b: Array) -> tuple[Array, Array]:
    x, y = at_least_float32(a), at_least_float32(b)
    xp = array_namespace(x)
    p, terms = _kl_divergence_from_logits_terms(x, y)
    in_a = terms - p * xp.sum(terms, axis=-1, keepdims=True)
    return round_once(in_a, a), round_once(probabilities(y) - p, b)


@everywhere("kl_divergence_from_logits", gradient=_kl_divergence_from_logits_gradient)
def kl_divergence_from_logits(a: Array, b: Array) -> Array:
    """KL(softmax(a) ‖ softmax(b)) → [N]; a class that a masks adds nothing."""
    _, terms = _kl_divergence_from_logits_terms(at_least_float32(a), at_least_float32(b))
    return round_once(array_namespace(terms).sum(terms, axis=-1), b)


def _softened(logits: Array, temperature: float) -> Array:
    """(z − max z) / T: differences first, since dividing a large common offset would round it."""
    xp = array_namespace(logits)
    z = at_least_float32(logits)
    return (z - maximum(z, xp.argmax(z, axis=-1))) / temperature


def _distillation_gradient(student: Array, teacher: Array, *, temperature: float = 2.0) -> Array:
    p, q = probabilities(_softened(teacher, temperature)), probabilities(_softened(student, temperature))
    return round_once(temperature * (q - p), student)


@everywhere("distillation", gradient=_distillation_gradient)
def distillation(student: Array, teacher: Array, *, temperature: float = 2.0) -> Array:
    """T² KL(softmax(teacher/T) ‖ softmax(student/T)) → [N].

    T² keeps the gradient's size as T changes (Hinton, Vinyals & Dean, "Distilling the knowledge in a neural
    network", 2015, section 2).
    """
    _, terms = _kl_divergence_from_logits_terms(
        _softened(teacher, temperature), _softened(student, temperature)
    )
    return round_once(temperature**2 * array_namespace(terms).sum(terms, axis=-1), student)
