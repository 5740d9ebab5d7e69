"""Laws: an equation or inequality between values of an implementation, each value a ball.

A value becomes the ball of what was returned, with the radii of a pass, then of degraded: the law gets the
verdict of the narrowest radii with which its balls can satisfy it. An argument that had to be rounded (a
shift that is not exact) widens the ball by what that rounding does to the definition.
"""

from __future__ import annotations

import math

import numpy as np
from flint import arb

from lossproof.audit.results import Verdict
from lossproof.checks import answers, law_vector
from lossproof.checks.law_values import LawSkippedError, Values, refusal
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Cell
from lossproof.expression.node import topological
from lossproof.inputs.case import Array, Case
from lossproof.oracle.certified import elementwise, truth_precisions
from lossproof.oracle.law import ClauseValue, by_definition, clauses, evaluate_law
from lossproof.spec import graph, library
from lossproof.spec.law_graph import Call, applies
from lossproof.spec.model import Spec

PREFIX = "law:"


def observe(cell: Cell, name: str, case: Case) -> Observation:
    """One law at one case; a skip where the implementation refuses parameters that the law needs.

    Raises ImplementationError where any other call inside the law does.
    """
    spec = cell.spec
    law = spec.laws[name]
    statics = graph.statics_of(spec, case.parameters)
    if not applies(law, statics):
        return Observation(Verdict.PASS, 0, 0)
    sure = law_vector.kept(cell, name, case)
    if sure is not None:
        return Observation(Verdict.PASS, sure.cases, sure.undecided, 0.0, note(cell, name, statics))
    values = Values(cell, case)
    try:
        passing = values.evaluate(name, statics, "pass")
        violated = [clause.violated for clause in passing]
        cases, undecided = _counts(passing)
        broken = values.broken and _told_only_by_definition(cell, name, case, passing)
        if not broken and not any(v.any() for v in violated):
            return Observation(Verdict.PASS, cases, undecided, 0.0, note(cell, name, statics))
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


def law_of(check: str) -> str | None:
    """The law that a check is about; None for the other checks."""
    return check.removeprefix(PREFIX) if check.startswith(PREFIX) else None


def asks(spec: Spec, name: str, statics: graph.Statics) -> bool:
    """Whether a law calls its own loss; one that does not is about the definition alone."""
    nodes = topological([clause.node for clause in clauses(spec, name, statics)])
    return any(node.op == "call" and node.attributes[0].own for node in nodes)


def note(cell: Cell, name: str, statics: graph.Statics) -> str | None:
    """Which other losses in a law are the adapter's own and which are definitions, for the reader of a result."""
    found = []
    for node in topological([clause.node for clause in clauses(cell.spec, name, statics)]):
        if node.op == "call" and not node.attributes[0].own:
            site: Call = node.attributes[0]
            other = cell.siblings.get(site.loss)
            usable = other is not None and refusal(other, library.get(site.loss), node) is None
            found.append(
                f"{site.loss} is {other.name}" if usable and other else f"{site.loss} is the definition"
            )
    return ", ".join(dict.fromkeys(found)) or None


def _text(law: str) -> str:
    return " ".join(law.split())


def _told_only_by_definition(cell: Cell, name: str, case: Case, found: list[ClauseValue]) -> bool:
    """Whether the definition decides an element which a wrong nan or inf of the implementation left open."""
    statics = graph.statics_of(cell.spec, case.parameters)

    bits = truth_precisions(cell.storage)[0]
    truths = evaluate_law(
        cell.spec, name, statics, answers.point_of(cell.spec, case), by_definition(cell.spec), bits
    )
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
