"""Right versions of dpo and grpo_kl in other styles: the harness blames none of them."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

pytorch = functools.partial(implements, framework="torch")
HALVES = ["float16", "bfloat16"]


# ---- dpo


@pytorch("dpo")
def log_sigmoid_of_model_ratios(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> Tensor:
    """As the reference code of the paper has it: each model's ratio of the answers, then their difference."""
    logits = (c - r) - (ref_c - ref_r)
    rows = -F.logsigmoid(beta * logits) * (1 - label_smoothing)
    return rows - F.logsigmoid(-beta * logits) * label_smoothing if label_smoothing else rows


@pytorch("dpo")
def difference_of_rewards(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> Tensor:
    """Each answer's ratio of the models, as a reward, then their difference."""
    z = beta * ((c - ref_c) - (r - ref_r))
    rows = (1 - label_smoothing) * F.softplus(-z, threshold=60)
    return rows + label_smoothing * F.softplus(z, threshold=60) if label_smoothing else rows


class _Dpo(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, c: Tensor, r: Tensor, reference: Tensor, beta: float) -> Tensor:
        z = beta * ((c - r) - reference)
        ctx.save_for_backward(z)
        ctx.beta = beta
        return (-z).clamp_min(0) + (-z.abs()).exp().log1p()

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (z,) = ctx.saved_tensors
        slope = -ctx.beta * (-z).sigmoid() * cotangents[0]
        return slope, -slope, None, None


@pytorch("dpo", label_smoothing=0.0)
def with_a_backward(c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1) -> Tensor:
    return _Dpo.apply(c, r, ref_c - ref_r, beta)


@pytorch("dpo")
def without_smoothing(c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1) -> Tensor:
    return F.softplus(-beta * ((c - r) - (ref_c - ref_r)), threshold=60)


@pytorch("dpo", dtypes=HALVES)
def dpo_in_float32(
    c: Tensor, r: Tensor, ref_c: Tensor, ref_r: Tensor, *, beta: float = 0.1, label_smoothing: float = 0.0
) -> Tensor:
    wide = (x.float() for x in (c, r, ref_c, ref_r))
    return log_sigmoid_of_model_ratios(*wide, beta=beta, label_smoothing=label_smoothing).to(c.dtype)


# ---- grpo_kl


@pytorch("grpo_kl")
def by_name(policy: Tensor, reference: Tensor, *, estimator: str = "k3") -> Tensor:
    ratio = policy - reference
    if estimator == "k1":
        return ratio
    return ratio**2 / 2 if estimator == "k2" else torch.expm1(-ratio) + ratio


@pytorch("grpo_kl", estimator="k3")
def series_near_zero(policy: Tensor, reference: Tensor) -> Tensor:
    """d² (1/2 + d/6 + …) where exp(d) − 1 − d would cancel, which is more than is asked."""
    d = reference - policy
    near = d.abs() < 0.5
    x = torch.where(near, d, 0)
    series = torch.zeros_like(x)
    for k in range(20, 1, -1):
        series = (series * x + 1) / k
    return torch.where(near, x * x * series, torch.where(near, 1.0, d).expm1() - d)


class _K3(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, policy: Tensor, reference: Tensor) -> Tensor:
        d = reference - policy
        e = d.expm1()
        ctx.save_for_backward(e)
        return e - d

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        (e,) = ctx.saved_tensors
        return -e * cotangents[0], None


@pytorch("grpo_kl", estimator="k3")
def k3_with_a_backward(policy: Tensor, reference: Tensor) -> Tensor:
    return _K3.apply(policy, reference)


@pytorch("grpo_kl", dtypes=["float32"], estimator="k3")
def float64_inside(policy: Tensor, reference: Tensor) -> Tensor:
    d = reference.double() - policy.double()
    return (d.expm1() - d).float()


@pytorch("grpo_kl", dtypes=HALVES)
def grpo_kl_in_float32(policy: Tensor, reference: Tensor, *, estimator: str = "k3") -> Tensor:
    return by_name(policy.float(), reference.float(), estimator=estimator).to(policy.dtype)
