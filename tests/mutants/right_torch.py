"""Right losses in other styles, in PyTorch: the harness blames none of them."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

pytorch = functools.partial(implements, framework="torch")
HALVES = ["float16", "bfloat16"]


# ---- logits


@pytorch("logsumexp")
def online_logsumexp(logits: Tensor) -> Tensor:
    """One block of 64 classes after another, rescaled whenever the maximum grows, as fused kernels do."""
    m, total = torch.full_like(logits[:, 0], -torch.inf), torch.zeros_like(logits[:, 0])
    for block in logits.split(64, dim=-1):
        new = torch.maximum(m, block.max(-1).values)
        safe = torch.where(new == -torch.inf, 0, new)
        before = torch.where(m == -torch.inf, 0, total * (m - safe).exp())
        total, m = before + (block - safe[:, None]).exp().sum(-1), new
    return torch.where(m == -torch.inf, m, m + total.log())


@pytorch("softmax")
def exp_of_log_softmax(logits: Tensor) -> Tensor:
    return logits.log_softmax(-1).exp()


@pytorch("softmax")
def maximum_not_detached(logits: Tensor) -> Tensor:
    """Public: KevinMusgrave/pytorch-metric-learning#282, reported as a bug and none."""
    e = (logits - logits.max(-1, keepdim=True).values).exp()
    return e / e.sum(-1, keepdim=True)


class _Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        p = logits.softmax(-1)
        ctx.save_for_backward(p)
        return p

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:
        (p,), (g,) = ctx.saved_tensors, cotangents
        return p * (g - (p * g).sum(-1, keepdim=True))


@pytorch("softmax")
def softmax_by_hand(logits: Tensor) -> Tensor:
    return _Softmax.apply(logits)


@pytorch("log_softmax")
def classes_first(logits: Tensor) -> Tensor:
    return F.log_softmax(logits.mT.contiguous(), dim=0).mT


@pytorch("log_softmax")
def shifted_logsumexp_subtracted(logits: Tensor) -> Tensor:
    d = logits - logits.detach().amax(-1, keepdim=True)
    return d - d.logsumexp(-1, keepdim=True)


@pytorch("log_softmax", dtypes=HALVES)
def float32_inside(logits: Tensor) -> Tensor:
    return logits.float().log_softmax(-1).to(logits.dtype)


@pytorch("softmax", dtypes=HALVES)
def softmax_in_float32(logits: Tensor) -> Tensor:
    return logits.softmax(-1, dtype=torch.float32).to(logits.dtype)


# ---- distributions


@pytorch("entropy")
def sum_of_entr(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1)


@pytorch("entropy", dtypes=HALVES)
def entropy_in_float32(p: Tensor) -> Tensor:
    return torch.special.entr(p.float()).sum(-1).to(p.dtype)


@pytorch("distribution_cross_entropy")
def nested_where(p: Tensor, q: Tensor) -> Tensor:
    safe = torch.where(p > 0, q, 1)
    return -torch.where(p > 0, p * torch.where(p > 0, safe.log(), 0), 0).sum(-1)


@pytorch("distribution_cross_entropy")
def only_the_support(p: Tensor, q: Tensor) -> Tensor:
    """Row by row, over the classes that p allows."""
    rows = [-(a[a > 0] * b[a > 0].log()).sum() for a, b in zip(p, q, strict=True)]
    return torch.stack(rows)


@pytorch("kl_divergence")
def log_difference_with_where(p: Tensor, q: Tensor) -> Tensor:
    live = p > 0
    difference = torch.where(live, p, 1).log() - torch.where(live, q, 1).log()
    return torch.where(live, p * difference, 0).sum(-1)


@pytorch("kl_divergence")
def kl_div_of_logs(p: Tensor, q: Tensor, *, reduction: str = "none") -> Tensor:
    """F.kl_div takes log q; where p forbids a class, log q is left out."""
    log_q = torch.where(p > 0, q, 1).log()
    if reduction == "none":
        return F.kl_div(log_q, p, reduction="none").sum(-1)
    return F.kl_div(log_q, p, reduction=reduction)


@pytorch("kl_divergence_from_logits")
def masked_filled(a: Tensor, b: Tensor) -> Tensor:
    shut = a == -torch.inf
    log_p, log_q = a.log_softmax(-1).masked_fill(shut, 0), b.log_softmax(-1).masked_fill(shut, 0)
    return (a.softmax(-1) * (log_p - log_q)).sum(-1)


# ---- labels


@pytorch("nll")
def gathered(log_probs: Tensor, labels: Tensor) -> Tensor:
    return -log_probs.gather(-1, labels.unsqueeze(-1)).squeeze(-1)


@pytorch("nll")
def index_selected(log_probs: Tensor, labels: Tensor) -> Tensor:
    places = torch.arange(len(labels), device=labels.device) * log_probs.shape[-1] + labels
    return -log_probs.flatten().index_select(0, places)


@pytorch("nll")
def one_hot_where(log_probs: Tensor, labels: Tensor) -> Tensor:
    return -torch.where(F.one_hot(labels, log_probs.shape[-1]).bool(), log_probs, 0).sum(-1)


@pytorch("cross_entropy")
def one_hot_of_log_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    own = torch.arange(logits.shape[-1], device=logits.device) == labels[:, None]
    return -torch.where(own, logits.log_softmax(-1), torch.zeros_like(logits)).sum(-1)


@pytorch("cross_entropy")
def shifted_first(logits: Tensor, labels: Tensor) -> Tensor:
    """logsumexp − z_y after the maximum is subtracted, not detached."""
    d = logits - logits.max(-1, keepdim=True).values
    return d.logsumexp(-1) - d.gather(-1, labels[:, None])[:, 0]


