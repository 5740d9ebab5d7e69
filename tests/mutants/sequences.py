"""Broken versions of the losses of language models, one mistake each.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

CAUGHT_BY = {
    "predicts_its_own_token": ("accuracy", "law:tokens_that_are_no_targets_have_no_influence"),
    "mask_of_the_position_before": ("accuracy", "law:first_mask_has_no_influence"),
    "mask_multiplied": ("finiteness", "law:infinite_padding_changes_no_value"),
    "mask_behind_the_loss": ("finiteness", "gradient", "law:infinite_padding_changes_no_gradient"),
    "mean_over_all_positions": ("accuracy", "law:mean_of_cross_entropy_over_kept_positions"),
    "mean_of_sequence_means": ("accuracy", "law:micro_batches_weigh_by_their_tokens"),
    "empty_batch_divides_by_zero": ("law:empty_mean_is_zero",),
    "upstream_gradient_ignored": ("gradient",),
    "one_shard_decides_the_shift": ("accuracy",),
    "label_without_its_offset": ("accuracy", "law:between_gap_and_gap_plus_log_classes"),
    "maximum_added_back": ("accuracy", "law:shift_invariance"),
    "masked_shard_rescaled": ("finiteness", "law:masked_shards_change_nothing"),
    "local_softmax_in_the_backward": ("gradient", "law:gradient_sums_to_zero"),
    "chunks_added_up": ("shape_and_dtype",),
    "weight_gradient_of_the_last_chunk": ("gradient", "law:gradient_in_weight"),
    "gradient_without_the_chunk": ("gradient",),
    "bfloat16_logits": ("accuracy",),
    "exponentials_unshifted": ("finiteness", "accuracy"),
    "hidden_normalised": ("accuracy", "law:scale_moves_between_hidden_and_weight"),
}

KINDS = {
    "predicts_its_own_token": ("off by one",),
    "mask_of_the_position_before": ("off by one",),
    "mask_multiplied": ("masked rows leak", "nan from 0*inf"),
    "mask_behind_the_loss": ("masked rows leak", "nan from 0*inf"),
    "mean_over_all_positions": ("constant factor",),
    "mean_of_sequence_means": ("another formula",),
    "empty_batch_divides_by_zero": ("divides by zero",),
    "upstream_gradient_ignored": ("ignores cotangent",),
    "one_shard_decides_the_shift": ("overflows",),
    "label_without_its_offset": ("another formula", "cancels"),
    "maximum_added_back": ("cancels",),
    "masked_shard_rescaled": ("nan from 0*inf",),
    "local_softmax_in_the_backward": ("another derivative",),
    "chunks_added_up": ("another convention", "wrong shape"),
    "weight_gradient_of_the_last_chunk": ("another derivative",),
    "gradient_without_the_chunk": ("another derivative",),
    "bfloat16_logits": ("low precision",),
    "exponentials_unshifted": ("overflows", "underflows", "cancels"),
    "hidden_normalised": ("another formula",),
}

NOT_TOLD = ("weight_gradient_of_the_last_chunk",)

pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


# ---- sequence_cross_entropy


def _rows(logits: Tensor, targets: Tensor) -> Tensor:
    """[B, T] from logits [B, T, V] and their targets."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)


def _mean(rows: Tensor, counts: Tensor) -> Tensor:
    return torch.where(counts, rows, 0).sum() / counts.sum().clamp_min(1)


