"""Broken versions of the entropies and divergences of distributions, one mistake each.

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
    "entropy_in_bits": ("accuracy", "law:fair_coin_adds_log_two"),
    "epsilon_in_entropy": ("accuracy",),
    "entropy_without_its_sign": ("accuracy", "law:nonnegative"),
    "normalised_entropy": ("accuracy", "law:log_classes_at_uniform"),
    "entropy_of_all_but_the_last": ("accuracy", "law:class_permutation"),
    "entropy_in_bfloat16": ("accuracy",),
    "crossed_arguments": ("accuracy", "law:linear_in_p"),
    "impossible_outcomes_left_out": ("accuracy", "law:infinite_where_impossible"),
    "clipped_at_machine_epsilon": ("accuracy",),
    "ratio_without_its_sign": ("gradient", "law:gradient_is_minus_ratio"),
    "averaged_over_classes": ("accuracy",),
    "log_q_detached_at_zero": ("gradient",),
    "unguarded_ratio": ("accuracy", "finiteness", "law:zeros_add_nothing"),
    "negative_log_of_one_hot": ("accuracy",),
    "jensen_shannon": ("accuracy", "law:infinite_where_impossible"),
    "two_bases": ("accuracy", "law:zero_at_equal"),
    "batchmean_for_mean": ("accuracy",),
    "sum_for_batchmean": ("accuracy", "law:batchmean_divides_by_rows"),
    "impossible_outcomes_free": ("law:infinite_where_impossible",),
    "gradient_of_the_other_argument": ("gradient",),
    "clamped_from_below": ("accuracy",),
    "p_minus_q_squared": ("accuracy", "law:pinsker_for_rounded_input"),
    "epsilon_in_softmax": ("accuracy",),
    "mask_times_infinity": ("accuracy", "finiteness"),
    "teacher_and_student_swapped": ("accuracy",),
    "teacher_overwritten": ("accuracy",),
    "teacher_detached": ("gradient",),
    "one_maximum_for_both": ("accuracy",),
    "entropy_term_forgotten": ("accuracy", "law:zero_at_equal_up_to_shift"),
    "student_gradient_unnormalised": ("gradient", "law:gradients_sum_to_zero"),
}

KINDS = {
    "entropy_in_bits": ("constant factor",),
    "epsilon_in_entropy": ("epsilon added",),
    "entropy_without_its_sign": ("sign",),
    "normalised_entropy": ("constant factor",),
    "entropy_of_all_but_the_last": ("another formula",),
    "entropy_in_bfloat16": ("low precision",),
    "crossed_arguments": ("swapped arguments",),
    "impossible_outcomes_left_out": ("drops infinity",),
    "clipped_at_machine_epsilon": ("saturates", "epsilon added"),
    "ratio_without_its_sign": ("sign",),
    "averaged_over_classes": ("constant factor",),
    "log_q_detached_at_zero": ("dead gradient",),
    "unguarded_ratio": ("nan from 0*inf",),
    "negative_log_of_one_hot": ("another formula",),
    "jensen_shannon": ("another formula",),
    "two_bases": ("another formula",),
    "batchmean_for_mean": ("another convention", "constant factor"),
    "sum_for_batchmean": ("another convention",),
    "impossible_outcomes_free": ("drops infinity",),
    "gradient_of_the_other_argument": ("swapped arguments",),
    "clamped_from_below": ("saturates", "epsilon added"),
    "p_minus_q_squared": ("another formula",),
    "epsilon_in_softmax": ("epsilon added", "saturates"),
    "mask_times_infinity": ("nan from 0*inf",),
    "teacher_and_student_swapped": ("swapped arguments",),
    "teacher_overwritten": ("ignores an input",),
    "teacher_detached": ("detached factor",),
    "one_maximum_for_both": ("underflows", "cancels"),
    "entropy_term_forgotten": ("another formula",),
    "student_gradient_unnormalised": ("detached factor",),
}

NOT_TOLD = ("gradient_of_the_other_argument", "epsilon_in_softmax", "clipped_at_machine_epsilon")

Array = np.ndarray[Any, np.dtype[Any]]
numpy = functools.partial(implements, framework="numpy", dtypes=["float32"])
pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


def _xlogy(x: Array, y: Array) -> Array:
    return x * np.log(np.where(x > 0, y, 1))


# ---- entropy


@numpy("entropy")
def entropy_in_bits(p: Array) -> Array:
    return -(p * np.log2(np.where(p > 0, p, 1))).sum(axis=-1)


@numpy("entropy", dtypes=["float64"])
def epsilon_in_entropy(p: Array) -> Array:
    return -(p * np.log(p + 1e-8)).sum(axis=-1)


@numpy("entropy")
def entropy_without_its_sign(p: Array) -> Array:
    return _xlogy(p, p).sum(axis=-1)


@numpy("entropy")
def normalised_entropy(p: Array) -> Array:
    return -_xlogy(p, p).sum(axis=-1) / np.log(np.float32(max(2, p.shape[-1])))


@numpy("entropy")
def entropy_of_all_but_the_last(p: Array) -> Array:
    return -_xlogy(p, p)[:, :-1].sum(axis=-1)


@pytorch("entropy")
def entropy_in_bfloat16(p: Tensor) -> Tensor:
    return torch.special.entr(p.bfloat16()).sum(-1).to(p.dtype)


# ---- distribution_cross_entropy


@numpy("distribution_cross_entropy")
def crossed_arguments(p: Array, q: Array) -> Array:
    return -_xlogy(q, p).sum(axis=-1)


@numpy("distribution_cross_entropy")
def impossible_outcomes_left_out(p: Array, q: Array) -> Array:
    """A guard for log 0 that asks q, where 0 · log 0 asks p."""
    return -(p * np.log(np.where(q > 0, q, 1))).sum(axis=-1)


@numpy("distribution_cross_entropy")
def clipped_at_machine_epsilon(p: Array, q: Array) -> Array:
    """Public: keras-team/keras#15249."""
    epsilon = np.finfo(q.dtype).eps
    return -(p * np.log(np.clip(q, epsilon, 1 - epsilon))).sum(axis=-1)


