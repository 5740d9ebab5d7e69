"""Implementations of a loss whose spec lies beside them."""

import numpy as np

from lossproof import implements


@implements("pinball.yaml", framework="numpy")
def pinball(prediction, target, *, quantile=0.5):
    lack = target - prediction
    q = prediction.dtype.type(quantile)
    return np.maximum(q * lack, (q - 1) * lack)


@implements("pinball.yaml", framework="numpy")
def sides_swapped(prediction, target, *, quantile=0.5):
    lack = prediction - target
    q = prediction.dtype.type(quantile)
    return np.maximum(q * lack, (q - 1) * lack)


def undecorated(prediction, target):
    return 0.5 * np.abs(target - prediction)
