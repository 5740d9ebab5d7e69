"""One concrete input of a loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Case:
    """Inputs in the dtype under test (labels int64, masks bool), every parameter of the spec by name.

    parameters: numbers, strings, None, or an array in the dtype under test.
    variables: the variables of a law, where the case was drawn for one.
    """

    loss: str
    dtype: str
    regime: str
    inputs: Mapping[str, Array]
    parameters: Mapping[str, Any]
    variables: Mapping[str, Array] = field(default_factory=dict)

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Equal for equal inputs, variables and parameters; hashable."""
        parts = [*self.inputs.items(), *self.variables.items(), *self.parameters.items()]
        return tuple(
            (name, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else (name, repr(value))
            for name, value in parts
        )
