"""What logsumexp, softmax and log_softmax of the same array share: the shift by the maximum, and the sum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

LEAST = 5e-324
"""What stands for a positive number below the range of float64."""

SAFE = -700.0
"""The exponential of a number above it is far from underflow."""


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
    def shares(self) -> Array:
        """weights / total: the softmax; 0 at −∞ alone."""
        found = np.asarray(self.weights / self.total)
        if self.least > SAFE:
            return found
        gone = (found == 0) & np.isfinite(self.shifted)
        return np.where(gone, LEAST, found) if gone.any() else found

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
        total = np.vecdot(self.weights, self.shifted, axis=self.axis)  # type: ignore[call-overload]
        if np.isnan(total).any():
            total = np.add.reduce(
                np.where(self.weights == 0, 0.0, self.weights * self.shifted), axis=self.axis
            )
        return np.asarray(np.negative(np.expand_dims(total, self.axis)))
