"""Broken values of nll, cross_entropy and soft_cross_entropy, one mistake each.

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
    "likelihood_without_its_sign": ("accuracy", "law:nonnegative"),
    "labels_from_one": ("accuracy", "law:only_the_label_counts"),
    "one_hot_product": ("accuracy", "finiteness"),
    "mean_for_rows": ("shape_and_dtype",),
    "log_clamped_at_minus_hundred": ("accuracy",),
    "last_row_dropped": ("accuracy",),
    "next_class": ("accuracy", "law:falls_as_label_grows"),
    "no_shift": ("accuracy", "finiteness"),
    "clip_that_rounds_to_one": ("accuracy", "finiteness"),
    "epsilon_that_underflows": ("finiteness",),
    "in_bits": ("accuracy", "law:log_classes_at_equal_logits"),
    "twice": ("accuracy",),
    "tf32_inside": ("accuracy",),
    "float16_accumulator": ("accuracy",),
    "two_classes_at_most": ("accuracy",),
    "label_missing_from_denominator": ("accuracy", "law:nonnegative"),
    "capped_after_padding": ("accuracy", "law:shift_invariance"),
    "shards_without_a_common_shift": ("accuracy", "finiteness"),
    "ignored_rows_multiplied_out": ("accuracy", "finiteness"),
    "count_times_mean": ("accuracy",),
    "weights_for_count": ("accuracy",),
    "weights_applied_twice": ("accuracy", "law:weights_multiply"),
    "weights_of_the_first_rows": ("accuracy",),
    "sum_of_chunk_means": ("accuracy",),
    "chunks_added_up": ("shape_and_dtype",),
    "divided_twice": ("accuracy",),
    "sum_that_is_a_mean": ("accuracy", "law:sum_adds_rows"),
    "labels_overwritten": ("purity",),
    "zero_if_anything_is_not_finite": ("batch_independence",),
    "always_float32": ("shape_and_dtype",),
    "counts_its_calls": ("determinism",),
    "masked_soft_target": ("accuracy", "finiteness"),
    "nan_to_num": ("accuracy",),
    "softmax_of_targets": ("accuracy",),
    "hard_label_of_targets": ("accuracy", "law:equals_kl_plus_entropy"),
    "soft_mean_over_classes": ("accuracy",),
    "soft_loss_in_float16": ("accuracy",),
}

KINDS = {
    "likelihood_without_its_sign": ("sign",),
    "labels_from_one": ("off by one",),
    "one_hot_product": ("nan from 0*inf",),
    "mean_for_rows": ("another convention", "wrong shape"),
    "log_clamped_at_minus_hundred": ("saturates",),
    "last_row_dropped": ("batch coupled",),
    "next_class": ("off by one",),
    "no_shift": ("overflows", "underflows", "cancels"),
    "clip_that_rounds_to_one": ("cancels",),
    "epsilon_that_underflows": ("underflows",),
    "in_bits": ("constant factor",),
    "twice": ("constant factor",),
    "tf32_inside": ("low precision",),
    "float16_accumulator": ("low precision",),
    "two_classes_at_most": ("another formula",),
    "label_missing_from_denominator": ("another formula",),
    "capped_after_padding": ("another formula", "saturates", "masked entries leak"),
    "shards_without_a_common_shift": ("overflows", "underflows", "cancels"),
    "ignored_rows_multiplied_out": ("nan from 0*inf",),
    "count_times_mean": ("divides by zero",),
    "weights_for_count": ("another convention",),
    "weights_applied_twice": ("parameter misused",),
    "weights_of_the_first_rows": ("parameter misused", "batch coupled"),
    "sum_of_chunk_means": ("another formula", "constant factor"),
    "chunks_added_up": ("wrong shape",),
    "divided_twice": ("constant factor",),
    "sum_that_is_a_mean": ("another convention", "constant factor"),
    "labels_overwritten": ("purity",),
    "zero_if_anything_is_not_finite": ("batch coupled",),
    "always_float32": ("wrong dtype",),
    "counts_its_calls": ("determinism",),
    "masked_soft_target": ("nan from 0*inf",),
    "nan_to_num": ("drops infinity", "saturates"),
    "softmax_of_targets": ("another formula",),
    "hard_label_of_targets": ("another formula",),
    "soft_mean_over_classes": ("constant factor",),
    "soft_loss_in_float16": ("low precision",),
}

Array = np.ndarray[Any, np.dtype[Any]]
numpy = functools.partial(implements, framework="numpy", dtypes=["float32"])
pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


def _at(x: Array, labels: Array) -> Array:
    return np.take_along_axis(x, labels[:, None], axis=-1)[:, 0]


def _log_softmax(z: Array) -> Array:
    d = z - z.max(axis=-1, keepdims=True)
    return d - np.log(np.exp(d).sum(axis=-1, keepdims=True))


def _rows(z: Array, labels: Array) -> Array:
    return -_at(_log_softmax(z), labels)


# ---- nll


@numpy("nll")
def likelihood_without_its_sign(log_probs: Array, labels: Array) -> Array:
    return _at(log_probs, labels)


@numpy("nll")
def labels_from_one(log_probs: Array, labels: Array) -> Array:
    return -_at(log_probs, labels - 1)


@pytorch("nll")
def one_hot_product(log_probs: Tensor, labels: Tensor) -> Tensor:
    """0 · (−inf) = nan for every class that is ruled out."""
    return -(F.one_hot(labels, log_probs.shape[-1]) * log_probs).sum(-1)


@pytorch("nll")
def mean_for_rows(log_probs: Tensor, labels: Tensor) -> Tensor:
    return F.nll_loss(log_probs, labels)


@pytorch("nll")
def log_clamped_at_minus_hundred(log_probs: Tensor, labels: Tensor) -> Tensor:
    """Public: pytorch/pytorch#103316 (F.binary_cross_entropy)."""
    return F.nll_loss(log_probs.clamp_min(-100), labels, reduction="none")


