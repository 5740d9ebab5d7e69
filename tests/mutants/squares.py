"""Broken versions of mse and softmax_mse, one mistake each.

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
    "half_the_square": ("accuracy", "law:gradient"),
    "sum_for_mean": ("accuracy", "law:two_copies"),
    "root_of_the_mean": ("accuracy", "law:scales_by_powers_of_two"),
    "square_multiplied_out": ("accuracy", "law:nonnegative"),
    "scaled_by_the_batch": ("batch_independence",),
    "target_of_the_next_row": ("accuracy", "law:zero_at_equal"),
    "absolute_error": ("accuracy",),
    "difference_in_place": ("purity",),
    "square_of_a_root": ("gradient", "finiteness"),
    "one_factor_detached": ("gradient", "law:gradient"),
    "factor_two_forgotten": ("gradient",),
    "dimension_forgotten": ("gradient",),
    "gradient_of_a_huber": ("gradient",),
    "float16_difference": ("accuracy",),
    "divided_after_rounding": ("law:two_copies",),
    "unbiased_variance": ("accuracy",),
    "loss_of_a_single_number": ("shape_and_dtype",),
    "logits_for_probabilities": ("accuracy", "law:shift_invariance"),
    "label_term_alone": ("accuracy", "gradient"),
    "mean_over_the_classes": ("accuracy",),
    "one_hot_of_the_next_class": ("accuracy",),
    "softmax_without_a_shift": ("accuracy", "finiteness"),
    "derivative_of_softmax_forgotten": ("gradient", "law:gradient_sums_to_zero"),
    "cross_entropy_gradient": ("gradient", "law:gradient_vanishes_where_most_wrong"),
    "probabilities_over_the_batch": ("batch_independence",),
}

KINDS = {
    "half_the_square": ("constant factor",),
    "sum_for_mean": ("constant factor",),
    "root_of_the_mean": ("another power",),
    "square_multiplied_out": ("cancels",),
    "scaled_by_the_batch": ("batch coupled",),
    "target_of_the_next_row": ("batch coupled",),
    "absolute_error": ("another formula",),
    "difference_in_place": ("purity",),
    "square_of_a_root": ("nan from 0*inf",),
    "one_factor_detached": ("constant factor", "detached factor"),
    "factor_two_forgotten": ("constant factor",),
    "dimension_forgotten": ("constant factor",),
    "gradient_of_a_huber": ("saturates",),
    "float16_difference": ("low precision",),
    "divided_after_rounding": ("overflows",),
    "unbiased_variance": ("constant factor",),
    "loss_of_a_single_number": ("another convention", "wrong shape"),
    "logits_for_probabilities": ("another formula",),
    "label_term_alone": ("another formula",),
    "mean_over_the_classes": ("constant factor",),
    "one_hot_of_the_next_class": ("off by one",),
    "softmax_without_a_shift": ("overflows", "underflows"),
    "derivative_of_softmax_forgotten": ("detached factor", "another derivative"),
    "cross_entropy_gradient": ("another derivative",),
    "probabilities_over_the_batch": ("wrong axis", "batch coupled"),
}

NOT_TOLD = ("gradient_of_a_huber",)

Array = np.ndarray[Any, np.dtype[Any]]
numpy = functools.partial(implements, framework="numpy", dtypes=["float32"])
pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


# ---- mse


@pytorch("mse")
def half_the_square(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction - target).square().mean(-1) / 2


@numpy("mse")
def sum_for_mean(prediction: Array, target: Array) -> Array:
    return np.square(prediction - target).sum(axis=-1)


@numpy("mse")
def root_of_the_mean(prediction: Array, target: Array) -> Array:
    return np.sqrt(np.square(prediction - target).mean(axis=-1))


@numpy("mse")
def square_multiplied_out(prediction: Array, target: Array) -> Array:
    """x² − 2xt + t² cancels where x is close to t."""
    return (prediction**2 - 2 * prediction * target + target**2).mean(axis=-1)


@numpy("mse")
def scaled_by_the_batch(prediction: Array, target: Array) -> Array:
    """Overflow avoided with the largest difference of the whole batch: a nan in one row is a nan in all."""
    d = prediction - target
    scale = np.exp2(np.floor(np.log2(max(np.abs(d).max(), np.finfo(d.dtype).tiny))))
    return np.square(d / scale).mean(axis=-1) * scale * scale


@numpy("mse")
def target_of_the_next_row(prediction: Array, target: Array) -> Array:
    return np.square(prediction - np.roll(target, 1, axis=0)).mean(axis=-1)


@numpy("mse")
def absolute_error(prediction: Array, target: Array) -> Array:
    return np.abs(prediction - target).mean(axis=-1)


@numpy("mse")
def difference_in_place(prediction: Array, target: Array) -> Array:
    prediction -= target
    return np.square(prediction).mean(axis=-1)


@pytorch("mse")
def square_of_a_root(prediction: Tensor, target: Tensor) -> Tensor:
    """√ has no derivative at 0: inf · 0 where prediction and target are equal."""
    return (prediction - target).square().sum(-1).sqrt() ** 2 / prediction.shape[-1]


@pytorch("mse")
def one_factor_detached(prediction: Tensor, target: Tensor) -> Tensor:
    d = prediction - target
    return (d * d.detach()).mean(-1)


def _without_two(prediction: Array, target: Array) -> Array:
    return (prediction - target) / prediction.shape[-1]


@numpy("mse", gradient=_without_two)
def factor_two_forgotten(prediction: Array, target: Array) -> Array:
    return np.square(prediction - target).mean(axis=-1)


def _without_dimension(prediction: Array, target: Array) -> Array:
    return 2 * (prediction - target)


@numpy("mse", gradient=_without_dimension)
def dimension_forgotten(prediction: Array, target: Array) -> Array:
    return np.square(prediction - target).mean(axis=-1)


class _Huber(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, difference: Tensor) -> Tensor:
        ctx.save_for_backward(difference)
        return difference.square().mean(-1)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:
        (difference,) = ctx.saved_tensors
        return 2 * difference.clamp(-1, 1) / difference.shape[-1] * cotangents[0][:, None]


@pytorch("mse")
def gradient_of_a_huber(prediction: Tensor, target: Tensor) -> Tensor:
    """Differences beyond 1 are clipped in the backward alone."""
    return _Huber.apply(prediction - target)


@pytorch("mse")
def float16_difference(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction.half() - target.half()).float().square().mean(-1)


@numpy("mse", dtypes=["float16"])
def divided_after_rounding(prediction: Array, target: Array) -> Array:
    """The sum overflows float16 where the mean does not."""
    d = prediction.astype(np.float32) - target.astype(np.float32)
    return np.square(d).sum(axis=-1).astype(prediction.dtype) / prediction.dtype.type(d.shape[-1])


@numpy("mse")
def unbiased_variance(prediction: Array, target: Array) -> Array:
    """Divides by D − 1."""
    return np.square(prediction - target).sum(axis=-1) / max(1, prediction.shape[-1] - 1)


@pytorch("mse")
def loss_of_a_single_number(prediction: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(prediction, target)


# ---- softmax_mse


def _one_hot(labels: Tensor, z: Tensor) -> Tensor:
    return F.one_hot(labels, z.shape[-1]).to(z.dtype)


@pytorch("softmax_mse")
def logits_for_probabilities(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits - _one_hot(labels, logits)).square().sum(-1)


@pytorch("softmax_mse")
def label_term_alone(logits: Tensor, labels: Tensor) -> Tensor:
    return (1 - logits.softmax(-1).gather(-1, labels[:, None])[:, 0]).square()


@pytorch("softmax_mse")
def mean_over_the_classes(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.softmax(-1) - _one_hot(labels, logits)).square().mean(-1)


@pytorch("softmax_mse")
def one_hot_of_the_next_class(logits: Tensor, labels: Tensor) -> Tensor:
    following = (labels + 1) % logits.shape[-1]
    return (logits.softmax(-1) - _one_hot(following, logits)).square().sum(-1)


@numpy("softmax_mse")
def softmax_without_a_shift(logits: Array, labels: Array) -> Array:
    e = np.exp(logits)
    p = e / e.sum(axis=-1, keepdims=True)
    return np.square(p - (np.arange(p.shape[-1]) == labels[:, None])).sum(axis=-1, dtype=p.dtype)


class _Brier(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, kind: str) -> Tensor:
        p = logits.softmax(-1)
        error = p - _one_hot(labels, p)
        ctx.save_for_backward(p, error)
        ctx.kind = kind
        return error.square().sum(-1)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:
        p, error = ctx.saved_tensors
        g = cotangents[0][:, None]
        return (2 * p * error if ctx.kind == "diagonal" else error) * g, None, None


@pytorch("softmax_mse")
def derivative_of_softmax_forgotten(logits: Tensor, labels: Tensor) -> Tensor:
    """2 p e for 2 p (e − Σ p e)."""
    return _Brier.apply(logits, labels, "diagonal")


@pytorch("softmax_mse")
def cross_entropy_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """p − onehot, which is the derivative of another loss."""
    return _Brier.apply(logits, labels, "cross-entropy")


@pytorch("softmax_mse")
def probabilities_over_the_batch(logits: Tensor, labels: Tensor) -> Tensor:
    p = logits.flatten().softmax(0).view_as(logits)
    return (p - _one_hot(labels, p)).square().sum(-1)
