"""Broken versions of InfoNCE, CLIP and NT-Xent, one mistake each.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lossproof import implements

CAUGHT_BY = {
    "exponentials_without_a_shift": ("accuracy", "finiteness"),
    "true_key_missing_from_the_sum": ("accuracy", "law:log_count_at_identical_keys"),
    "keys_not_normalised": ("accuracy", "law:scale_invariance"),
    "queries_divided_by_a_batch_norm": ("accuracy", "law:scale_invariance"),
    "temperature_multiplied": ("accuracy", "law:equals_cross_entropy_of_similarities"),
    "keys_of_the_next_rank": ("accuracy",),
    "duplicates_of_the_key_left_out": ("accuracy", "law:two_copies_add_log_two"),
    "keys_detached": ("gradient",),
    "direction_with_a_detached_length": ("gradient", "law:gradient_is_across_the_query"),
    "cosines_in_bfloat16": ("accuracy",),
    "epsilon_inside_the_root": ("accuracy", "law:scale_invariance"),
    "cotangent_ignored": ("gradient",),
    "loss_of_the_whole_batch": ("shape_and_dtype",),
    "one_way_alone": ("accuracy", "law:symmetric"),
    "both_ways_added": ("accuracy", "law:log_count_at_identical_vectors"),
    "scale_clamped_at_a_hundred": ("accuracy",),
    "columns_normalised_by_rows": ("accuracy", "law:symmetric"),
    "texts_detached": ("gradient",),
    "itself_among_the_candidates": ("accuracy", "law:log_of_the_others_at_identical_embeddings"),
    "itself_found_by_value": ("accuracy", "law:log_of_the_others_at_identical_embeddings"),
    "itself_given_cosine_zero": ("accuracy", "law:log_of_the_others_at_identical_embeddings"),
    "views_without_a_shift": ("accuracy", "finiteness"),
    "logarithm_of_a_probability": ("accuracy",),
    "negatives_of_the_other_side_alone": ("accuracy", "law:equals_sup_con_with_one_positive_each"),
    "views_of_one_side_alone": ("accuracy", "law:symmetric_in_views"),
    "view_of_the_next_example": ("accuracy",),
    "sum_over_the_views": ("accuracy", "law:log_of_the_others_at_identical_embeddings"),
}

KINDS = {
    "exponentials_without_a_shift": ("overflows", "underflows", "cancels"),
    "true_key_missing_from_the_sum": ("another formula",),
    "keys_not_normalised": ("another formula",),
    "queries_divided_by_a_batch_norm": ("wrong axis", "batch coupled"),
    "temperature_multiplied": ("parameter misused",),
    "keys_of_the_next_rank": ("off by one",),
    "duplicates_of_the_key_left_out": ("another formula",),
    "keys_detached": ("detached factor",),
    "direction_with_a_detached_length": ("detached factor",),
    "cosines_in_bfloat16": ("low precision",),
    "epsilon_inside_the_root": ("epsilon added",),
    "cotangent_ignored": ("ignores cotangent",),
    "loss_of_the_whole_batch": ("another convention", "wrong shape"),
    "one_way_alone": ("another formula",),
    "both_ways_added": ("constant factor",),
    "scale_clamped_at_a_hundred": ("another convention", "saturates"),
    "columns_normalised_by_rows": ("wrong axis",),
    "texts_detached": ("detached factor",),
    "itself_among_the_candidates": ("another formula",),
    "itself_found_by_value": ("wrong at ties",),
    "itself_given_cosine_zero": ("another formula",),
    "views_without_a_shift": ("overflows", "underflows", "cancels"),
    "logarithm_of_a_probability": ("saturates", "cancels"),
    "negatives_of_the_other_side_alone": ("another formula",),
    "views_of_one_side_alone": ("another formula",),
    "view_of_the_next_example": ("another formula",),
    "sum_over_the_views": ("constant factor",),
}

NOT_TOLD = (
    "queries_divided_by_a_batch_norm",
    "columns_normalised_by_rows",
    "itself_found_by_value",
    "logarithm_of_a_probability",
)

pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


def _direction(x: Tensor) -> Tensor:
    return x / torch.linalg.vector_norm(x, dim=-1, keepdim=True)


def _places(x: Tensor) -> Tensor:
    return torch.arange(len(x), device=x.device)


def _cosines(query: Tensor, keys: Tensor, similarity: str = "cosine") -> Tensor:
    return query @ keys.T if similarity == "dot" else _direction(query) @ _direction(keys).T


# ---- InfoNCE


@pytorch("info_nce")
def exponentials_without_a_shift(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    """exp(s/τ) overflows from τ = 1/88 on."""
    e = (_cosines(query, keys) / temperature).exp()
    return -(e.diagonal() / e.sum(-1)).log()


@pytorch("info_nce")
def true_key_missing_from_the_sum(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Negatives alone in the denominator: the loss is unbounded below."""
    s = _cosines(query, keys) / temperature
    itself = torch.eye(len(s), dtype=torch.bool)
    return s.masked_fill(itself, -torch.inf).logsumexp(-1) - s.diagonal()


