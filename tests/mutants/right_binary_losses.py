"""Right versions of bce_with_logits, sigmoid_focal and hinge in other styles: the harness blames none of them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

Array = np.ndarray[Any, np.dtype[Any]]
pytorch = functools.partial(implements, framework="torch")
numpy = functools.partial(implements, framework="numpy")
HALVES = ["float16", "bfloat16"]


# ---- bce_with_logits


@pytorch("bce_with_logits")
def linear_part_and_a_tail(logits: Tensor, targets: Tensor) -> Tensor:
    """max(x, 0) − x t + log(1 + exp(−|x|)), as TensorFlow has it; it keeps the digits of x.

    Both parts choose by x ≥ 0, so that their derivatives at 0 belong together.
    """
    up = logits >= 0
    linear, down = torch.where(up, logits, 0), torch.where(up, -logits, logits)
    return linear - logits * targets + down.exp().log1p()


@pytorch("bce_with_logits")
def two_log_sigmoids(logits: Tensor, targets: Tensor, *, pos_weight: float = 1.0) -> Tensor:
    return -pos_weight * targets * F.logsigmoid(logits) - (1 - targets) * F.logsigmoid(-logits)


def _by_expit(logits: Array, targets: Array) -> Array:
    tail = np.exp(-np.abs(logits))
    p = np.where(logits >= 0, 1, tail) / (1 + tail)
    return p - targets


@numpy("bce_with_logits", gradient=_by_expit)
def logaddexp_with_zero(logits: Array, targets: Array) -> Array:
    zero = logits.dtype.type(0)
    return targets * np.logaddexp(zero, -logits) + (1 - targets) * np.logaddexp(zero, logits)


class _Bce(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, pos_weight: float) -> Tensor:
        ctx.save_for_backward(logits, targets)
        ctx.pos_weight = pos_weight
        positive, negative = -F.logsigmoid(logits), -F.logsigmoid(-logits)
        return pos_weight * targets * positive + (1 - targets) * negative

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:
        logits, targets = ctx.saved_tensors
        up = (1 - targets) * logits.sigmoid()
        return cotangents[0] * (up - ctx.pos_weight * targets * (-logits).sigmoid()), None, None


@pytorch("bce_with_logits")
def with_a_backward(logits: Tensor, targets: Tensor, *, pos_weight: float = 1.0) -> Tensor:
    return _Bce.apply(logits, targets, pos_weight)


@pytorch("bce_with_logits")
def softmax_of_two_classes(logits: Tensor, targets: Tensor) -> Tensor:
    log_p = torch.stack([logits, torch.zeros_like(logits)], -1).log_softmax(-1)
    return -(torch.stack([targets, 1 - targets], -1) * log_p).sum(-1)


@pytorch("bce_with_logits", dtypes=HALVES)
def bce_in_float32(logits: Tensor, targets: Tensor) -> Tensor:
    return two_log_sigmoids(logits.float(), targets.float()).to(logits.dtype)


# ---- sigmoid_focal


def _weight(targets: Tensor, alpha: float) -> Tensor | float:
    return 1.0 if alpha == -1 else alpha * targets + (1 - alpha) * (1 - targets)


@pytorch("sigmoid_focal")
def power_by_the_logarithm(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: float = -1.0
) -> Tensor:
    """(1 − p_t)^γ as exp(γ log(1 − p_t)), the logarithm of a mixture of two sigmoids."""
    log_p, log_q = F.logsigmoid(logits), F.logsigmoid(-logits)
    log_missing = torch.logaddexp(targets.log() + log_q, (1 - targets).log() + log_p)
    entropic = -targets * log_p - (1 - targets) * log_q
    return _weight(targets, alpha) * (gamma * log_missing).exp() * entropic


@pytorch("sigmoid_focal")
def power_of_a_clamped_mixture(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: float = -1.0
) -> Tensor:
    missing = targets * (-logits).sigmoid() + (1 - targets) * logits.sigmoid()
    entropic = -targets * F.logsigmoid(logits) - (1 - targets) * F.logsigmoid(-logits)
    return _weight(targets, alpha) * missing.clamp_min(torch.finfo(missing.dtype).tiny) ** gamma * entropic


@pytorch("sigmoid_focal", dtypes=HALVES)
def sigmoid_focal_in_float32(
    logits: Tensor, targets: Tensor, *, gamma: float = 2.0, alpha: float = -1.0
) -> Tensor:
    rows = power_of_a_clamped_mixture(logits.float(), targets.float(), gamma=gamma, alpha=alpha)
    return rows.to(logits.dtype)


# ---- hinge


@pytorch("hinge")
def clamped(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    return (margin - targets * scores).clamp_min(0)


@pytorch("hinge")
def chosen_by_where(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    own = torch.where(targets > 0, scores, -scores)
    return torch.where(own < margin, margin - own, 0)


@pytorch("hinge")
def half_of_a_sum_with_its_size(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    lack = margin - targets * scores
    return lack / 2 + lack.abs() / 2


def _hinge_slope(scores: Array, targets: Array, *, margin: float = 1.0) -> Array:
    return -targets * (targets * scores < margin)


@numpy("hinge", gradient=_hinge_slope)
def hinge_of_numpy(scores: Array, targets: Array, *, margin: float = 1.0) -> Array:
    return np.maximum(scores.dtype.type(margin) - targets * scores, scores.dtype.type(0))


@pytorch("hinge", dtypes=HALVES)
def hinge_in_float32(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    return (margin - targets.float() * scores.float()).relu().to(scores.dtype)
