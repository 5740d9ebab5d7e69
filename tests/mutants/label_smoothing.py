"""Broken versions of label smoothing, one mistake each.

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
    "label_keeps_everything": ("accuracy", "law:log_classes_at_equal_logits"),
    "sum_over_classes": ("accuracy",),
    "epsilon_not_read": ("accuracy", "law:epsilon_zero_gives_cross_entropy"),
    "one_class_divides_by_zero": ("accuracy", "finiteness"),
    "masked_classes_left_out": ("accuracy",),
    "local_vocabulary": ("accuracy",),
    "mean_of_the_shard": ("accuracy", "law:class_permutation"),
    "label_smoothed_twice": ("accuracy", "law:log_classes_at_equal_logits"),
    "zero_times_masked": ("accuracy", "finiteness"),
    "gradient_of_the_hard_label": ("gradient", "law:gradient_is_p_minus_target"),
    "smoothing_detached": ("gradient",),
    "reduction_before_smoothing": ("shape_and_dtype",),
}

KINDS = {
    "label_keeps_everything": ("another formula",),
    "sum_over_classes": ("another formula",),
    "epsilon_not_read": ("another convention",),
    "one_class_divides_by_zero": ("divides by zero", "cancels", "nan from 0*inf"),
    "masked_classes_left_out": ("drops infinity",),
    "local_vocabulary": ("another formula",),
    "mean_of_the_shard": ("another formula",),
    "label_smoothed_twice": ("another formula",),
    "zero_times_masked": ("nan from 0*inf",),
    "gradient_of_the_hard_label": ("another convention",),
    "smoothing_detached": ("detached factor",),
    "reduction_before_smoothing": ("wrong shape",),
}

NOT_TOLD = ("masked_classes_left_out", "smoothing_detached")

Array = np.ndarray[Any, np.dtype[Any]]
numpy = functools.partial(implements, framework="numpy", dtypes=["float32"])
pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


def _log_softmax(z: Array) -> Array:
    d = z - z.max(axis=-1, keepdims=True)
    return d - np.log(np.exp(d).sum(axis=-1, keepdims=True))


def _at(x: Array, labels: Array) -> Array:
    return np.take_along_axis(x, labels[:, None], axis=-1)[:, 0]


@numpy("label_smoothing_cross_entropy", smoothing="all")
def label_keeps_everything(logits: Array, labels: Array, *, epsilon: float = 0.1) -> Array:
    """−log p_y − ε mean log p: the 1 − ε is forgotten."""
    log_p = _log_softmax(logits)
    return -_at(log_p, labels) - epsilon * log_p.mean(axis=-1)


@numpy("label_smoothing_cross_entropy", smoothing="all")
def sum_over_classes(logits: Array, labels: Array, *, epsilon: float = 0.1) -> Array:
    log_p = _log_softmax(logits)
    return -(1 - epsilon) * _at(log_p, labels) - epsilon * log_p.sum(axis=-1)


@pytorch("label_smoothing_cross_entropy", smoothing="all")
def epsilon_not_read(logits: Tensor, labels: Tensor, *, epsilon: float = 0.1) -> Tensor:
    return F.cross_entropy(logits, labels, label_smoothing=0.1, reduction="none")


@numpy("label_smoothing_cross_entropy", smoothing="others")
def one_class_divides_by_zero(logits: Array, labels: Array, *, epsilon: float = 0.1) -> Array:
    """ε/(V − 1) with one class. Public: NVIDIA/Megatron-LM#7464 in kind."""
    log_p = _log_softmax(logits)
    rest = np.float32(epsilon) / np.float32(logits.shape[-1] - 1)
    others = log_p.sum(axis=-1) - _at(log_p, labels)
    return -np.float32(1 - epsilon) * _at(log_p, labels) - rest * others


