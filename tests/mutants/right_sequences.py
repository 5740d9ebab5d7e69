"""Right losses of language models in other styles: the harness blames none of them."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

pytorch = functools.partial(implements, framework="torch")
HALVES = ["float16", "bfloat16"]


# ---- sequence_cross_entropy


def _over(total: Tensor, counts: Tensor, reduction: str, empty: str) -> Tensor:
    if reduction == "sum":
        return total
    return total / (counts.sum().clamp_min(1) if empty == "zero" else counts.sum())


@pytorch("sequence_cross_entropy")
def kept_positions_alone(
    logits: Tensor, tokens: Tensor, mask: Tensor, *, reduction: str = "token_mean", empty: str = "zero"
) -> Tensor:
    counts = mask[:, 1:]
    total = F.cross_entropy(logits[:, :-1][counts], tokens[:, 1:][counts], reduction="sum")
    return _over(total, counts, reduction, empty)


@pytorch("sequence_cross_entropy")
def micro_batches_weighted_by_their_tokens(
    logits: Tensor, tokens: Tensor, mask: Tensor, *, reduction: str = "token_mean", empty: str = "zero"
) -> Tensor:
    """One sequence after the other, added up before anything is divided."""
    counts = mask[:, 1:]
    safe = logits[:, :-1].masked_fill(~counts[..., None], 0)
    labels = tokens[:, 1:].masked_fill(~counts, -100)
    parts = [F.cross_entropy(z, y, reduction="sum") for z, y in zip(safe, labels, strict=True)]
    return _over(torch.stack(parts).sum(), counts, reduction, empty)


class _Masked(torch.autograd.Function):
    """The sum over the targets that count, with its backward by hand: 0 wherever none does, whatever is there."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
        log_p = logits.log_softmax(-1)
        ctx.save_for_backward(log_p, targets, counts)
        return -log_p.gather(-1, targets[..., None])[..., 0].masked_fill(~counts, 0).sum()

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:
        log_p, targets, counts = ctx.saved_tensors
        residual = log_p.exp().scatter_add(-1, targets[..., None], -torch.ones_like(log_p[..., :1]))
        return residual.masked_fill(~counts[..., None], 0) * cotangents[0], None, None


@pytorch("sequence_cross_entropy")
def backward_masked_by_hand(
    logits: Tensor, tokens: Tensor, mask: Tensor, *, reduction: str = "token_mean", empty: str = "zero"
) -> Tensor:
    counts = mask[:, 1:]
    total = _Masked.apply(logits[:, :-1], tokens[:, 1:], counts)
    return _over(total, counts, reduction, empty)


@pytorch("sequence_cross_entropy", dtypes=HALVES)
def sequences_in_float32(
    logits: Tensor, tokens: Tensor, mask: Tensor, *, reduction: str = "token_mean", empty: str = "zero"
) -> Tensor:
    found = kept_positions_alone(logits.float(), tokens, mask, reduction=reduction, empty=empty)
    return found.to(logits.dtype)


# ---- vocab_parallel_cross_entropy


class _Parallel(torch.autograd.Function):
    """Shards of two classes; only their maxima, sums and labels' logits are exchanged, as in Megatron-LM."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        m = torch.stack([shard.amax(-1) for shard in logits.split(2, dim=-1)]).amax(0)
        m = torch.where(m == -torch.inf, 0, m)
        weights = [(shard - m[:, None]).exp() for shard in logits.split(2, dim=-1)]
        total = torch.stack([part.sum(-1) for part in weights]).sum(0)
        at = torch.zeros_like(total)
        for place, shard in enumerate(logits.split(2, dim=-1)):
            local = labels - 2 * place
            own = (local >= 0) & (local < shard.shape[-1])
            label = shard.gather(-1, local.clamp(0, shard.shape[-1] - 1)[:, None])[:, 0]
            at = torch.where(own, label - m, at)
        ctx.save_for_backward(labels, total, *weights)
        return total.log() - at

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        labels, total, *weights = ctx.saved_tensors
        p = torch.cat(weights, -1) / total[:, None]
        p = p.scatter_add(-1, labels[:, None], -torch.ones_like(p[:, :1]))
        return p * cotangents[0][:, None], None


@pytorch("vocab_parallel_cross_entropy")
def exchanged_maxima_and_sums(logits: Tensor, labels: Tensor) -> Tensor:
    return _Parallel.apply(logits, labels)


@pytorch("vocab_parallel_cross_entropy")
def partial_sums(logits: Tensor, labels: Tensor) -> Tensor:
    """The sum of exponentials of each shard of three classes, after the common maximum is subtracted.

    A logsumexp of each shard would have the gradient nan where all classes of a shard are masked.
    """
    top = logits.detach().amax(-1, keepdim=True)
    d = logits - torch.where(top == -torch.inf, 0, top)
    parts = torch.stack([shard.exp().sum(-1) for shard in d.split(3, dim=-1)], -1)
    return parts.sum(-1).log() - d.gather(-1, labels[:, None])[:, 0]


# ---- fused_linear_cross_entropy


@pytorch("fused_linear_cross_entropy")
def linear_then_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden, weight), labels, reduction="none")


class _Chunks(torch.autograd.Function):
    """Chunks of 16 rows; the backward computes the logits of each again."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        ctx.save_for_backward(hidden, weight, labels)
        parts = zip(hidden.split(16), labels.split(16), strict=True)
        return torch.cat([F.cross_entropy(h @ weight.T, y, reduction="none") for h, y in parts])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden, weight, labels = ctx.saved_tensors
        in_hidden, in_weight = [], torch.zeros_like(weight)
        for h, y, g in zip(hidden.split(16), labels.split(16), cotangents[0].split(16), strict=True):
            p = (h @ weight.T).softmax(-1)
            residual = p.scatter_add(-1, y[:, None], -torch.ones_like(p[:, :1])) * g[:, None]
            in_hidden.append(residual @ weight)
            in_weight += residual.T @ h
        return torch.cat(in_hidden), in_weight, None


@pytorch("fused_linear_cross_entropy")
def chunks_recomputed_in_the_backward(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return _Chunks.apply(hidden, weight, labels)


@pytorch("fused_linear_cross_entropy")
def blocks_of_classes_online(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Two classes at a time, rescaled whenever the maximum grows (cut cross-entropy)."""
    label = (hidden * weight[labels]).sum(-1)
    m, total = torch.full_like(label, -torch.inf), torch.zeros_like(label)
    for block in weight.split(2):
        z = hidden @ block.T
        new = torch.maximum(m, z.detach().amax(-1))
        total = total * (m - new).exp() + (z - new[:, None]).exp().sum(-1)
        m = new
    return total.log() - (label - m)


@pytorch("fused_linear_cross_entropy", dtypes=HALVES)
def linear_in_float32(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    z = F.linear(hidden.float(), weight.float())
    return F.cross_entropy(z, labels, reduction="none").to(hidden.dtype)
