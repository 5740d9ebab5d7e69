"""The values that an implementation gives inside a law, as balls.

A value becomes the ball of what was returned, with the radius of a pass or of degraded. An argument that had to
be rounded (a shift that is not exact) widens the ball by what that rounding does to the definition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from flint import arb

from lossproof.checks import answers
from lossproof.checks.trial import Cell, Trial
from lossproof.errors import ImplementationError
from lossproof.expression.node import Node
from lossproof.implementation import Implementation
from lossproof.inputs.case import Array, Case
from lossproof.oracle import ball
from lossproof.oracle.arb_tier import ArbArithmetic, precision
from lossproof.oracle.certified import Certified, elementwise, nearest, truth_precisions
from lossproof.oracle.estimated import Excuses
from lossproof.oracle.law import ClauseValue, evaluate_definition, evaluate_law
from lossproof.oracle.reference import Reference
from lossproof.oracle.verdict import FAIL, degraded_bits, distances, judge
from lossproof.spec import graph, library
from lossproof.spec.law_graph import Call
from lossproof.spec.model import Spec


class LawSkippedError(Exception):
    """The implementation cannot be asked what the law asks; the message says why."""


def refusal(implementation: Implementation, spec: Spec, node: Node) -> str | None:
    """Why an implementation cannot be called with the parameters of a `call` node; None where it can."""
    site: Call = node.attributes[0]
    given = dict(zip(site.given, node.args[len(spec.inputs) :], strict=True))
    for parameter, value in site.statics:
        if parameter in implementation.free:
            continue
        has = implementation.fixed.get(parameter, spec.parameters[parameter].default)
        if parameter in given:
            asked = given[parameter]
            same = _is_own(asked, parameter) if site.own else _is_constant(asked, has)
        else:
            same = value == has
        if not same:
            how = f"fixes to {has!r}" if parameter in implementation.fixed else "does not take"
            return f"the law varies {parameter}, which the implementation {how}"
    return None


def answering(
    cell: Cell, node: Node, shapes: Sequence[tuple[int, ...]]
) -> tuple[Spec, Implementation | None]:
    """The loss of a `call` node, and who answers for it; None for its definition.

    shapes: of the operands. Raises LawSkippedError where the implementation under test cannot be asked.
    """
    site: Call = node.attributes[0]
    if site.own and any(0 in shape for shape in shapes):
        raise LawSkippedError("the law asks for the loss of nothing at all")
    if not site.own:
        spec, other = library.get(site.loss), cell.siblings.get(site.loss)
        return spec, None if other is None or refusal(other, spec, node) is not None else other
    reason = refusal(cell.implementation, cell.spec, node)
    if reason is not None:
        raise LawSkippedError(reason)
    return cell.spec, cell.implementation


def _is_own(node: Node, parameter: str) -> bool:
    """Whether an operand is the case's own value of the parameter."""
    node = node.args[0] if node.op == "real" else node
    return node.op in ("parameter", "input") and node.attributes == (parameter,)


def _is_constant(node: Node, value: Any) -> bool:
    node = node.args[0] if node.op == "real" else node
    return (
        node.op == "constant" and isinstance(value, int | float) and float(node.attributes[0]) == float(value)
    )


class Values:
    """The values of an implementation inside one law at one case."""

    def __init__(self, cell: Cell, case: Case) -> None:
        self.cell, self.case = cell, case
        self.broken: str | None = None
        self.shown: tuple[Any, Any, Any] = (None, None, None)
        self._trials: dict[Any, tuple[Array, Reference, Any, Any]] = {}

    def evaluate(self, name: str, statics: graph.Statics, level: str) -> list[ClauseValue]:
        self._level = level
        point = answers.point_of(self.cell.spec, self.case)
        bits = truth_precisions(self.cell.storage)[-1]
        return evaluate_law(self.cell.spec, name, statics, point, self._call, bits)

    def _call(self, node: Node, args: list[Array]) -> Array:
        site: Call = node.attributes[0]
        spec, implementation = answering(self.cell, node, [arg.shape for arg in args])
        if implementation is None:
            return self._definition(spec, site, args)
        cell = replace(self.cell, implementation=implementation, spec=spec)
        key = id(node)
        if key not in self._trials:
            try:
                self._trials[key] = self._try(cell, site, args)
            except ImplementationError:
                if not site.own:
                    # the adapter's other loss answers for itself, in its own checks
                    return self._definition(spec, site, args)
                reason = cell.refuses(_case(cell, self.case, site, args)[0].parameters)
                if reason is None:
                    raise
                raise LawSkippedError(f"the implementation refuses the parameters: {reason}") from None
        got, reference, spread, slack = self._trials[key]
        return _to_balls(got, reference, spread, self._radius(cell, reference, slack))

    def _definition(self, spec: Spec, site: Call, args: list[Array]) -> Array:
        return np.asarray(evaluate_definition(spec, site, args, ArbArithmetic()))

    def _try(self, cell: Cell, site: Call, args: list[Array]) -> tuple[Array, Reference, Any, Any]:
        case, exact = _case(cell, self.case, site, args)
        trial = Trial(cell, case, (1.0,))
        if site.wrt is None:
            if not trial.shape_fits:
                raise LawSkippedError("the result has another shape than the spec's")
            got, reference = trial.outcome.value, trial.reference
        else:
            reason = trial.has_gradients
            if reason is not None:
                raise LawSkippedError(reason)
            if not trial.shape_fits:
                raise LawSkippedError("the result has another shape than the spec's")
            got, reference = trial.gradients[site.wrt], trial.gradient_references[site.wrt]
            if got.shape != reference.shape:
                raise LawSkippedError("the gradient has another shape than its input")
        got = np.asarray(got).astype(np.float64)
        if site.own:
            self._look_for_broken(got, reference)
        else:
            # the adapter's other loss answers for itself, in its own checks
            wrong = judge(got, reference, cell.working).verdicts == FAIL
            reference = replace(reference, attainable=np.where(wrong, np.inf, reference.attainable))
        spread = None if exact else _spread(cell, site, args, case)
        slack = answers.slack(cell.spec, case, site.wrt)
        return got, reference, spread, slack

    def _look_for_broken(self, got: Array, reference: Reference) -> None:
        error = distances(got, reference.middle, reference.storage)
        for at in map(tuple, np.argwhere(np.isinf(error) & np.isfinite(reference.attainable))[:1]):
            self.broken = f"{got[at]:.6g} stands for {reference.expected[at]:.6g}"
            self.shown = (reference.expected, reference.attainable, got)

    def _radius(self, cell: Cell, reference: Reference, slack: Any) -> Array:
        attainable = reference.attainable
        if self._level == "pass":
            return 8 * attainable
        excuses: Excuses | Certified | None = None
        if cell.certify is None:
            near = reference.estimated(np.ones(reference.shape, dtype=bool))
            excuses = near if near.told.all() else None
        excuses = reference.whole if excuses is None else excuses
        wide = np.maximum(
            attainable * 2.0 ** degraded_bits(reference.storage), 8 * (attainable + excuses.excuse)
        )
        wide = np.where(np.isfinite(wide), np.maximum(wide, slack), wide)
        if reference.storage.precision < cell.working.precision:
            wide = np.maximum(wide, 8 * excuses.coarse)
        return np.asarray(wide)


