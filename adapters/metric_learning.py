"""pytorch-metric-learning, bound as it is: a defect of the library is not repaired here.

Its losses take embeddings and labels and normalise by F.normalize. Their reducers decide what is averaged: "mean"
over all anchors or pairs, or "average of what is not 0", which is SupConLoss's own.
"""

from __future__ import annotations

import torch
from pytorch_metric_learning import losses, reducers
from torch import Tensor

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
