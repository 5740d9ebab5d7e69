"""Broken versions of logsumexp, softmax and log_softmax, one mistake each.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lossproof import implements

CAUGHT_BY = {
    "log2_of_the_sum": ("accuracy", "law:two_copies"),
    "mean_of_the_exponentials": ("accuracy", "law:between_max_and_max_plus_log_classes"),
    "shift_by_the_mean": ("accuracy", "finiteness"),
    "last_class_left_out": ("accuracy", "law:class_permutation"),
    "hard_maximum": ("accuracy", "gradient"),
    "exponentials_detached": ("gradient", "law:gradient_is_softmax"),
    "logaddexp_of_two_masked": ("gradient", "finiteness"),
    "powers_of_two": ("accuracy", "law:two_classes_are_a_sigmoid"),
    "temperature_of_attention": ("accuracy",),
    "logits_clipped": ("accuracy", "law:shift_invariance"),
    "epsilon_in_normaliser": ("accuracy", "law:sums_to_one"),
    "mask_of_a_finite_number": ("accuracy", "law:shift_invariance"),
    "float16_inside": ("accuracy",),
    "normaliser_detached": ("gradient", "law:gradient_of_total_vanishes"),
    "diagonal_of_the_jacobian": ("gradient",),
    "gradient_over_rows": ("gradient",),
    "clamped_probabilities": ("accuracy",),
    "whole_logsumexp_subtracted": ("accuracy", "law:shift_invariance"),
    "normalised_over_the_batch": ("accuracy", "batch_independence"),
    "float16_sum": ("accuracy",),
    "sum_of_cotangents_forgotten": ("gradient",),
    "common_log": ("accuracy", "law:exp_sums_to_one"),
    "shift_of_the_largest_number": ("finiteness",),
}

KINDS = {
    "log2_of_the_sum": ("another formula",),
    "mean_of_the_exponentials": ("constant added",),
    "shift_by_the_mean": ("overflows",),
    "last_class_left_out": ("another formula",),
    "hard_maximum": ("another formula",),
    "exponentials_detached": ("detached factor",),
    "logaddexp_of_two_masked": ("nan from 0*inf",),
    "powers_of_two": ("another formula",),
    "temperature_of_attention": ("another formula",),
    "logits_clipped": ("saturates",),
    "epsilon_in_normaliser": ("epsilon added",),
    "mask_of_a_finite_number": ("masked entries leak", "saturates"),
    "float16_inside": ("low precision",),
    "normaliser_detached": ("detached factor",),
    "diagonal_of_the_jacobian": ("another derivative",),
    "gradient_over_rows": ("wrong axis", "batch coupled"),
    "clamped_probabilities": ("saturates", "cancels"),
    "whole_logsumexp_subtracted": ("cancels",),
    "normalised_over_the_batch": ("wrong axis", "batch coupled"),
    "float16_sum": ("low precision",),
    "sum_of_cotangents_forgotten": ("ignores cotangent",),
    "common_log": ("another formula",),
    "shift_of_the_largest_number": ("nan from 0*inf",),
}

NOT_TOLD = (
    "logits_clipped",
    "epsilon_in_normaliser",
    "whole_logsumexp_subtracted",
    "sum_of_cotangents_forgotten",
)

Array = np.ndarray[Any, np.dtype[Any]]
numpy = functools.partial(implements, framework="numpy", dtypes=["float32"])
pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


def _shift(z: Array) -> tuple[Array, Array]:
    m = z.max(axis=-1, keepdims=True)
    return m, z - m


# ---- logsumexp


@numpy("logsumexp")
def log2_of_the_sum(logits: Array) -> Array:
    m, d = _shift(logits)
    return m[:, 0] + np.log2(np.exp(d).sum(axis=-1))


@numpy("logsumexp")
def mean_of_the_exponentials(logits: Array) -> Array:
    """log-mean-exp: below by log V."""
    m, d = _shift(logits)
    return m[:, 0] + np.log(np.exp(d).mean(axis=-1))


@numpy("logsumexp")
def shift_by_the_mean(logits: Array) -> Array:
    """Any constant is right in exact arithmetic; only the maximum keeps exp from overflowing."""
    m = logits.mean(axis=-1)
    return m + np.log(np.exp(logits - m[:, None]).sum(axis=-1))


@numpy("logsumexp")
def last_class_left_out(logits: Array) -> Array:
    m, d = _shift(logits)
    return m[:, 0] + np.log(np.exp(d[:, : max(1, d.shape[-1] - 1)]).sum(axis=-1))


@pytorch("logsumexp")
def hard_maximum(logits: Tensor) -> Tensor:
    return logits.max(dim=-1).values


@pytorch("logsumexp")
def exponentials_detached(logits: Tensor) -> Tensor:
    """The value is right; the derivative is that of the maximum alone."""
    m = logits.max(dim=-1, keepdim=True).values
    return m[:, 0] + (logits - m).detach().exp().sum(-1).log()


@pytorch("logsumexp")
def logaddexp_of_two_masked(logits: Tensor) -> Tensor:
    """PyTorch's derivative of logaddexp is nan where both arguments are −inf."""
    return functools.reduce(torch.logaddexp, logits.unbind(-1))


