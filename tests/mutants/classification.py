"""Broken versions of focal and multi_margin, one mistake each.

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
    "mean_over_the_classes": ("accuracy", "law:gamma_zero_gives_cross_entropy"),
    "power_below_one_of_nothing": ("gradient", "finiteness"),
    "power_of_the_probability": ("accuracy", "gradient"),
    "alpha_forgotten": ("accuracy", "law:alpha_multiplies"),
    "epsilon_in_the_logarithm": ("accuracy", "gradient"),
    "softmax_without_a_shift": ("accuracy", "finiteness"),
    "modulation_detached": ("gradient",),
    "offset_added_back": ("accuracy", "law:shift_invariance"),
    "one_hot_times_log_softmax": ("accuracy", "law:masked_class_changes_nothing"),
    "label_of_the_next_class": ("accuracy", "law:falls_as_label_grows"),
    "sigmoid_for_softmax": ("accuracy", "law:shift_invariance"),
    "power_left_out_of_the_gradient": ("gradient", "law:gradient_signs"),
    "label_counted_in": ("accuracy", "law:zero_where_margin_is_met"),
    "mean_over_the_others": ("accuracy", "law:mean_is_sum_over_classes"),
    "margin_added_first": ("accuracy", "law:shift_invariance"),
    "margin_with_the_wrong_sign": ("accuracy", "law:margin_at_equal_scores"),
    "negatives_cut_at_zero": ("accuracy", "law:zero_where_margin_is_met"),
    "power_of_the_sum": ("accuracy", "law:max_at_most_sum"),
    "worst_class_with_the_label": ("accuracy", "law:zero_where_margin_is_met"),
    "power_forgotten": ("accuracy", "law:power_two_squares_the_worst"),
    "label_counted_once_in_the_gradient": ("gradient", "law:gradient_sums_to_zero"),
    "squares_overflow_by_the_batch": ("batch_independence",),
}

KINDS = {
    "mean_over_the_classes": ("constant factor",),
    "power_below_one_of_nothing": ("nan from 0*inf", "cancels"),
    "power_of_the_probability": ("another formula",),
    "alpha_forgotten": ("another convention",),
    "epsilon_in_the_logarithm": ("saturates", "cancels", "epsilon added"),
    "softmax_without_a_shift": ("overflows", "underflows", "cancels"),
    "modulation_detached": ("detached factor",),
    "offset_added_back": ("cancels",),
    "one_hot_times_log_softmax": ("nan from 0*inf", "cancels"),
    "label_of_the_next_class": ("off by one",),
    "sigmoid_for_softmax": ("another formula",),
    "power_left_out_of_the_gradient": ("another derivative", "detached factor"),
    "label_counted_in": ("constant added", "another formula"),
    "mean_over_the_others": ("constant factor",),
    "margin_added_first": ("cancels",),
    "margin_with_the_wrong_sign": ("sign",),
    "negatives_cut_at_zero": ("another formula",),
    "power_of_the_sum": ("another formula",),
    "worst_class_with_the_label": ("another formula",),
    "power_forgotten": ("another convention",),
    "label_counted_once_in_the_gradient": ("another derivative",),
    "squares_overflow_by_the_batch": ("batch coupled",),
}

Array = np.ndarray[Any, np.dtype[Any]]
numpy = functools.partial(implements, framework="numpy", dtypes=["float32"])
pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


# ---- focal


def _focal(log_p: Tensor, labels: Tensor, gamma: float, alpha: float) -> Tensor:
    own = log_p.gather(-1, labels[:, None])[:, 0]
    missing = -own.expm1()
    live = missing > 1e-37
    return -alpha * torch.where(live, missing, 1) ** gamma * own


@pytorch("focal")
def mean_over_the_classes(
    logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0
) -> Tensor:
    """Public: itakurah/Focal-loss-PyTorch#6; the mean of a one-hot product, 1/V of the loss."""
    return _focal(logits.log_softmax(-1), labels, gamma, alpha) / logits.shape[-1]


@pytorch("focal")
def power_below_one_of_nothing(
    logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0
) -> Tensor:
    """At p_y = 1 the derivative of a power below 1 is inf, times 0."""
    own = logits.log_softmax(-1).gather(-1, labels[:, None])[:, 0]
    return -alpha * (1 - own.exp()) ** gamma * own


@pytorch("focal")
def power_of_the_probability(
    logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0
) -> Tensor:
    own = logits.log_softmax(-1).gather(-1, labels[:, None])[:, 0]
    return -alpha * (gamma * own).exp() * own


@pytorch("focal")
def alpha_forgotten(logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0) -> Tensor:
    return _focal(logits.log_softmax(-1), labels, gamma, 1.0)


@pytorch("focal")
def epsilon_in_the_logarithm(
    logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0
) -> Tensor:
    p = logits.softmax(-1).gather(-1, labels[:, None])[:, 0]
    return -alpha * (1 - p).clamp_min(1e-12) ** gamma * (p + 1e-8).log()


@pytorch("focal")
def softmax_without_a_shift(
    logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0
) -> Tensor:
    e = logits.exp()
    return _focal((e / e.sum(-1, keepdim=True)).log(), labels, gamma, alpha)


@pytorch("focal")
def modulation_detached(logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0) -> Tensor:
    own = logits.log_softmax(-1).gather(-1, labels[:, None])[:, 0]
    return -alpha * (1 - own.exp()).detach() ** gamma * own


@pytorch("focal")
def offset_added_back(logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0) -> Tensor:
    log_p = logits - logits.logsumexp(-1, keepdim=True)
    return _focal(log_p, labels, gamma, alpha)


