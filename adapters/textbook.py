"""Losses with the mistakes that people really make, one mistake each, named for it.

For demonstration: `lossproof check textbook` finds every one. The last line of a docstring names the check
that is expected to find it first. None of this is to be copied; adapters/portable is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

DEMONSTRATION = True

Array = np.ndarray[Any, np.dtype[Any]]


def _at(x: Array, labels: Array) -> Array:
    return np.take_along_axis(x, labels[:, None], axis=-1)[:, 0]


def _softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _log_softmax(z: Array) -> Array:
    d = z - z.max(axis=-1, keepdims=True)
    return d - np.log(np.exp(d).sum(axis=-1, keepdims=True))


# ---- softmax and its logarithm


@implements("softmax", framework="numpy")
def no_maximum_shift(logits: Array) -> Array:
    """exp overflows past z = 88.7 in float32, and inf/inf is nan (pytorch/pytorch#77529 is its binary form).

    Caught by: accuracy, finiteness.
    """
    e = np.exp(logits)
    return e / e.sum(axis=-1, keepdims=True)


@implements("logsumexp", framework="numpy")
def log_of_unshifted_sum(logits: Array) -> Array:
    """log Σ exp z overflows to inf, and underflows to −inf.

    Public: google-deepmind/optax#946 (exp(sim/τ) without a shift). Caught by: accuracy, finiteness.
    """
    return np.log(np.exp(logits).sum(axis=-1))


@implements("log_softmax", framework="numpy")
def log_of_softmax(logits: Array) -> Array:
    """A probability that underflows gives log 0 = −inf, where the truth is about −104 or less.

    Public: NVIDIA/Megatron-LM#7464 and its siblings. Caught by: accuracy.
    """
    return np.log(_softmax(logits))


@implements("log_softmax", framework="torch")
def one_maximum_for_the_batch(logits: Tensor) -> Tensor:
    """Rows far below the largest logit of the whole batch underflow to log 0.

    Public: google-deepmind/optax#946 shifts no row. Caught by: accuracy, batch independence.
    """
    d = logits - logits.max()
    return d - d.exp().sum(-1, keepdim=True).log()


@implements("softmax", framework="torch")
def softmax_over_the_batch(logits: Tensor) -> Tensor:
    """The wrong axis: each class is normalised over the rows.

    Caught by: accuracy, batch independence, the law that it sums to 1.
    """
    return F.softmax(logits, dim=0)


# ---- cross-entropy


@implements("cross_entropy", framework="numpy")
def epsilon_in_log(logits: Array, labels: Array) -> Array:
    """−log(p_y + 1e-12) saturates at 27.63, however wrong the model is.

    Public: keras-team/keras#15249, Alibaba-MIIL/ASL#53. Caught by: accuracy.
    """
    return -np.log(_at(_softmax(logits), labels) + logits.dtype.type(1e-12))


@implements("cross_entropy", framework="numpy")
def clipped_probabilities(logits: Array, labels: Array) -> Array:
    """Clipping to [1e-7, 1 − 1e-7] saturates at 16.1 and leaves 1e-7 of loss where there is none.

    Public: keras-team/keras#9247, keras-team/keras#377. Caught by: accuracy.
    """
    return -np.log(np.clip(_at(_softmax(logits), labels), 1e-7, 1 - 1e-7))


@implements("cross_entropy", framework="numpy")
def maximum_added_back_first(logits: Array, labels: Array) -> Array:
    """log Σ exp(z − m) + m − z_y cancels under a common offset; log Σ exp(z − m) − (z_y − m) does not.

    Public: google-deepmind/optax#1792, ml-explore/mlx#4188, pytorch/pytorch#195829. Caught by: accuracy.
    """
    m = logits.max(axis=-1)
    return np.log(np.exp(logits - m[:, None]).sum(axis=-1)) + m - _at(logits, labels)


@implements("cross_entropy", framework="torch")
def one_hot_times_log_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """0 · (−inf) = nan as soon as any class is masked with −inf.

    Public: optax.softmax_cross_entropy, F.cross_entropy with soft targets. Caught by: accuracy, finiteness.
    """
    one_hot = F.one_hot(labels, logits.shape[-1]).to(logits.dtype)
    return -(one_hot * F.log_softmax(logits, dim=-1)).sum(-1)


@implements("cross_entropy", framework="torch")
def softmax_applied_twice(logits: Tensor, labels: Tensor) -> Tensor:
    """Probabilities handed to a function that takes logits: the loss cannot fall below log(1 + (V − 1)/e).

    Caught by: accuracy.
    """
    return F.cross_entropy(F.softmax(logits, dim=-1), labels, reduction="none")


@implements("cross_entropy", framework="numpy")
def shift_in_place(logits: Array, labels: Array) -> Array:
    """The value is right, and the caller's logits are not the same afterwards. Caught by: purity."""
    logits -= logits.max(axis=-1, keepdims=True)
    return np.log(np.exp(logits).sum(axis=-1)) - _at(logits, labels)


@implements("cross_entropy", framework="torch", dtypes=["float32"])
def bfloat16_inside(logits: Tensor, labels: Tensor) -> Tensor:
    """float32 in, float32 out, and 8 bits in between, as under autocast. Caught by: accuracy."""
    return F.cross_entropy(logits.bfloat16(), labels, reduction="none").to(logits.dtype)


@implements("cross_entropy", framework="torch")
def dropout_left_on(logits: Tensor, labels: Tensor) -> Tensor:
    """The same call gives another loss each time. Caught by: determinism, accuracy."""
    return F.cross_entropy(F.dropout(logits, 0.5), labels, reduction="none")


class _ForgetsCotangent(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        log_p = F.log_softmax(logits, dim=-1)
        ctx.save_for_backward(log_p, labels)
        return F.nll_loss(log_p, labels, reduction="none")

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        log_p, labels = ctx.saved_tensors
        return log_p.exp() - F.one_hot(labels, log_p.shape[-1]).to(log_p.dtype), None


@implements("cross_entropy", framework="torch")
def backward_without_cotangent(logits: Tensor, labels: Tensor) -> Tensor:
    """A hand-written backward that returns p − onehot and ignores what comes from above.

    Public: NVIDIA/TransformerEngine#2139, pytorch/pytorch#11750. Caught by: gradient.
    """
    return _ForgetsCotangent.apply(logits, labels)


# ---- reductions


@implements("cross_entropy", framework="numpy", reduction="mean")
def mean_over_ignored_rows(logits: Array, labels: Array, *, ignore_index: int | None = None) -> Array:
    """Ignored rows add 0 to the sum and still count in the denominator. Caught by: accuracy."""
    kept = np.ones(labels.shape, dtype=bool) if ignore_index is None else labels != ignore_index
    rows = -_at(_log_softmax(logits), np.where(kept, labels, 0))
    return np.where(kept, rows, 0).mean()


@implements("cross_entropy", framework="numpy", reduction="mean", mean_over="weights")
def weighted_sum_over_rows(logits: Array, labels: Array, *, class_weight: Array | None = None) -> Array:
    """Σ w l / N, declared as the weighted mean Σ w l / Σ w.

    Public: pytorch/pytorch#61309, #40560. Caught by: accuracy.
    """
    rows = -_at(_log_softmax(logits), labels)
    return (rows if class_weight is None else rows * class_weight[labels]).mean()


@implements("cross_entropy", framework="torch", reduction="mean")
def mean_of_micro_batch_means(logits: Tensor, labels: Tensor) -> Tensor:
    """Micro-batches of two rows count alike, also the last one with a single row.

    Public: huggingface/transformers#34191, NVIDIA-NeMo/Automodel#3803. Caught by: accuracy (an odd N).
    """
    means = [F.cross_entropy(z, y) for z, y in zip(logits.split(2), labels.split(2), strict=True)]
    return torch.stack(means).mean()


@implements("cross_entropy", framework="torch")
def mean_whatever_the_reduction(logits: Tensor, labels: Tensor, *, reduction: str = "none") -> Tensor:
    """Takes `reduction` and forgets it: one number for the batch. Caught by: shape."""
    return F.cross_entropy(logits, labels)


# ---- label smoothing


@implements("label_smoothing_cross_entropy", framework="numpy", smoothing="others")
def smoothing_over_all_classes(logits: Array, labels: Array, *, epsilon: float = 0.1) -> Array:
    """Declared ε/(V − 1) for the other classes, computed ε/V for all of them.

    Public: facebookresearch/fairseq#3182, fastai/fastai#1814. Caught by: accuracy.
    """
    log_p = _log_softmax(logits)
    return -(1 - epsilon) * _at(log_p, labels) - epsilon * log_p.mean(axis=-1)


@implements("label_smoothing_cross_entropy", framework="numpy", smoothing="all")
def smoothing_over_other_classes(logits: Array, labels: Array, *, epsilon: float = 0.1) -> Array:
    """Declared ε/V for all classes, computed ε/(V − 1) for the others.

    Public: as above. Caught by: accuracy.
    """
    log_p = _log_softmax(logits)
    others = log_p.sum(axis=-1) - _at(log_p, labels)
    return -(1 - epsilon) * _at(log_p, labels) - epsilon * others / max(logits.shape[-1] - 1, 1)


# ---- entropies and divergences


@implements("entropy", framework="numpy")
def zero_log_zero(p: Array) -> Array:
    """0 · log 0 = 0 · (−inf) = nan for every one-hot distribution. Caught by: accuracy, finiteness."""
    return -(p * np.log(p)).sum(axis=-1)


@implements("distribution_cross_entropy", framework="numpy")
def clamped_log(p: Array, q: Array) -> Array:
    """max(log q, −100): a class that q forbids costs 100 and not inf.

    Public: pytorch/pytorch#103316 (F.binary_cross_entropy). Caught by: accuracy.
    """
    return -(p * np.maximum(np.log(q), -100)).sum(axis=-1)


@implements("kl_divergence", framework="numpy")
def swapped_arguments(p: Array, q: Array) -> Array:
    """KL(q ‖ p) for KL(p ‖ q): the order of F.kl_div's arguments. Caught by: accuracy."""
    live = q > 0
    ratio = np.where(live, q, 1) / np.where(live, p, 1)
    return (q * np.log(ratio)).sum(axis=-1)


@implements("kl_divergence", framework="numpy")
def epsilon_in_ratio(p: Array, q: Array) -> Array:
    """Σ p log((p + 1e-6)/(q + 1e-6)) is finite where KL is infinite, and wrong near it.

    Caught by: accuracy.
    """
    epsilon = p.dtype.type(1e-6)
    return (p * np.log((p + epsilon) / (q + epsilon))).sum(axis=-1)


@implements("kl_divergence", framework="torch", reduction="batchmean")
def mean_for_batchmean(p: Tensor, q: Tensor) -> Tensor:
    """The mean over rows and classes, declared as the mean over rows: V times too small.

    Public: F.kl_div's own "mean", against which its documentation warns. Caught by: accuracy.
    """
    return (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).mean()


@implements("kl_divergence_from_logits", framework="torch")
def where_after_the_product(a: Tensor, b: Tensor) -> Tensor:
    """The value is right under a mask, and the gradient is nan: `where` hides the nan, its backward meets it.

    Public: torch.distributions.kl (pytorch/pytorch#15288), google-deepmind/optax#1762. Caught by: gradient.
    """
    log_p, log_q = F.log_softmax(a, dim=-1), F.log_softmax(b, dim=-1)
    p = log_p.exp()
    return torch.where(p > 0, p * (log_p - log_q), 0).sum(-1)


# ---- squares


@implements("mse", framework="torch")
def compares_every_pair(prediction: Tensor, target: Tensor) -> Tensor:
    """(D, 1) against (D,) broadcasts to (D, D), so that the loss of x with itself is not 0.

    Public: pytorch/pytorch#16045, #19699. Caught by: accuracy, and the law that it is 0 where they are equal.
    """
    return (prediction[:, :, None] - target[:, None, :]).square().mean((-2, -1))


@implements("mse", framework="torch")
def axis_kept(prediction: Tensor, target: Tensor) -> Tensor:
    """[N, 1] for [N], which broadcasts to [N, N] in the caller's next line. Caught by: shape."""
    return (prediction - target).square().mean(-1, keepdim=True)


@implements("mse", framework="numpy", dtypes=["float32"])
def float64_out(prediction: Array, target: Array) -> Array:
    """float32 in, float64 out. Caught by: dtype."""
    return np.square(prediction.astype(np.float64) - target).mean(axis=-1)
