"""Reference losses of distributions and of the logits behind them, in array-API code for NumPy, PyTorch and JAX.

Written to be copied, with the habits of portable.py: differences before sums, `where` on the argument and then
the function, half formats computed in float32 and rounded once.

Shapes: p, q, logits, student, teacher [N, V]; results [N].
"""

from __future__ import annotations

import math

from array_api_compat import array_namespace
from lossproof.builtin.adapters.portable import (
    Array,
    _at_least_float32,
    _kl_divergence_from_logits_terms,
    _maximum,
    _round_once,
    _shift,
    _softmax,
    everywhere,
)

LOG2 = math.log(2)


# ---- Jensen-Shannon


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
    x, y = _at_least_float32(p), _at_least_float32(q)
    xp = array_namespace(x)
    _, live, log_ratio = _log_ratio(x, y)
    zero = xp.zeros_like(x)
    of_mean = LOG2 - xp.log1p(xp.where(live, xp.exp(log_ratio), zero))
    # log(q / m); a class with q = 0 gets the derivative 0, so that a mask of zeros stays one
    result = of_mean + xp.where(x > y, log_ratio, zero)
    return _round_once(xp.where(y > 0, result / 2, zero), q)


@everywhere("js_divergence", gradient=_js_divergence_gradient)
def js_divergence(p: Array, q: Array) -> Array:
    """½ KL(p ‖ m) + ½ KL(q ‖ m) with m = (p + q)/2 → [N].

    Of each class, with b ≤ a: ½ ((a + b) (log 2 − log(1 + b/a)) + b log(b/a)), which takes no quotient by m
    (Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37(1), 1991).
    """
    x, y = _at_least_float32(p), _at_least_float32(q)
    xp = array_namespace(x)
    smaller, live, log_ratio = _log_ratio(x, y)
    ratio = xp.where(live, xp.exp(log_ratio), xp.zeros_like(x))
    terms = (x + y) * (LOG2 - xp.log1p(ratio)) + smaller * log_ratio
    return _round_once(xp.sum(terms, axis=-1) / 2, q)


# ---- logits


def _z_loss_gradient(logits: Array, *, coefficient: float = 1e-4) -> Array:
    z = _at_least_float32(logits)
    m, _, s = _shift(z)
    return _round_once((2 * coefficient * (m + s)) * _softmax(z), logits)


@everywhere("z_loss", gradient=_z_loss_gradient)
def z_loss(logits: Array, *, coefficient: float = 1e-4) -> Array:
    """c (log Σ exp z)² → [N] (Chowdhery et al., "PaLM", JMLR 24, 2023, section 5)."""
    m, _, s = _shift(_at_least_float32(logits))
    log_total = (m + s)[:, 0]
    # from the left: the square alone may overflow
    return _round_once(coefficient * log_total * log_total, logits)


def _softened(logits: Array, temperature: float) -> Array:
    """(z − max z) / T: differences first, since dividing a large common offset would round it."""
    xp = array_namespace(logits)
    z = _at_least_float32(logits)
    return (z - _maximum(z, xp.argmax(z, axis=-1))) / temperature


def _distillation_gradient(student: Array, teacher: Array, *, temperature: float = 2.0) -> Array:
    p, q = _softmax(_softened(teacher, temperature)), _softmax(_softened(student, temperature))
    return _round_once(temperature * (q - p), student)


@everywhere("distillation", gradient=_distillation_gradient)
def distillation(student: Array, teacher: Array, *, temperature: float = 2.0) -> Array:
    """T² KL(softmax(teacher/T) ‖ softmax(student/T)) → [N].

    T² keeps the gradient's size as T changes (Hinton, Vinyals & Dean, "Distilling the knowledge in a neural
    network", 2015, section 2).
    """
    _, terms = _kl_divergence_from_logits_terms(
        _softened(teacher, temperature), _softened(student, temperature)
    )
    return _round_once(temperature**2 * array_namespace(terms).sum(terms, axis=-1), student)
