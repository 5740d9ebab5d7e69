"""Right losses with an angular margin in other styles: the harness blames none of them."""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

pytorch = functools.partial(implements, framework="torch")


def _cosines(embeddings: Tensor, weights: Tensor) -> Tensor:
    return F.linear(F.normalize(embeddings, eps=0), F.normalize(weights, eps=0))


def _loss(cosines: Tensor, labels: Tensor, target: Tensor, scale: float) -> Tensor:
    z = scale * cosines.scatter(-1, labels[:, None], target[:, None])
    return F.cross_entropy(z, labels, reduction="none")


def _at(cosines: Tensor, labels: Tensor) -> Tensor:
    return cosines.gather(-1, labels[:, None])[:, 0]


@pytorch("cosface")
def margin_by_one_hot(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.35
) -> Tensor:
    c = _cosines(embeddings, weights)
    margins = margin * F.one_hot(labels, c.shape[-1]).to(c.dtype)
    return F.cross_entropy(scale * (c - margins), labels, reduction="none")


@pytorch("cosface")
def label_beside_the_others(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.35
) -> Tensor:
    """log(1 + Σ exp(s (cos_j − cos_y + m))), over the other classes."""
    c = _cosines(embeddings, weights)
    gaps = scale * (c - (_at(c, labels) - margin)[:, None])
    own = F.one_hot(labels, c.shape[-1]).bool()
    return torch.where(own, 0, gaps).logsumexp(-1)


@pytorch("arcface")
def sine_from_the_cosine(
    embeddings: Tensor,
    weights: Tensor,
    labels: Tensor,
    *,
    scale: float = 64.0,
    margin: float = 0.5,
    past_pi: str = "none",
) -> Tensor:
    """As most public code has it, kept off the infinite derivative of the root at 0."""
    c = _cosines(embeddings, weights)
    at = _at(c, labels)
    sine = (1 - at * at).clamp_min(torch.finfo(c.dtype).eps).sqrt()
    turned = at * math.cos(margin) - sine * math.sin(margin)
    if past_pi == "easy":
        turned = torch.where(at > 0, turned, at)
    if past_pi == "linear":
        turned = torch.where(at >= -math.cos(margin), turned, at - margin * math.sin(margin))
    return _loss(c, labels, turned, scale)


@pytorch("arcface")
def angle_kept_inside(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.5
) -> Tensor:
    c = _cosines(embeddings, weights)
    most = 1 - 2 * torch.finfo(c.dtype).eps
    angle = _at(c, labels).clamp(-most, most).acos()
    return _loss(c, labels, (angle + margin).cos(), scale)


@pytorch("sphereface", margin=2)
def twice_the_signed_square(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0
) -> Tensor:
    c = _cosines(embeddings, weights)
    at = _at(c, labels)
    return _loss(c, labels, at.sign() * (2 * at * at) - 1, scale)


@pytorch("sphereface", margin=4)
def polynomial_by_cases(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0
) -> Tensor:
    """(−1)^k T₄(cos θ) − 2k, with k counted from the angle, as in the authors' code."""
    c = _cosines(embeddings, weights)
    at = _at(c, labels)
    k = (4 * at.detach().clamp(-1, 1).acos() / math.pi).floor().clamp_max(3)
    return _loss(c, labels, (1 - 2 * (k % 2)) * (8 * at**4 - 8 * at**2 + 1) - 2 * k, scale)