@pytorch("info_nce")
def keys_not_normalised(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    return F.cross_entropy(_direction(query) @ keys.T / temperature, _places(query), reduction="none")


@pytorch("info_nce")
def queries_divided_by_a_batch_norm(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    """The length over the batch, dim=0, in place of each vector's own."""
    s = F.normalize(query, dim=0, eps=0) @ _direction(keys).T
    return F.cross_entropy(s / temperature, _places(query), reduction="none")


@pytorch("info_nce")
def temperature_multiplied(
    query: Tensor, keys: Tensor, *, temperature: float = 0.1, similarity: str = "cosine"
) -> Tensor:
    return F.cross_entropy(_cosines(query, keys, similarity) * temperature, _places(query), reduction="none")


@pytorch("info_nce")
def keys_of_the_next_rank(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Labels that are off by where a rank's own keys begin among those gathered."""
    labels = (_places(query) + 1) % len(query)
    return F.cross_entropy(_cosines(query, keys) / temperature, labels, reduction="none")


@pytorch("info_nce")
def duplicates_of_the_key_left_out(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    """False negatives removed by value: what is as like as the key is no negative."""
    s = _cosines(query, keys) / temperature
    itself = torch.eye(len(s), dtype=torch.bool)
    return F.cross_entropy(
        s.masked_fill((s >= s.diagonal()[:, None]) & ~itself, -torch.inf), _places(s), reduction="none"
    )


@pytorch("info_nce")
def keys_detached(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    """As from a momentum encoder or a gather without a gradient."""
    return F.cross_entropy(_cosines(query, keys.detach()) / temperature, _places(query), reduction="none")


@pytorch("info_nce")
def direction_with_a_detached_length(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    u, v = (x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).detach() for x in (query, keys))
    return F.cross_entropy(u @ v.T / temperature, _places(query), reduction="none")


@pytorch("info_nce")
def cosines_in_bfloat16(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    s = (_direction(query).bfloat16() @ _direction(keys).bfloat16().T).float()
    return F.cross_entropy(s / temperature, _places(query), reduction="none")


@pytorch("info_nce")
def epsilon_inside_the_root(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    u, v = (x / (x.square().sum(-1, keepdim=True) + 1e-6).sqrt() for x in (query, keys))
    return F.cross_entropy(u @ v.T / temperature, _places(query), reduction="none")


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        log_p = logits.log_softmax(-1)
        ctx.save_for_backward(log_p)
        return -log_p.diagonal()

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:
        (log_p,) = ctx.saved_tensors
        return log_p.exp() - torch.eye(len(log_p))


@pytorch("info_nce")
def cotangent_ignored(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    """A backward pass that is right for the sum of the losses alone."""
    return _CrossEntropy.apply(_cosines(query, keys) / temperature)


@pytorch("info_nce")
def loss_of_the_whole_batch(query: Tensor, keys: Tensor, *, temperature: float = 0.1) -> Tensor:
    return F.cross_entropy(_cosines(query, keys) / temperature, _places(query))


# ---- CLIP


@pytorch("clip")
def one_way_alone(image: Tensor, text: Tensor, *, temperature: float = 0.07) -> Tensor:
    return F.cross_entropy(_cosines(image, text) / temperature, _places(image))


def _both_ways(s: Tensor) -> Tensor:
    return F.cross_entropy(s, _places(s)) + F.cross_entropy(s.T, _places(s))


@pytorch("clip")
def both_ways_added(image: Tensor, text: Tensor, *, temperature: float = 0.07) -> Tensor:
    return _both_ways(_cosines(image, text) / temperature)


@pytorch("clip")
def scale_clamped_at_a_hundred(image: Tensor, text: Tensor, *, temperature: float = 0.07) -> Tensor:
    """As CLIP clamps its learned scale in training: below 1/100 the temperature has no effect."""
    return _both_ways(_cosines(image, text) * min(1 / temperature, 100.0)) / 2


@pytorch("clip")
def columns_normalised_by_rows(image: Tensor, text: Tensor, *, temperature: float = 0.07) -> Tensor:
    """The softmax of the texts over the same axis as that of the images, and the diagonal of both."""
    s = _cosines(image, text) / temperature
    return -(s.log_softmax(-1).diagonal().mean() + s.log_softmax(-1).T.diagonal().mean()) / 2


@pytorch("clip")
def texts_detached(image: Tensor, text: Tensor, *, temperature: float = 0.07) -> Tensor:
    """Texts gathered without their gradient."""
    return _both_ways(_cosines(image, text.detach()) / temperature) / 2


# ---- NT-Xent


def _views(a: Tensor, b: Tensor, temperature: float) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines over the temperature of the 2N views, each view's other one, and where a view meets itself."""
    z = _direction(torch.cat([a, b]))
    s = z @ z.T / temperature
    return s, (_places(s) + len(a)) % len(s), torch.eye(len(s), dtype=torch.bool)


@pytorch("nt_xent")
def itself_among_the_candidates(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    s, partner, _ = _views(a, b, temperature)
    return F.cross_entropy(s, partner)


@pytorch("nt_xent")
def itself_found_by_value(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Duplicates, the hardest negatives, vanish with the view itself."""
    s, partner, _ = _views(a, b, temperature)
    alike = (s * temperature > 1 - 1e-5) & (partner[:, None] != _places(s))
    return F.cross_entropy(s.masked_fill(alike, -torch.inf), partner)


@pytorch("nt_xent")
def itself_given_cosine_zero(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Multiplied by a mask: exp(0) = 1 stays in the sum."""
    s, partner, itself = _views(a, b, temperature)
    return F.cross_entropy(s * ~itself, partner)


@pytorch("nt_xent")
def views_without_a_shift(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    """As optax computes it: exp(s/τ), a mask, a sum, a logarithm (google-deepmind/optax#946)."""
    s, partner, itself = _views(a, b, temperature)
    e = s.exp()
    return -(e.gather(1, partner[:, None])[:, 0] / (e * ~itself).sum(-1)).log().mean()


@pytorch("nt_xent")
def logarithm_of_a_probability(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    """log(p + tiny) stands still at 87.3."""
    s, partner, itself = _views(a, b, temperature)
    p = s.masked_fill(itself, -torch.inf).softmax(-1).gather(1, partner[:, None])[:, 0]
    return -(p + torch.finfo(p.dtype).tiny).log().mean()


@pytorch("nt_xent")
def negatives_of_the_other_side_alone(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    return _both_ways(_cosines(a, b) / temperature) / 2


@pytorch("nt_xent")
def views_of_one_side_alone(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    s, partner, itself = _views(a, b, temperature)
    return F.cross_entropy(s.masked_fill(itself, -torch.inf)[: len(a)], partner[: len(a)])


@pytorch("nt_xent")
def view_of_the_next_example(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    """Partners 2k and 2k + 1, as for views that alternate, in a batch where they stand in two halves."""
    s, _, itself = _views(a, b, temperature)
    return F.cross_entropy(s.masked_fill(itself, -torch.inf), _places(s) ^ 1)


@pytorch("nt_xent")
def sum_over_the_views(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    s, partner, itself = _views(a, b, temperature)
    return F.cross_entropy(s.masked_fill(itself, -torch.inf), partner, reduction="sum")
