"""Reference losses in array-API code: written once, bound for NumPy, PyTorch and JAX.

Written to be copied. Three habits carry the whole file:

- Differences before sums. A loss of logits is built from z − max z, never from logsumexp(z) itself, so that
  a common offset of the logits cancels exactly (Blanchard, Higham & Higham, "Accurately computing the
  log-sum-exp and softmax functions", IMA J. Numer. Anal. 41, 2021).
- `where` on the argument, then the function. 0 · log 0 is kept out of the graph, because a `where` on the
  result still sends 0 · inf = nan through the branch that was not taken.
- Half formats are computed in float32 and rounded once, at the end.

Shapes: logits, p, q, targets, prediction [N, V]; labels [N], integers. Row-wise losses return [N].
NumPy has no automatic derivative, so each row-wise loss that takes a gradient comes with its closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from array_api_compat import array_namespace, device, is_jax_array, is_torch_array

from lossproof import implements

Array = Any
Function = Callable[..., Any]

DTYPES = ["float64", "float32", "float16", "bfloat16"]


def everywhere(loss: str, gradient: Function | None = None) -> Callable[[Function], Function]:
    """Bind one array-API function for the three frameworks; `gradient` serves NumPy."""

    def bind(function: Function) -> Function:
        implements(loss, framework="numpy", dtypes=DTYPES, gradient=gradient)(function)
        implements(loss, framework="torch", dtypes=DTYPES)(function)
        return implements(loss, framework="jax", dtypes=DTYPES)(function)

    return bind


# ---- helpers: the working format


def _at_least_float32(x: Array) -> Array:
    xp = array_namespace(x)
    return xp.astype(x, xp.float32) if x.dtype.itemsize < 4 else x


def _round_once(result: Array, like: Array) -> Array:
    return array_namespace(like).astype(result, like.dtype)


def _constant(x: Array) -> Array:
    """x without its derivative; the array API has no word for it."""
    if is_torch_array(x):
        return x.detach()
    if is_jax_array(x):
        from jax.lax import stop_gradient

        return stop_gradient(x)
    return x


# ---- helpers: classes and logits


def _is_class(index: Array, x: Array) -> Array:
    """[N, V] bool, true at index [N]."""
    xp = array_namespace(x)
    return xp.arange(x.shape[-1], device=device(x)) == index[:, None]


def _at(x: Array, labels: Array) -> Array:
    """x[i, labels[i]], as [N]."""
    xp = array_namespace(x)
    return xp.take_along_axis(x, labels[:, None], axis=-1)[:, 0]


def _maximum(z: Array, top: Array) -> Array:
    """max z per row, [N, 1], as a constant, and 0 where every class is masked.

    Every loss here has the derivative 0 in its shift. Left in the graph, the shift would add the rounding
    errors of all classes to the class that is the maximum.
    """
    xp = array_namespace(z)
    largest = _constant(_at(z, top))[:, None]
    return xp.where(xp.isfinite(largest), largest, xp.zeros_like(largest))


def _shift(z: Array) -> tuple[Array, Array, Array]:
    """m = max z, d = z − m and s = log Σ exp d.

    The first maximum enters as expm1(0) = 0, with the derivative 1 that exp has there, and log1p adds its 1
    back: so s keeps its digits where one class dominates and Σ exp d rounds to 1.
    """
    xp = array_namespace(z)
    top = xp.argmax(z, axis=-1)
    m = _maximum(z, top)
    d = z - m
    beyond_one = xp.sum(xp.where(_is_class(top, z), xp.expm1(d), xp.exp(d)), axis=-1, keepdims=True)
    return m, d, xp.log1p(beyond_one)


def _softmax(z: Array) -> Array:
    xp = array_namespace(z)
    e = xp.exp(z - _maximum(z, xp.argmax(z, axis=-1)))
    return e / xp.sum(e, axis=-1, keepdims=True)


def _xlogy(x: Array, y: Array) -> Array:
    """x log y, and 0 at x = 0 whatever y is."""
    xp = array_namespace(x)
    return x * xp.log(xp.where(x > 0, y, xp.ones_like(y)))


def _surprise(z: Array, t: Array) -> Array:
    """Σ t (log Σ exp z − z), [N]: a class with t = 0 adds nothing, even if its logit is −inf."""
    xp = array_namespace(z)
    _, d, s = _shift(z)
    return xp.sum(t * (s - xp.where(t != 0, d, xp.zeros_like(d))), axis=-1)


def _smoothed(labels: Array, z: Array, epsilon: float, smoothing: str) -> Array:
    """The smoothed labels, [N, V]. "others" gives ε to the other V − 1 classes, "all" to all V."""
    xp = array_namespace(z)
    classes = z.shape[-1]
    rest = epsilon / classes if smoothing == "all" else epsilon / max(classes - 1, 1)
    own = 1 - epsilon + rest if smoothing == "all" else 1 - epsilon
    return xp.where(_is_class(labels, z), xp.full_like(z, own), xp.full_like(z, rest))


def _reduce(rows: Array, reduction: str, denominator: Any = None) -> Array:
    if reduction == "none":
        return rows
    total = array_namespace(rows).sum(rows)
    if reduction == "sum":
        return total
    return total / (rows.shape[0] if denominator is None else denominator)


# ---- distributions of logits


def _logsumexp_gradient(logits: Array) -> Array:
    return _round_once(_softmax(_at_least_float32(logits)), logits)


@everywhere("logsumexp", gradient=_logsumexp_gradient)
def logsumexp(logits: Array) -> Array:
    """log Σ exp z → [N]; −inf where every class is masked."""
    m, _, s = _shift(_at_least_float32(logits))
    return _round_once((m + s)[:, 0], logits)


@everywhere("softmax")
def softmax(logits: Array) -> Array:
    """exp(z − m) / Σ exp(z − m) → [N, V]."""
    return _round_once(_softmax(_at_least_float32(logits)), logits)


@everywhere("log_softmax")
def log_softmax(logits: Array) -> Array:
    """(z − m) − log Σ exp(z − m) → [N, V]."""
    _, d, s = _shift(_at_least_float32(logits))
    return _round_once(d - s, logits)


# ---- entropies and divergences


@everywhere("entropy")
def entropy(p: Array) -> Array:
    """−Σ p log p → [N]."""
    x = _at_least_float32(p)
    return _round_once(-array_namespace(x).sum(_xlogy(x, x), axis=-1), p)


def _minus_ratio(p: Array, q: Array) -> Array:
    xp = array_namespace(p)
    live = p > 0
    return -xp.where(live, p, xp.zeros_like(p)) / xp.where(live, q, xp.ones_like(q))


def _distribution_cross_entropy_gradient(p: Array, q: Array) -> Array:
    return _round_once(_minus_ratio(_at_least_float32(p), _at_least_float32(q)), q)


@everywhere("distribution_cross_entropy", gradient=_distribution_cross_entropy_gradient)
def distribution_cross_entropy(p: Array, q: Array) -> Array:
    """−Σ p log q → [N]; +inf where p > 0 = q."""
    terms = _xlogy(_at_least_float32(p), _at_least_float32(q))
    return _round_once(-array_namespace(terms).sum(terms, axis=-1), q)


def _kl_denominator(p: Array, reduction: str) -> int:
    return p.shape[0] * p.shape[1] if reduction == "mean" else p.shape[0]


def _kl_divergence_gradient(p: Array, q: Array, *, reduction: str = "none") -> Array:
    weight = _at_least_float32(p)
    if reduction in ("mean", "batchmean"):
        # before the division by q, which may overflow where the mean does not
        weight = weight / _kl_denominator(p, reduction)
    return _round_once(_minus_ratio(weight, _at_least_float32(q)), q)


@everywhere("kl_divergence", gradient=_kl_divergence_gradient)
def kl_divergence(p: Array, q: Array, *, reduction: str = "none") -> Array:
    """Σ p log(p/q) → [N]; +inf where p > 0 = q. "mean" divides by N·V, "batchmean" by N.

    log(p/q) is small, with a small error, where p ≈ q, and log p − log q is not. But the quotient leaves the
    exponent range for tiny entries, and so does its derivative (1/q² in JAX): those take the difference,
    whose error counts for nothing beside that of the large entries.
    """
    x, y = _at_least_float32(p), _at_least_float32(q)
    xp = array_namespace(x)
    one = xp.ones_like(x)
    near = (x > 1e-9) & (y > 1e-9)
    far = (x > 0) & ~near
    ratio = xp.where(near, x, one) / xp.where(near, y, one)
    difference = xp.log(xp.where(far, x, one)) - xp.log(xp.where(far, y, one))
    rows = xp.sum(x * (xp.log(ratio) + difference), axis=-1)
    return _round_once(_reduce(rows, reduction, _kl_denominator(p, reduction)), q)


def _kl_divergence_from_logits_terms(a: Array, b: Array) -> tuple[Array, Array]:
    """p = softmax(a) and p (log softmax(a) − log softmax(b)), [N, V] both."""
    xp = array_namespace(a)
    zero = xp.zeros_like(a)
    p = _softmax(a)
    _, da, sa = _shift(a)
    _, db, sb = _shift(b)
    # What a allows and b forbids is infinitely surprising, even where p underflows.
    forbidden = xp.isfinite(a) & xp.isinf(b)
    live = (p > 0) & ~forbidden
    terms = p * (xp.where(live, da - sa, zero) - xp.where(live, db - sb, zero))
    return p, xp.where(forbidden, xp.full_like(a, float("inf")), terms)


def _kl_divergence_from_logits_gradient(a: Array, b: Array) -> tuple[Array, Array]:
    x, y = _at_least_float32(a), _at_least_float32(b)
    xp = array_namespace(x)
    p, terms = _kl_divergence_from_logits_terms(x, y)
    in_a = terms - p * xp.sum(terms, axis=-1, keepdims=True)
    return _round_once(in_a, a), _round_once(_softmax(y) - p, b)


@everywhere("kl_divergence_from_logits", gradient=_kl_divergence_from_logits_gradient)
def kl_divergence_from_logits(a: Array, b: Array) -> Array:
    """KL(softmax(a) ‖ softmax(b)) → [N]; a class that a masks adds nothing."""
    _, terms = _kl_divergence_from_logits_terms(_at_least_float32(a), _at_least_float32(b))
    return _round_once(array_namespace(terms).sum(terms, axis=-1), b)


# ---- labels


def _nll_gradient(log_probs: Array, labels: Array) -> Array:
    return -_round_once(_is_class(labels, log_probs), like=log_probs)


@everywhere("nll", gradient=_nll_gradient)
def nll(log_probs: Array, labels: Array) -> Array:
    """−log_probs_y → [N]."""
    return -_at(log_probs, labels)


def _kept_rows(
    logits: Array, labels: Array, class_weight: Array | None, ignore_index: int | None
) -> tuple[Array, Array, Array, Array]:
    """Logits and labels with the ignored rows made harmless, the weight of each row, and which are kept.

    An ignored row may hold nan: it is replaced before anything is computed, so that no gradient sees it.
    """
    xp = array_namespace(logits)
    z = _at_least_float32(logits)
    kept = xp.ones_like(labels, dtype=xp.bool) if ignore_index is None else labels != ignore_index
    z = xp.where(kept[:, None], z, xp.zeros_like(z))
    y = xp.where(kept, labels, xp.zeros_like(labels))
    weight = xp.ones_like(z[:, 0]) if class_weight is None else xp.take(_at_least_float32(class_weight), y)
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
    z, y, weight, kept = _kept_rows(logits, labels, class_weight, ignore_index)
    result = weight[:, None] * (_softmax(z) - xp.astype(_is_class(y, z), z.dtype))
    if reduction == "mean":
        result = result / _mean_denominator(weight, kept, mean_over)
    return _round_once(result, logits)


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
    z, y, weight, kept = _kept_rows(logits, labels, class_weight, ignore_index)
    _, d, s = _shift(z)
    rows = weight * (s[:, 0] - _at(d, y))
    return _round_once(_reduce(rows, reduction, _mean_denominator(weight, kept, mean_over)), logits)


def _soft_cross_entropy_gradient(logits: Array, targets: Array) -> Array:
    z, t = _at_least_float32(logits), _at_least_float32(targets)
    return _round_once(array_namespace(z).sum(t, axis=-1, keepdims=True) * _softmax(z) - t, logits)


@everywhere("soft_cross_entropy", gradient=_soft_cross_entropy_gradient)
def soft_cross_entropy(logits: Array, targets: Array) -> Array:
    """Σ t (log Σ exp(z − m) − (z − m)) → [N]."""
    return _round_once(_surprise(_at_least_float32(logits), _at_least_float32(targets)), logits)


def _label_smoothing_cross_entropy_gradient(
    logits: Array,
    labels: Array,
    *,
    epsilon: float = 0.1,
    smoothing: str = "others",
    reduction: str = "none",
) -> Array:
    z = _at_least_float32(logits)
    t = _smoothed(labels, z, epsilon, smoothing)
    result = array_namespace(z).sum(t, axis=-1, keepdims=True) * _softmax(z) - t
    return _round_once(result / z.shape[0] if reduction == "mean" else result, logits)


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
    z = _at_least_float32(logits)
    rows = _surprise(z, _smoothed(labels, z, epsilon, smoothing))
    return _round_once(_reduce(rows, reduction), logits)


# ---- squares


def _mse_gradient(prediction: Array, target: Array) -> Array:
    difference = _at_least_float32(prediction) - _at_least_float32(target)
    return _round_once(2 * difference / prediction.shape[-1], prediction)


@everywhere("mse", gradient=_mse_gradient)
def mse(prediction: Array, target: Array) -> Array:
    """mean (x − t)² over the last axis → [N]."""
    difference = _at_least_float32(prediction) - _at_least_float32(target)
    return _round_once(array_namespace(difference).mean(difference * difference, axis=-1), prediction)


def _softmax_mse_gradient(logits: Array, labels: Array) -> Array:
    z = _at_least_float32(logits)
    xp = array_namespace(z)
    p = _softmax(z)
    difference = p - xp.astype(_is_class(labels, z), z.dtype)
    inner = xp.sum(p * difference, axis=-1, keepdims=True)
    return _round_once(2 * p * (difference - inner), logits)


@everywhere("softmax_mse", gradient=_softmax_mse_gradient)
def softmax_mse(logits: Array, labels: Array) -> Array:
    """Σ (softmax(z) − onehot)² → [N]."""
    z = _at_least_float32(logits)
    xp = array_namespace(z)
    difference = _softmax(z) - xp.astype(_is_class(labels, z), z.dtype)
    return _round_once(xp.sum(difference * difference, axis=-1), logits)