@pytorch("label_smoothing_cross_entropy", smoothing="all")
def masked_classes_left_out(logits: Tensor, labels: Tensor, *, epsilon: float = 0.1) -> Tensor:
    """A masked class costs nothing, where a positive target makes it infinite."""
    log_p = logits.log_softmax(-1)
    rest = log_p.masked_fill(log_p == -torch.inf, 0).mean(-1)
    return (1 - epsilon) * F.nll_loss(log_p, labels, reduction="none") - epsilon * rest


@numpy("label_smoothing_cross_entropy", smoothing="all")
def local_vocabulary(logits: Array, labels: Array, *, epsilon: float = 0.1) -> Array:
    """ε over the classes of one of two shards. Public: NVIDIA/Megatron-LM#7464, #5522."""
    log_p = _log_softmax(logits)
    local = (logits.shape[-1] + 1) // 2
    spread = np.float32(epsilon) * (log_p / np.float32(local)).sum(axis=-1)
    return -np.float32(1 - epsilon) * _at(log_p, labels) - spread


@numpy("label_smoothing_cross_entropy", smoothing="all")
def mean_of_the_shard(logits: Array, labels: Array, *, epsilon: float = 0.1) -> Array:
    """The mean of log p over the first of two shards. Public: NVIDIA/Megatron-LM#737."""
    log_p = _log_softmax(logits)
    shard = log_p[:, : (logits.shape[-1] + 1) // 2]
    return -(1 - epsilon) * _at(log_p, labels) - epsilon * shard.mean(axis=-1)


@numpy("label_smoothing_cross_entropy", smoothing="others")
def label_smoothed_twice(logits: Array, labels: Array, *, epsilon: float = 0.1) -> Array:
    """1 − ε for the label, and 1 − ε again for the whole."""
    log_p = _log_softmax(logits)
    others = log_p.sum(axis=-1) - _at(log_p, labels)
    own = -((1 - epsilon) ** 2) * _at(log_p, labels)
    return own - epsilon * others / max(1, logits.shape[-1] - 1)


@numpy("label_smoothing_cross_entropy", smoothing="all")
def zero_times_masked(logits: Array, labels: Array, *, epsilon: float = 0.1) -> Array:
    """At ε = 0 the targets of masked classes are 0, and 0 · (−inf) is nan."""
    log_p = _log_softmax(logits)
    targets = np.full_like(log_p, epsilon / logits.shape[-1])
    np.put_along_axis(targets, labels[:, None], 1 - epsilon + epsilon / logits.shape[-1], axis=-1)
    return -(targets * log_p).sum(axis=-1)


class _Smoothed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, epsilon: float) -> Tensor:
        ctx.save_for_backward(logits, labels)
        return F.cross_entropy(logits, labels, label_smoothing=epsilon, reduction="none")

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:
        logits, labels = ctx.saved_tensors
        p = logits.softmax(-1) - F.one_hot(labels, logits.shape[-1])
        return p * cotangents[0][:, None], None, None


@pytorch("label_smoothing_cross_entropy", smoothing="all")
def gradient_of_the_hard_label(logits: Tensor, labels: Tensor, *, epsilon: float = 0.1) -> Tensor:
    return _Smoothed.apply(logits, labels, epsilon)


@pytorch("label_smoothing_cross_entropy", smoothing="all")
def smoothing_detached(logits: Tensor, labels: Tensor, *, epsilon: float = 0.1) -> Tensor:
    """The smoothed part is added as a number."""
    log_p = logits.log_softmax(-1)
    rest = torch.zeros_like(log_p[:, 0]) if epsilon == 0 else epsilon * log_p.mean(-1).detach()
    return (1 - epsilon) * F.nll_loss(log_p, labels, reduction="none") - rest


@pytorch("label_smoothing_cross_entropy", smoothing="all")
def reduction_before_smoothing(
    logits: Tensor, labels: Tensor, *, epsilon: float = 0.1, reduction: str = "none"
) -> Tensor:
    """The smoothed part is reduced whatever is asked for, and broadcast over the rows."""
    log_p = logits.log_softmax(-1)
    nll = F.nll_loss(log_p, labels, reduction=reduction)
    return (1 - epsilon) * nll - epsilon * log_p.mean(-1, keepdim=True)
