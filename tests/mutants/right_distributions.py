"""Right versions of js_divergence, z_loss and distillation in other styles: the harness blames none of them."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import rel_entr
from torch import Tensor

from lossproof import implements

Array = np.ndarray[Any, np.dtype[Any]]
pytorch = functools.partial(implements, framework="torch")
numpy = functools.partial(implements, framework="numpy")
HALVES = ["float16", "bfloat16"]


# ---- js_divergence


@pytorch("js_divergence")
def entropy_of_the_mean_minus_entropies(p: Tensor, q: Tensor) -> Tensor:
    live = q > 0
    own = torch.special.entr(torch.where(live, q, 1))
    return (torch.special.entr((p + q) / 2) - (torch.special.entr(p) + own) / 2).sum(-1)


@pytorch("js_divergence")
def mean_of_two_divergences(p: Tensor, q: Tensor) -> Tensor:
    m = p / 2 + q / 2
    log_m = torch.where(m > 0, m, 1).log()
    live, safe = q > 0, torch.where(q > 0, q, 1)
    of_p = torch.special.xlogy(p, p) - p * log_m
    of_q = torch.where(live, safe * (safe.log() - log_m), 0)
    return (of_p + of_q).sum(-1) / 2


@pytorch("js_divergence")
def mean_detached(p: Tensor, q: Tensor) -> Tensor:
    """The mean is the best of all reference distributions, so its derivative adds nothing but 1 − 1."""
    m = ((p + q) / 2).detach()
    log_m, safe = torch.where(m > 0, m, 1).log(), torch.where(q > 0, q, 1)
    of_q = torch.where(q > 0, safe * (safe.log() - log_m) - q + q.detach(), 0)
    return (torch.special.xlogy(p, p) - p * log_m + of_q).sum(-1) / 2


@numpy("js_divergence")
def relative_entropies(p: Array, q: Array) -> Array:
    """Public: scipy.spatial.distance.jensenshannon, before its root; the mean cannot underflow to 0."""
    m = np.maximum((p + q) / 2, np.finfo(p.dtype).smallest_subnormal)
    return (rel_entr(p, m) + rel_entr(q, m)).sum(axis=-1, dtype=p.dtype) / 2


@pytorch("js_divergence", dtypes=HALVES)
def divergence_in_float32(p: Tensor, q: Tensor) -> Tensor:
    return mean_of_two_divergences(p.float(), q.float()).to(q.dtype)


# ---- z_loss


@pytorch("z_loss")
def square_of_logsumexp(logits: Tensor, *, coefficient: float = 1e-4) -> Tensor:
    return coefficient * logits.logsumexp(-1).square()


@pytorch("z_loss")
def square_of_a_root_of_the_coefficient(logits: Tensor, *, coefficient: float = 1e-4) -> Tensor:
    return (math.sqrt(coefficient) * logits.logsumexp(-1)) ** 2


class _Fused(torch.autograd.Function):
    """In blocks of classes, with its backward by hand."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, coefficient: float) -> Tensor:
        parts = [block.logsumexp(-1) for block in logits.split(64, dim=-1)]
        log_total = torch.stack(parts, -1).logsumexp(-1)
        ctx.save_for_backward(logits, log_total)
        ctx.coefficient = coefficient
        return coefficient * log_total * log_total

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        logits, log_total = ctx.saved_tensors
        weight = 2 * ctx.coefficient * log_total * cotangents[0]
        return weight[:, None] * logits.softmax(-1), None


@pytorch("z_loss")
def blocks_with_a_backward(logits: Tensor, *, coefficient: float = 1e-4) -> Tensor:
    return _Fused.apply(logits, coefficient)


@pytorch("z_loss", dtypes=HALVES)
def z_loss_in_float32(logits: Tensor, *, coefficient: float = 1e-4) -> Tensor:
    return (coefficient * logits.float().logsumexp(-1).square()).to(logits.dtype)


# ---- distillation


@pytorch("distillation")
def kl_div_with_masks_filled(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    shut = teacher == -torch.inf
    log_q = F.log_softmax(student / temperature, dim=-1).masked_fill(shut, 0)
    log_p = F.log_softmax(teacher / temperature, dim=-1).masked_fill(shut, 0)
    p = F.softmax(teacher / temperature, dim=-1)
    # two terms, or p = 0 hides what only the student rules out
    rows = torch.where((p == 0) & (log_q == -torch.inf), torch.inf, p * (log_p - log_q))
    return temperature * temperature * rows.sum(-1)


class _Distilled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        s, t = student / temperature, teacher / temperature
        log_p, log_q = t.log_softmax(-1), s.log_softmax(-1)
        ctx.save_for_backward(log_p.exp(), log_q.exp())
        ctx.temperature = temperature
        shut = teacher == -torch.inf
        surprise = torch.where(shut, 0, log_p - log_q)
        terms = torch.where(surprise == torch.inf, surprise, log_p.exp() * surprise)
        return temperature**2 * terms.sum(-1)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:
        p, q = ctx.saved_tensors
        return ctx.temperature * (q - p) * cotangents[0][:, None], None, None


@pytorch("distillation")
def distilled_by_hand(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    return _Distilled.apply(student, teacher, temperature)


@pytorch("distillation", dtypes=HALVES)
def distilled_in_float32(student: Tensor, teacher: Tensor, *, temperature: float = 2.0) -> Tensor:
    return kl_div_with_masks_filled(student.float(), teacher.float(), temperature=temperature).to(
        student.dtype
    )