class _Chunked(torch.autograd.Function):
    """Online softmax over chunks of two classes, with its backward by hand."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        m = torch.full_like(logits[:, 0], -torch.inf)
        total = torch.zeros_like(m)
        for z in logits.split(2, dim=-1):
            new = torch.maximum(m, z.amax(-1))
            safe = torch.where(new == -torch.inf, 0, new)
            total = total * (m - safe).exp() + (z - safe[:, None]).exp().sum(-1)
            m = new
        ctx.save_for_backward(logits, labels, m, total)
        return total.log() - (logits.gather(-1, labels[:, None])[:, 0] - m)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        logits, labels, m, total = ctx.saved_tensors
        p = (logits - m[:, None]).exp() / total[:, None]
        p = p.scatter_add(-1, labels[:, None], -torch.ones_like(p[:, :1]))
        return p * cotangents[0][:, None], None


@pytorch("cross_entropy")
def online_with_a_backward(logits: Tensor, labels: Tensor) -> Tensor:
    return _Chunked.apply(logits, labels)


@pytorch("cross_entropy")
def chunks_of_rows(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weight: Tensor | None = None,
    ignore_index: int | None = None,
    reduction: str = "none",
    mean_over: str = "weights",
) -> Tensor:
    """Micro-batches of two rows, joined or added up before anything is divided."""
    ignored = -100 if ignore_index is None else ignore_index
    rows = torch.cat(
        [
            F.cross_entropy(z, y, class_weight, ignore_index=ignored, reduction="none")
            for z, y in zip(logits.split(2), labels.split(2), strict=True)
        ]
    )
    if reduction == "none":
        return rows
    if reduction == "sum":
        return rows.sum()
    kept = labels != ignored
    if class_weight is not None and mean_over == "weights":
        return rows.sum() / torch.where(kept, class_weight[labels.clamp_min(0)], 0).sum()
    return rows.sum() / kept.sum()


@pytorch("cross_entropy", dtypes=HALVES)
def cross_entropy_in_float32(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.float(), labels, reduction="none").to(logits.dtype)


@pytorch("cross_entropy", dtypes=["float32"])
def float64_inside(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits.double(), labels, reduction="none").float()


@pytorch("cross_entropy", reduction="mean")
def mean_as_a_dot_product(logits: Tensor, labels: Tensor) -> Tensor:
    rows = F.cross_entropy(logits, labels, reduction="none")
    return rows @ torch.full_like(rows, 1 / len(rows))


@pytorch("soft_cross_entropy")
def einsum_of_targets(logits: Tensor, targets: Tensor) -> Tensor:
    log_p = torch.where(targets > 0, logits.log_softmax(-1), 0)
    return -torch.einsum("nv,nv->n", targets, log_p)


@pytorch("soft_cross_entropy")
def batched_matrix_product(logits: Tensor, targets: Tensor) -> Tensor:
    log_p = logits.log_softmax(-1).masked_fill(targets == 0, 0)
    return -(targets[:, None, :] @ log_p[:, :, None])[:, 0, 0]


@pytorch("label_smoothing_cross_entropy", smoothing="all")
def mixture_of_two_losses(
    logits: Tensor, labels: Tensor, *, epsilon: float = 0.1, reduction: str = "none"
) -> Tensor:
    """(1 − ε) CE + ε mean(−log p)."""
    log_p = logits.log_softmax(-1)
    rows = (1 - epsilon) * F.nll_loss(log_p, labels, reduction="none")
    if epsilon > 0:
        rows = rows - epsilon * log_p.mean(-1)
    return rows if reduction == "none" else getattr(rows, reduction)()


@pytorch("label_smoothing_cross_entropy", smoothing="others")
def smoothed_targets_scattered(logits: Tensor, labels: Tensor, *, epsilon: float = 0.1) -> Tensor:
    classes = logits.shape[-1]
    targets = torch.full_like(logits, epsilon / (classes - 1) if classes > 1 else 1.0)
    if classes > 1:
        targets = targets.scatter(-1, labels[:, None], 1 - epsilon)
    return -(targets * logits.log_softmax(-1).masked_fill(targets == 0, 0)).sum(-1)


# ---- squares


@pytorch("mse")
def squared_norm(prediction: Tensor, target: Tensor) -> Tensor:
    """‖x − t‖²/D as a dot product, without a root."""
    d = prediction - target
    return torch.linalg.vecdot(d, d) / d.shape[-1]


@pytorch("mse")
def mse_loss_of_rows(prediction: Tensor, target: Tensor) -> Tensor:
    return F.mse_loss(prediction, target, reduction="none").mean(-1)


@pytorch("mse", dtypes=HALVES)
def mse_in_float32(prediction: Tensor, target: Tensor) -> Tensor:
    return (prediction.float() - target.float()).square().mean(-1).to(prediction.dtype)


@pytorch("mse", dtypes=["float32"])
def scaled_by_a_constant(prediction: Tensor, target: Tensor) -> Tensor:
    """(x − t)²/D as ((x − t)/√D)²."""
    return ((prediction - target) * (1 / math.sqrt(prediction.shape[-1]))).square().sum(-1)


@pytorch("softmax_mse")
def brier_by_mse(logits: Tensor, labels: Tensor) -> Tensor:
    y = F.one_hot(labels, logits.shape[-1]).to(logits.dtype)
    return F.mse_loss(logits.softmax(-1), y, reduction="none").sum(-1)


@pytorch("softmax_mse", dtypes=HALVES)
def brier_in_float32(logits: Tensor, labels: Tensor) -> Tensor:
    p = logits.softmax(-1, dtype=torch.float32)
    return (p - F.one_hot(labels, p.shape[-1])).square().sum(-1).to(logits.dtype)
