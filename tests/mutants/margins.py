"""Broken versions of cosface, arcface and sphereface, one mistake each.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

CAUGHT_BY = {
    "weights_not_normalised": ("accuracy", "law:scale_of_weights"),
    "embeddings_not_normalised": ("accuracy", "law:scale_of_embeddings"),
    "margin_added_to_the_cosine": ("accuracy", "law:never_below_the_loss_without_margin"),
    "margin_on_every_class": ("accuracy", "law:equal_weights"),
    "margin_after_the_scale": ("accuracy",),
    "length_detached": ("gradient", "law:embeddings_are_pulled_sideways"),
    "exponentials_of_cosines_unshifted": ("accuracy", "finiteness"),
    "loop_variable_rebound": ("accuracy", "law:scale_of_weights"),
    "angle_unclamped": ("finiteness", "gradient"),
    "sine_of_a_rounded_cosine": ("finiteness", "law:finite_gradient_at_own_weights"),
    "margin_taken_off_the_angle": ("accuracy", "law:never_below_the_loss_without_margin"),
    "sine_with_the_wrong_sign": ("accuracy", "law:grows_with_the_margin"),
    "easy_for_none": ("accuracy",),
    "cosine_margin_for_the_angular": ("accuracy", "law:margined_cross_entropy"),
    "angle_doubled_without_its_steps": ("accuracy", "law:never_below_the_loss_without_margin"),
    "factor_of_the_angle_ignored": ("accuracy", "law:double_angle"),
    "steps_of_one": ("accuracy",),
    "angle_of_a_cosine_past_one": ("finiteness",),
}

KINDS = {
    "weights_not_normalised": ("another formula",),
    "embeddings_not_normalised": ("another formula",),
    "margin_added_to_the_cosine": ("sign",),
    "margin_on_every_class": ("another convention",),
    "margin_after_the_scale": ("parameter misused",),
    "length_detached": ("detached factor",),
    "exponentials_of_cosines_unshifted": ("overflows", "underflows", "cancels"),
    "loop_variable_rebound": ("another formula",),
    "angle_unclamped": ("nan from 0*inf", "wrong at ties"),
    "sine_of_a_rounded_cosine": ("nan from 0*inf",),
    "margin_taken_off_the_angle": ("sign",),
    "sine_with_the_wrong_sign": ("sign",),
    "easy_for_none": ("another convention",),
    "cosine_margin_for_the_angular": ("another formula",),
    "angle_doubled_without_its_steps": ("another formula",),
    "factor_of_the_angle_ignored": ("another convention",),
    "steps_of_one": ("another formula",),
    "angle_of_a_cosine_past_one": ("nan from 0*inf", "wrong at ties"),
}

pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


def _unit(x: Tensor) -> Tensor:
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)


def _cosines(embeddings: Tensor, weights: Tensor) -> Tensor:
    return _unit(embeddings) @ _unit(weights).T


def _loss(cosines: Tensor, labels: Tensor, target: Tensor, scale: float) -> Tensor:
    z = scale * cosines.scatter(-1, labels[:, None], target[:, None])
    return F.cross_entropy(z, labels, reduction="none")


def _at(cosines: Tensor, labels: Tensor) -> Tensor:
    return cosines.gather(-1, labels[:, None])[:, 0]


# ---- cosface


@pytorch("cosface")
def weights_not_normalised(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.35
) -> Tensor:
    c = _unit(embeddings) @ weights.T
    return _loss(c, labels, _at(c, labels) - margin, scale)


@pytorch("cosface")
def embeddings_not_normalised(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.35
) -> Tensor:
    c = embeddings @ _unit(weights).T
    return _loss(c, labels, _at(c, labels) - margin, scale)


@pytorch("cosface")
def margin_added_to_the_cosine(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.35
) -> Tensor:
    c = _cosines(embeddings, weights)
    return _loss(c, labels, _at(c, labels) + margin, scale)


@pytorch("cosface")
def margin_on_every_class(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.35
) -> Tensor:
    """A margin that every class has is a shift."""
    c = _cosines(embeddings, weights) - margin
    return F.cross_entropy(scale * c, labels, reduction="none")


@pytorch("cosface")
def margin_after_the_scale(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.35
) -> Tensor:
    c = _cosines(embeddings, weights)
    return _loss(c, labels, _at(c, labels) - margin / scale, scale)


@pytorch("cosface")
def length_detached(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.35
) -> Tensor:
    u = embeddings / torch.linalg.vector_norm(embeddings, dim=-1, keepdim=True).detach()
    c = u @ _unit(weights).T
    return _loss(c, labels, _at(c, labels) - margin, scale)


@pytorch("cosface")
def exponentials_of_cosines_unshifted(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.35
) -> Tensor:
    c = _cosines(embeddings, weights)
    z = scale * c.scatter(-1, labels[:, None], _at(c, labels)[:, None] - margin)
    return -(z.exp() / z.exp().sum(-1, keepdim=True)).gather(-1, labels[:, None])[:, 0].log()


# ---- arcface


@pytorch("arcface")
def loop_variable_rebound(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.5
) -> Tensor:
    """Public: cvqluu/Angular-Penalty-Softmax-Losses-Pytorch#15."""
    for row in weights:
        row = _unit(row)
    c = _unit(embeddings) @ weights.T
    at = _at(c, labels).clamp(-1 + 1e-7, 1 - 1e-7)
    return _loss(c, labels, (at.acos() + margin).cos(), scale)