def _case(cell: Cell, case: Case, site: Call, args: list[Array]) -> tuple[Case, bool]:
    """The case of a call inside a law, and whether no argument had to be rounded."""
    exact = True
    rounded: list[Array] = []
    real = [*(i.is_real for i in cell.spec.inputs.values()), *(True for _ in site.given)]
    for place, (array, is_real) in enumerate(zip(args, real, strict=True)):
        if is_real and array.ndim == 0 and place >= len(cell.spec.inputs):
            # a parameter goes to the implementation as a Python number
            value = float(array.item().mid())
            array, same = np.asarray(value), bool(array.item() == value)
        elif is_real:
            array, same = _rounded(array, cell)
        else:
            same = True
        rounded.append(array)
        exact = exact and same
    return case_of(cell, case, site, rounded), exact


def case_of(cell: Cell, case: Case, site: Call, args: list[Array]) -> Case:
    """The case of a call inside a law. args: inputs, then the parameters of the call, in the dtype under test."""
    inputs: dict[str, Array] = {}
    for (name, declared), array in zip(cell.spec.inputs.items(), args, strict=False):
        if declared.is_real:
            inputs[name] = np.ascontiguousarray(array).astype(cell.storage.dtype)
        else:
            inputs[name] = np.ascontiguousarray(array.astype(bool if array.dtype == object else array.dtype))
    parameters: dict[str, Any] = {k: v for k, v in site.statics if k not in site.given}
    for name, array in zip(site.given, args[len(cell.spec.inputs) :], strict=True):
        parameters[name] = array if array.ndim else float(array)
    return Case(cell.spec.loss, case.dtype, case.regime, inputs, parameters)


def _rounded(array: Array, cell: Cell) -> tuple[Array, bool]:
    floats = elementwise(lambda entry: nearest(entry, cell.storage), array).astype(np.float64)
    same = all(
        e.is_nan() or (ball.is_infinite(e) or (e.is_exact() and bool(e == f)))
        for e, f in zip(array.ravel(), floats.ravel().tolist(), strict=True)
    )
    return floats.astype(cell.storage.dtype), same


def _spread(cell: Cell, site: Call, args: list[Array], case: Case) -> Array:
    """How much the definition can change between the exact arguments and the rounded ones."""
    rounded: Mapping[str, Any] = dict(case.inputs) | dict(case.parameters)
    names = [*cell.spec.inputs, *site.given]
    hulls = []
    for name, array in zip(names, args, strict=True):
        if array.dtype != object or (name in case.inputs and not cell.spec.inputs[name].is_real):
            hulls.append(array)
            continue
        floats = np.asarray(rounded[name]).astype(np.float64)
        join = np.frompyfunc(lambda e, f: ball.hull(e, arb(float(f))), 2, 1)
        hulls.append(np.asarray(join(array, floats), dtype=object))
    with precision(2 * cell.storage.precision + 48):
        value = np.asarray(evaluate_definition(cell.spec, site, hulls, ArbArithmetic()))
    # both ends lie in the ball, so they are at most two radii apart
    return np.asarray(elementwise(_diameter, value)).astype(np.float64)


def _diameter(entry: arb) -> float:
    return 2 * float(entry.rad()) if entry.is_finite() else 0.0 if ball.is_infinite(entry) else math.inf


def _to_balls(got: Array, reference: Reference, spread: Any, radius: Array) -> Array:
    spread = np.zeros(got.shape) if spread is None else spread
    out = np.empty(got.shape, dtype=object)
    for index in np.ndindex(got.shape):
        width = float(radius[index]) + float(spread[index])
        value = float(got[index])
        if not math.isfinite(width) or math.isnan(value):
            out[index] = ball.NAN
        elif math.isinf(value):
            # an infinity that is an overflow stands for every number past the largest
            out[index] = arb(value) if bool(reference.middle[index] == value) else ball.NAN
        else:
            out[index] = arb(value, width)
    return out
