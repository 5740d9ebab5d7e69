"""scipy.spatial.distance, bound as it is: a defect of the library is not repaired here."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.spatial import distance

from lossproof import implements

Array = np.ndarray[Any, np.dtype[Any]]


@implements("cosine_distance", framework="numpy")
def cosine(predictions: Array, targets: Array) -> Array:
    """distance.cosine of each pair → [N]."""
    rows = [distance.cosine(x, t) for x, t in zip(predictions, targets, strict=True)]
    return np.asarray(rows, dtype=predictions.dtype)


@implements("js_divergence", framework="numpy")
def squared_jensenshannon(p: Array, q: Array) -> Array:
    """The square of distance.jensenshannon → [N], which is the root of the divergence of p and q over their sums."""
    return np.square(distance.jensenshannon(p, q, axis=-1))
