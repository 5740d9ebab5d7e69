"""Laws in the vector tier: a whole batch at once, where it is beyond doubt that a law holds.

The law's graph is evaluated in the wide format with two radii: one for what the implementation may be off by, one
for the tier's own error. What is not certainly kept, or cannot be asked for, goes to the certified way (laws.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lossproof.checks import answers
from lossproof.checks.law_values import LawSkippedError, answering, case_of
from lossproof.checks.trial import Cell, Trial
from lossproof.errors import ImplementationError
from lossproof.expression.node import Node
from lossproof.inputs.case import Array, Case
from lossproof.oracle import wide
from lossproof.oracle.evaluate import Bindings, evaluate
from lossproof.oracle.law import Clause, clauses, evaluate_definition
from lossproof.oracle.own_error import OwnError, own_rounding
from lossproof.oracle.reference import Reference
from lossproof.oracle.rounding import NO_ROUNDING
from lossproof.oracle.running_error import Ball, Families, RunningError
from lossproof.oracle.verdict import FAIL, PASS_BITS, distances, judge
from lossproof.spec import graph
from lossproof.spec.law_graph import Call


@dataclass(frozen=True)
class Kept:
    """A law that holds at a case: how many elements told so, and how many could not."""

    cases: int
    undecided: int


class InDoubtError(Exception):
    """The vector tier cannot tell."""


def kept(cell: Cell, name: str, case: Case) -> Kept | None:
    """Whether a law certainly holds at a case; None where the certified way must tell."""
    try:
        with np.errstate(all="ignore"):
            return _Law(cell, case).kept(name)
    except (InDoubtError, ImplementationError):
        return None


class _Law:
    def __init__(self, cell: Cell, case: Case) -> None:
        self.cell, self.case = cell, case
        families = Families()
        self.arithmetic = RunningError(
            wide.WideArithmetic(wide.wide_dtype(cell.storage), families),
            wide.view,
            (NO_ROUNDING, own_rounding(cell.storage)),
            families,
            own_radius=True,
            radii=OwnError.of(cell.storage),
        )

    def kept(self, name: str) -> Kept:
        spec = self.cell.spec
        parts = clauses(spec, name, graph.statics_of(spec, self.case.parameters))
        nodes: list[Node] = []
        for part in parts:
            nodes += [
                *(part.sides or (part.node,)),
                *([part.condition] if part.condition is not None else []),
            ]
        point = answers.point_of(spec, self.case)
        leaves = {name: self.arithmetic.leaf(array) for name, array in point.arrays.items()}
        numbers = {name: self.arithmetic.number(value) for name, value in point.reals.items()}
        found = iter(
            evaluate(nodes, self.arithmetic, Bindings(leaves, numbers, point.dimensions, self._call))
        )
        cases = undecided = 0
        for part in parts:
            sides = [next(found) for _ in (part.sides or (part.node,))]
            holds, known = _compared(part, sides)
            claimed = np.broadcast_to(
                True if part.condition is None else _claimed(next(found)), np.broadcast_shapes(holds.shape)
            )
            if (claimed & known & ~holds).any():
                raise InDoubtError
            told = int((claimed & known).sum())
            cases, undecided = cases + told, undecided + int(claimed.sum()) - told
        return Kept(cases, undecided)

    def _call(self, node: Node, args: list[Ball]) -> Ball:
        site: Call = node.attributes[0]
        try:
            spec, implementation = answering(self.cell, node, [arg.shape for arg in args])
        except LawSkippedError as error:
            raise InDoubtError from error
        if implementation is None:
            found: Ball = evaluate_definition(spec, site, args, self.arithmetic)
            return found
        cell = replace(self.cell, implementation=implementation, spec=spec)
        inexact = False
        rounded: list[Array] = []
        for place, ball in enumerate(args):
            array, same = self._rounded(ball, parameter=place >= len(spec.inputs))
            rounded.append(array)
            inexact = inexact or not same
        case = case_of(cell, self.case, site, rounded)
        got, reference = _asked(cell, site, case)
        spread = self._spread(cell, site, args, rounded) if inexact else 0.0
        return self._value(got, reference, spread)

    def _rounded(self, ball: Ball, *, parameter: bool) -> tuple[Array, bool]:
        """An argument as the implementation gets it, and whether nothing had to be rounded.

        A number among the parameters goes to it as a Python number.
        """
        if ball.view.dtype.kind in "iub":
            return ball.view, True
        if np.isnan(ball.view).any():
            raise InDoubtError
        array = ball.view if parameter and not ball.view.ndim else ball.view.astype(self.cell.storage.dtype)
        exact = array.astype(np.float64) == ball.mid
        return array, bool(np.all(exact & np.asarray(ball.radii[1] == 0)))

    def _value(self, got: Array, reference: Reference, spread: Any) -> Ball:
        """What was returned, with the radius of a pass."""
        radius = 2.0**PASS_BITS * reference.attainable + spread
        # an infinity that is an overflow stands for every number past the largest
        unknown = ~np.isfinite(radius) | np.isnan(got) | (np.isinf(got) & np.isfinite(reference.middle))
        mid = np.where(unknown, 0.0, got).astype(self.arithmetic.midpoints.dtype)
        radius = np.where(unknown, np.nan, np.where(np.isinf(got), 0.0, radius))
        return Ball(mid, wide.view(mid), (radius, 0.0))

    def _spread(self, cell: Cell, site: Call, args: list[Ball], rounded: list[Array]) -> Array:
        """How much the definition can change between the exact arguments and the rounded ones."""
        hulls = []
        for ball, array in zip(args, rounded, strict=True):
            if ball.view.dtype.kind in "iub":
                hulls.append(ball)
                continue
            near = self.arithmetic.leaf(array)
            apart = (
                np.where(near.mid == ball.mid, 0.0, wide.view(np.abs(ball.mid - near.mid))) + ball.radii[1]
            )
            hulls.append(Ball(near.mid, near.view, (apart, 0.0)))
        found: Ball = evaluate_definition(cell.spec, site, hulls, self.arithmetic)
        if np.isnan(found.view).any():
            raise InDoubtError
        # both ends lie in the ball, so they are at most two radii apart
        width = 2 * (np.asarray(found.radii[0]) + found.radii[1])
        return np.where(np.isinf(found.view), 0.0, width)


def _asked(cell: Cell, site: Call, case: Case) -> tuple[Array, Reference]:
    """What the implementation gives, and its reference; doubt where it cannot be compared or is plainly wrong."""
    trial = Trial(cell, case, (1.0,))
    if not trial.shape_fits or (site.wrt is not None and trial.has_gradients is not None):
        raise InDoubtError
    if site.wrt is None:
        got, reference = trial.outcome.value, trial.reference
    else:
        got, reference = trial.gradients[site.wrt], trial.gradient_references[site.wrt]
    if got.shape != reference.shape:
        raise InDoubtError
    got = np.asarray(got).astype(np.float64)
    if site.own:
        error = distances(got, reference.middle, reference.storage)
        if (np.isinf(error) & np.isfinite(reference.attainable)).any():
            raise InDoubtError
    else:
        # the adapter's other loss answers for itself, in its own checks
        reference = reference.undecided_at(judge(got, reference, cell.working).verdicts == FAIL)
    return got, reference


def _compared(part: Clause, sides: list[Ball]) -> tuple[Array, Array]:
    """Where a clause certainly holds, and where it is told at all."""
    if len(sides) == 1:
        (found,) = sides
        if found.open is not None or np.any(found.radii[0]) or np.any(found.radii[1]):
            raise InDoubtError
        return found.view, np.ones(found.view.shape, dtype=bool)
    left, right = sides
    if np.isnan(left.view).any() or np.isnan(right.view).any():
        raise InDoubtError
    same = left.mid == right.mid
    apart = np.where(same, 0.0, wide.view(np.asarray(left.mid - right.mid)))
    room = np.add(left.radii[0], right.radii[0])
    room = np.broadcast_to(room * (1 - 2.0**-20) - np.add(left.radii[1], right.radii[1]), apart.shape)
    holds = {
        "eq": np.abs(apart) <= room, "le": apart <= room, "ge": -apart <= room, "lt": apart < room, "gt": -apart < room,
    }.get(part.node.op)  # fmt: skip
    if holds is None:
        raise InDoubtError
    return holds, ~np.isnan(room)


def _claimed(condition: Ball) -> Array:
    """Where a condition certainly holds; what hangs on an implementation's error is not claimed."""
    if condition.open is not None or np.any(condition.radii[1]):
        raise InDoubtError
    unsure = condition.radii[0]
    return np.asarray(condition.view & ~np.asarray(unsure).astype(bool))
