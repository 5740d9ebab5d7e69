"""torch.nn.functional and torch.special, bound as they are: a defect of the library is not repaired here.

Half formats are declared where one kernel computes in float32 and rounds once. Compositions that round in
between (logsumexp, an elementwise kernel and then a sum) can be checked in half formats with `--dtype`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

ALL = ["float64", "float32", "float16", "bfloat16"]


# ---- distributions of logits


@implements("logsumexp", framework="torch")
def logsumexp(logits: Tensor) -> Tensor:
    """torch.logsumexp → [N]."""
    return torch.logsumexp(logits, dim=-1)


@implements("softmax", framework="torch", dtypes=ALL)
def softmax(logits: Tensor) -> Tensor:
    """F.softmax → [N, V]."""
    return F.softmax(logits, dim=-1)


@implements("log_softmax", framework="torch", dtypes=ALL)
def log_softmax(logits: Tensor) -> Tensor:
    """F.log_softmax → [N, V]."""
    return F.log_softmax(logits, dim=-1)


# ---- entropies and divergences


@implements("entropy", framework="torch")
def entr(p: Tensor) -> Tensor:
    """torch.special.entr, summed over classes → [N]."""
    return torch.special.entr(p).sum(-1)


@implements("distribution_cross_entropy", framework="torch")
def xlogy(p: Tensor, q: Tensor) -> Tensor:
    """−torch.special.xlogy(p, q), summed over classes → [N]."""
    return -torch.special.xlogy(p, q).sum(-1)


@implements("kl_divergence", framework="torch")
def kl_div(p: Tensor, q: Tensor, *, reduction: str = "none") -> Tensor:
    """F.kl_div takes the logarithm of its first argument, and the target second: KL(target ‖ exp input).

    Its "none" keeps the classes, so they are summed here; "mean" divides by N·V, "batchmean" by N.
    """
    result = F.kl_div(torch.log(q), p, reduction=reduction)
    return result.sum(-1) if reduction == "none" else result


@implements("kl_divergence", framework="torch")
def kl_div_log_target(p: Tensor, q: Tensor, *, reduction: str = "none") -> Tensor:
    """F.kl_div with both arguments as logarithms: exp(log p) (log p − log q)."""
    result = F.kl_div(torch.log(q), torch.log(p), reduction=reduction, log_target=True)
    return result.sum(-1) if reduction == "none" else result


@implements("kl_divergence_from_logits", framework="torch")
def kl_div_of_log_softmax(a: Tensor, b: Tensor) -> Tensor:
    """F.kl_div of two log_softmax, as its documentation recommends → [N]."""
    log_p, log_q = F.log_softmax(a, dim=-1), F.log_softmax(b, dim=-1)
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)


# ---- labels


@implements("nll", framework="torch", dtypes=ALL)
def nll_loss(log_probs: Tensor, labels: Tensor) -> Tensor:
    """F.nll_loss → [N]."""
    return F.nll_loss(log_probs, labels, reduction="none")


@implements("cross_entropy", framework="torch", mean_over="weights")
def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weight: Tensor | None = None,
    ignore_index: int | None = None,
    reduction: str = "none",
) -> Tensor:
    """F.cross_entropy with class indices; its mean divides by the weights of the kept labels.

    F.cross_entropy has no "off" for ignore_index: its default is −100, which no label holds then.
    """
    ignored = -100 if ignore_index is None else ignore_index
    return F.cross_entropy(logits, labels, weight=class_weight, ignore_index=ignored, reduction=reduction)


@implements("cross_entropy", framework="torch", mean_over="weights")
def nll_loss_of_log_softmax(
    logits: Tensor,
    labels: Tensor,
    *,
    class_weight: Tensor | None = None,
    ignore_index: int | None = None,
    reduction: str = "none",
) -> Tensor:
    """F.nll_loss of F.log_softmax."""
    ignored = -100 if ignore_index is None else ignore_index
    log_probs = F.log_softmax(logits, dim=-1)
    return F.nll_loss(log_probs, labels, weight=class_weight, ignore_index=ignored, reduction=reduction)


@implements("cross_entropy", framework="torch")
def cross_entropy_one_hot(logits: Tensor, labels: Tensor) -> Tensor:
    """F.cross_entropy with one-hot targets as probabilities → [N]."""
    targets = F.one_hot(labels, logits.shape[-1]).to(logits.dtype)
    return F.cross_entropy(logits, targets, reduction="none")


@implements("soft_cross_entropy", framework="torch")
def cross_entropy_soft(logits: Tensor, targets: Tensor) -> Tensor:
    """F.cross_entropy with targets as probabilities → [N]."""
    return F.cross_entropy(logits, targets, reduction="none")


@implements("label_smoothing_cross_entropy", framework="torch", smoothing="all")
def cross_entropy_label_smoothing(
    logits: Tensor, labels: Tensor, *, epsilon: float = 0.1, reduction: str = "none"
) -> Tensor:
    """F.cross_entropy with label_smoothing, which gives ε/V to every class, the label's own included."""
    return F.cross_entropy(logits, labels, label_smoothing=epsilon, reduction=reduction)


