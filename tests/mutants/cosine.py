"""Broken versions of cosine_distance, one mistake each.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

CAUGHT_BY = {
    "similarity_for_the_distance": ("accuracy", "law:zero_at_equal_vectors"),
    "targets_not_normalised": ("accuracy", "law:scale_invariance"),
    "zero_over_zero": ("finiteness", "law:one_at_a_zero_vector"),
    "epsilon_added_to_the_product": ("accuracy", "law:scale_invariance"),
    "squared_distance_not_halved": ("accuracy", "law:two_at_opposite_vectors"),
    "length_detached": ("gradient", "law:gradient_is_across_the_vector"),
    "angle_for_its_cosine": ("accuracy", "law:one_minus_the_cosine"),
    "each_with_the_next_target": ("accuracy", "batch_independence"),
}

KINDS = {
    "similarity_for_the_distance": ("constant added",),
    "targets_not_normalised": ("another formula",),
    "zero_over_zero": ("divides by zero",),
    "epsilon_added_to_the_product": ("epsilon added",),
    "squared_distance_not_halved": ("constant factor",),
    "length_detached": ("detached factor",),
    "angle_for_its_cosine": ("another formula",),
    "each_with_the_next_target": ("batch coupled",),
}

NOT_TOLD = ("length_detached",)

pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


def _unit(x: Tensor) -> Tensor:
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)


@pytorch("cosine_distance")
def similarity_for_the_distance(predictions: Tensor, targets: Tensor) -> Tensor:
    """Keras has the negative of it for its loss."""
    return -(_unit(predictions) * _unit(targets)).sum(-1)


@pytorch("cosine_distance")
def targets_not_normalised(predictions: Tensor, targets: Tensor) -> Tensor:
    return 1 - (_unit(predictions) * targets).sum(-1)


@pytorch("cosine_distance")
def zero_over_zero(predictions: Tensor, targets: Tensor) -> Tensor:
    dot = (predictions * targets).sum(-1)
    return 1 - dot / predictions.norm(dim=-1) / targets.norm(dim=-1)


@pytorch("cosine_distance")
def epsilon_added_to_the_product(predictions: Tensor, targets: Tensor) -> Tensor:
    dot = (predictions * targets).sum(-1)
    return 1 - dot / (predictions.norm(dim=-1) * targets.norm(dim=-1) + 1e-3)


@pytorch("cosine_distance")
def squared_distance_not_halved(predictions: Tensor, targets: Tensor) -> Tensor:
    apart = (_unit(predictions) - _unit(targets)).square().sum(-1)
    zero = (predictions == 0).all(-1) | (targets == 0).all(-1)
    return torch.where(zero, 1, apart)


@pytorch("cosine_distance")
def length_detached(predictions: Tensor, targets: Tensor) -> Tensor:
    lengths = predictions.norm(dim=-1) * targets.norm(dim=-1)
    return 1 - (predictions * targets).sum(-1) / lengths.detach().clamp_min(1e-16)


@pytorch("cosine_distance")
def angle_for_its_cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    """The angle over a right one: 0, 1 and 2 at the same places."""
    cosine = (_unit(predictions) * _unit(targets)).sum(-1).clamp(-1, 1)
    return torch.acos(cosine) * 2 / torch.pi


@pytorch("cosine_distance")
def each_with_the_next_target(predictions: Tensor, targets: Tensor) -> Tensor:
    return 1 - F.cosine_similarity(predictions, targets.roll(1, 0), dim=-1)
