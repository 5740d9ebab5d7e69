"""A cell: one implementation at one device, mode and dtype."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossproof.errors import ImplementationError
from lossproof.floats import FORMATS, Format, working_format
from lossproof.frameworks import Call, Framework
from lossproof.implementation import Implementation
from lossproof.inputs import PROFILES, draw, expand
from lossproof.inputs.case import Case
from lossproof.oracle.verdict import FAIL
from lossproof.spec.model import Spec


@dataclass(frozen=True)
class Cell:
    """An implementation at one device, mode and dtype."""

    implementation: Implementation
    spec: Spec
    framework: Framework
    device: str
    mode: str
    dtype: str
    siblings: Mapping[str, Implementation] = field(default_factory=dict, compare=False)
    """The same adapter's implementations of other losses in the same framework; laws call them."""
    pool: tuple[int, ...] = ()
    """Numbers of rows to which calls are filled up where rows are independent (inputs/filling.py)."""
    certify: int | None = FAIL
    """The least verdict whose worst case is certified (oracle/verdict.py); None where the vector tier is enough."""

    differentiates_first: bool = False
    """Whether the value is that of the call which gives the derivatives, so that it compiles no program of its own."""

    _refused: dict[Any, str | None] = field(default_factory=dict, init=False, compare=False, repr=False)

    def refuses(self, parameters: Mapping[str, Any]) -> str | None:
        """What the implementation says where it takes these parameters at no ordinary input; None if it does.

        So a refusal is told from an exception that hangs on the inputs.
        """
        free = self.implementation.free
        plain = {name: 1.0 if isinstance(v, np.ndarray) else v for name, v in parameters.items()}
        key = tuple(
            (name, isinstance(v, np.ndarray), plain[name]) for name, v in parameters.items() if name in free
        )
        if key and key not in self._refused:
            self._refused[key] = self._refusal(plain)
        return self._refused[key] if key else None

    def _refusal(self, parameters: Mapping[str, Any]) -> str | None:
        reason = None
        for recipe in draw(self.spec, "ordinary", PROFILES["quick"], 0, 4):
            case = expand(self.spec, recipe, self.dtype, parameters=parameters)
            try:
                self.framework.value(self.call(case))
            except ImplementationError as error:
                reason = str(error)
            else:
                return None
        return reason

    @property
    def storage(self) -> Format:
        return FORMATS[self.dtype]

    @property
    def working(self) -> Format:
        """The format in which the implementation is expected to compute."""
        return working_format(self.storage, self.implementation.precision)

    @functools.cached_property
    def flush(self) -> bool:
        return self.framework.flushes_subnormals(self.dtype, self.device)

    def call(self, case: Case) -> Call:
        inputs = tuple(case.inputs[name] for name in self.spec.inputs)
        return Call(
            self.implementation.function,
            inputs,
            self.implementation.arguments(case.parameters),
            self.device,
            self.mode,
        )
