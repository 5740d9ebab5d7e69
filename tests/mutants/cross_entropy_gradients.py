"""Cross-entropies with a right value and a wrong derivative, one mistake each.

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
    "cotangent_of_the_first_row": ("gradient",),
    "cotangent_averaged": ("gradient",),
    "cotangent_without_its_sign": ("gradient",),
    "sign_of_the_gradient": ("gradient", "law:gradient_signs"),
    "half_the_gradient": ("gradient", "law:gradient_is_p_minus_onehot"),
    "softmax_over_rows_in_backward": ("gradient", "law:gradient_sums_to_zero"),
    "label_forgotten": ("gradient", "law:gradient_sums_to_zero"),
    "logsumexp_detached": ("gradient",),
    "label_detached": ("gradient",),
    "shifted_by_the_label": ("gradient",),
    "backward_of_ignored_rows": ("gradient", "law:ignored_rows_have_no_gradient"),
    "backward_without_weights": ("gradient",),
    "backward_of_the_sum": ("gradient",),
    "masked_out_afterwards": ("gradient", "finiteness"),
    "gradient_clipped": ("gradient",),
    "backward_in_bfloat16": ("gradient",),
    "softmax_for_gradient": ("gradient",),
    "gradient_divided_twice": ("gradient",),
    "soft_cotangent_forgotten": ("gradient",),
    "soft_targets_swapped": ("gradient",),
    "nll_gradient_at_the_next_class": ("gradient",),
    "nll_gradient_everywhere": ("gradient",),
}

KINDS = {
    "cotangent_of_the_first_row": ("ignores cotangent",),
    "cotangent_averaged": ("ignores cotangent",),
    "cotangent_without_its_sign": ("ignores cotangent",),
    "sign_of_the_gradient": ("sign",),
    "half_the_gradient": ("constant factor",),
    "softmax_over_rows_in_backward": ("wrong axis", "batch coupled"),
    "label_forgotten": ("detached factor",),
    "logsumexp_detached": ("detached factor",),
    "label_detached": ("detached factor",),
    "shifted_by_the_label": ("cancels",),
    "backward_of_ignored_rows": ("masked rows leak",),
    "backward_without_weights": ("another convention",),
    "backward_of_the_sum": ("constant factor", "another convention"),
    "masked_out_afterwards": ("nan from 0*inf", "overflows"),
    "gradient_clipped": ("saturates",),
    "backward_in_bfloat16": ("low precision",),
    "softmax_for_gradient": ("detached factor",),
    "gradient_divided_twice": ("constant factor",),
    "soft_cotangent_forgotten": ("ignores cotangent",),
    "soft_targets_swapped": ("sign",),
    "nll_gradient_at_the_next_class": ("off by one",),
    "nll_gradient_everywhere": ("another derivative",),
}

NOT_TOLD = ("shifted_by_the_label",)

Array = np.ndarray[Any, np.dtype[Any]]
numpy = functools.partial(implements, framework="numpy", dtypes=["float32"])
pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


class _CrossEntropy(torch.autograd.Function):
    """A right forward and, by `kind`, a wrong backward."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, kind: str) -> Tensor:
        ctx.save_for_backward(logits, labels)
        ctx.kind = kind
        return F.cross_entropy(logits, labels, reduction="none")

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:
        logits, labels = ctx.saved_tensors
        g = cotangents[0][:, None]
        p, y = logits.softmax(-1), F.one_hot(labels, logits.shape[-1]).to(logits.dtype)
        match ctx.kind:
            case "first cotangent":
                found = (p - y) * g[0]
            case "mean cotangent":
                found = (p - y) * g.mean()
            case "absolute cotangent":
                found = (p - y) * g.abs()
            case "sign":
                found = (y - p) * g
            case "half":
                found = (p - y) * g / 2
            case "axis":
                found = (logits.softmax(0) - y) * g
            case "no label":
                found = p * g
            case "clipped":
                found = ((p - y) * g).clamp(-1, 1)
            case "bfloat16":
                found = ((p - y).bfloat16() * g).to(p.dtype)
            case _:
                raise AssertionError(ctx.kind)
        return found, None, None


@pytorch("cross_entropy")
def cotangent_of_the_first_row(logits: Tensor, labels: Tensor) -> Tensor:
    """Read from the wrong place. Public: pytorch/pytorch#21961 (CTC)."""
    return _CrossEntropy.apply(logits, labels, "first cotangent")


@pytorch("cross_entropy")
def cotangent_averaged(logits: Tensor, labels: Tensor) -> Tensor:
    """Tried under mean and sum alone, where all cotangents are alike. Public: NVIDIA/TransformerEngine#2139."""
    return _CrossEntropy.apply(logits, labels, "mean cotangent")


@pytorch("cross_entropy")
def cotangent_without_its_sign(logits: Tensor, labels: Tensor) -> Tensor:
    return _CrossEntropy.apply(logits, labels, "absolute cotangent")


@pytorch("cross_entropy")
def sign_of_the_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    return _CrossEntropy.apply(logits, labels, "sign")


@pytorch("cross_entropy")
def half_the_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    return _CrossEntropy.apply(logits, labels, "half")


@pytorch("cross_entropy")
def softmax_over_rows_in_backward(logits: Tensor, labels: Tensor) -> Tensor:
    return _CrossEntropy.apply(logits, labels, "axis")


@pytorch("cross_entropy")
def label_forgotten(logits: Tensor, labels: Tensor) -> Tensor:
    return _CrossEntropy.apply(logits, labels, "no label")


@pytorch("cross_entropy")
def gradient_clipped(logits: Tensor, labels: Tensor) -> Tensor:
    """Clipping that belongs to the optimiser; unseen under cotangents of at most 1."""
    return _CrossEntropy.apply(logits, labels, "clipped")


