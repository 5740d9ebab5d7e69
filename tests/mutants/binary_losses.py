"""Broken versions of bce_with_logits, sigmoid_focal and hinge, one mistake each.

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
    "lowest_target_is_the_negative_one": ("batch_independence",),
    "derivatives_at_zero_that_do_not_fit": ("gradient", "law:gradient"),
    "minus_forgotten": ("accuracy", "finiteness", "law:between_lines"),
    "log_one_plus_exp": ("accuracy", "finiteness"),
    "clamped_at_minus_100": ("accuracy", "gradient", "law:at_least_the_wrong_logit"),
    "clipped_probabilities": ("accuracy", "gradient", "law:gradient_on_wrong_predictions"),
    "clipped_by_what_float32_cannot_tell": ("finiteness", "law:symmetric"),
    "smoothed_with_the_wrong_bracket": ("accuracy", "law:equals_cross_entropy"),
    "target_of_the_other_class": ("accuracy", "law:gradient_is_sigmoid_minus_target"),
    "weight_on_both_parts": ("accuracy", "law:weight_multiplies_positives"),
    "softplus_in_float16": ("accuracy",),
    "upstream_ignored": ("gradient",),
    "sigmoid_for_softplus": ("accuracy", "law:log_two_at_zero"),
    "missing_by_subtraction": ("accuracy", "law:gradient_of_positives"),
    "alpha_of_the_other_class": ("accuracy", "law:alpha_weighs_the_target"),
    "alpha_not_switched_off": ("accuracy", "law:alpha_weighs_the_target"),
    "power_of_what_is_there": ("accuracy", "law:at_zero"),
    "modulation_detached": ("gradient", "law:gradient_of_positives"),
    "power_at_zero": ("gradient", "finiteness"),
    "labels_smoothed_before_p_t": ("accuracy", "law:alpha_weighs_the_target"),
    "gamma_fixed": ("accuracy", "law:gamma_zero_gives_bce"),
    "labels_of_zero_and_one": ("accuracy", "law:negatives_grow_with_the_score"),
    "margin_fixed": ("accuracy", "law:margin_at_zero"),
    "wrong_sign": ("accuracy", "law:zero_where_margin_is_met"),
    "not_cut_off": ("accuracy", "law:nonnegative"),
    "squared": ("accuracy", "law:what_is_lacking"),
    "margin_outside": ("accuracy", "law:what_is_lacking"),
    "slope_beyond_the_margin": ("gradient", "law:gradient"),
    "slope_of_the_target_forgotten": ("gradient", "law:gradient"),
}

KINDS = {
    "lowest_target_is_the_negative_one": ("batch coupled",),
    "derivatives_at_zero_that_do_not_fit": ("wrong at ties",),
    "minus_forgotten": ("another formula",),
    "log_one_plus_exp": ("cancels", "overflows"),
    "clamped_at_minus_100": ("saturates", "cancels"),
    "clipped_probabilities": ("saturates", "cancels", "epsilon added"),
    "clipped_by_what_float32_cannot_tell": ("nan from 0*inf", "cancels", "saturates"),
    "smoothed_with_the_wrong_bracket": ("another formula",),
    "target_of_the_other_class": ("sign",),
    "weight_on_both_parts": ("another formula",),
    "softplus_in_float16": ("overflows", "saturates"),
    "upstream_ignored": ("ignores cotangent",),
    "sigmoid_for_softplus": ("another formula",),
    "missing_by_subtraction": ("cancels",),
    "alpha_of_the_other_class": ("parameter misused",),
    "alpha_not_switched_off": ("another formula",),
    "power_of_what_is_there": ("another formula",),
    "modulation_detached": ("detached factor",),
    "power_at_zero": ("nan from 0*inf",),
    "labels_smoothed_before_p_t": ("another formula",),
    "gamma_fixed": ("another convention",),
    "labels_of_zero_and_one": ("another formula",),
    "margin_fixed": ("another convention",),
    "wrong_sign": ("sign",),
    "not_cut_off": ("another formula",),
    "squared": ("another power",),
    "margin_outside": ("another formula",),
    "slope_beyond_the_margin": ("ignores an input", "another derivative"),
    "slope_of_the_target_forgotten": ("another derivative",),
}

Array = np.ndarray[Any, np.dtype[Any]]
numpy = functools.partial(implements, framework="numpy", dtypes=["float32"])
pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


# ---- bce_with_logits


@pytorch("bce_with_logits")
def derivatives_at_zero_that_do_not_fit(logits: Tensor, targets: Tensor) -> Tensor:
    """At 0 a clamp has the derivative 1 and a size the derivative 0, which make 1 and not ½."""
    return logits.clamp_min(0) - logits * targets + (-logits.abs()).exp().log1p()


@pytorch("bce_with_logits")
def minus_forgotten(logits: Tensor, targets: Tensor) -> Tensor:
    """Public: pytorch/pytorch#2221."""
    return logits.clamp_min(0) - logits * targets + (1 + logits.abs().exp()).log()


