"""A trial of one member of a stack: its rows of what the call of the whole stack gave."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

from lossproof.checks.trial import Trial
from lossproof.frameworks import Outcome
from lossproof.inputs.case import Array, Case
from lossproof.inputs.rows import part
from lossproof.oracle.reference import Reference


class Part(Trial):
    """Some rows of a trial, as a trial of their own case. It calls neither the implementation nor the oracle."""

    def __init__(self, whole: Trial, case: Case, chosen: slice) -> None:
        super().__init__(whole.cell, case, whole.cotangents)
        assert whole.rows is not None
        self._whole, self._chosen, self._places = whole, chosen, whole.rows

    def _of_result(self, array: Array) -> Array:
        return part(array, self._places.result, self._chosen)

    def _of_input(self, name: str, array: Array) -> Array:
        return part(array, self._places.inputs[name], self._chosen)

    @functools.cached_property
    def outcome(self) -> Outcome:
        found = self._whole.outcome
        inputs = tuple(map(self._of_input, self.cell.spec.inputs, found.inputs))
        return replace(found, value=self._of_result(found.value), inputs=inputs, again=None)

    @functools.cached_property
    def reference(self) -> Reference:
        return self._whole.reference.rows(self._places.result, self._chosen)

    @functools.cached_property
    def cotangent(self) -> Array:
        return self._of_result(self._whole.cotangent)

    @property
    def tangents(self) -> dict[str, Array]:
        return {name: self._of_input(name, array) for name, array in self._whole.tangents.items()}

    @functools.cached_property
    def gradients(self) -> dict[str, Array]:
        found = self._whole.gradients
        if self._whole.differentiated is not None:
            self.differentiated = self._of_result(self._whole.differentiated)
        return {name: self._of_input(name, array) for name, array in found.items()}

    @functools.cached_property
    def gradient_references(self) -> dict[str, Reference]:
        places = self._places.inputs
        return {
            name: reference if (at := places[name]) is None else reference.rows(at, self._chosen)
            for name, reference in self._whole.gradient_references.items()
        }

    @functools.cached_property
    def forward(self) -> Array | None:
        found = self._whole.forward
        return None if found is None else self._of_result(found)


def parts(whole: Trial, members: Sequence[tuple[Case, slice]]) -> list[Part] | None:
    """A trial of each member of a stack; None where results have not the rows of the stack.

    Makes every call that the members will ask about; raises ImplementationError where one raises.
    """
    if whole.rows is None or not whole.shape_fits:
        return None
    if whole.has_gradients is None:
        gradients = whole.gradients
        if any(gradients[name].shape != whole.case.inputs[name].shape for name in gradients):
            return None
        forward = whole.forward
        if forward is not None and forward.shape != whole.outcome.value.shape:
            return None
    return [Part(whole, case, chosen) for case, chosen in members]