@pytorch("focal")
def one_hot_times_log_softmax(
    logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0
) -> Tensor:
    """0 · −inf at every masked class."""
    y = F.one_hot(labels, logits.shape[-1]).to(logits.dtype)
    log_p = logits.log_softmax(-1)
    return -alpha * (y * (1 - log_p.exp()).clamp_min(1e-37) ** gamma * log_p).sum(-1)


@pytorch("focal")
def label_of_the_next_class(
    logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0
) -> Tensor:
    return _focal(logits.log_softmax(-1), (labels + 1) % logits.shape[-1], gamma, alpha)


@pytorch("focal")
def sigmoid_for_softmax(logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0) -> Tensor:
    return _focal(F.logsigmoid(logits), labels, gamma, alpha)


def _cross_entropy_slope(logits: Array, labels: Array, *, gamma: float = 2.0, alpha: float = 1.0) -> Array:
    """(1 − p)^γ (onehot − p), the wrong way round and without the derivative of the power."""
    z, y = torch.from_numpy(logits), torch.from_numpy(labels)
    p, own = z.softmax(-1), F.one_hot(y, z.shape[-1])
    missing = 1 - p.gather(-1, y[:, None])
    return (alpha * missing**gamma * (own - p)).numpy().astype(logits.dtype)


@numpy("focal", gradient=_cross_entropy_slope)
def power_left_out_of_the_gradient(
    logits: Array, labels: Array, *, gamma: float = 2.0, alpha: float = 1.0
) -> Array:
    z, y = torch.from_numpy(logits), torch.from_numpy(labels)
    return _focal(z.log_softmax(-1), y, gamma, alpha).numpy()


# ---- multi_margin


def _lack(scores: Tensor, labels: Tensor, margin: float) -> Tensor:
    return margin - (scores.gather(-1, labels[:, None]) - scores)


def _own(scores: Tensor, labels: Tensor) -> Tensor:
    return F.one_hot(labels, scores.shape[-1]).bool()


def _short(scores: Tensor, labels: Tensor, margin: float) -> Tensor:
    return _lack(scores, labels, margin).relu().masked_fill(_own(scores, labels), 0)


def _over(terms: Tensor, over_classes: str) -> Tensor:
    if over_classes == "max":
        return terms.amax(-1)
    return terms.sum(-1) if over_classes == "sum" else terms.mean(-1)


@pytorch("multi_margin")
def label_counted_in(
    scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Tensor:
    """The label itself is short of the margin, by all of it."""
    return _over(_lack(scores, labels, margin).relu() ** power, over_classes)


@pytorch("multi_margin")
def mean_over_the_others(
    scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Tensor:
    terms, classes = _short(scores, labels, margin) ** power, scores.shape[-1]
    return terms.sum(-1) / max(classes - 1, 1) if over_classes == "mean" else _over(terms, over_classes)


@pytorch("multi_margin")
def margin_added_first(
    scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Tensor:
    """(m − x_y) + x_i loses the margin under a common offset."""
    lack = (margin - scores.gather(-1, labels[:, None])) + scores
    return _over(lack.relu().masked_fill(_own(scores, labels), 0) ** power, over_classes)


@pytorch("multi_margin")
def margin_with_the_wrong_sign(
    scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Tensor:
    return _over(_short(scores, labels, -margin) ** power, over_classes)


@pytorch("multi_margin", over_classes="max", power=1)
def negatives_cut_at_zero(scores: Tensor, labels: Tensor, *, margin: float = 1.0) -> Tensor:
    """Public: keras-team/keras#8083; the other classes are found by a product with 0, which is a score too."""
    others = (scores * ~_own(scores, labels)).amax(-1)
    return (margin - (scores.gather(-1, labels[:, None])[:, 0] - others)).relu()


@pytorch("multi_margin")
def power_of_the_sum(
    scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Tensor:
    return _over(_short(scores, labels, margin), over_classes) ** power


@pytorch("multi_margin", over_classes="max")
def worst_class_with_the_label(
    scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1
) -> Tensor:
    return (margin + scores.amax(-1) - scores.gather(-1, labels[:, None])[:, 0]).relu() ** power


@pytorch("multi_margin")
def power_forgotten(
    scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Tensor:
    return _over(_short(scores, labels, margin), over_classes)


def _once(
    scores: Array, labels: Array, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Array:
    x, y = torch.from_numpy(scores), torch.from_numpy(labels)
    short = _short(x, y, margin)
    slope = (short > 0).to(x.dtype) if power == 1 else 2 * short
    if over_classes == "max":
        slope = slope * F.one_hot(short.argmax(-1), x.shape[-1])
    slope = slope / x.shape[-1] if over_classes == "mean" else slope
    return torch.where(_own(x, y), -slope.amax(-1, keepdim=True), slope).numpy()


@numpy("multi_margin", gradient=_once)
def label_counted_once_in_the_gradient(
    scores: Array, labels: Array, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Array:
    x, y = torch.from_numpy(scores), torch.from_numpy(labels)
    return _over(_short(x, y, margin) ** power, over_classes).numpy()


@pytorch("multi_margin")
def squares_overflow_by_the_batch(
    scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Tensor:
    """Scaled by the largest score of the batch: a nan in one row is a nan in all."""
    scale = scores.detach().abs().max().clamp_min(1.0)
    terms = (_short(scores, labels, margin) / scale) ** power
    return _over(terms, over_classes) * scale**power
