"""What logsumexp, softmax and log_softmax of the same array share: the shift by the maximum, and the sum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class SoftmaxFamily:
    """For x along an axis: top = max x, shifted = x − top, weights = exp(shifted), total = Σ weights ≥ 1.

    A row that is −∞ throughout, or holds nan, is nan. All arrays keep the axis.
    """

    axis: int
    top: Array
    shifted: Array
    weights: Array
    total: Array

    @staticmethod
    def of(x: Array, axis: int) -> SoftmaxFamily:
        top = np.maximum.reduce(x, axis=axis, keepdims=True)
        shifted = x - top
        weights = np.exp(shifted)
        return SoftmaxFamily(axis, top, shifted, weights, np.add.reduce(weights, axis=axis, keepdims=True))

    @cached_property
    def log_total(self) -> Array:
        return np.asarray(np.log(self.total))

    @cached_property
    def distance(self) -> Array:
        """|shifted|, in which the rounding of the shift and of the exponential is measured."""
        return np.abs(self.shifted)

    @cached_property
    def moment(self) -> Array:
        """Σ weights · |shifted|: how far the sum moves for a relative error of the shifts; 0 at −∞."""
        products = self.weights * self.distance
        if np.isinf(self.distance).any():
            products = np.where(self.weights == 0, 0.0, products)
        return np.asarray(np.add.reduce(products, axis=self.axis, keepdims=True))