# ---- squares


@implements("mse", framework="torch")
def mse_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """F.mse_loss, elementwise, then the mean over the last axis → [N]."""
    return F.mse_loss(prediction, target, reduction="none").mean(-1)


@implements("softmax_mse", framework="torch")
def mse_loss_of_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """F.mse_loss of F.softmax and one-hot labels, summed over classes → [N]."""
    targets = F.one_hot(labels, logits.shape[-1]).to(logits.dtype)
    return F.mse_loss(F.softmax(logits, dim=-1), targets, reduction="none").sum(-1)


# ---- language models


@implements("sequence_cross_entropy", framework="torch", empty="nan")
def cross_entropy_ignore_index(
    logits: Tensor, tokens: Tensor, mask: Tensor, *, reduction: str = "token_mean"
) -> Tensor:
    """F.cross_entropy of the next tokens, those that are masked set to its ignore_index, −100.

    Its mean divides by the targets that are left, and is nan where none is.
    """
    targets = tokens.masked_fill(~mask, -100)[:, 1:]
    how = "mean" if reduction == "token_mean" else reduction
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), reduction=how)


@implements("fused_linear_cross_entropy", framework="torch")
def linear_cross_entropy(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """F.linear_cross_entropy → [N]: by default F.cross_entropy of F.linear, not fused."""
    return F.linear_cross_entropy(hidden, weight, labels, reduction="none")


@implements("fused_linear_cross_entropy", framework="torch")
def linear_cross_entropy_chunked(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """F.linear_cross_entropy with options → [N]: chunks of 16 rows, their gradients computed on the way forward."""
    options = torch.nn.LinearCrossEntropyOptions(batch_chunk_size=16, allow_retain_graph=True)
    return F.linear_cross_entropy(hidden, weight, labels, reduction="none", options=options)


# ---- metric learning


@implements("triplet", framework="torch", squared=False)
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    margin: float = 1.0,
    power: int = 2,
    eps: float = 0.0,
    swap: bool = False,
) -> Tensor:
    """F.triplet_margin_loss → [N]: eps is added to each coordinate of a difference (1e-6 by its own default)."""
    return F.triplet_margin_loss(
        anchor, positive, negative, margin=margin, p=power, eps=eps, swap=swap, reduction="none"
    )


@implements("triplet", framework="torch", squared=False, power=2, eps=1e-6)
def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0, swap: bool = False
) -> Tensor:
    """F.triplet_margin_with_distance_loss with its own distance, torch.pairwise_distance with eps 1e-6 → [N]."""
    return F.triplet_margin_with_distance_loss(
        anchor, positive, negative, margin=margin, swap=swap, reduction="none"
    )