@numpy("nll")
def last_row_dropped(log_probs: Array, labels: Array) -> Array:
    found = np.zeros(labels.shape, dtype=log_probs.dtype)
    for row in range(len(labels) - 1):
        found[row] = -log_probs[row, labels[row]]
    return found


# ---- cross_entropy: the formula


@numpy("cross_entropy")
def next_class(logits: Array, labels: Array) -> Array:
    return _rows(logits, (labels + 1) % logits.shape[-1])


@numpy("cross_entropy")
def no_shift(logits: Array, labels: Array) -> Array:
    return np.log(np.exp(logits).sum(axis=-1)) - _at(logits, labels)


@numpy("cross_entropy")
def clip_that_rounds_to_one(logits: Array, labels: Array) -> Array:
    """−log(1 − Σ of the others), clipped at 1 − 1e-9: in float32 that is 1.

    Public: keras-team/keras#377, torch/nn#949.
    """
    p = np.exp(_log_softmax(logits))
    np.put_along_axis(p, labels[:, None], 0, axis=-1)
    return -np.log1p(-np.minimum(p.sum(axis=-1), np.float32(1 - 1e-9)))


@pytorch("cross_entropy", dtypes=["float16"])
def epsilon_that_underflows(logits: Tensor, labels: Tensor) -> Tensor:
    """1e-8 is 0 in float16. Public: Alibaba-MIIL/ASL#53."""
    p = logits.softmax(-1).gather(-1, labels[:, None])[:, 0]
    return -(p + torch.tensor(1e-8).half()).log()


@numpy("cross_entropy")
def in_bits(logits: Array, labels: Array) -> Array:
    return _rows(logits, labels) / np.float32(np.log(2))


@numpy("cross_entropy")
def twice(logits: Array, labels: Array) -> Array:
    return 2 * _rows(logits, labels)


