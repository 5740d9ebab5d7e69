"""Broken versions of sup_con and multi_similarity, one mistake each.

CAUGHT_BY names for each the checks that must fail on it, KINDS the kinds of mistake that its diagnosis may tell.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from lossproof import implements

CAUGHT_BY = {
    "mean_inside_the_logarithm": ("accuracy",),
    "undefined_without_positives": ("finiteness", "law:zero_without_positives"),
    "itself_among_the_positives": ("accuracy",),
    "negatives_alone_in_the_sum": ("accuracy", "law:log_of_the_others_at_identical_embeddings"),
    "temperature_ratio_upside_down": ("accuracy", "law:base_temperature_divides"),
    "divided_by_all_anchors": ("accuracy",),
    "negative_ids_left_out": ("accuracy", "law:renaming_labels"),
    "pairs_found_by_value": ("accuracy", "law:counts_at_identical_embeddings"),
    "exponentials_summed": ("accuracy", "finiteness"),
    "anchors_without_positives_left_out": ("accuracy", "law:negatives_alone_where_all_classes_differ"),
    "factors_forgotten": ("accuracy",),
    "one_missing_from_the_sum": ("accuracy",),
    "hardest_pairs_alone": ("accuracy", "law:counts_at_identical_embeddings"),
    "classes_as_indices": ("law:renaming_labels",),
}

KINDS = {
    "mean_inside_the_logarithm": ("another formula",),
    "undefined_without_positives": ("divides by zero",),
    "itself_among_the_positives": ("another formula",),
    "negatives_alone_in_the_sum": ("another formula",),
    "temperature_ratio_upside_down": ("parameter misused", "constant factor"),
    "divided_by_all_anchors": ("another convention", "constant factor"),
    "negative_ids_left_out": ("another formula",),
    "pairs_found_by_value": ("wrong at ties",),
    "exponentials_summed": ("overflows",),
    "anchors_without_positives_left_out": ("another formula",),
    "factors_forgotten": ("another formula",),
    "one_missing_from_the_sum": ("another formula",),
    "hardest_pairs_alone": ("another formula",),
    "classes_as_indices": ("another formula",),
}

NOT_TOLD = ("classes_as_indices",)

pytorch = functools.partial(implements, framework="torch", dtypes=["float32"])


def _parts(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cosines, who is of each one's class but itself, and who is itself."""
    z = embeddings / torch.linalg.vector_norm(embeddings, dim=-1, keepdim=True)
    itself = torch.eye(len(z), dtype=torch.bool)
    return z @ z.T, (labels[:, None] == labels) & ~itself, itself


def _mean_of_positives(log_p: Tensor, positive: Tensor) -> Tensor:
    """[N], 0 without positives."""
    return -torch.where(positive, log_p, 0).sum(-1) / positive.sum(-1).clamp(min=1)


def _over_anchors(
    rows: Tensor, positive: Tensor, base_temperature: float | None, temperature: float
) -> Tensor:
    factor = 1.0 if base_temperature is None else temperature / base_temperature
    return factor * rows.sum() / positive.any(-1).sum().clamp(min=1)


# ---- supervised contrastive


