"""One implementation at one case: what it returned, and what it should have returned."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from lossproof.checks import answers
from lossproof.checks.cell import Cell
from lossproof.errors import ImplementationError, NoForwardModeError
from lossproof.frameworks import Call, Outcome
from lossproof.inputs.case import Array, Case
from lossproof.inputs.filling import Filling
from lossproof.inputs.rows import Rows, rows_of
from lossproof.oracle.point import along
from lossproof.oracle.reference import Reference
from lossproof.spec import graph

__all__ = ["COTANGENTS", "TANGENTS", "Cell", "Trial", "with_inputs"]

COTANGENTS = (2.0, -0.5, 0.0, -4.0, 0.25, 1.0, -1.0)
"""Unequal, signed, one of them zero, powers of two: exact in every format. A single one is 2."""

TANGENTS = (1.0, -2.0, 0.5, 4.0, -0.25)


class Trial:
    """Lazily: the calls of the implementation at a case, and their references.

    cotangents: repeated over the elements of the result. forward_mode: whether it is looked at.
    """

    def __init__(
        self, cell: Cell, case: Case, cotangents: tuple[float, ...] = COTANGENTS, forward_mode: bool = True
    ) -> None:
        self.cell, self.case, self.cotangents = cell, case, cotangents
        self.forward_mode = forward_mode and cell.framework.forward_mode
        self.certify = cell.certify
        """As of the cell; the next check may be asked for less."""
        self.differentiated: Array | None = None
        """The value of the call that `gradients` made, once it was."""

    @functools.cached_property
    def rows(self) -> Rows | None:
        """Where the rows stand; None where their results are coupled."""
        return rows_of(self.cell.spec, graph.statics_of(self.cell.spec, self.case.parameters))

    @functools.cached_property
    def _filling(self) -> Filling | None:
        pool = self.cell.pool
        return Filling(self.case, self.rows, pool) if pool and self.rows is not None else None

    @property
    def _call(self) -> Call:
        return self.cell.call(self.case if self._filling is None else self._filling.case)

    @functools.cached_property
    def outcome(self) -> Outcome:
        """Raises ImplementationError."""
        found, filling = self._first, self._filling
        if filling is None:
            return found
        rows, again = filling.rows, found.again
        inputs = tuple(map(filling.cut, found.inputs, (rows.inputs[name] for name in self.cell.spec.inputs)))
        value = filling.cut(found.value, rows.result)
        later = None if again is None else lambda: filling.cut(again(), rows.result)
        return replace(found, value=value, inputs=inputs, again=later)

    @property
    def _first(self) -> Outcome:
        """The call that gives the value: that of `_pulled` where the cell has it so and it goes the same way."""
        engine, call = self.cell.framework, self._call
        if self.cell.differentiates_first and self.differentiable and not engine.own_derivative(call):
            try:
                return self._pulled
            except ImplementationError:  # the value may be there all the same
                pass
        return engine.value(call)

    @functools.cached_property
    def _pulled(self) -> Outcome:
        """The call that gives the derivatives, filled up; raises ImplementationError."""
        names, filling = list(self.cell.spec.inputs), self._filling
        cotangent = self.cotangent if filling is None else filling.fill(self.cotangent, filling.rows.result)
        wrt = tuple(names.index(name) for name in self.differentiable)
        return self.cell.framework.vjp(self._call, cotangent, wrt)

    @functools.cached_property
    def reference(self) -> Reference:
        """Undecided where an input holds nan or +inf, which no domain allows."""
        return answers.value_reference(self.cell.spec, self.case, self.cell.working, self.cell.flush)

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
        filling = self._filling
        if self.cell.framework.differentiates:
            outcome = self._pulled
            value, found = outcome.value, outcome.gradients
            self.differentiated = value if filling is None else filling.cut(value, filling.rows.result)
        else:
            found = self._written_gradients(self._call)
        assert found is not None
        if filling is not None:
            found = tuple(
                map(filling.cut, found, (filling.rows.inputs[name] for name in self.differentiable))
            )
        return dict(zip(self.differentiable, found, strict=True))

    @functools.cached_property
    def forward(self) -> Array | None:
        """The implementation's Jacobian–vector product along `tangents`, of the result's shape.

        None where it is not looked at, the framework has no forward mode, or the implementation none (a backward
        pass written by hand comes without, and nobody asked for one). Raises ImplementationError.
        """
        if not self.forward_mode:
            return None
        names, filling, along = list(self.cell.spec.inputs), self._filling, self.tangents
        if filling is not None:
            along = {
                name: filling.fill(tangent, filling.rows.inputs[name]) for name, tangent in along.items()
            }
        try:
            found = self.cell.framework.jvp(
                self._call, {names.index(name): tangent for name, tangent in along.items()}
            )
        except NoForwardModeError:
            return None
        return found if filling is None else filling.cut(found, filling.rows.result)

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
        if not reference.finite:
            infinite = ~np.isfinite(reference.expected) & ~reference.overflowed
            undecided = infinite if undecided is None else undecided | infinite
        # what is flushed to zero before the cotangent multiplies it is missing so many times over
        flushed = (
            self.cell.storage.smallest_normal
            / 8
            * float(np.abs(self.cotangent.astype(np.float64)).max(initial=1))
        )
        return reference.wider(flushed).undecided_at(undecided)

    def _rows_like(self, name: str, shape: tuple[int, ...]) -> Array | None:
        """Elements of an input whose gradient depends on a result that is infinite or undecided; None for none."""
        if self.reference.finite and self.reference.decided:
            return None
        bad = ~np.isfinite(self.reference.expected) | ~np.isfinite(self.reference.attainable)
        spec = self.cell.spec
        axis = spec.independent
        names = answers.output_names(spec, self.case)
        declared = spec.inputs[name].shape
        if axis is None or axis not in names or axis not in declared:
            return np.ones(shape, dtype=bool)
        rows = np.asarray(bad.any(axis=tuple(i for i, n in enumerate(names) if n != axis)))
        return along(rows, declared.index(axis), shape)


def with_inputs(case: Case, inputs: Mapping[str, Array]) -> Case:
    """The case with other inputs."""
    return replace(case, inputs=dict(case.inputs) | dict(inputs))