# ---- softmax


@numpy("softmax")
def powers_of_two(logits: Array) -> Array:
    e = np.exp2(_shift(logits)[1])
    return e / e.sum(axis=-1, keepdims=True)


@numpy("softmax")
def temperature_of_attention(logits: Array) -> Array:
    """A factor 1/√V that belongs to attention scores."""
    e = np.exp(_shift(logits)[1] / logits.dtype.type(np.sqrt(logits.shape[-1])))
    return e / e.sum(axis=-1, keepdims=True)


@numpy("softmax")
def logits_clipped(logits: Array) -> Array:
    """Overflow avoided by clipping in place of shifting."""
    e = np.exp(np.clip(logits, -30, 30))
    return e / e.sum(axis=-1, keepdims=True)


@numpy("softmax", dtypes=["float64"])
def epsilon_in_normaliser(logits: Array) -> Array:
    e = np.exp(_shift(logits)[1])
    return e / (e.sum(axis=-1, keepdims=True) + 1e-7)


@numpy("softmax")
def mask_of_a_finite_number(logits: Array) -> Array:
    """−inf stored as −10000: beside logits that lie lower, the masked class takes everything."""
    e = np.exp(_shift(np.maximum(logits, np.float32(-1e4)))[1])
    return e / e.sum(axis=-1, keepdims=True)


@pytorch("softmax")
def float16_inside(logits: Tensor) -> Tensor:
    return (logits - logits.amax(-1, keepdim=True)).half().softmax(-1).to(logits.dtype)


@pytorch("softmax")
def normaliser_detached(logits: Tensor) -> Tensor:
    """Each class gets its own p as derivative and nothing from the others."""
    e = (logits - logits.detach().amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True).detach()


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, kind: str) -> Tensor:
        p = logits.softmax(-1)
        ctx.save_for_backward(p)
        ctx.kind = kind
        return p

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        (p,) = ctx.saved_tensors
        (g,) = cotangents
        if ctx.kind == "diagonal":
            return p * (1 - p) * g, None
        return p * (g - (p * g).sum(0, keepdim=True)), None


@pytorch("softmax")
def diagonal_of_the_jacobian(logits: Tensor) -> Tensor:
    """∂p_i/∂z_i = p_i(1 − p_i) is taken for the whole Jacobian."""
    return _Softmax.apply(logits, "diagonal")


@pytorch("softmax")
def gradient_over_rows(logits: Tensor) -> Tensor:
    """The backward sums over axis 0 and not over the classes."""
    return _Softmax.apply(logits, "rows")


# ---- log_softmax


@numpy("log_softmax")
def clamped_probabilities(logits: Array) -> Array:
    e = np.exp(_shift(logits)[1])
    return np.log(np.maximum(e / e.sum(axis=-1, keepdims=True), np.float32(1e-30)))


@numpy("log_softmax")
def whole_logsumexp_subtracted(logits: Array) -> Array:
    """z − (m + log Σ exp(z − m)): the sum rounds to the size of the offset before the difference is taken.

    Public: google-deepmind/optax#1792, ml-explore/mlx#4188.
    """
    m, d = _shift(logits)
    return logits - (m + np.log(np.exp(d).sum(axis=-1, keepdims=True)))


@pytorch("log_softmax")
def normalised_over_the_batch(logits: Tensor) -> Tensor:
    return logits.flatten().log_softmax(0).view_as(logits)


@pytorch("log_softmax")
def float16_sum(logits: Tensor) -> Tensor:
    """The exponentials are added up in float16."""
    d = logits - logits.amax(-1, keepdim=True)
    return d - d.exp().half().sum(-1, keepdim=True).to(d.dtype).log()


class _LogSoftmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        log_p = logits.log_softmax(-1)
        ctx.save_for_backward(log_p)
        return log_p

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:
        (log_p,) = ctx.saved_tensors
        return cotangents[0] - log_p.exp()


@pytorch("log_softmax")
def sum_of_cotangents_forgotten(logits: Tensor) -> Tensor:
    """g − p for g − p Σ g: right where the cotangents of a row add up to 1, as under a cross-entropy."""
    return _LogSoftmax.apply(logits)


@numpy("log_softmax")
def common_log(logits: Array) -> Array:
    d = _shift(logits)[1]
    return d - np.log10(np.exp(d).sum(axis=-1, keepdims=True))


@pytorch("log_softmax", dtypes=["float16"])
def shift_of_the_largest_number(logits: Tensor) -> Tensor:
    """Masked with the lowest number of float32, which is −inf again in float16: −inf − (−inf) is nan."""
    mask = torch.tensor(torch.finfo(torch.float32).min).to(logits.dtype)
    z = torch.where(logits.isinf(), mask, logits).float()
    d = z - z.amin(-1, keepdim=True)
    return (d - d.logsumexp(-1, keepdim=True)).to(logits.dtype)