@numpy("cross_entropy")
def tf32_inside(logits: Array, labels: Array) -> Array:
    """The logits keep 10 bits of their significand, as after a matrix product in TF32."""
    return _rows((logits.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32), labels)


@numpy("cross_entropy")
def float16_accumulator(logits: Array, labels: Array) -> Array:
    d = logits - logits.max(axis=-1, keepdims=True)
    total = np.exp(d).sum(axis=-1, dtype=np.float16).astype(np.float32)
    return np.log(total) - _at(d, labels)


@pytorch("cross_entropy")
def two_classes_at_most(logits: Tensor, labels: Tensor) -> Tensor:
    """The denominator sums the two largest classes."""
    m = logits.amax(-1, keepdim=True)
    top = (logits - m).topk(min(2, logits.shape[-1])).values
    return top.logsumexp(-1) - (logits - m).gather(-1, labels[:, None])[:, 0]


@pytorch("cross_entropy")
def label_missing_from_denominator(logits: Tensor, labels: Tensor) -> Tensor:
    """log Σ over the others − z_y. Public: danielward27/flowjax#164."""
    others = logits.scatter(-1, labels[:, None], -torch.inf)
    return others.logsumexp(-1) - logits.gather(-1, labels[:, None])[:, 0]


@pytorch("cross_entropy")
def capped_after_padding(logits: Tensor, labels: Tensor) -> Tensor:
    """30 tanh(z/30), by which a padding class at −inf becomes −30. Public: unslothai/unsloth#10616."""
    return F.cross_entropy(30 * torch.tanh(logits / 30), labels, reduction="none")


@pytorch("cross_entropy")
def shards_without_a_common_shift(logits: Tensor, labels: Tensor) -> Tensor:
    """The vocabulary in two shards, the sums of which are added in the exponential."""
    parts = [part.logsumexp(-1).exp() for part in logits.chunk(2, dim=-1)]
    return torch.stack(parts).sum(0).log() - logits.gather(-1, labels[:, None])[:, 0]


# ---- cross_entropy: ignored rows, weights, reductions


@numpy("cross_entropy")
def ignored_rows_multiplied_out(logits: Array, labels: Array, *, ignore_index: int | None = None) -> Array:
    """0 · inf = nan where an ignored row stands at a masked class."""
    kept = np.ones(labels.shape, dtype=bool) if ignore_index is None else labels != ignore_index
    return _rows(logits, np.where(kept, labels, 0)) * kept


@pytorch("cross_entropy", reduction="sum")
def count_times_mean(logits: Tensor, labels: Tensor, *, ignore_index: int | None = None) -> Tensor:
    """The mean of no row is nan, and so is 0 times it. Public: google-deepmind/optax#1335 in kind."""
    if ignore_index is None:
        return F.cross_entropy(logits, labels, reduction="sum")
    mean = F.cross_entropy(logits, labels, ignore_index=ignore_index)
    return mean * (labels != ignore_index).sum()


@pytorch("cross_entropy", reduction="mean", mean_over="count")
def weights_for_count(logits: Tensor, labels: Tensor, *, class_weight: Tensor | None = None) -> Tensor:
    """Σ w l / Σ w, declared Σ w l / N. Public: pytorch/pytorch#61309, #40560."""
    return F.cross_entropy(logits, labels, weight=class_weight)


@numpy("cross_entropy")
def weights_applied_twice(logits: Array, labels: Array, *, class_weight: Array | None = None) -> Array:
    rows = _rows(logits, labels)
    return rows if class_weight is None else rows * np.square(class_weight[labels])


@numpy("cross_entropy")
def weights_of_the_first_rows(logits: Array, labels: Array, *, class_weight: Array | None = None) -> Array:
    """Weights taken by row number, where labels are meant."""
    rows = _rows(logits, labels)
    return rows if class_weight is None else rows * np.resize(class_weight, rows.shape)


