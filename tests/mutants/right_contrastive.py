"""Right contrastive losses in other styles, in PyTorch: the harness blames none of them."""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

pytorch = functools.partial(implements, framework="torch")


def _places(x: Tensor) -> Tensor:
    return torch.arange(len(x), device=x.device)


def _partners(x: Tensor) -> Tensor:
    return (_places(x) + len(x) // 2) % len(x)


def _without_itself(s: Tensor) -> Tensor:
    return s.masked_fill(torch.eye(len(s), dtype=torch.bool), -torch.inf)


# ---- InfoNCE


@pytorch("info_nce")
def cross_entropy_of_normalised(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    """As in most repositories: F.normalize, a product, F.cross_entropy."""
    s = F.normalize(query, dim=-1) @ F.normalize(keys, dim=-1).T
    return F.cross_entropy(s / temperature, _places(s), reduction="none")


@pytorch("info_nce")
def cosine_similarity_of_all_pairs(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    s = F.cosine_similarity(query[:, None], keys[None], dim=-1)
    return (s / temperature).logsumexp(-1) - s.diagonal() / temperature


@pytorch("info_nce")
def shift_in_the_graph(
    query: Tensor, keys: Tensor, *, temperature: float = 0.1, similarity: str = "cosine"
) -> Tensor:
    """The maximum is not detached: its derivative cancels."""
    if similarity == "cosine":
        query, keys = F.normalize(query, dim=-1), F.normalize(keys, dim=-1)
    s = torch.einsum("id,jd->ij", query, keys)
    z = (s - s.max(-1, keepdim=True).values) / temperature
    return z.exp().sum(-1).log() - z.diagonal()


@pytorch("info_nce")
def online_over_blocks_of_keys(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Four keys at a time, as where not all of them fit into memory."""
    q, k = F.normalize(query, dim=-1), F.normalize(keys, dim=-1)
    total = torch.full_like(q[:, 0], -torch.inf)
    for block in k.split(4):
        total = torch.logaddexp(total, (q @ block.T / temperature).logsumexp(-1))
    return total - (q * k).sum(-1) / temperature


class _InfoNCE(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, u: Tensor, v: Tensor, temperature: float) -> Tensor:
        log_p = (u @ v.T / temperature).log_softmax(-1)
        ctx.save_for_backward(u, v, log_p)
        ctx.temperature = temperature
        return -log_p.diagonal()

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, Tensor, None]:
        u, v, log_p = ctx.saved_tensors
        g = (log_p.exp() - torch.eye(len(u), dtype=u.dtype)) * cotangents[0][:, None] / ctx.temperature
        return g @ v, g.T @ u, None


@pytorch("info_nce")
def backward_by_hand(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    return _InfoNCE.apply(F.normalize(query, dim=-1), F.normalize(keys, dim=-1), temperature)


@pytorch("info_nce", dtypes=["float16", "bfloat16"])
def in_float32_inside(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    return cross_entropy_of_normalised(query.float(), keys.float(), temperature=temperature).to(query.dtype)


# ---- CLIP


@pytorch("clip")
def rows_and_columns(image: Tensor, text: Tensor, *, temperature: float = 0.07) -> Tensor:
    """As in open_clip."""
    s = F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T / temperature
    return (F.cross_entropy(s, _places(s)) + F.cross_entropy(s.T, _places(s))) / 2


@pytorch("clip")
def logsumexp_both_ways(image: Tensor, text: Tensor, *, temperature: float = 0.07) -> Tensor:
    s = F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).T / temperature
    return ((s.logsumexp(0) + s.logsumexp(1)) / 2 - s.diagonal()).mean()


# ---- NT-Xent


@pytorch("nt_xent")
def cross_entropy_of_masked(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    z = F.normalize(torch.cat([a, b]), dim=-1)
    s = _without_itself(z @ z.T) / temperature
    return F.cross_entropy(s, _partners(s))


@pytorch("nt_xent")
def without_the_diagonal(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    """The diagonal cut out of the matrix instead of masked, and views that alternate."""
    z = F.normalize(torch.stack([a, b], 1).flatten(0, 1), dim=-1)
    n = len(z)
    s = (z @ z.T).flatten()[1:].view(n - 1, n + 1)[:, :-1].reshape(n, n - 1) / temperature
    partner = _places(z) ^ 1
    return F.cross_entropy(s, partner - (partner > _places(z)).long())


@pytorch("nt_xent")
def masked_by_a_large_number(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    z = F.normalize(torch.cat([a, b]), dim=-1)
    s = z @ z.T / temperature - torch.eye(len(z), dtype=z.dtype) * 1e9
    return (s.logsumexp(-1) - s.gather(1, _partners(s)[:, None])[:, 0]).mean()


# ---- supervised


def _same(labels: Tensor) -> Tensor:
    return (labels[:, None] == labels[None]) & ~torch.eye(len(labels), dtype=torch.bool)


@pytorch("sup_con")
def as_the_authors_have_it(embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    """exp(s − max s) times a mask; the anchors that have positives are selected first."""
    z = F.normalize(embeddings, dim=-1)
    s, positive = z @ z.T / temperature, _same(labels)
    s = s - _without_itself(s).max(-1, keepdim=True).values.detach()
    log_p = s - _without_itself(s).exp().sum(-1, keepdim=True).log()
    kept = positive.any(-1)
    if not kept.any():
        return (embeddings * 0).sum()
    return -((positive * log_p).sum(-1)[kept] / positive.sum(-1)[kept]).mean()


@pytorch("sup_con")
def one_pair_after_another(
    embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1, no_positives: str = "skip"
) -> Tensor:
    """A list of all pairs, each with the weight of its anchor."""
    z, positive = F.normalize(embeddings, dim=-1), _same(labels)
    log_p = (_without_itself(z @ z.T) / temperature).log_softmax(-1)
    anchor, other = positive.nonzero(as_tuple=True)
    count = positive.any(-1).sum().clamp(min=1) if no_positives == "skip" else len(z)
    return -(log_p[anchor, other] / positive.sum(-1)[anchor]).sum() / count


@pytorch("multi_similarity")
def softplus_of_logsumexp(
    embeddings: Tensor, labels: Tensor, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Tensor:
    """Masked by a large number, so that no row is empty."""
    z = F.normalize(embeddings, dim=-1)
    s = z @ z.T - base
    drawn = (-alpha * s).masked_fill(~_same(labels), -1e5).logsumexp(-1)
    pushed = (beta * s).masked_fill(labels[:, None] == labels, -1e5).logsumexp(-1)
    return (F.softplus(drawn) / alpha + F.softplus(pushed) / beta).mean()


@pytorch("multi_similarity")
def anchor_by_anchor(
    embeddings: Tensor, labels: Tensor, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Tensor:
    """A loop over the anchors that selects their pairs, as the authors' code does."""
    z, positive, rows = F.normalize(embeddings, dim=-1), _same(labels), []
    for s, near, far in zip(z @ z.T, positive, labels[:, None] != labels, strict=True):
        one = torch.zeros_like(s[:1])
        drawn = torch.cat([one, -alpha * (s[near] - base)]).logsumexp(0) / alpha
        rows.append(drawn + torch.cat([one, beta * (s[far] - base)]).logsumexp(0) / beta)
    return torch.stack(rows).mean()


# ---- corrected and weighted negatives


def _negatives(a: Tensor, b: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """The logarithms of each view's negatives over its positive [2N, 2N − 2], and those of the positives."""
    z = F.normalize(torch.cat([a, b]), dim=-1)
    s, partner = z @ z.T / temperature, _partners(z)
    pair = s.gather(1, partner[:, None])
    kept = (_places(s) != _places(s)[:, None]) & (_places(s) != partner[:, None])
    return s[kept].view(len(s), -1) - pair, pair[:, 0]


def _left(total: Tensor, pair: Tensor, count: int, temperature: float, tau_plus: float) -> Tensor:
    """log(1 + max((e^L − τ⁺M)/(1 − τ⁺), M e^(−1/τ)/positive)): the larger of both, each by itself."""
    m = total.clamp(min=0).detach()
    rest = (1 - tau_plus * (count + 1)) * (-m).exp() + (total - m).exp()
    free = m + rest.clamp(min=torch.finfo(rest.dtype).tiny).log() - math.log1p(-tau_plus)
    return torch.maximum(free, F.softplus(math.log(count) - 1 / temperature - pair)).mean()


@pytorch("debiased_contrastive")
def larger_of_both(a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1) -> Tensor:
    s, pair = _negatives(a, b, temperature)
    return _left(s.logsumexp(-1), pair, s.shape[1], temperature, tau_plus)


@pytorch("debiased_contrastive")
def linear_with_a_shift(a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1) -> Tensor:
    """As published, with everything divided by the largest exponential."""
    s, pair = _negatives(a, b, temperature)
    m = s.amax(-1).clamp(min=0).detach()
    positive, count = (-m).exp(), s.shape[1]
    left = ((s - m[:, None]).exp().sum(-1) - tau_plus * count * positive) / (1 - tau_plus)
    left = torch.maximum(left, count * (-1 / temperature - pair - m).exp())
    return (m + (positive + left).log()).mean()


@pytorch("hard_negative_contrastive")
def difference_of_logsumexps(
    a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0
) -> Tensor:
    s, pair = _negatives(a, b, temperature)
    count = s.shape[1]
    total = ((1 + beta) * s).logsumexp(-1) - (beta * s).logsumexp(-1) + math.log(count)
    return _left(total, pair, count, temperature, tau_plus)


@pytorch("hard_negative_contrastive")
def softmax_as_weights(
    a: Tensor, b: Tensor, *, temperature: float = 0.5, tau_plus: float = 0.1, beta: float = 1.0
) -> Tensor:
    s, pair = _negatives(a, b, temperature)
    count = s.shape[1]
    total = ((beta * s).log_softmax(-1) + s).logsumexp(-1) + math.log(count)
    return _left(total, pair, count, temperature, tau_plus)
