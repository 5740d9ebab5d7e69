"""Broken losses in JAX, one mistake each: those that only a forward mode or a custom derivative can have.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from lossproof import implements

CAUGHT_BY = {
    "zero_tangent_times_infinity": ("gradient",),
    "one_where": ("gradient", "finiteness"),
    "stopped_normaliser": ("gradient",),
    "jvp_of_half": ("gradient",),
    "norm_squared": ("gradient", "finiteness"),
    "result_in_float32": ("shape_and_dtype",),
}

KINDS = {
    "zero_tangent_times_infinity": ("nan from 0*inf",),
    "one_where": ("nan from 0*inf",),
    "stopped_normaliser": ("detached factor",),
    "jvp_of_half": ("constant factor", "detached factor"),
    "norm_squared": ("nan from 0*inf",),
    "result_in_float32": ("wrong dtype",),
}

NOT_TOLD = ("zero_tangent_times_infinity",)

in_jax = functools.partial(implements, framework="jax", dtypes=["float32"])


@jax.custom_jvp
def _weighted(logits: jax.Array, weights: jax.Array) -> jax.Array:
    return jnp.where(weights != 0, weights * jax.nn.log_softmax(logits), 0)


@_weighted.defjvp
def _(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[jax.Array, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    (logits, weights), (dz, dw) = primals, tangents
    mean = (dz * jax.nn.softmax(logits)).sum(-1, keepdims=True)
    return _weighted(logits, weights), weights * (dz - mean) + dw * jax.nn.log_softmax(logits)


@in_jax("soft_cross_entropy")
def zero_tangent_times_infinity(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Reverse mode is right under a mask, forward mode is nan. Public: google-deepmind/optax#1762."""
    return -_weighted(logits, targets).sum(-1)


@in_jax("kl_divergence_from_logits")
def one_where(a: jax.Array, b: jax.Array) -> jax.Array:
    """`where` hides the nan of the branch not taken, and its derivative meets it."""
    p = jax.nn.softmax(a)
    return jnp.where(a > -jnp.inf, p * (jax.nn.log_softmax(a) - jax.nn.log_softmax(b)), 0).sum(-1)


@in_jax("log_softmax")
def stopped_normaliser(logits: jax.Array) -> jax.Array:
    return logits - jax.lax.stop_gradient(jax.nn.logsumexp(logits, axis=-1, keepdims=True))


@jax.custom_jvp
def _square(x: jax.Array) -> jax.Array:
    return x * x


@_square.defjvp
def _(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return _square(*primals), primals[0] * tangents[0]


@in_jax("mse")
def jvp_of_half(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """x for the derivative of x²."""
    return _square(prediction - target).mean(-1)


@in_jax("mse")
def norm_squared(prediction: jax.Array, target: jax.Array) -> jax.Array:
    """The norm has no derivative at 0: nan where prediction and target are equal."""
    return jnp.linalg.norm(prediction - target, axis=-1) ** 2 / prediction.shape[-1]


@in_jax("mse", dtypes=["float16"])
def result_in_float32(prediction: jax.Array, target: jax.Array) -> jax.Array:
    return jnp.square(prediction.astype(jnp.float32) - target).mean(-1)
