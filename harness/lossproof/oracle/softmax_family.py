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
    def least(self) -> float:
        """The smallest entry of `shifted`; nan where there is one."""
        return float(np.minimum.reduce(self.shifted, axis=None, initial=0.0))

    @cached_property
    def moment(self) -> Array:
        """Σ weights · |shifted|: how far the sum moves for a relative error of the shifts; 0 at −∞."""
        products = self.weights * self.shifted
        total = np.add.reduce(products, axis=self.axis, keepdims=True)
        if np.isnan(total).any():
            products = np.where(self.weights == 0, 0.0, products)
            total = np.add.reduce(products, axis=self.axis, keepdims=True)
        return np.negative(total)
