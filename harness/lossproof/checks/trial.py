"""One implementation at one case: what it returned, and what it should have returned."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lossproof.checks import answers
from lossproof.errors import ImplementationError
from lossproof.floats import FORMATS, Format, working_format
from lossproof.frameworks import Call, Framework, Outcome
from lossproof.implementation import Implementation
from lossproof.inputs import PROFILES, draw, expand
from lossproof.inputs.case import Array, Case
from lossproof.oracle.reference import Reference
from lossproof.oracle.verdict import all_finite
from lossproof.spec import graph
from lossproof.spec.model import Spec

COTANGENTS = (2.0, -0.5, 0.0, -4.0, 0.25, 1.0, -1.0)
"""Unequal, signed, one of them zero, powers of two: exact in every format. A single one is 2."""

TANGENTS = (1.0, -2.0, 0.5, 4.0, -0.25)


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


class Trial:
    """Lazily: the calls of the implementation at a case, and their references.

    cotangents: repeated over the elements of the result.
    """

    def __init__(self, cell: Cell, case: Case, cotangents: tuple[float, ...] = COTANGENTS) -> None:
        self.cell, self.case, self.cotangents = cell, case, cotangents
        self.differentiated: Array | None = None
        """The value of the call that `gradients` made, once it was."""

    @functools.cached_property
    def outcome(self) -> Outcome:
        """Raises ImplementationError."""
        return self.cell.framework.value(self.cell.call(self.case))

    @functools.cached_property
    def reference(self) -> Reference:
        """Undecided where an input holds nan or +inf, which no domain allows."""
        found = answers.value_reference(self.cell.spec, self.case, self.cell.working, self.cell.flush)
        return found.undecided_at(self._illegal(found.shape))

    def _illegal(self, shape: tuple[int, ...]) -> Array:
        """Results that depend on an illegal entry of an input."""
        spec, axis = self.cell.spec, self.cell.spec.independent
        names = self._output_names()
        bad = np.zeros(shape, dtype=bool)
        for name, declared in spec.inputs.items():
            if not declared.is_real:
                continue
            wrong = answers.illegal(self.case.inputs[name])
            if wrong is None:
                continue
            if axis is None or axis not in names or axis not in declared.shape:
                return np.ones(shape, dtype=bool)
            place = declared.shape.index(axis)
            rows = np.asarray(wrong.any(axis=tuple(i for i in range(wrong.ndim) if i != place)))
            bad |= _along(rows, names.index(axis), len(shape))
        return bad

    def _output_names(self) -> list[str | None]:
        statics = graph.statics_of(self.cell.spec, self.case.parameters)
        return [size.name for size in graph.definition(self.cell.spec, statics).shape]

    @property
    def shape_fits(self) -> bool:
        return bool(self.outcome.value.shape == self.reference.shape)

    @functools.cached_property
    def cotangent(self) -> Array:
        """Of the result's shape in the dtype under test; zero where the true value is not finite."""
        expected = self.reference.expected
        # a gradient that is written by hand is that of the sum of the results
        cotangents = self.cotangents if self.cell.framework.differentiates else (1.0,)
        pattern = np.resize(np.array(cotangents), expected.shape)
        return np.where(np.isfinite(expected), pattern, 0.0).astype(self.cell.storage.dtype)

    @property
    def tangents(self) -> dict[str, Array]:
        """For forward mode: a direction for each differentiable input, exact in every format."""
        return {
            name: np.resize(np.array(TANGENTS), self.case.inputs[name].shape).astype(self.cell.storage.dtype)
            for name in self.differentiable
        }

    @property
    def differentiable(self) -> tuple[str, ...]:
        return tuple(n for n, i in self.cell.spec.inputs.items() if i.is_real and i.differentiable)

    @functools.cached_property
    def gradients(self) -> dict[str, Array]:
        """The implementation's vector–Jacobian products; raises ImplementationError."""
        names = list(self.cell.spec.inputs)
        wrt = tuple(names.index(name) for name in self.differentiable)
        call = self.cell.call(self.case)
        if self.cell.framework.differentiates:
            outcome = self.cell.framework.vjp(call, self.cotangent, wrt)
            self.differentiated, found = outcome.value, outcome.gradients
        else:
            found = self._written_gradients(call)
        assert found is not None
        return dict(zip(self.differentiable, found, strict=True))

    def _written_gradients(self, call: Call) -> tuple[Array, ...]:
        """From `gradient=`: the derivative of the sum of the results, so the cotangent is 1 throughout."""
        gradient = self.cell.implementation.gradient
        assert gradient is not None
        found = self.cell.framework.arrays(replace(call, function=gradient))
        if len(found) != len(self.differentiable):
            raise ImplementationError(
                f"gradient returned {len(found)} arrays for {len(self.differentiable)} differentiable inputs"
            )
        return found

    @property
    def has_gradients(self) -> str | None:
        """None where derivatives can be had, else the reason why not."""
        if not self.differentiable:
            return "the loss takes no gradient"
        if not self.cell.framework.differentiates and self.cell.implementation.gradient is None:
            return f"{self.cell.framework.name} has no automatic derivatives and no gradient= is declared"
        return None

    @functools.cached_property
    def gradient_references(self) -> dict[str, Reference]:
        """References of `gradients`, undecided where the value or the derivative itself is not finite."""
        found = answers.gradient_references(
            self.cell.spec, self.case, self.cotangent, self.cell.working, self.cell.flush
        )
        return {name: self._without_infinite(name, reference) for name, reference in found.items()}

    def _without_infinite(self, name: str, reference: Reference) -> Reference:
        undecided = self._rows_like(name, reference.shape)
        if not all_finite(reference.expected):
            undecided = undecided | (~np.isfinite(reference.expected) & ~reference.overflowed)
        # what is flushed to zero before the cotangent multiplies it is missing so many times over
        flushed = (
            self.cell.storage.smallest_normal
            / 8
            * float(np.abs(self.cotangent.astype(np.float64)).max(initial=1))
        )
        return reference.wider(flushed).undecided_at(undecided)

    def _rows_like(self, name: str, shape: tuple[int, ...]) -> Array:
        """Elements of an input whose gradient depends on a result that is infinite or undecided."""
        bad = ~np.isfinite(self.reference.expected) | ~np.isfinite(self.reference.attainable)
        spec = self.cell.spec
        if not bad.any():
            return np.zeros(shape, dtype=bool)
        axis = spec.independent
        names = self._output_names()
        declared = spec.inputs[name].shape
        if axis is None or axis not in names or axis not in declared:
            return np.ones(shape, dtype=bool)
        rows = np.asarray(bad.any(axis=tuple(i for i, n in enumerate(names) if n != axis)))
        return np.broadcast_to(_along(rows, declared.index(axis), len(shape)), shape)


def _along(rows: Array, place: int, rank: int) -> Array:
    """A mask of rows as an array of this rank, with its axis at `place`."""
    return np.expand_dims(rows, tuple(i for i in range(rank) if i != place))


def with_inputs(case: Case, inputs: Mapping[str, Array]) -> Case:
    """The case with other inputs."""
    return replace(case, inputs=dict(case.inputs) | dict(inputs))