@pytorch("cross_entropy", reduction="mean")
def sum_of_chunk_means(logits: Tensor, labels: Tensor) -> Tensor:
    """As often too large as there are chunks. Public: NVIDIA-NeMo/Automodel#3803."""
    return sum(F.cross_entropy(z, y) for z, y in zip(logits.split(2), labels.split(2), strict=True))


@pytorch("cross_entropy")
def chunks_added_up(logits: Tensor, labels: Tensor) -> Tensor:
    """Chunks are added where they were to be joined. Public: NVIDIA-NeMo/Automodel#3803."""
    pairs = zip(logits.split(1), labels.split(1), strict=True)
    return sum(F.cross_entropy(z, y, reduction="none") for z, y in pairs)


@pytorch("cross_entropy", reduction="mean")
def divided_twice(logits: Tensor, labels: Tensor) -> Tensor:
    """Gradient accumulation that averages what is a mean already. Public: huggingface/transformers#35203."""
    return F.cross_entropy(logits, labels) / len(labels)


@numpy("cross_entropy")
def sum_that_is_a_mean(logits: Array, labels: Array, *, reduction: str = "none") -> Array:
    rows = _rows(logits, labels)
    return rows if reduction == "none" else rows.mean()


# ---- cross_entropy: manners


@pytorch("cross_entropy")
def labels_overwritten(logits: Tensor, labels: Tensor, *, ignore_index: int | None = None) -> Tensor:
    """The caller's labels are 0 afterwards where they were ignore_index."""
    kept = torch.ones_like(labels, dtype=torch.bool) if ignore_index is None else labels != ignore_index
    labels[~kept] = 0
    return torch.where(kept, F.cross_entropy(logits, labels, reduction="none"), 0)


@pytorch("cross_entropy")
def zero_if_anything_is_not_finite(logits: Tensor, labels: Tensor) -> Tensor:
    """A step is skipped when the batch holds a nan anywhere."""
    if logits.isnan().any():
        return 0 * logits.nan_to_num(0)[:, 0]
    return F.cross_entropy(logits, labels, reduction="none")


@numpy("cross_entropy", dtypes=["float64"])
def always_float32(logits: Array, labels: Array) -> Array:
    return _rows(logits.astype(np.float32), labels)


_calls = [0]


@numpy("cross_entropy")
def counts_its_calls(logits: Array, labels: Array) -> Array:
    """A warm-up: the loss depends on how often it was called."""
    _calls[0] += 1
    return _rows(logits, labels) * np.float32(1 - 1 / (1 + _calls[0]))


# ---- soft_cross_entropy


@pytorch("soft_cross_entropy")
def masked_soft_target(logits: Tensor, targets: Tensor) -> Tensor:
    """0 · (−inf). Public: F.cross_entropy with probability targets."""
    return -(targets * logits.log_softmax(-1)).sum(-1)


@numpy("soft_cross_entropy")
def nan_to_num(logits: Array, targets: Array) -> Array:
    """Rids itself of 0 · (−inf), and of the infinities that are right."""
    return -np.nan_to_num(targets * _log_softmax(logits)).sum(axis=-1)


@pytorch("soft_cross_entropy")
def softmax_of_targets(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits, targets.softmax(-1), reduction="none")


@pytorch("soft_cross_entropy")
def hard_label_of_targets(logits: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(logits, targets.argmax(-1), reduction="none")


@numpy("soft_cross_entropy")
def soft_mean_over_classes(logits: Array, targets: Array) -> Array:
    log_p = np.where(targets > 0, _log_softmax(logits), 0)
    return -(targets * log_p).mean(axis=-1)


@numpy("soft_cross_entropy")
def soft_loss_in_float16(logits: Array, targets: Array) -> Array:
    d = (logits - logits.max(axis=-1, keepdims=True)).astype(np.float16)
    log_p = np.where(targets > 0, _log_softmax(d), 0)
    return -(targets * log_p).sum(axis=-1, dtype=np.float32)
