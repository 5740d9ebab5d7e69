"""Right versions of focal and multi_margin in other styles: the harness blames none of them."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

pytorch = functools.partial(implements, framework="torch")
HALVES = ["float16", "bfloat16"]


# ---- focal


@pytorch("focal")
def power_by_the_logarithm(
    logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0
) -> Tensor:
    """(1 − p_y)^γ from the logsumexp of the other classes; a row without others loses nothing."""
    log_p = logits.log_softmax(-1)
    own = F.one_hot(labels, logits.shape[-1]).bool()
    alone = (own | (logits == -torch.inf)).all(-1)
    others = log_p.masked_fill(own & ~alone[:, None], -torch.inf)
    missing = (gamma * others.logsumexp(-1)).exp()
    return -alpha * missing * log_p.gather(-1, labels[:, None])[:, 0]


@pytorch("focal")
def clamped_before_the_power(
    logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0
) -> Tensor:
    """Public: a common repair of γ < 1; below the smallest number the loss is next to nothing anyway."""
    own = -F.cross_entropy(logits, labels, reduction="none")
    return -alpha * (-own.expm1()).clamp_min(torch.finfo(own.dtype).tiny) ** gamma * own


class _Focal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor, gamma: float, alpha: float) -> Tensor:
        log_p = logits.log_softmax(-1)
        own = log_p.gather(-1, labels[:, None])
        missing = -own.expm1()
        ctx.save_for_backward(log_p, own, missing, labels)
        ctx.gamma, ctx.alpha = gamma, alpha
        return (-alpha * missing**gamma * own)[:, 0]

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None, None]:
        log_p, own, missing, labels = ctx.saved_tensors
        share = torch.where(missing > 0, -own * own.exp() / missing, 1)
        factor = ctx.alpha * missing**ctx.gamma * (1 + ctx.gamma * share)
        slope = log_p.exp().scatter(-1, labels[:, None], -missing)
        return cotangents[0][:, None] * factor * slope, None, None, None


@pytorch("focal")
def with_a_backward(logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0) -> Tensor:
    return _Focal.apply(logits, labels, gamma, alpha)


@pytorch("focal", dtypes=HALVES)
def focal_in_float32(logits: Tensor, labels: Tensor, *, gamma: float = 2.0, alpha: float = 1.0) -> Tensor:
    return clamped_before_the_power(logits.float(), labels, gamma=gamma, alpha=alpha).to(logits.dtype)


# ---- multi_margin


def _over(terms: Tensor, over_classes: str) -> Tensor:
    if over_classes == "max":
        return terms.amax(-1)
    return terms.sum(-1) if over_classes == "sum" else terms.sum(-1) / terms.shape[-1]


@pytorch("multi_margin")
def filled_at_the_label(
    scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Tensor:
    gaps = scores - scores.gather(-1, labels[:, None])
    short = (gaps + margin).scatter(-1, labels[:, None], 0.0).relu()
    return _over(short**power, over_classes)


@pytorch("multi_margin")
def row_by_row(
    scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Tensor:
    rows = []
    for x, y in zip(scores, labels, strict=True):
        gaps = torch.cat([x[:y], x[y + 1 :]]) - x[y]
        short = torch.cat([(margin + gaps).clamp_min(0), x.new_zeros(1)])
        rows.append(_over(short[None] ** power, over_classes)[0])
    return torch.stack(rows)


@pytorch("multi_margin", over_classes="max", power=1)
def worst_score_first(scores: Tensor, labels: Tensor, *, margin: float = 1.0) -> Tensor:
    own = F.one_hot(labels, scores.shape[-1]).bool()
    worst = scores.masked_fill(own, -torch.inf).amax(-1)
    return (margin - (scores.gather(-1, labels[:, None])[:, 0] - worst)).relu()


class _Margins(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, labels: Tensor, margin: float) -> Tensor:
        lack = margin - (scores.gather(-1, labels[:, None]) - scores)
        short = lack.relu().scatter(-1, labels[:, None], 0.0)
        ctx.save_for_backward(short > 0, labels)
        return short.sum(-1)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:
        short, labels = ctx.saved_tensors
        slope = short.to(cotangents[0].dtype)
        slope = slope.scatter(-1, labels[:, None], -slope.sum(-1, keepdim=True))
        return slope * cotangents[0][:, None], None, None


@pytorch("multi_margin", over_classes="sum", power=1)
def sum_with_a_backward(scores: Tensor, labels: Tensor, *, margin: float = 1.0) -> Tensor:
    return _Margins.apply(scores, labels, margin)


@pytorch("multi_margin", dtypes=HALVES)
def multi_margin_in_float32(
    scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1, over_classes: str = "mean"
) -> Tensor:
    rows = filled_at_the_label(scores.float(), labels, margin=margin, power=power, over_classes=over_classes)
    return rows.to(scores.dtype)