def _positive_ratio(p: Array, q: Array) -> Array:
    return np.where(p > 0, p, 0) / np.where(p > 0, q, 1)


@numpy("distribution_cross_entropy", gradient=_positive_ratio)
def ratio_without_its_sign(p: Array, q: Array) -> Array:
    """A right value, and p/q for −p/q."""
    return -_xlogy(p, q).sum(axis=-1)


@pytorch("distribution_cross_entropy")
def averaged_over_classes(p: Tensor, q: Tensor) -> Tensor:
    return -torch.special.xlogy(p, q).mean(-1)


@pytorch("distribution_cross_entropy")
def log_q_detached_at_zero(p: Tensor, q: Tensor) -> Tensor:
    """A value clamped for the derivative only: improbable classes pull with no force."""
    kept = torch.where(q > 1e-3, q, q.detach())
    return -torch.special.xlogy(p, kept).sum(-1)


# ---- kl_divergence


@numpy("kl_divergence")
def unguarded_ratio(p: Array, q: Array) -> Array:
    return (p * np.log(p / q)).sum(axis=-1)


@numpy("kl_divergence")
def negative_log_of_one_hot(p: Array, q: Array) -> Array:
    """Right for a certain outcome, where the entropy of p is 0."""
    return -_xlogy(p, q).sum(axis=-1)


@numpy("kl_divergence")
def jensen_shannon(p: Array, q: Array) -> Array:
    m = (p + q) / 2
    return (_xlogy(p, p) - _xlogy(p, m) + _xlogy(q, q) - _xlogy(q, m)).sum(axis=-1) / 2


@numpy("kl_divergence")
def two_bases(p: Array, q: Array) -> Array:
    return (_xlogy(p, p) - p * np.log2(np.where(p > 0, q, 1))).sum(axis=-1)


@numpy("kl_divergence", reduction="mean")
def batchmean_for_mean(p: Array, q: Array) -> Array:
    return (_xlogy(p, p) - _xlogy(p, q)).sum(axis=-1).mean()


@numpy("kl_divergence")
def sum_for_batchmean(p: Array, q: Array, *, reduction: str = "none") -> Array:
    terms = _xlogy(p, p) - _xlogy(p, q)
    if reduction == "none":
        return terms.sum(axis=-1)
    return terms.mean() if reduction == "mean" else terms.sum()


