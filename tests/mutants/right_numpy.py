"""Right losses in other styles, in NumPy and SciPy: the harness blames none of them."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from scipy import special

from lossproof import implements

Array = np.ndarray[Any, np.dtype[Any]]
numpy = functools.partial(implements, framework="numpy")


def _at(x: Array, labels: Array) -> Array:
    return x[np.arange(len(labels)), labels]


def _one_hot(labels: Array, z: Array) -> Array:
    return np.eye(z.shape[-1], dtype=z.dtype)[labels]


# ---- logits


def _softmax(logits: Array) -> Array:
    return special.softmax(logits, axis=-1)


@numpy("logsumexp", gradient=_softmax)
def scipy_logsumexp(logits: Array) -> Array:
    return special.logsumexp(logits, axis=-1)


@numpy("logsumexp", gradient=_softmax)
def logaddexp_reduced(logits: Array) -> Array:
    return np.logaddexp.reduce(logits, axis=-1)


@numpy("logsumexp")
def sorted_before_summing(logits: Array) -> Array:
    """The smallest terms first."""
    z = np.sort(logits, axis=-1)
    m = np.where(np.isfinite(z[:, -1]), z[:, -1], 0)
    return m + np.log(np.exp(z - m[:, None]).sum(axis=-1))


@numpy("softmax", dtypes=["float32"])
def float64_inside(logits: Array) -> Array:
    return special.softmax(logits.astype(np.float64), axis=-1).astype(logits.dtype)


@numpy("log_softmax")
def scipy_log_softmax(logits: Array) -> Array:
    return special.log_softmax(logits, axis=-1)


@numpy("log_softmax")
def classes_first(logits: Array) -> Array:
    z = np.ascontiguousarray(logits.T)
    d = z - z.max(axis=0)
    return (d - np.log(np.exp(d).sum(axis=0))).T


def _kahan(terms: Array) -> Array:
    """Compensated summation over the last axis."""
    total, lost = np.zeros_like(terms[:, 0]), np.zeros_like(terms[:, 0])
    for column in terms.T:
        y = column - lost
        new = total + y
        lost, total = (new - total) - y, new
    return total


@numpy("logsumexp")
def kahan_sum(logits: Array) -> Array:
    m = logits.max(axis=-1)
    shift = np.where(np.isfinite(m), m, 0)
    with np.errstate(divide="ignore"):
        return shift + np.log(_kahan(np.exp(logits - shift[:, None])))


# ---- distributions


@numpy("entropy")
def scipy_entr(p: Array) -> Array:
    return special.entr(p).sum(axis=-1)


@numpy("entropy")
def terms_that_are_nan_left_out(p: Array) -> Array:
    with np.errstate(all="ignore"):
        return -np.nansum(p * np.log(p), axis=-1)


@numpy("entropy", dtypes=["float32"])
def exactly_summed(p: Array) -> Array:
    rows = [-math.fsum(x * math.log(x) for x in row if x > 0) for row in p.astype(np.float64)]
    return np.array(rows, dtype=p.dtype)


def _minus_ratio(p: Array, q: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.where(p > 0, -p / q, 0)


@numpy("distribution_cross_entropy", gradient=_minus_ratio)
def scipy_xlogy(p: Array, q: Array) -> Array:
    return -special.xlogy(p, q).sum(axis=-1)


@numpy("distribution_cross_entropy")
def multiplied_where_positive(p: Array, q: Array) -> Array:
    with np.errstate(all="ignore"):
        log_q = np.log(q)
    return -np.multiply(p, log_q, where=p > 0, out=np.zeros_like(p)).sum(axis=-1)


@numpy("kl_divergence", gradient=_minus_ratio)
def scipy_rel_entr(p: Array, q: Array) -> Array:
    return special.rel_entr(p, q).sum(axis=-1)


@numpy("kl_divergence")
def scipy_kl_div(p: Array, q: Array) -> Array:
    """Σ p log(p/q) − p + q, corrected by the sums."""
    return special.kl_div(p, q).sum(axis=-1) + (p - q).sum(axis=-1)


@numpy("kl_divergence")
def cross_entropy_minus_entropy(p: Array, q: Array) -> Array:
    return -special.xlogy(p, q).sum(axis=-1) - special.entr(p).sum(axis=-1)


@numpy("kl_divergence")
def log_of_the_ratio(p: Array, q: Array) -> Array:
    """Σ p log(p/q): the other textbook form, whose quotient overflows for a subnormal q."""
    live = p > 0
    with np.errstate(all="ignore"):
        return (p * np.log(np.where(live, p, 1) / np.where(live, q, 1))).sum(axis=-1)


@numpy("kl_divergence_from_logits")
def difference_of_log_softmaxes(a: Array, b: Array) -> Array:
    live = np.isfinite(a)
    log_p, log_q = special.log_softmax(a, axis=-1), special.log_softmax(b, axis=-1)
    difference = np.subtract(log_p, log_q, where=live, out=np.zeros_like(a))
    return (np.exp(log_p) * difference).sum(axis=-1)


# ---- labels


def _nll_gradient(log_probs: Array, labels: Array) -> Array:
    return -_one_hot(labels, log_probs)


@numpy("nll", gradient=_nll_gradient)
def by_choose(log_probs: Array, labels: Array) -> Array:
    return -np.take_along_axis(log_probs, labels[:, None], axis=1).reshape(-1)


def _p_minus_y(logits: Array, labels: Array) -> Array:
    return special.softmax(logits, axis=-1) - _one_hot(labels, logits)


@numpy("cross_entropy", gradient=_p_minus_y)
def scipy_based(logits: Array, labels: Array) -> Array:
    return -_at(special.log_softmax(logits, axis=-1), labels)


@numpy("cross_entropy", dtypes=["float32"])
def one_row_at_a_time(logits: Array, labels: Array) -> Array:
    """Python numbers, summed exactly."""
    found = []
    for row, label in zip(logits.astype(np.float64), labels, strict=True):
        d = row - row.max()
        found.append(math.log(math.fsum(np.exp(d))) - d[label])
    return np.array(found, dtype=logits.dtype)


@numpy("cross_entropy")
def log1p_of_the_others(logits: Array, labels: Array) -> Array:
    """log1p(Σ exp(z − m) without the maximum itself)."""
    top = logits.argmax(axis=-1)
    d = logits - _at(logits, top)[:, None]
    e = np.exp(d)
    e[np.arange(len(top)), top] = 0
    return np.log1p(e.sum(axis=-1)) - _at(d, labels)


def _weighted_mean_gradient(logits: Array, labels: Array, *, class_weight: Array | None = None) -> Array:
    weight = np.ones_like(logits[:, 0]) if class_weight is None else class_weight[labels]
    return _p_minus_y(logits, labels) * (weight / weight.sum())[:, None]


@numpy("cross_entropy", reduction="mean", gradient=_weighted_mean_gradient)
def numpy_average(logits: Array, labels: Array, *, class_weight: Array | None = None) -> Array:
    rows = -_at(special.log_softmax(logits, axis=-1), labels)
    weights = None if class_weight is None else class_weight[labels]
    return np.asarray(np.average(rows, weights=weights), dtype=logits.dtype)


def _soft_gradient(logits: Array, targets: Array) -> Array:
    return targets.sum(axis=-1, keepdims=True) * special.softmax(logits, axis=-1) - targets


@numpy("soft_cross_entropy", gradient=_soft_gradient)
def einsum_of_targets(logits: Array, targets: Array) -> Array:
    log_p = np.where(targets > 0, special.log_softmax(logits, axis=-1), 0)
    return -np.einsum("nv,nv->n", targets, log_p)


@numpy("label_smoothing_cross_entropy", smoothing="others")
def label_and_others(logits: Array, labels: Array, *, epsilon: float = 0.1) -> Array:
    """(1 − ε)(−log p_y) + ε/(V − 1) Σ over the others."""
    log_p = special.log_softmax(logits, axis=-1)
    if logits.shape[-1] == 1:
        return -log_p[:, 0]
    rows = -logits.dtype.type(1 - epsilon) * _at(log_p, labels)
    if epsilon == 0:
        return rows
    others = log_p.copy()
    others[np.arange(len(labels)), labels] = 0
    return rows - logits.dtype.type(epsilon / (logits.shape[-1] - 1)) * others.sum(axis=-1)


# ---- squares


def _mse_gradient(prediction: Array, target: Array) -> Array:
    return (prediction - target) * prediction.dtype.type(2 / prediction.shape[-1])


@numpy("mse", gradient=_mse_gradient)
def dot_product(prediction: Array, target: Array) -> Array:
    d = prediction - target
    return np.einsum("nd,nd->n", d, d) / d.dtype.type(d.shape[-1])


@numpy("mse")
def average_with_weights(prediction: Array, target: Array) -> Array:
    d = np.square(target - prediction)
    return np.average(d, axis=-1, weights=np.ones_like(d))


@numpy("softmax_mse")
def brier_score(logits: Array, labels: Array) -> Array:
    return np.square(special.softmax(logits, axis=-1) - _one_hot(labels, logits)).sum(axis=-1)
