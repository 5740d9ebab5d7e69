"""Laws: an equation or inequality between values of an implementation, each value a ball.

A value becomes the ball of what was returned, with the radii of a pass, then of degraded: the law gets the
verdict of the narrowest radii with which its balls can satisfy it. An argument that had to be rounded (a
shift that is not exact) widens the ball by what that rounding does to the definition.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from flint import arb

from lossproof.audit.results import Verdict
from lossproof.checks import answers
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Cell, Trial
from lossproof.expression.node import Node, topological
from lossproof.implementation import Implementation
from lossproof.inputs.case import Array, Case
from lossproof.oracle import ball
from lossproof.oracle.arb_tier import ArbArithmetic, precision
from lossproof.oracle.law import ClauseValue, clauses, evaluate_definition, evaluate_law
from lossproof.oracle.reference import Reference, elementwise, nearest, truth_precisions
from lossproof.oracle.verdict import FAIL, degraded_bits, distance, judge
from lossproof.spec import graph, library
from lossproof.spec.model import Spec

PREFIX = "law:"


class LawSkippedError(Exception):
    """The implementation cannot be asked what the law asks; the message says why."""


def observe(cell: Cell, name: str, case: Case) -> Observation:
    """One law at one case. Raises ImplementationError where a call inside the law does."""
    spec = cell.spec
    law = spec.laws[name]
    statics = graph.statics_of(spec, case.parameters)
    if not graph.applies(law, statics):
        return Observation(Verdict.PASS, 0, 0)
    values = _Values(cell, case)
    try:
        passing = values.evaluate(name, statics, "pass")
        violated = [clause.violated for clause in passing]
        cases, undecided = _counts(passing)
        broken = values.broken and _told_only_by_definition(cell, name, case, passing)
        if not broken and not any(v.any() for v in violated):
            return Observation(Verdict.PASS, cases, undecided, 0.0)
        text = _text(law.law)
        if broken:
            return Observation(
                Verdict.FAIL, cases, undecided, math.inf, f"{values.broken} in {text}", "value", *values.shown
            )
        worst = max((c for c in passing if c.violated.any()), key=_bits)
        wide = values.evaluate(name, statics, "degraded")
        failed = any(clause.violated.any() for clause in wide)
        return Observation(
            Verdict.FAIL if failed else Verdict.DEGRADED,
            cases,
            undecided,
            _bits(worst),
            f"{text} is violated" + ("" if failed else ", within what is degraded"),
            "left side",
            _middles(worst.right),
            None,
            _middles(worst.left),
        )
    except LawSkippedError as skipped:
        return Observation(Verdict.SKIP, reason=str(skipped))


def asks(spec: Spec, name: str, statics: graph.Statics) -> bool:
    """Whether a law calls its own loss; one that does not is about the definition alone."""
    nodes = topological([clause.node for clause in clauses(spec, name, statics)])
    return any(node.op == "call" and node.attributes[0].own for node in nodes)


def note(cell: Cell, name: str, statics: graph.Statics) -> str | None:
    """Which other losses in a law are the adapter's own and which are definitions, for the reader of a result."""
    found = []
    for node in topological([clause.node for clause in clauses(cell.spec, name, statics)]):
        if node.op == "call" and not node.attributes[0].own:
            site: graph.Call = node.attributes[0]
            other = cell.siblings.get(site.loss)
            usable = other is not None and refusal(other, library.get(site.loss), node) is None
            found.append(
                f"{site.loss} is {other.name}" if usable and other else f"{site.loss} is the definition"
            )
    return ", ".join(dict.fromkeys(found)) or None


def refusal(implementation: Implementation, spec: Spec, node: Node) -> str | None:
    """Why an implementation cannot be called with the parameters of a `call` node; None where it can."""
    site: graph.Call = node.attributes[0]
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


def _is_own(node: Node, parameter: str) -> bool:
    """Whether an operand is the case's own value of the parameter."""
    node = node.args[0] if node.op == "real" else node
    return node.op in ("parameter", "input") and node.attributes == (parameter,)


def _is_constant(node: Node, value: Any) -> bool:
    node = node.args[0] if node.op == "real" else node
    return (
        node.op == "constant" and isinstance(value, int | float) and float(node.attributes[0]) == float(value)
    )


def _text(law: str) -> str:
    return " ".join(law.split())