@pytorch("cross_entropy")
def backward_in_bfloat16(logits: Tensor, labels: Tensor) -> Tensor:
    return _CrossEntropy.apply(logits, labels, "bfloat16")


@pytorch("cross_entropy")
def logsumexp_detached(logits: Tensor, labels: Tensor) -> Tensor:
    """Only the label's logit learns."""
    d = logits - logits.detach().amax(-1, keepdim=True)
    return d.logsumexp(-1).detach() - d.gather(-1, labels[:, None])[:, 0]


@pytorch("cross_entropy")
def label_detached(logits: Tensor, labels: Tensor) -> Tensor:
    d = logits - logits.detach().amax(-1, keepdim=True)
    return d.logsumexp(-1) - d.detach().gather(-1, labels[:, None])[:, 0]


@pytorch("cross_entropy")
def shifted_by_the_label(logits: Tensor, labels: Tensor) -> Tensor:
    """log Σ exp(z − z_y): a right value; the backward of logsumexp rounds at the size of the gap."""
    return (logits - logits.gather(-1, labels[:, None])).logsumexp(-1)


class _Ignoring(torch.autograd.Function):
    """A right forward with weights, ignored rows and a mean; each backward forgets one of them."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, weight: Tensor | None, ignored: int, reduction: str
    ) -> Tensor:
        ctx.save_for_backward(logits, labels.clamp_min(0))
        return F.cross_entropy(logits, labels, weight, ignore_index=ignored, reduction=reduction)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None, None, None]:
        logits, labels = ctx.saved_tensors
        p, y = logits.softmax(-1), F.one_hot(labels, logits.shape[-1]).to(logits.dtype)
        return (p - y) * cotangents[0][..., None], None, None, None, None


@pytorch("cross_entropy")
def backward_of_ignored_rows(logits: Tensor, labels: Tensor, *, ignore_index: int | None = None) -> Tensor:
    ignored = -100 if ignore_index is None else ignore_index
    return _Ignoring.apply(logits, labels, None, ignored, "none")


@pytorch("cross_entropy")
def backward_without_weights(logits: Tensor, labels: Tensor, *, class_weight: Tensor | None = None) -> Tensor:
    return _Ignoring.apply(logits, labels, class_weight, -100, "none")


@pytorch("cross_entropy", reduction="mean")
def backward_of_the_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """A mean whose backward forgets 1/N."""
    return _Ignoring.apply(logits, labels, None, -100, "mean")


@pytorch("cross_entropy")
def masked_out_afterwards(logits: Tensor, labels: Tensor) -> Tensor:
    """A mask multiplied into the derivative: 0 · nan. Public: pytorch/pytorch#15288 in kind."""
    m = logits.detach().amax(-1, keepdim=True)
    e = torch.where(logits > -torch.inf, ((logits - m) / 2).sinh() * 0 + (logits - m).exp(), 0)
    return e.sum(-1).log() - (logits - m).gather(-1, labels[:, None])[:, 0]


# ---- NumPy, with the derivative written by hand


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _one_hot(labels: Array, z: Array) -> Array:
    return (np.arange(z.shape[-1]) == labels[:, None]).astype(z.dtype)


def _rows(z: Array, labels: Array) -> Array:
    d = z - z.max(axis=-1, keepdims=True)
    return np.log(np.exp(d).sum(axis=-1)) - np.take_along_axis(d, labels[:, None], axis=-1)[:, 0]


def _softmax_alone(logits: Array, labels: Array) -> Array:
    return _softmax(logits)


@numpy("cross_entropy", gradient=_softmax_alone)
def softmax_for_gradient(logits: Array, labels: Array) -> Array:
    return _rows(logits, labels)


def _divided_twice(logits: Array, labels: Array) -> Array:
    return (_softmax(logits) - _one_hot(labels, logits)) / len(labels) / len(labels)


@numpy("cross_entropy", reduction="mean", gradient=_divided_twice)
def gradient_divided_twice(logits: Array, labels: Array) -> Array:
    return _rows(logits, labels).mean()


def _at_next_class(log_probs: Array, labels: Array) -> Array:
    return -_one_hot((labels + 1) % log_probs.shape[-1], log_probs)


@numpy("nll", gradient=_at_next_class)
def nll_gradient_at_the_next_class(log_probs: Array, labels: Array) -> Array:
    return -np.take_along_axis(log_probs, labels[:, None], axis=-1)[:, 0]


def _everywhere(log_probs: Array, labels: Array) -> Array:
    return -np.ones_like(log_probs)


@numpy("nll", gradient=_everywhere)
def nll_gradient_everywhere(log_probs: Array, labels: Array) -> Array:
    return -np.take_along_axis(log_probs, labels[:, None], axis=-1)[:, 0]


# ---- soft_cross_entropy


class _Soft(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, kind: str) -> Tensor:
        ctx.save_for_backward(logits, targets)
        ctx.kind = kind
        return -(targets * logits.log_softmax(-1).masked_fill(targets == 0, 0)).sum(-1)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:
        logits, targets = ctx.saved_tensors
        p, g = logits.softmax(-1), cotangents[0][:, None]
        return (p - targets if ctx.kind == "no cotangent" else (targets - p) * g), None, None


@pytorch("soft_cross_entropy")
def soft_cotangent_forgotten(logits: Tensor, targets: Tensor) -> Tensor:
    return _Soft.apply(logits, targets, "no cotangent")


@pytorch("soft_cross_entropy")
def soft_targets_swapped(logits: Tensor, targets: Tensor) -> Tensor:
    """t − p for p − t."""
    return _Soft.apply(logits, targets, "swapped")
