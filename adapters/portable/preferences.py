"""Losses of preferences and policies.

Shapes: log-probabilities [N]; results [N].
"""

from __future__ import annotations

from array_api_compat import array_namespace

from .common import Array, at_least_float32, everywhere, round_once, sigmoid, softplus

# ---- preferences


def _gain(chosen: Array, rejected: Array, reference_chosen: Array, reference_rejected: Array) -> Array:
    """How much further apart the policy puts both answers than the reference does, [N]."""
    policy = at_least_float32(chosen) - at_least_float32(rejected)
    return policy - (at_least_float32(reference_chosen) - at_least_float32(reference_rejected))


def _dpo_gradient(
    chosen: Array,
    rejected: Array,
    reference_chosen: Array,
    reference_rejected: Array,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> tuple[Array, Array]:
    z = beta * _gain(chosen, rejected, reference_chosen, reference_rejected)
    slope = beta * (label_smoothing * sigmoid(z) - (1 - label_smoothing) * sigmoid(-z))
    return round_once(slope, chosen), round_once(-slope, rejected)


@everywhere("dpo", gradient=_dpo_gradient)
def dpo(
    chosen: Array,
    rejected: Array,
    reference_chosen: Array,
    reference_rejected: Array,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Array:
    """−(1 − ε) log σ(βΔ) − ε log σ(−βΔ) → [N] (Rafailov et al., "Direct preference optimization", 2023)."""
    z = beta * _gain(chosen, rejected, reference_chosen, reference_rejected)
    result = (1 - label_smoothing) * softplus(-z)
    if label_smoothing > 0:
        result = result + label_smoothing * softplus(z)
    return round_once(result, chosen)


# ---- policies


def _grpo_kl_gradient(policy: Array, reference: Array, *, estimator: str = "k3") -> Array:
    x = at_least_float32(policy)
    xp = array_namespace(x)
    d = at_least_float32(reference) - x
    slope = xp.ones_like(d) if estimator == "k1" else -d if estimator == "k2" else -xp.expm1(d)
    return round_once(slope, policy)


@everywhere("grpo_kl", gradient=_grpo_kl_gradient)
def grpo_kl(policy: Array, reference: Array, *, estimator: str = "k3") -> Array:
    """−d (k1), d²/2 (k2) or exp(d) − 1 − d (k3), with d = reference − policy → [N].

    expm1 keeps the digits of a small d (Schulman, "Approximating KL divergence", 2020).
    """
    d = at_least_float32(reference) - at_least_float32(policy)
    if estimator == "k1":
        return round_once(-d, policy)
    if estimator == "k2":
        return round_once(d * d / 2, policy)
    return round_once(array_namespace(d).expm1(d) - d, policy)
