"""Right contrastive and triplet losses in other styles: the harness blames none of them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

Array = np.ndarray[Any, np.dtype[Any]]
pytorch = functools.partial(implements, framework="torch")


@pytorch("contrastive")
def norm_of_the_difference(
    x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0
) -> Tensor:
    """PyTorch gives the norm of 0 the derivative 0."""
    d = torch.linalg.vector_norm(x1 - x2, dim=-1)
    return factor * torch.where(y == 1, (x1 - x2).square().sum(-1), F.relu(margin - d).square())


@pytorch("contrastive")
def with_and_without_squares(
    x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0, squared: bool = True
) -> Tensor:
    d = torch.linalg.vector_norm(x1 - x2, dim=-1)
    rows = y * d + (1 - y) * F.relu(margin - d)
    return factor * (rows * rows if squared else rows)


@pytorch("contrastive")
def pairs_apart_by_kind(
    x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0
) -> Tensor:
    """The similar pairs and the others each by themselves."""
    out = torch.zeros_like(x1[:, 0])
    out = out.masked_scatter(y == 1, (x1 - x2)[y == 1].square().sum(-1))
    d = (x1 - x2)[y == 0].norm(dim=-1)
    return factor * out.masked_scatter(y == 0, (margin - d).clamp_min(0) ** 2)


@implements("contrastive", framework="numpy")
def pairs_by_einsum(x1: Array, x2: Array, y: Array, *, margin: float = 1.0, factor: float = 1.0) -> Array:
    d = x1 - x2
    square = np.einsum("nd,nd->n", d, d)
    lack = np.maximum(x1.dtype.type(margin) - np.sqrt(square), 0)
    return x1.dtype.type(factor) * np.where(y == 1, square, lack * lack)


@pytorch("triplet")
def relu_of_norms(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    margin: float = 1.0,
    power: int = 2,
    eps: float = 0.0,
    swap: bool = False,
) -> Tensor:
    near = torch.linalg.vector_norm(anchor - positive + eps, ord=power, dim=-1)
    far = torch.linalg.vector_norm(anchor - negative + eps, ord=power, dim=-1)
    if swap:
        far = torch.minimum(far, torch.linalg.vector_norm(positive - negative + eps, ord=power, dim=-1))
    return F.relu(margin + near - far)


@pytorch("triplet", squared=True)
def squared_distances(anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0) -> Tensor:
    near, far = (anchor - positive).square().sum(-1), (anchor - negative).square().sum(-1)
    return (near - far + margin).clamp_min(0)


@pytorch("triplet", dtypes=["float16", "bfloat16"])
def triplets_in_float32(anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0) -> Tensor:
    a, p, n = anchor.float(), positive.float(), negative.float()
    return F.relu((a - p).norm(dim=-1) - (a - n).norm(dim=-1) + margin).to(anchor.dtype)
