"""Broken versions of dpo and grpo_kl, one mistake each.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

CAUGHT_BY = {
    "answers_exchanged": ("accuracy", "law:at_least_the_lost_reward"),
    "reference_left_out": ("accuracy", "law:log_two_at_reference"),
    "reference_with_the_wrong_sign": ("accuracy", "law:shift_of_an_answer"),
    "logarithm_of_a_sigmoid": ("accuracy", "finiteness", "law:at_least_the_lost_reward"),
    "clamped_sigmoid": ("accuracy", "gradient", "law:at_least_the_lost_reward"),
    "ratios_of_exponentials": ("accuracy", "finiteness"),
    "beta_on_the_policy_alone": ("accuracy", "law:log_two_at_reference"),
    "smoothing_forgotten": ("accuracy", "law:equals_bce_with_logits"),
    "smoothing_without_its_complement": ("accuracy", "law:log_two_at_reference"),
    "rejected_detached": ("gradient", "law:gradients_are_opposite"),
    "squared_error_of_ipo": ("accuracy", "law:log_two_at_beta_zero"),
    "beta_forgotten_in_the_gradient": ("gradient", "law:gradient"),
    "exp_minus_one": ("accuracy",),
    "policy_and_reference_exchanged": ("accuracy", "law:gradient"),
    "square_not_halved": ("accuracy", "law:k2_is_half_the_square"),
    "clipped_after_the_exponential": ("accuracy", "law:nonnegative"),
    "difference_clipped": ("accuracy", "gradient", "law:k1_is_the_difference"),
    "size_of_the_difference": ("accuracy", "law:k1_is_the_difference"),
    "ratio_detached": ("gradient", "law:gradient"),
    "linear_part_forgotten": ("accuracy", "law:gradient"),
    "always_k1": ("accuracy", "law:nonnegative"),
    "exponentials_apart": ("accuracy", "finiteness", "law:common_shift"),
}

KINDS = {
    "answers_exchanged": ("swapped arguments", "sign"),
    "reference_left_out": ("ignores an input",),
    "reference_with_the_wrong_sign": ("sign", "swapped arguments"),
    "logarithm_of_a_sigmoid": ("underflows", "cancels"),
    "clamped_sigmoid": ("saturates", "cancels"),
    "ratios_of_exponentials": ("underflows", "overflows", "cancels"),
    "beta_on_the_policy_alone": ("another formula",),
    "smoothing_forgotten": ("another convention",),
    "smoothing_without_its_complement": ("another formula",),
    "rejected_detached": ("detached factor",),
    "squared_error_of_ipo": ("another formula",),
    "beta_forgotten_in_the_gradient": ("constant factor",),
    "exp_minus_one": ("cancels",),
    "policy_and_reference_exchanged": ("swapped arguments",),
    "square_not_halved": ("constant factor",),
    "clipped_after_the_exponential": ("another formula", "saturates"),
    "difference_clipped": ("saturates",),
    "size_of_the_difference": ("another power",),
    "ratio_detached": ("detached factor", "another convention"),
    "linear_part_forgotten": ("another formula",),
    "always_k1": ("another convention",),
    "exponentials_apart": ("underflows", "overflows", "cancels"),
}

Array = np.ndarray[Any, np.dtype[Any]]
numpy = functools.partial(implements, framework="numpy", dtypes=["float32"])
pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


# ---- dpo


def _dpo(z: Tensor, label_smoothing: float) -> Tensor:
    result = -(1 - label_smoothing) * F.logsigmoid(z)
    return result - label_smoothing * F.logsigmoid(-z) if label_smoothing else result


def _gain(c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor) -> Tensor:
    return (c - r) - (ref_c - ref_r)


@pytorch("dpo")
def answers_exchanged(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> Tensor:
    return _dpo(-beta * _gain(c, r, ref_c, ref_r), label_smoothing)


@pytorch("dpo")
def reference_left_out(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> Tensor:
    return _dpo(beta * (c - r), label_smoothing)


@pytorch("dpo")
def reference_with_the_wrong_sign(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> Tensor:
    return _dpo(beta * ((c - r) + (ref_c - ref_r)), label_smoothing)


@pytorch("dpo", label_smoothing=0.0)
def logarithm_of_a_sigmoid(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1
) -> Tensor:
    """log of a sigmoid that underflows is −inf, and nan backwards."""
    return -(beta * _gain(c, r, ref_c, ref_r)).sigmoid().log()


@pytorch("dpo", label_smoothing=0.0)
def clamped_sigmoid(c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1) -> Tensor:
    return -(beta * _gain(c, r, ref_c, ref_r)).sigmoid().clamp(1e-6, 1 - 1e-6).log()


@pytorch("dpo", label_smoothing=0.0)
def ratios_of_exponentials(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1
) -> Tensor:
    """Probabilities of whole answers underflow."""
    chosen, rejected = (c.exp() / ref_c.exp()).log(), (r.exp() / ref_r.exp()).log()
    return -F.logsigmoid(beta * (chosen - rejected))


@pytorch("dpo")
def beta_on_the_policy_alone(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> Tensor:
    return _dpo(beta * (c - r) - (ref_c - ref_r), label_smoothing)


@pytorch("dpo")
def smoothing_forgotten(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> Tensor:
    return _dpo(beta * _gain(c, r, ref_c, ref_r), 0.0)


@pytorch("dpo")
def smoothing_without_its_complement(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> Tensor:
    z = beta * _gain(c, r, ref_c, ref_r)
    return -F.logsigmoid(z) - label_smoothing * F.logsigmoid(-z)


@pytorch("dpo")
def rejected_detached(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> Tensor:
    return _dpo(beta * _gain(c, r.detach() + 0 * r, ref_c, ref_r), label_smoothing)


@pytorch("dpo", label_smoothing=0.0)
def squared_error_of_ipo(c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1) -> Tensor:
    """Another loss of the same log-probabilities."""
    return (_gain(c, r, ref_c, ref_r) - 1 / (2 * (beta or 1.0))) ** 2


def _without_beta(
    c: Array, r: Array, ref_c: Array, ref_r: Array, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> tuple[Array, Array]:
    z = beta * _gain(*map(torch.from_numpy, (c, r, ref_c, ref_r)))
    slope = (label_smoothing * z.sigmoid() - (1 - label_smoothing) * (-z).sigmoid()).numpy()
    return slope, -slope


@numpy("dpo", gradient=_without_beta)
def beta_forgotten_in_the_gradient(
    c: Array, r: Array, ref_c: Array, ref_r: Array, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> Array:
    return _dpo(beta * _gain(*map(torch.from_numpy, (c, r, ref_c, ref_r))), label_smoothing).numpy()


# ---- grpo_kl


def _estimate(d: Tensor, estimator: str) -> Tensor:
    return -d if estimator == "k1" else d.square() / 2 if estimator == "k2" else d.expm1() - d


@pytorch("grpo_kl", estimator="k3")
def exp_minus_one(policy: Tensor, reference: Tensor) -> Tensor:
    """Public: huggingface/trl and others write exp(d) − d − 1, which has no digits at d = 1e-4."""
    d = reference - policy
    return d.exp() - d - 1


@pytorch("grpo_kl")
def policy_and_reference_exchanged(policy: Tensor, reference: Tensor, *, estimator: str = "k3") -> Tensor:
    return _estimate(policy - reference, estimator)


@pytorch("grpo_kl", estimator="k2")
def square_not_halved(policy: Tensor, reference: Tensor) -> Tensor:
    return (reference - policy).square()


@pytorch("grpo_kl", estimator="k3")
def clipped_after_the_exponential(policy: Tensor, reference: Tensor) -> Tensor:
    """Public: huggingface/trl#3015 and OpenRLHF/OpenRLHF#1335 on the order of clip and exp."""
    d = reference - policy
    return d.exp().clamp_max(10) - 1 - d


@pytorch("grpo_kl")
def difference_clipped(policy: Tensor, reference: Tensor, *, estimator: str = "k3") -> Tensor:
    return _estimate((reference - policy).clamp(-20, 20), estimator)


@pytorch("grpo_kl", estimator="k1")
def size_of_the_difference(policy: Tensor, reference: Tensor) -> Tensor:
    return (policy - reference).abs()


@pytorch("grpo_kl", estimator="k3")
def ratio_detached(policy: Tensor, reference: Tensor) -> Tensor:
    d = reference - policy
    return d.detach().expm1() - d


@pytorch("grpo_kl", estimator="k3")
def linear_part_forgotten(policy: Tensor, reference: Tensor) -> Tensor:
    return (reference - policy).expm1()


@pytorch("grpo_kl")
def always_k1(policy: Tensor, reference: Tensor, *, estimator: str = "k3") -> Tensor:
    return policy - reference


@pytorch("grpo_kl", estimator="k3")
def exponentials_apart(policy: Tensor, reference: Tensor) -> Tensor:
    """A ratio of probabilities, both of which underflow."""
    ratio = reference.exp() / policy.exp()
    return ratio - 1 - ratio.log()