class _Values:
    """The values of an implementation inside one law at one case."""

    def __init__(self, cell: Cell, case: Case) -> None:
        self.cell, self.case = cell, case
        self.broken: str | None = None
        self.shown: tuple[Any, Any, Any] = (None, None, None)
        self._trials: dict[Any, tuple[Array, Reference, Any]] = {}

    def evaluate(self, name: str, statics: graph.Statics, level: str) -> list[ClauseValue]:
        self._level = level
        point = answers.point_of(self.cell.spec, self.case)
        bits = truth_precisions(self.cell.storage)[-1]
        return evaluate_law(self.cell.spec, name, statics, point, self._call, bits)

    def _call(self, node: Node, args: list[Array]) -> Array:
        site: graph.Call = node.attributes[0]
        spec = self.cell.spec if site.own else library.get(site.loss)
        implementation = self.cell.implementation if site.own else self.cell.siblings.get(site.loss)
        if implementation is not None:
            reason = refusal(implementation, spec, node)
            if reason is not None and site.own:
                raise LawSkippedError(reason)
            if reason is not None:
                implementation = None
        if implementation is None:
            return evaluate_definition(spec, site, args, ArbArithmetic())
        cell = replace(self.cell, implementation=implementation, spec=spec)
        key = id(node)
        if key not in self._trials:
            self._trials[key] = self._try(cell, site, args)
        got, reference, spread = self._trials[key]
        return _to_balls(got, reference, spread, self._radius(cell, reference))

    def _try(self, cell: Cell, site: graph.Call, args: list[Array]) -> tuple[Array, Reference, Any]:
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
            if got.shape != reference.truth.shape:
                raise LawSkippedError("the gradient has another shape than its input")
        got = np.asarray(got).astype(np.float64)
        if site.own:
            self._look_for_broken(got, reference)
        else:
            # the adapter's other loss answers for itself, in its own checks
            wrong = judge(got, reference, cell.working).verdicts == FAIL
            reference = replace(reference, attainable=np.where(wrong, np.inf, reference.attainable))
        spread = None if exact else _spread(cell, site, args, case)
        return got, reference, spread

    def _look_for_broken(self, got: Array, reference: Reference) -> None:
        for index in np.ndindex(got.shape):
            known = math.isfinite(reference.attainable[index])
            if known and math.isinf(distance(float(got[index]), reference, index)):
                self.broken = f"{got[index]:.6g} stands for {reference.expected[index]:.6g}"
                self.shown = (reference.expected, reference.attainable, got)
                return

    def _radius(self, cell: Cell, reference: Reference) -> Array:
        attainable = reference.attainable
        if self._level == "pass":
            return 8 * attainable
        wide = np.maximum(
            attainable * 2.0 ** degraded_bits(reference.storage), 8 * (attainable + reference.excuse)
        )
        if reference.storage.precision < cell.working.precision:
            wide = np.maximum(wide, 8 * reference.attainable_at(reference.storage))
        return np.asarray(wide)


def _case(cell: Cell, case: Case, site: graph.Call, args: list[Array]) -> tuple[Case, bool]:
    """The case of a call inside a law, and whether no argument had to be rounded."""
    exact = True
    inputs: dict[str, Array] = {}
    for (name, declared), array in zip(cell.spec.inputs.items(), args, strict=False):
        if declared.is_real:
            rounded, same = _rounded(array, cell)
            inputs[name], exact = rounded, exact and same
        else:
            inputs[name] = np.ascontiguousarray(array.astype(bool if array.dtype == object else array.dtype))
    parameters: dict[str, Any] = {k: v for k, v in site.statics if k not in site.given}
    for name, array in zip(site.given, args[len(cell.spec.inputs) :], strict=True):
        if array.ndim:
            rounded, same = _rounded(array, cell)
            parameters[name], exact = rounded, exact and same
        else:
            value = float(array.item().mid())
            parameters[name], exact = value, exact and bool(array.item() == value)
    return Case(cell.spec.loss, case.dtype, case.regime, inputs, parameters), exact


def _rounded(array: Array, cell: Cell) -> tuple[Array, bool]:
    floats = elementwise(lambda entry: nearest(entry, cell.storage), array).astype(np.float64)
    same = all(
        e.is_nan() or (ball.is_infinite(e) or (e.is_exact() and bool(e == f)))
        for e, f in zip(array.ravel(), floats.ravel().tolist(), strict=True)
    )
    return floats.astype(cell.storage.dtype), same


def _spread(cell: Cell, site: graph.Call, args: list[Array], case: Case) -> Array:
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
        value = evaluate_definition(cell.spec, site, hulls, ArbArithmetic())
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
            true: arb = reference.truth.item(index)
            out[index] = arb(value) if bool(true == value) else ball.NAN
        else:
            out[index] = arb(value, width)
    return out


def _told_only_by_definition(cell: Cell, name: str, case: Case, found: list[ClauseValue]) -> bool:
    """Whether the definition decides an element which a wrong nan or inf of the implementation left open."""
    statics = graph.statics_of(cell.spec, case.parameters)

    def call(node: Node, args: list[Array]) -> Array:
        site: graph.Call = node.attributes[0]
        spec = cell.spec if site.own else library.get(site.loss)
        return evaluate_definition(spec, site, args, ArbArithmetic())

    bits = truth_precisions(cell.storage)[0]
    truths = evaluate_law(cell.spec, name, statics, answers.point_of(cell.spec, case), call, bits)
    return any((t.told & ~f.told).any() for t, f in zip(truths, found, strict=True))


def _counts(found: list[ClauseValue]) -> tuple[int, int]:
    told = sum(int(clause.told.sum()) for clause in found)
    claimed = sum(int(np.asarray(clause.claimed).sum()) for clause in found)
    return told, claimed - told


def _bits(clause: ClauseValue) -> float:
    """How far outside the balls of the attainable error (an eighth of those of a pass) the sides lie."""
    if clause.left is None or clause.right is None:
        return math.inf
    lost = 0.0
    left: Array
    right: Array
    left, right = np.broadcast_arrays(clause.left, clause.right)
    for index in np.argwhere(clause.violated):
        a: arb = left[tuple(index)]
        b: arb = right[tuple(index)]
        if not (a.is_finite() and b.is_finite()):
            return math.inf
        gap, radius = float(abs(a.mid() - b.mid())), (float(a.rad()) + float(b.rad())) / 8
        lost = max(lost, math.log2(gap / radius) if radius > 0 else math.inf)
    return lost


def _middles(array: Array | None) -> Array | None:
    if array is None:
        return None
    return elementwise(lambda e: float(e.mid()) if not e.is_nan() else math.nan, array).astype(np.float64)
