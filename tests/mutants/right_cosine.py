"""Right cosine distances in other styles: the harness blames none of them."""

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


@pytorch("cosine_distance")
def one_minus_similarity(predictions: Tensor, targets: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(predictions, targets, dim=-1)


@pytorch("cosine_distance")
def dot_of_normalised(predictions: Tensor, targets: Tensor) -> Tensor:
    return 1 - (F.normalize(predictions, dim=-1) * F.normalize(targets, dim=-1)).sum(-1)


@pytorch("cosine_distance")
def half_the_squared_distance(predictions: Tensor, targets: Tensor) -> Tensor:
    apart = F.normalize(predictions, dim=-1) - F.normalize(targets, dim=-1)
    zero = (predictions == 0).all(-1) | (targets == 0).all(-1)
    return torch.where(zero, 1, apart.square().sum(-1) / 2)


@implements("cosine_distance", framework="numpy")
def double_where(predictions: Array, targets: Array) -> Array:
    """The quotient of the dot product and the lengths, with another denominator where that is 0."""
    lengths = np.linalg.norm(predictions, axis=-1) * np.linalg.norm(targets, axis=-1)
    dot = np.sum(predictions * targets, axis=-1)
    return 1 - np.where(lengths > 0, dot / np.where(lengths > 0, lengths, 1), 0).astype(predictions.dtype)


@pytorch("cosine_distance", dtypes=["float16", "bfloat16"])
def in_float32(predictions: Tensor, targets: Tensor) -> Tensor:
    return (1 - F.cosine_similarity(predictions.float(), targets.float(), dim=-1)).to(predictions.dtype)
