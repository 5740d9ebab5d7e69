"""What the portable losses share: binding for the three frameworks, the working format, classes and logits."""

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


# ---- the working format


def at_least_float32(x: Array) -> Array:
    xp = array_namespace(x)
    return xp.astype(x, xp.float32) if x.dtype.itemsize < 4 else x


def round_once(result: Array, like: Array) -> Array:
    return array_namespace(like).astype(result, like.dtype)


def constant(x: Array) -> Array:
    """x without its derivative; the array API has no word for it."""
    if is_torch_array(x):
        return x.detach()
    if is_jax_array(x):
        from jax.lax import stop_gradient

        return stop_gradient(x)
    return x


# ---- classes


def is_class(index: Array, x: Array) -> Array:
    """[N, V] bool, true at index [N]."""
    xp = array_namespace(x)
    return xp.arange(x.shape[-1], device=device(x)) == index[:, None]


def at(x: Array, labels: Array) -> Array:
    """x[i, labels[i]], as [N]."""
    xp = array_namespace(x)
    return xp.take_along_axis(x, labels[:, None], axis=-1)[:, 0]


# ---- logits


def maximum(z: Array, top: Array) -> Array:
    """max z per row, [N, 1], as a constant, and 0 where every class is masked.

    Every loss here has the derivative 0 in its shift. Left in the graph, the shift would add the rounding
    errors of all classes to the class that is the maximum.
    """
    xp = array_namespace(z)
    largest = constant(at(z, top))[:, None]
    return xp.where(xp.isfinite(largest), largest, xp.zeros_like(largest))


def shift(z: Array) -> tuple[Array, Array, Array]:
    """m = max z, d = z − m and s = log Σ exp d.

    The first maximum enters as expm1(0) = 0, with the derivative 1 that exp has there, and log1p adds its 1
    back: so s keeps its digits where one class dominates and Σ exp d rounds to 1.
    """
    xp = array_namespace(z)
    top = xp.argmax(z, axis=-1)
    m = maximum(z, top)
    d = z - m
    beyond_one = xp.sum(xp.where(is_class(top, z), xp.expm1(d), xp.exp(d)), axis=-1, keepdims=True)
    return m, d, xp.log1p(beyond_one)


def probabilities(z: Array) -> Array:
    """softmax z, from z − max z."""
    xp = array_namespace(z)
    e = xp.exp(z - maximum(z, xp.argmax(z, axis=-1)))
    return e / xp.sum(e, axis=-1, keepdims=True)


def softplus(x: Array) -> Array:
    """log(1 + exp x) without overflow and with its digits at both ends.

    Both parts choose by x ≥ 0: frameworks do not agree on the derivatives of a maximum and of |x| at 0.
    """
    xp = array_namespace(x)
    up = x >= 0
    return xp.where(up, x, xp.zeros_like(x)) + xp.log1p(xp.exp(xp.where(up, -x, x)))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x)), by its logarithm: the digits of both tails, and the right derivative at 0."""
    return array_namespace(x).exp(-softplus(-x))


# ---- rows


def reduced(rows: Array, reduction: str, denominator: Any = None) -> Array:
    if reduction == "none":
        return rows
    total = array_namespace(rows).sum(rows)
    if reduction == "sum":
        return total
    return total / (rows.shape[0] if denominator is None else denominator)