@pytorch("sup_con")
def mean_inside_the_logarithm(embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    """L_in of the paper for L_out."""
    s, positive, itself = _parts(embeddings, labels)
    log_p = (s / temperature).masked_fill(itself, -torch.inf).log_softmax(-1)
    count = positive.sum(-1).clamp(min=1)
    rows = -(log_p.masked_fill(~positive, -1e4).logsumexp(-1) - count.log())
    return _over_anchors(torch.where(positive.any(-1), rows, 0), positive, None, temperature)


@pytorch("sup_con")
def undefined_without_positives(embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    """0/0 in a class of one member."""
    s, positive, itself = _parts(embeddings, labels)
    log_p = (s / temperature).masked_fill(itself, -torch.inf).log_softmax(-1)
    return (-torch.where(positive, log_p, 0).sum(-1) / positive.sum(-1)).mean()


@pytorch("sup_con")
def itself_among_the_positives(embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    s, positive, itself = _parts(embeddings, labels)
    rows = _mean_of_positives((s / temperature).log_softmax(-1), positive | itself)
    return _over_anchors(rows, positive | itself, None, temperature)


@pytorch("sup_con")
def negatives_alone_in_the_sum(embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    """The positive itself and the negatives, and not the other positives."""
    s, positive, itself = _parts(embeddings, labels)
    logits = s / temperature
    others = logits.masked_fill(positive | itself, -torch.inf).logsumexp(-1, keepdim=True)
    rows = _mean_of_positives(logits - torch.logaddexp(logits, others), positive)
    return _over_anchors(rows, positive, None, temperature)


@pytorch("sup_con")
def temperature_ratio_upside_down(
    embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1, base_temperature: float | None = None
) -> Tensor:
    s, positive, itself = _parts(embeddings, labels)
    log_p = (s / temperature).masked_fill(itself, -torch.inf).log_softmax(-1)
    factor = 1.0 if base_temperature is None else base_temperature / temperature
    return factor * _over_anchors(_mean_of_positives(log_p, positive), positive, None, temperature)


@pytorch("sup_con")
def divided_by_all_anchors(embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    """The convention "zero" for "skip"."""
    s, positive, itself = _parts(embeddings, labels)
    log_p = (s / temperature).masked_fill(itself, -torch.inf).log_softmax(-1)
    return _mean_of_positives(log_p, positive).mean()


@pytorch("sup_con")
def negative_ids_left_out(embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    """A negative number taken for "no label"."""
    s, positive, itself = _parts(embeddings, labels)
    log_p = (s / temperature).masked_fill(itself, -torch.inf).log_softmax(-1)
    positive = positive & (labels >= 0)
    return _over_anchors(_mean_of_positives(log_p, positive), positive, None, temperature)


# ---- multi-similarity


def _terms(
    s: Tensor, positive: Tensor, negative: Tensor, alpha: float, beta: float, base: float
) -> tuple[Tensor, Tensor]:
    """What draws and what pushes each anchor, [N]."""
    one = torch.zeros_like(s[:, :1])
    drawn = torch.where(positive, -alpha * (s - base), -torch.inf)
    pushed = torch.where(negative, beta * (s - base), -torch.inf)
    return (
        torch.cat([one, drawn], -1).logsumexp(-1) / alpha,
        torch.cat([one, pushed], -1).logsumexp(-1) / beta,
    )


@pytorch("multi_similarity")
def pairs_found_by_value(
    embeddings: Tensor, labels: Tensor, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Tensor:
    """A cosine near 1 taken for the anchor itself: duplicates, the hardest negatives, vanish."""
    s, positive, _ = _parts(embeddings, labels)
    other, apart = labels[:, None] != labels, s < 1 - 1e-5
    return sum(_terms(s, positive & apart, other & apart, alpha, beta, base)).mean()


@pytorch("multi_similarity")
def exponentials_summed(
    embeddings: Tensor, labels: Tensor, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Tensor:
    """log(1 + Σ exp) as it stands overflows where β(s − λ) passes 88."""
    s, positive, _ = _parts(embeddings, labels)
    drawn = torch.where(positive, (-alpha * (s - base)).exp(), 0).sum(-1)
    pushed = torch.where(labels[:, None] != labels, (beta * (s - base)).exp(), 0).sum(-1)
    return ((1 + drawn).log() / alpha + (1 + pushed).log() / beta).mean()


@pytorch("multi_similarity")
def anchors_without_positives_left_out(
    embeddings: Tensor, labels: Tensor, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Tensor:
    s, positive, _ = _parts(embeddings, labels)
    drawn, pushed = _terms(s, positive, labels[:, None] != labels, alpha, beta, base)
    return torch.where(positive.any(-1), drawn + pushed, 0).mean()


@pytorch("multi_similarity")
def factors_forgotten(
    embeddings: Tensor, labels: Tensor, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Tensor:
    """Without 1/α and 1/β."""
    s, positive, _ = _parts(embeddings, labels)
    drawn, pushed = _terms(s, positive, labels[:, None] != labels, alpha, beta, base)
    return (alpha * drawn + beta * pushed).mean()


@pytorch("multi_similarity")
def one_missing_from_the_sum(
    embeddings: Tensor, labels: Tensor, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Tensor:
    """log Σ exp for log(1 + Σ exp), 0 without pairs."""
    s, positive, _ = _parts(embeddings, labels)
    found = torch.zeros(())
    for chosen, scale in ((positive, -alpha), (labels[:, None] != labels, beta)):
        rows = torch.where(chosen, scale * (s - base), -1e6).logsumexp(-1) / abs(scale)
        found = found + torch.where(chosen.any(-1), rows, 0).mean()
    return found


@pytorch("multi_similarity")
def hardest_pairs_alone(
    embeddings: Tensor, labels: Tensor, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Tensor:
    s, positive, _ = _parts(embeddings, labels)
    near = torch.where(positive, -alpha * (s - base), -torch.inf).amax(-1)
    far = torch.where(labels[:, None] != labels, beta * (s - base), -torch.inf).amax(-1)
    return (torch.nn.functional.softplus(near) / alpha + torch.nn.functional.softplus(far) / beta).mean()


@pytorch("multi_similarity")
def classes_as_indices(
    embeddings: Tensor, labels: Tensor, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Tensor:
    """One-hot of the ids modulo a number of classes: far ids fall together."""
    s, positive, _ = _parts(embeddings, labels % 5)
    return sum(_terms(s, positive, labels[:, None] % 5 != labels % 5, alpha, beta, base)).mean()