@pytorch("sequence_cross_entropy", reduction="token_mean", empty="zero")
def predicts_its_own_token(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    return _mean(_rows(logits[:, :-1], tokens[:, :-1]), mask[:, 1:])


@pytorch("sequence_cross_entropy", reduction="token_mean", empty="zero")
def mask_of_the_position_before(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    return _mean(_rows(logits[:, :-1], tokens[:, 1:]), mask[:, :-1])


@pytorch("sequence_cross_entropy", reduction="token_mean", empty="zero")
def mask_multiplied(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """0 · nan at padding that holds nan or inf."""
    counts = mask[:, 1:]
    return (_rows(logits[:, :-1], tokens[:, 1:]) * counts).sum() / counts.sum().clamp_min(1)


@pytorch("sequence_cross_entropy", reduction="token_mean", empty="zero")
def mask_behind_the_loss(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """The value is right; the softmax of padding still has a derivative, 0 · nan."""
    return _mean(_rows(logits[:, :-1], tokens[:, 1:]), mask[:, 1:])


def _safe(logits: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask[:, 1:, None], logits[:, :-1], 0)


@pytorch("sequence_cross_entropy", reduction="token_mean", empty="zero")
def mean_over_all_positions(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask[:, 1:], _rows(_safe(logits, mask), tokens[:, 1:]), 0).mean()


@pytorch("sequence_cross_entropy", reduction="token_mean", empty="zero")
def mean_of_sequence_means(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """Public: huggingface/transformers#34191, micro-batches of unequal token counts."""
    counts = mask[:, 1:]
    rows = torch.where(counts, _rows(_safe(logits, mask), tokens[:, 1:]), 0)
    return (rows.sum(1) / counts.sum(1).clamp_min(1)).mean()


@pytorch("sequence_cross_entropy", reduction="token_mean", empty="zero")
def empty_batch_divides_by_zero(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    counts = mask[:, 1:]
    return torch.where(counts, _rows(_safe(logits, mask), tokens[:, 1:]), 0).sum() / counts.sum()


class _Residual(torch.autograd.Function):
    """Cross-entropy [N] with a backward by hand."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, y: Tensor, kind: str) -> Tensor:
        ctx.save_for_backward(z, y)
        ctx.kind = kind
        return F.cross_entropy(z, y, reduction="none")

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:
        z, y = ctx.saved_tensors
        if ctx.kind == "local":
            p = torch.cat([part.softmax(-1) for part in z.split(2, dim=-1)], -1)
        else:
            p = z.softmax(-1)
        residual = p - F.one_hot(y, z.shape[-1])
        return (residual if ctx.kind == "ignored" else residual * cotangents[0][:, None]), None, None


@pytorch("sequence_cross_entropy", reduction="sum")
def upstream_gradient_ignored(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """Public: NVIDIA/TransformerEngine#2139."""
    counts = mask[:, 1:].flatten()
    rows = _Residual.apply(_safe(logits, mask).flatten(0, 1), tokens[:, 1:].flatten(), "ignored")
    return torch.where(counts, rows, 0).sum()


# ---- vocab_parallel_cross_entropy


def _shards(logits: Tensor) -> list[tuple[int, Tensor]]:
    width = max(1, (logits.shape[-1] + 1) // 2)
    return [(start, logits[:, start : start + width]) for start in range(0, logits.shape[-1], width)]


def _label(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.gather(-1, labels[:, None])[:, 0]


@pytorch("vocab_parallel_cross_entropy")
def one_shard_decides_the_shift(logits: Tensor, labels: Tensor) -> Tensor:
    """The maximum of the first shard alone: the others overflow."""
    m = _shards(logits)[0][1].detach().amax(-1)
    total = sum((shard - m[:, None]).exp().sum(-1) for _, shard in _shards(logits))
    return torch.as_tensor(total).log() - (_label(logits, labels) - m)


@pytorch("vocab_parallel_cross_entropy")
def label_without_its_offset(logits: Tensor, labels: Tensor) -> Tensor:
    """Each shard counts its classes from 0, and so does its label."""
    at = torch.zeros_like(logits[:, 0])
    for start, shard in _shards(logits):
        own = (labels >= start) & (labels < start + shard.shape[-1])
        at = torch.where(own, _label(shard, labels.clamp_max(shard.shape[-1] - 1)), at)
    return logits.logsumexp(-1) - at


@pytorch("vocab_parallel_cross_entropy")
def maximum_added_back(logits: Tensor, labels: Tensor) -> Tensor:
    parts = torch.stack([shard.logsumexp(-1) for _, shard in _shards(logits)], -1)
    return parts.logsumexp(-1) - _label(logits, labels)


@pytorch("vocab_parallel_cross_entropy")
def masked_shard_rescaled(logits: Tensor, labels: Tensor) -> Tensor:
    """−inf − (−inf) where every class of a shard is masked."""
    tops = [shard.amax(-1) for _, shard in _shards(logits)]
    m = torch.stack(tops, -1).amax(-1)
    total = torch.zeros_like(m)
    for top, (_, shard) in zip(tops, _shards(logits), strict=True):
        total = total + (shard - top[:, None]).exp().sum(-1) * (top - m).exp()
    return total.log() - (_label(logits, labels) - m)


@pytorch("vocab_parallel_cross_entropy")
def local_softmax_in_the_backward(logits: Tensor, labels: Tensor) -> Tensor:
    """Each shard's softmax sums to 1 by itself."""
    return _Residual.apply(logits, labels, "local")


# ---- fused_linear_cross_entropy


@pytorch("fused_linear_cross_entropy")
def chunks_added_up(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Public: NVIDIA-NeMo/Automodel#3803."""
    parts = zip(hidden.split(2), labels.split(2), strict=True)
    return torch.stack([F.cross_entropy(h @ weight.T, y, reduction="sum") for h, y in parts]).sum()


class _Fused(torch.autograd.Function):
    """Chunks of 16 rows, whose gradients are computed on the way forward."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, kind: str) -> Tensor:
        rows, residuals = [], []
        for h, y in zip(hidden.split(16), labels.split(16), strict=True):
            z = h @ weight.T
            rows.append(F.cross_entropy(z, y, reduction="none"))
            residuals.append(z.softmax(-1) - F.one_hot(y, z.shape[-1]))
        ctx.save_for_backward(hidden, weight, *residuals)
        ctx.kind = kind
        return torch.cat(rows)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, *residuals = ctx.saved_tensors
        residual = torch.cat(residuals) * cotangents[0][:, None]
        if ctx.kind == "last":
            last = len(residuals[-1])
            return residual @ weight, residual[-last:].T @ hidden[-last:], None, None
        return residual @ weight.flip(0), residual.T @ hidden, None, None


@pytorch("fused_linear_cross_entropy")
def weight_gradient_of_the_last_chunk(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Assigned where it should be added."""
    return _Fused.apply(hidden, weight, labels, "last")


@pytorch("fused_linear_cross_entropy")
def gradient_without_the_chunk(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """The rows of the weight in another order than the logits."""
    return _Fused.apply(hidden, weight, labels, "flipped")


@pytorch("fused_linear_cross_entropy")
def bfloat16_logits(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy((hidden @ weight.T).bfloat16().float(), labels, reduction="none")


@pytorch("fused_linear_cross_entropy")
def exponentials_unshifted(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    z = hidden @ weight.T
    return z.exp().sum(-1).log() - _label(z, labels)


@pytorch("fused_linear_cross_entropy")
def hidden_normalised(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(F.normalize(hidden, dim=-1) @ weight.T, labels, reduction="none")