@pytorch("kl_divergence")
def impossible_outcomes_free(p: Tensor, q: Tensor) -> Tensor:
    """Terms that are not finite are dropped. Public: pytorch/pytorch#69230 in kind."""
    terms = p * (p / q).log()
    return torch.where(terms.isfinite(), terms, 0).sum(-1)


def _log_ratio(p: Array, q: Array) -> Array:
    live = (p > 0) & (q > 0)
    return np.log(np.where(live, p, 1)) - np.log(np.where(live, q, 1)) + 1


@numpy("kl_divergence", gradient=_log_ratio)
def gradient_of_the_other_argument(p: Array, q: Array) -> Array:
    """log(p/q) + 1 is the derivative in p; q is asked for."""
    return (_xlogy(p, p) - _xlogy(p, q)).sum(axis=-1)


@pytorch("kl_divergence")
def clamped_from_below(p: Tensor, q: Tensor) -> Tensor:
    small = torch.finfo(p.dtype).eps
    return (p * (p.clamp_min(small).log() - q.clamp_min(small).log())).sum(-1)


@numpy("kl_divergence")
def p_minus_q_squared(p: Array, q: Array) -> Array:
    """The expansion Σ (p − q)²/2q about p = q, with p for q: right only to second order."""
    live = p > 0
    return (np.square(p - q) / np.where(live, 2 * p, 1)).sum(axis=-1)


# ---- kl_divergence_from_logits


@pytorch("kl_divergence_from_logits")
def epsilon_in_softmax(a: Tensor, b: Tensor) -> Tensor:
    p, q = a.softmax(-1) + 1e-8, b.softmax(-1) + 1e-8
    return (p * (p / q).log()).sum(-1)


@pytorch("kl_divergence_from_logits")
def mask_times_infinity(a: Tensor, b: Tensor) -> Tensor:
    """0 · (−inf − (−inf)) is nan where both mask a class."""
    return (a.softmax(-1) * (a.log_softmax(-1) - b.log_softmax(-1))).sum(-1)


def _kl(a: Tensor, b: Tensor) -> Tensor:
    shut = a == -torch.inf
    p = torch.where(shut, 0, a).masked_fill(shut, -torch.inf).softmax(-1)
    difference = a.log_softmax(-1).masked_fill(shut, 0) - b.log_softmax(-1).masked_fill(shut, 0)
    return (p * difference).sum(-1)


@pytorch("kl_divergence_from_logits")
def teacher_and_student_swapped(a: Tensor, b: Tensor) -> Tensor:
    return _kl(b, a)


@pytorch("kl_divergence_from_logits")
def teacher_overwritten(a: Tensor, b: Tensor) -> Tensor:
    """The student compared with itself. Public: labmlai/annotated_deep_learning#66."""
    a = b
    return _kl(a, b)


@pytorch("kl_divergence_from_logits")
def teacher_detached(a: Tensor, b: Tensor) -> Tensor:
    """The target's weights carry no derivative, its logarithm does."""
    shut = a == -torch.inf
    difference = a.log_softmax(-1).masked_fill(shut, 0) - b.log_softmax(-1).masked_fill(shut, 0)
    return (a.softmax(-1).detach() * difference).sum(-1)


@pytorch("kl_divergence_from_logits")
def one_maximum_for_both(a: Tensor, b: Tensor) -> Tensor:
    m = torch.maximum(a.amax(-1, keepdim=True), b.amax(-1, keepdim=True)).detach()
    p, q = (a - m).exp(), (b - m).exp()
    p, q = p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum(-1)


@pytorch("kl_divergence_from_logits")
def entropy_term_forgotten(a: Tensor, b: Tensor) -> Tensor:
    """Distillation's cross-entropy: the same gradient in b, another value."""
    return -(a.softmax(-1) * b.log_softmax(-1).masked_fill(a == -torch.inf, 0)).sum(-1)


@pytorch("kl_divergence_from_logits")
def student_gradient_unnormalised(a: Tensor, b: Tensor) -> Tensor:
    shut = a == -torch.inf
    log_q = b - b.logsumexp(-1, keepdim=True).detach()
    difference = a.log_softmax(-1).masked_fill(shut, 0) - log_q.masked_fill(shut, 0)
    return (F.softmax(a, dim=-1) * difference).sum(-1)
