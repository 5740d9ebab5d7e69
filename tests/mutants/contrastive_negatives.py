"""Broken versions of the contrastive losses that correct and weight their negatives, one mistake each.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools
import math

import torch
from torch import Tensor

from lossproof import implements

CAUGHT_BY = {
    "exponentials_of_the_authors": ("accuracy", "finiteness"),
    "correction_without_a_clamp": ("accuracy",),
    "correction_not_divided": ("accuracy", "law:log_of_the_others_at_identical_embeddings"),
    "positives_among_the_negatives": ("accuracy", "law:without_correction_nt_xent"),
    "clamp_forgets_the_number": ("accuracy",),
    "weights_not_normalised": ("accuracy", "law:log_of_the_others_at_identical_embeddings"),
    "weights_without_the_temperature": ("accuracy",),
    "weights_detached": ("gradient",),
    "weights_of_the_distance": ("accuracy",),
}

KINDS = {
    "exponentials_of_the_authors": ("overflows", "underflows", "cancels"),
    "correction_without_a_clamp": ("another formula",),
    "correction_not_divided": ("another formula",),
    "positives_among_the_negatives": ("another formula",),
    "clamp_forgets_the_number": ("another formula",),
    "weights_not_normalised": ("another formula",),
    "weights_without_the_temperature": ("parameter misused",),
    "weights_detached": ("detached factor",),
    "weights_of_the_distance": ("sign",),
}

NOT_TOLD = ("correction_without_a_clamp", "weights_detached")

pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


def _parts(a: Tensor, b: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines over the temperature of the 2N views, those of the pairs [2N], and which are negatives."""
    z = torch.cat([a, b])
    z = z / torch.linalg.vector_norm(z, dim=-1, keepdim=True)
    s, n = z @ z.T / temperature, len(z)
    partner = (torch.arange(n) + len(a)) % n
    negative = ~torch.eye(n, dtype=torch.bool)
    negative[torch.arange(n), partner] = False
    return s, s[torch.arange(n), partner], negative


def _loss(
    s: Tensor,
    pair: Tensor,
    negative: Tensor,
    temperature: float,
    tau_plus: float,
    least: float | None = None,
    divided: bool = True,
) -> Tensor:
    """From the logarithms of weighted negatives, over the positive: nothing overflows."""
    count = s.shape[0] - 2
    total = (s - pair[:, None]).masked_fill(~negative, -torch.inf).logsumexp(-1)
    m = total.clamp(min=0).detach()
    left = (total - m).exp() - tau_plus * count * (-m).exp()
    left = left / (1 - tau_plus) if divided else left
    floor = (count if least is None else least) * (-1 / temperature - pair - m).exp()
    return (m + ((-m).exp() + torch.maximum(left, floor)).log()).mean()


# ---- debiased


@pytorch("debiased_contrastive")
def exponentials_of_the_authors(
    a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1
) -> Tensor:
    """As published: exp(s/τ) overflows at low temperatures."""
    s, pair, negative = _parts(a, b, temperature)
    positive, count = pair.exp(), s.shape[0] - 2
    left = ((s.exp() * negative).sum(-1) - tau_plus * count * positive) / (1 - tau_plus)
    left = left.clamp(min=count * math.exp(-1 / temperature))
    return -(positive / (positive + left)).log().mean()


@pytorch("debiased_contrastive")
def correction_without_a_clamp(
    a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1
) -> Tensor:
    return _loss(*_parts(a, b, temperature), temperature, tau_plus, least=-1e6)


@pytorch("debiased_contrastive")
def correction_not_divided(
    a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1
) -> Tensor:
    """Without the 1/(1 − τ⁺)."""
    return _loss(*_parts(a, b, temperature), temperature, tau_plus, divided=False)


@pytorch("debiased_contrastive")
def positives_among_the_negatives(
    a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1
) -> Tensor:
    s, pair, _ = _parts(a, b, temperature)
    return _loss(s, pair, ~torch.eye(len(s), dtype=torch.bool), temperature, tau_plus)


@pytorch("debiased_contrastive")
def clamp_forgets_the_number(
    a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1
) -> Tensor:
    """Clamped at exp(−1/τ) and not at so much for each negative."""
    return _loss(*_parts(a, b, temperature), temperature, tau_plus, least=1.0)


# ---- hard negatives


def _weighted(s: Tensor, negative: Tensor, logits: Tensor) -> Tensor:
    weights = logits.masked_fill(~negative, -torch.inf).log_softmax(-1) + math.log(s.shape[0] - 2)
    return torch.where(negative, s + weights, s)


@pytorch("hard_negative_contrastive")
def weights_not_normalised(
    a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0
) -> Tensor:
    s, pair, negative = _parts(a, b, temperature)
    return _loss((1 + beta) * s, pair, negative, temperature, tau_plus)


@pytorch("hard_negative_contrastive")
def weights_without_the_temperature(
    a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0
) -> Tensor:
    s, pair, negative = _parts(a, b, temperature)
    return _loss(_weighted(s, negative, beta * s * temperature), pair, negative, temperature, tau_plus)


@pytorch("hard_negative_contrastive")
def weights_detached(
    a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0
) -> Tensor:
    s, pair, negative = _parts(a, b, temperature)
    return _loss(_weighted(s, negative, beta * s.detach()), pair, negative, temperature, tau_plus)


@pytorch("hard_negative_contrastive")
def weights_of_the_distance(
    a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0
) -> Tensor:
    """exp(−βs/τ): the easiest negatives weigh most."""
    s, pair, negative = _parts(a, b, temperature)
    return _loss(_weighted(s, negative, -beta * s), pair, negative, temperature, tau_plus)