@pytorch("bce_with_logits")
def log_one_plus_exp(logits: Tensor, targets: Tensor) -> Tensor:
    """Public: pytorch/pytorch#77529."""
    return targets * (1 + (-logits).exp()).log() + (1 - targets) * (1 + logits.exp()).log()


@pytorch("bce_with_logits")
def clamped_at_minus_100(logits: Tensor, targets: Tensor) -> Tensor:
    """Public: pytorch/pytorch#103316; every mistake beyond 100 costs 100."""
    p = logits.sigmoid()
    return -(targets * p.log().clamp_min(-100) + (1 - targets) * (1 - p).log().clamp_min(-100))


@pytorch("bce_with_logits")
def clipped_probabilities(logits: Tensor, targets: Tensor) -> Tensor:
    """Public: keras-team/keras#15249."""
    p = logits.sigmoid().clamp(1e-7, 1 - 1e-7)
    return -(targets * (p + 1e-7).log() + (1 - targets) * (1 - p + 1e-7).log())


@pytorch("bce_with_logits")
def clipped_by_what_float32_cannot_tell(logits: Tensor, targets: Tensor) -> Tensor:
    """Public: keras-team/keras#377; 1 − 1e-9 is 1."""
    p = logits.sigmoid().clamp(1e-9, 1 - 1e-9)
    return -(targets * p.log() + (1 - targets) * (1 - p).log())


@pytorch("bce_with_logits")
def smoothed_with_the_wrong_bracket(logits: Tensor, targets: Tensor) -> Tensor:
    """Public: eladhoffer/utils.pytorch#13; (y + ε)/2 for y (1 − ε) + ε/2, which does nothing at ε = 0."""
    return F.binary_cross_entropy_with_logits(logits, (targets + 0) / 2, reduction="none")


@pytorch("bce_with_logits")
def target_of_the_other_class(logits: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, 1 - targets, reduction="none")


@pytorch("bce_with_logits")
def weight_on_both_parts(logits: Tensor, targets: Tensor, *, pos_weight: float = 1.0) -> Tensor:
    return pos_weight * F.binary_cross_entropy_with_logits(logits, targets, reduction="none")


@pytorch("bce_with_logits", dtypes=["float16"])
def softplus_in_float16(logits: Tensor, targets: Tensor) -> Tensor:
    """Public: sbryngelson/ANEForge#113; exp overflows from 11.1 on."""
    negative = torch.where(logits > 11.09, 0, logits.exp().log1p())
    return targets * (negative - logits) + (1 - targets) * negative