@pytorch("arcface")
def angle_unclamped(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.5
) -> Tensor:
    """A cosine may round past 1, and the derivative of acos is infinite at 1."""
    c = _cosines(embeddings, weights)
    return _loss(c, labels, (_at(c, labels).acos() + margin).cos(), scale)


@pytorch("arcface")
def sine_of_a_rounded_cosine(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.5
) -> Tensor:
    """The value is finite, the derivative of the root at 0 is not."""
    c = _cosines(embeddings, weights).clamp(-1, 1)
    at = _at(c, labels)
    sine = (1 - at * at).sqrt()
    return _loss(c, labels, at * math.cos(margin) - sine * math.sin(margin), scale)


def _sine(at: Tensor) -> Tensor:
    return (1 - at * at).clamp_min(1e-12).sqrt()


@pytorch("arcface")
def margin_taken_off_the_angle(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.5
) -> Tensor:
    c = _cosines(embeddings, weights)
    at = _at(c, labels).clamp(-1 + 1e-7, 1 - 1e-7)
    return _loss(c, labels, (at.acos() - margin).cos(), scale)


@pytorch("arcface")
def sine_with_the_wrong_sign(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.5
) -> Tensor:
    c = _cosines(embeddings, weights)
    at = _at(c, labels)
    return _loss(c, labels, at * math.cos(margin) + _sine(at) * math.sin(margin), scale)


@pytorch("arcface")
def easy_for_none(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.5
) -> Tensor:
    c = _cosines(embeddings, weights)
    at = _at(c, labels)
    turned = at * math.cos(margin) - _sine(at) * math.sin(margin)
    return _loss(c, labels, torch.where(at > 0, turned, at), scale)


@pytorch("arcface")
def cosine_margin_for_the_angular(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.5
) -> Tensor:
    c = _cosines(embeddings, weights)
    return _loss(c, labels, _at(c, labels) - margin, scale)


# ---- sphereface


@pytorch("sphereface", margin=2)
def angle_doubled_without_its_steps(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0
) -> Tensor:
    """cos 2θ rises again beyond a right angle."""
    c = _cosines(embeddings, weights)
    return _loss(c, labels, 2 * _at(c, labels).square() - 1, scale)


@pytorch("sphereface")
def factor_of_the_angle_ignored(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: int = 2
) -> Tensor:
    return F.cross_entropy(scale * _cosines(embeddings, weights), labels, reduction="none")


def _angle(at: Tensor) -> Tensor:
    return at.clamp(-1 + 1e-7, 1 - 1e-7).acos()


@pytorch("sphereface")
def steps_of_one(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: int = 2
) -> Tensor:
    """ψ falls by 2 at each step, not by 1."""
    c = _cosines(embeddings, weights)
    angle = _angle(_at(c, labels))
    k = (margin * angle.detach() / math.pi).floor()
    return _loss(c, labels, (-1) ** k * (margin * angle).cos() - k, scale)


@pytorch("sphereface")
def angle_of_a_cosine_past_one(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: int = 2
) -> Tensor:
    c = _cosines(embeddings, weights)
    angle = _at(c, labels).acos()
    k = (margin * angle.detach() / math.pi).floor()
    return _loss(c, labels, (-1) ** k * (margin * angle).cos() - 2 * k, scale)
