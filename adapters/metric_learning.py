"""pytorch-metric-learning, bound as it is: a defect of the library is not repaired here.

Its losses take embeddings and labels, or tuples of the indices that make up pairs and triplets. What measures
them is a choice of theirs: by default vectors are normalised by F.normalize first, which the losses of distances
leave out here, since their specs do. What is averaged is another, made by reducers: "mean" over all anchors or
pairs, "average of what is not 0", or nothing.

Not bound: LargeMarginSoftmaxLoss, whose logits grow with the length of the embedding and of the weights.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pytorch_metric_learning import distances, losses, reducers
from torch import Tensor
from torch.func import functional_call

from lossproof import implements


@implements("nt_xent", framework="torch")
def ntxent_loss(a: Tensor, b: Tensor, *, temperature: float = 0.1) -> Tensor:
    """losses.NTXentLoss over the 2N views with the example as the label: a mean over positive pairs → scalar."""
    views, labels = torch.cat([a, b]), torch.arange(len(a), device=a.device).repeat(2)
    found: Tensor = losses.NTXentLoss(temperature=temperature)(views, labels)
    return found


@implements("sup_con", framework="torch", no_positives="skip")
def sup_con_loss(embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    """losses.SupConLoss → scalar. Its own reducer averages the anchors whose loss is not 0."""
    found: Tensor = losses.SupConLoss(temperature=temperature)(embeddings, labels)
    return found


@implements("sup_con", framework="torch", no_positives="zero")
def sup_con_loss_mean(embeddings: Tensor, labels: Tensor, *, temperature: float = 0.1) -> Tensor:
    """losses.SupConLoss with reducers.MeanReducer, which averages all anchors → scalar."""
    loss = losses.SupConLoss(temperature=temperature, reducer=reducers.MeanReducer())
    found: Tensor = loss(embeddings, labels)
    return found


@implements("multi_similarity", framework="torch")
def multi_similarity_loss(
    embeddings: Tensor, labels: Tensor, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
) -> Tensor:
    """losses.MultiSimilarityLoss without a miner: the mean over all anchors → scalar."""
    found: Tensor = losses.MultiSimilarityLoss(alpha=alpha, beta=beta, base=base)(embeddings, labels)
    return found


# ---- distances


def _euclidean(power: int, *, squared: bool) -> distances.LpDistance:
    return distances.LpDistance(normalize_embeddings=False, p=power, power=2 if squared else 1)


@implements("contrastive", framework="torch", squared=False, factor=1.0)
def contrastive_loss(x1: Tensor, x2: Tensor, y: Tensor, *, margin: float = 1.0) -> Tensor:
    """losses.ContrastiveLoss of pairs by their indices → [N]: d of similar ones, max(0, margin − d) of the others."""
    loss = losses.ContrastiveLoss(
        neg_margin=margin, distance=_euclidean(2, squared=False), reducer=reducers.DoNothingReducer()
    )
    alike, others = (y == 1).nonzero()[:, 0], (y == 0).nonzero()[:, 0]
    found = loss(x1, indices_tuple=(alike, alike, others, others), ref_emb=x2)
    result = (x1 * 0).sum(-1)  # what the library returns where it sees no pairs
    for indices, part in ((alike, "pos_loss"), (others, "neg_loss")):
        if torch.is_tensor(found[part]["losses"]):
            result = result.index_put((indices,), found[part]["losses"])
    return result


@implements("triplet", framework="torch", eps=0.0)
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    margin: float = 1.0,
    power: int = 2,
    squared: bool = False,
    swap: bool = False,
) -> Tensor:
    """losses.TripletMarginLoss of the triplets by their indices → [N]."""
    loss = losses.TripletMarginLoss(
        margin=margin,
        swap=swap,
        distance=_euclidean(power, squared=squared),
        reducer=reducers.DoNothingReducer(),
    )
    points, first = torch.cat([anchor, positive, negative]), torch.arange(len(anchor), device=anchor.device)
    found = loss(points, indices_tuple=(first, first + len(anchor), first + 2 * len(anchor)))
    result: Tensor = found["loss"]["losses"]
    return result


# ---- margins of angles


def _of_classes(loss: torch.nn.Module, embeddings: Tensor, weights: Tensor, labels: Tensor) -> Tensor:
    """A loss that holds the weights of the classes as its parameter W [D, V]."""
    found: Tensor = functional_call(loss, {"W": weights.T}, (embeddings, labels))["loss"]["losses"]
    return found


@implements("arcface", framework="torch", past_pi="linear")
def arcface_loss(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.5
) -> Tensor:
    """losses.ArcFaceLoss → [N]; its margin is in degrees."""
    loss = losses.ArcFaceLoss(
        *weights.shape, margin=math.degrees(margin), scale=scale, reducer=reducers.DoNothingReducer()
    )
    return _of_classes(loss, embeddings, weights, labels)


@implements("cosface", framework="torch")
def cosface_loss(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: float = 0.35
) -> Tensor:
    """losses.CosFaceLoss → [N]."""
    loss = losses.CosFaceLoss(*weights.shape, margin=margin, scale=scale, reducer=reducers.DoNothingReducer())
    return _of_classes(loss, embeddings, weights, labels)


@implements("sphereface", framework="torch")
def sphereface_loss(
    embeddings: Tensor, weights: Tensor, labels: Tensor, *, scale: float = 64.0, margin: int = 2
) -> Tensor:
    """losses.SphereFaceLoss of F.normalize(embeddings) → [N].

    It multiplies by the length of an embedding, as Liu et al. do; the spec's embeddings have the length 1.
    """
    loss = losses.SphereFaceLoss(
        *weights.shape, margin=margin, scale=scale, reducer=reducers.DoNothingReducer()
    )
    return _of_classes(loss, F.normalize(embeddings), weights, labels)
