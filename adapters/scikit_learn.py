"""sklearn.metrics, bound as it is: a defect of the library is not repaired here.

Its losses take labels first and return one Python float, the mean over rows unless told otherwise, which is rounded to
the format of the inputs here. Where a row's own result is asked for, it is singled out by sample weights of 0 and 1.

log_loss takes probabilities, so those of scipy.special.softmax go in, and clips them to [eps, 1 − eps], eps being the
roundoff of their format. hinge_loss refuses nan and infinities in any row; of many classes it is not bound, since there
it takes no fewer than three.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special
from sklearn import metrics

from lossproof import implements

Array = np.ndarray[Any, np.dtype[Any]]


def _log_loss(logits: Array, labels: Array, class_weight: Array | None, normalize: bool) -> Array:
    found = metrics.log_loss(
        labels,
        scipy.special.softmax(logits, axis=-1),
        normalize=normalize,
        sample_weight=None if class_weight is None else class_weight[labels],
        labels=np.arange(logits.shape[-1]),
    )
    return np.asarray(found, dtype=logits.dtype)


@implements("cross_entropy", framework="numpy", reduction="mean", mean_over="weights")
def log_loss(logits: Array, labels: Array, *, class_weight: Array | None = None) -> Array:
    """metrics.log_loss of softmax probabilities → scalar: the mean, over the weights where there are some."""
    return _log_loss(logits, labels, class_weight, normalize=True)


@implements("cross_entropy", framework="numpy", reduction="sum")
def log_loss_sum(logits: Array, labels: Array, *, class_weight: Array | None = None) -> Array:
    """metrics.log_loss of softmax probabilities without normalize → scalar: the sum."""
    return _log_loss(logits, labels, class_weight, normalize=False)


@implements("hinge", framework="numpy", margin=1.0)
def hinge_loss(scores: Array, targets: Array) -> Array:
    """metrics.hinge_loss of two classes → [N]: of each row among the others, by its sample weight."""
    rows = [metrics.hinge_loss(targets, scores, sample_weight=row) for row in np.eye(len(scores))]
    return np.asarray(rows, dtype=scores.dtype)
