"""Broken versions of contrastive and triplet, one mistake each.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

CAUGHT_BY = {
    "similar_and_dissimilar_exchanged": ("accuracy", "law:coincident_similar_pair_is_free"),
    "lack_not_squared": ("accuracy", "law:scales_with_the_margin"),
    "squared_distance_under_the_margin": ("accuracy", "law:scales_with_the_margin"),
    "root_of_zero": ("gradient", "finiteness", "law:coincident_pairs_have_no_gradient"),
    "epsilon_under_the_root": ("accuracy",),
    "half_whatever_the_factor": ("accuracy", "law:factor_multiplies"),
    "cosine_distance_for_the_euclidean": ("accuracy", "law:translation"),
    "squared_though_it_is_said_not_to_be": ("accuracy", "law:similar_pairs_pay_the_distance"),
    "second_vector_detached": ("gradient", "law:gradients_are_opposite"),
    "margin_with_the_wrong_sign": ("accuracy", "law:collapsed_points_pay_the_margin"),
    "squared_for_plain": ("accuracy",),
    "root_of_zero_in_a_triplet": ("gradient", "finiteness"),
    "swap_takes_the_larger": ("accuracy", "law:swap_never_lowers"),
    "swapped_without_being_asked": ("accuracy", "law:equal_positive_and_negative_pay_the_margin"),
    "softplus_for_the_hinge": ("accuracy", "law:zero_where_the_margin_is_met"),
    "distances_of_the_next_row": ("accuracy", "batch_independence"),
    "mean_of_the_triplets": ("shape_and_dtype",),
}

KINDS = {
    "similar_and_dissimilar_exchanged": ("sign",),
    "lack_not_squared": ("another formula",),
    "squared_distance_under_the_margin": ("another formula",),
    "root_of_zero": ("nan from 0*inf",),
    "epsilon_under_the_root": ("epsilon added",),
    "half_whatever_the_factor": ("another convention",),
    "cosine_distance_for_the_euclidean": ("another formula",),
    "squared_though_it_is_said_not_to_be": ("another convention",),
    "second_vector_detached": ("detached factor",),
    "margin_with_the_wrong_sign": ("sign",),
    "squared_for_plain": ("another convention",),
    "root_of_zero_in_a_triplet": ("nan from 0*inf",),
    "swap_takes_the_larger": ("another formula",),
    "swapped_without_being_asked": ("another convention",),
    "softplus_for_the_hinge": ("another formula",),
    "distances_of_the_next_row": ("batch coupled",),
    "mean_of_the_triplets": ("another convention", "wrong shape"),
}

NOT_TOLD = ("lack_not_squared", "squared_distance_under_the_margin")

pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


# ---- contrastive


def _length(u: Tensor) -> Tensor:
    return torch.linalg.vector_norm(u, dim=-1)


def _pairs(similar: Tensor, lack: Tensor, y: Tensor, factor: float) -> Tensor:
    return factor * torch.where(y == 1, similar, lack.clamp_min(0).square())


@pytorch("contrastive")
def similar_and_dissimilar_exchanged(
    x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0
) -> Tensor:
    """The paper has Y = 0 for similar pairs."""
    d = x1 - x2
    return _pairs(d.square().sum(-1), margin - _length(d), 1 - y, factor)


@pytorch("contrastive")
def lack_not_squared(
    x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0
) -> Tensor:
    d = x1 - x2
    return factor * torch.where(y == 1, d.square().sum(-1), (margin - _length(d)).clamp_min(0))


@pytorch("contrastive")
def squared_distance_under_the_margin(
    x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0
) -> Tensor:
    square = (x1 - x2).square().sum(-1)
    return factor * torch.where(y == 1, square, (margin - square).clamp_min(0))


@pytorch("contrastive")
def root_of_zero(x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0) -> Tensor:
    """The derivative of the root at 0 is inf, times 0."""
    square = (x1 - x2).square().sum(-1)
    return _pairs(square, margin - square.sqrt(), y, factor)


@pytorch("contrastive")
def epsilon_under_the_root(
    x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0
) -> Tensor:
    square = (x1 - x2).square().sum(-1)
    return _pairs(square, margin - (square + 1e-6).sqrt(), y, factor)


@pytorch("contrastive")
def half_whatever_the_factor(
    x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0
) -> Tensor:
    d = x1 - x2
    return _pairs(d.square().sum(-1), margin - _length(d), y, 0.5)


@pytorch("contrastive")
def cosine_distance_for_the_euclidean(
    x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0
) -> Tensor:
    d = 1 - F.cosine_similarity(x1, x2, dim=-1)
    return _pairs(d.square(), margin - d, y, factor)


@pytorch("contrastive")
def second_vector_detached(
    x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0
) -> Tensor:
    d = x1 - x2.detach() + 0 * x2
    return _pairs(d.square().sum(-1), margin - _length(d), y, factor)


@pytorch("contrastive", squared=False)
def squared_though_it_is_said_not_to_be(
    x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0, factor: float = 1.0
) -> Tensor:
    d = x1 - x2
    return _pairs(d.square().sum(-1), margin - _length(d), y, factor)


# ---- triplet


@pytorch("triplet")
def margin_with_the_wrong_sign(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0
) -> Tensor:
    """Public: UKPLab/sentence-transformers#3821."""
    return (_length(anchor - positive) - _length(anchor - negative) - margin).clamp_min(0)


@pytorch("triplet")
def squared_for_plain(anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0) -> Tensor:
    near, far = (anchor - positive).square().sum(-1), (anchor - negative).square().sum(-1)
    return (near - far + margin).clamp_min(0)


@pytorch("triplet")
def root_of_zero_in_a_triplet(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0
) -> Tensor:
    near, far = (anchor - positive).square().sum(-1), (anchor - negative).square().sum(-1)
    return (near.sqrt() - far.sqrt() + margin).clamp_min(0)


@pytorch("triplet")
def swap_takes_the_larger(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0, swap: bool = False
) -> Tensor:
    far = _length(anchor - negative)
    if swap:
        far = torch.maximum(far, _length(positive - negative))
    return (_length(anchor - positive) - far + margin).clamp_min(0)


@pytorch("triplet")
def swapped_without_being_asked(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0
) -> Tensor:
    far = torch.minimum(_length(anchor - negative), _length(positive - negative))
    return (_length(anchor - positive) - far + margin).clamp_min(0)


@pytorch("triplet")
def softplus_for_the_hinge(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0
) -> Tensor:
    return F.softplus(_length(anchor - positive) - _length(anchor - negative) + margin)


@pytorch("triplet")
def distances_of_the_next_row(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0
) -> Tensor:
    return (_length(anchor - positive) - _length(anchor - negative.roll(-1, 0)) + margin).clamp_min(0)


@pytorch("triplet")
def mean_of_the_triplets(
    anchor: Tensor, positive: Tensor, negative: Tensor, *, margin: float = 1.0
) -> Tensor:
    return (_length(anchor - positive) - _length(anchor - negative) + margin).clamp_min(0).mean()