class _Upstream(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        ctx.save_for_backward(logits, targets)
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none")

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        logits, targets = ctx.saved_tensors
        return logits.sigmoid() - targets, None


@pytorch("bce_with_logits")
def upstream_ignored(logits: Tensor, targets: Tensor) -> Tensor:
    """Public: NVIDIA/TransformerEngine#2139, of cross-entropy."""
    return _Upstream.apply(logits, targets)


@pytorch("bce_with_logits")
def sigmoid_for_softplus(logits: Tensor, targets: Tensor) -> Tensor:
    return targets * (-logits).sigmoid() + (1 - targets) * logits.sigmoid()


# ---- sigmoid_focal


def _weight(targets: Tensor, alpha: float) -> Tensor | float:
    return alpha * targets + (1 - alpha) * (1 - targets) if alpha >= 0 else 1.0


def _focal(logits: Tensor, targets: Tensor, missing: Tensor, gamma: float, alpha: float) -> Tensor:
    entropic = targets * F.softplus(-logits) + (1 - targets) * F.softplus(logits)
    return _weight(targets, alpha) * missing**gamma * entropic


def _missing(logits: Tensor, targets: Tensor) -> Tensor:
    return targets * (-logits).sigmoid() + (1 - targets) * logits.sigmoid()


@pytorch("sigmoid_focal")
def missing_by_subtraction(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: float = -1.0
) -> Tensor:
    """Public: torchvision.ops.sigmoid_focal_loss; 1 − p_t has no digits where p_t is close to 1."""
    p = logits.sigmoid()
    p_t = p * targets + (1 - p) * (1 - targets)
    return _focal(logits, targets, 1 - p_t, gamma, alpha)


@pytorch("sigmoid_focal")
def alpha_of_the_other_class(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: float = -1.0
) -> Tensor:
    other = 1 - alpha if alpha >= 0 else alpha
    return _focal(logits, targets, _missing(logits, targets), gamma, other)


@pytorch("sigmoid_focal")
def alpha_not_switched_off(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: float = -1.0
) -> Tensor:
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return weight * _focal(logits, targets, _missing(logits, targets), gamma, -1.0)


@pytorch("sigmoid_focal")
def power_of_what_is_there(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: float = -1.0
) -> Tensor:
    return _focal(logits, targets, 1 - _missing(logits, targets), gamma + 1, alpha)


@pytorch("sigmoid_focal")
def modulation_detached(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: float = -1.0
) -> Tensor:
    return _focal(logits, targets, _missing(logits, targets).detach(), gamma, alpha)


@pytorch("sigmoid_focal")
def power_at_zero(logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: float = -1.0) -> Tensor:
    """Where the sigmoid underflows, the derivative of a power below 1 is inf, times 0."""
    return _focal(logits, targets, _missing(logits, targets), gamma, alpha)


@pytorch("sigmoid_focal")
def labels_smoothed_before_p_t(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: float = -1.0
) -> Tensor:
    """Public: keras-team/keras-cv#672."""
    soft = targets * 0.9 + 0.05
    return _focal(logits, soft, _missing(logits, soft), gamma, alpha)


@pytorch("sigmoid_focal")
def gamma_fixed(logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: float = -1.0) -> Tensor:
    return _focal(logits, targets, _missing(logits, targets), 2.0, alpha)


# ---- hinge


@pytorch("hinge")
def labels_of_zero_and_one(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    """Public: bfortuner/ml-glossary#113; negatives cost the margin, whatever their score."""
    return (margin - scores * (targets > 0)).relu()


@pytorch("hinge")
def lowest_target_is_the_negative_one(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    """scikit-learn's hinge_loss: where all targets are +1 those are the negative ones."""
    return (margin - scores * torch.where(targets == targets.amin(), -1, 1)).relu()


@pytorch("hinge")
def margin_fixed(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    return (1 - scores * targets).relu()


@pytorch("hinge")
def wrong_sign(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    return (margin + scores * targets).relu()


@pytorch("hinge")
def not_cut_off(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    return margin - scores * targets


@pytorch("hinge")
def squared(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    return (margin - scores * targets).relu() ** 2


@pytorch("hinge")
def margin_outside(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    """The perceptron's loss, moved up where it is positive."""
    short = (-scores * targets).relu()
    return torch.where(short > 0, short + margin, 0)


def _always(scores: Array, targets: Array, *, margin: float = 1.0) -> Array:
    return -targets


@numpy("hinge", gradient=_always)
def slope_beyond_the_margin(scores: Array, targets: Array, *, margin: float = 1.0) -> Array:
    return np.maximum(scores.dtype.type(margin) - targets * scores, 0)


def _signless(scores: Array, targets: Array, *, margin: float = 1.0) -> Array:
    return np.where(margin - targets * scores > 0, np.float32(-1), np.float32(0))


@numpy("hinge", gradient=_signless)
def slope_of_the_target_forgotten(scores: Array, targets: Array, *, margin: float = 1.0) -> Array:
    return np.maximum(scores.dtype.type(margin) - targets * scores, 0)
