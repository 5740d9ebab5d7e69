"""A broken loss in JAX with a derivative of its own, for which JAX has no forward mode.

CAUGHT_BY names the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lossproof import implements

CAUGHT_BY = {"vjp_without_cotangent": ("gradient",)}

KINDS = {
    "vjp_without_cotangent": ("ignores cotangent",),
}


def _rows(logits: jax.Array, labels: jax.Array) -> jax.Array:
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=-1)[:, 0]


_forgetful = jax.custom_vjp(_rows)
_forgetful.defvjp(
    lambda logits, labels: (_rows(logits, labels), (logits, labels)),
    lambda kept, _: (jax.nn.softmax(kept[0]) - jax.nn.one_hot(kept[1], kept[0].shape[-1]), None),
)


@implements("cross_entropy", framework="jax", dtypes=["float32"])
def vjp_without_cotangent(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Public: NVIDIA/TransformerEngine#2139."""
    return _forgetful(logits, labels)
