"""torch.nn.functional and torch.special, bound as they are: a defect of the library is not repaired here.

Half formats are declared where one kernel computes in float32 and rounds once. Compositions that round in
between (logsumexp, an elementwise kernel and then a sum) can be checked in half formats with `--dtype`.

Not bound: F.binary_cross_entropy, which takes probabilities and raises for a nan in any row.
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


@implements("multi_margin", framework="torch", over_classes="mean")
def multi_margin_loss(scores: Tensor, labels: Tensor, *, margin: float = 1.0, power: int = 1) -> Tensor:
    """F.multi_margin_loss → [N]: the mean over all V classes; p is the power, 1 or 2."""
    return F.multi_margin_loss(scores, labels, p=power, margin=margin, reduction="none")


# ---- two classes


@implements("bce_with_logits", framework="torch")
def binary_cross_entropy_with_logits(logits: Tensor, targets: Tensor, *, pos_weight: float = 1.0) -> Tensor:
    """F.binary_cross_entropy_with_logits → [N]; pos_weight is a tensor there, and off by default."""
    weight = None if pos_weight == 1 else torch.tensor(pos_weight, dtype=logits.dtype, device=logits.device)
    return F.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight, reduction="none")


@implements("bce_with_logits", framework="torch")
def logsigmoid(logits: Tensor, targets: Tensor, *, pos_weight: float = 1.0) -> Tensor:
    """−F.logsigmoid of x and −x, weighted by the target → [N]."""
    return -pos_weight * targets * F.logsigmoid(logits) - (1 - targets) * F.logsigmoid(-logits)


@implements("bce_with_logits", framework="torch", pos_weight=1.0)
def multilabel_soft_margin_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """F.multilabel_soft_margin_loss, a mean over classes, of one class → [N]."""
    return F.multilabel_soft_margin_loss(logits[:, None], targets[:, None], reduction="none")


@implements("hinge", framework="torch")
def margin_ranking_loss(scores: Tensor, targets: Tensor, *, margin: float = 1.0) -> Tensor:
    """F.margin_ranking_loss of the scores and 0 → [N]: max(0, −t (x − 0) + m)."""
    return F.margin_ranking_loss(scores, torch.zeros_like(scores), targets, margin=margin, reduction="none")


# ---- distributions and logits


@implements("js_divergence", framework="torch")
def kl_div_from_the_mean(p: Tensor, q: Tensor) -> Tensor:
    """The mean of F.kl_div of p and of q from the logarithm of their mean → [N]."""
    log_m = torch.log((p + q) / 2)
    return (F.kl_div(log_m, p, reduction="none") + F.kl_div(log_m, q, reduction="none")).sum(-1) / 2


@implements("z_loss", framework="torch")
def squared_logsumexp(logits: Tensor, *, coefficient: float = 1e-4) -> Tensor:
    """The square of torch.logsumexp → [N]."""
    return coefficient * torch.logsumexp(logits, dim=-1).square()


@implements("distillation", framework="torch")
def kl_div_of_softened(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    """F.kl_div of F.log_softmax(student/T) and F.softmax(teacher/T), times T², as tutorials have it → [N]."""
    log_q, p = F.log_softmax(student / temperature, dim=-1), F.softmax(teacher / temperature, dim=-1)
    return temperature**2 * F.kl_div(log_q, p, reduction="none").sum(-1)


# ---- preferences


def _margin(c: Tensor, r: Tensor, reference_c: Tensor, reference_r: Tensor, beta: float) -> Tensor:
    return beta * ((c - r) - (reference_c - reference_r))


@implements("dpo", framework="torch")
def logsigmoid_of_margin(
    c: Tensor,
    r: Tensor,
    reference_c: Tensor,
    reference_r: Tensor,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
) -> Tensor:
    """−F.logsigmoid of ±β times the margin, weighted by the smoothing, as reference code has it → [N]."""
    z = _margin(c, r, reference_c, reference_r, beta)
    return -F.logsigmoid(z) * (1 - label_smoothing) - F.logsigmoid(-z) * label_smoothing


@implements("dpo", framework="torch", label_smoothing=0.0)
def soft_margin_loss(
    c: Tensor, r: Tensor, reference_c: Tensor, reference_r: Tensor, *, beta: float = 0.1
) -> Tensor:
    """F.soft_margin_loss of β times the margin, with the target 1 → [N]: log(1 + exp(−z))."""
    z = _margin(c, r, reference_c, reference_r, beta)
    return F.soft_margin_loss(z, torch.ones_like(z), reduction="none")


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


@implements("cosine_distance", framework="torch")
def cosine_similarity(predictions: Tensor, targets: Tensor) -> Tensor:
    """1 − F.cosine_similarity → [N]; lengths below 1e-8 count as that there."""
    return 1 - F.cosine_similarity(predictions, targets, dim=-1)


@implements("cosine_distance", framework="torch")
def cosine_embedding_loss(predictions: Tensor, targets: Tensor) -> Tensor:
    """F.cosine_embedding_loss of pairs that are all similar → [N]."""
    alike = torch.ones(len(predictions), dtype=predictions.dtype, device=predictions.device)
    return F.cosine_embedding_loss(predictions, targets, alike, reduction="none")


@implements("contrastive", framework="torch", squared=False, factor=1.0)
def hinge_embedding_loss(x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0) -> Tensor:
    """F.hinge_embedding_loss of F.pairwise_distance without its eps, with the targets −1 and 1 → [N]."""
    return F.hinge_embedding_loss(
        F.pairwise_distance(x1, x2, eps=0), 2 * y - 1, margin=margin, reduction="none"
    )


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
