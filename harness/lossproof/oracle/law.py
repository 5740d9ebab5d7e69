"""Laws in ball arithmetic: which elements satisfy one, violate it, or cannot be told.

A law is split at its top-level `and` into clauses. The values of losses inside it come from outside (`call`):
from the definition when a law is proven, from an implementation when one is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossproof.expression import primitives as p
from lossproof.expression.node import Node
from lossproof.oracle.arb_tier import ArbArithmetic, precision
from lossproof.oracle.certified import exact_bindings
from lossproof.oracle.evaluate import Bindings, evaluate
from lossproof.oracle.point import Point
from lossproof.spec import graph, library
from lossproof.spec.law_graph import Call, law_graph
from lossproof.spec.model import Spec

Array = np.ndarray[Any, np.dtype[Any]]
Caller = Callable[[Node, list[Array]], Array]


@dataclass(frozen=True)
class Clause:
    """One comparison (or boolean) of a law, with the condition under which it is claimed."""

    node: Node
    condition: Node | None

    @property
    def sides(self) -> tuple[Node, Node] | None:
        """Left and right where the clause compares real numbers."""
        if self.node.op in p.COMPARISONS and self.node.args[0].kind == "real":
            return self.node.args[0], self.node.args[1]
        return None


@dataclass(frozen=True)
class ClauseValue:
    """A clause at a point: holds is True, False or None (cannot be told) elementwise; claimed likewise a mask."""

    clause: Clause
    holds: Array
    claimed: Array
    left: Array | None
    right: Array | None

    @property
    def violated(self) -> Array:
        """Elements that are claimed and certainly false."""
        return np.asarray((self.holds == False) & self.claimed, dtype=bool)  # noqa: E712  # an array of objects

    @property
    def decided(self) -> Array:
        """Elements that certainly hold or certainly do not."""
        return np.asarray(np.frompyfunc(lambda entry: entry is not None, 1, 1)(self.holds)).astype(bool)

    @property
    def told(self) -> Array:
        """Elements that are claimed and neither undefined nor beyond this precision."""
        known = self.decided
        if self.left is not None and self.right is not None:
            known = known | (_finite(self.left) & _finite(self.right))
        return np.asarray(known & self.claimed, dtype=bool)


def _finite(array: Array) -> Array:
    return np.asarray(np.frompyfunc(lambda entry: entry.is_finite(), 1, 1)(array)).astype(bool)


def clauses(spec: Spec, name: str, statics: graph.Statics) -> list[Clause]:
    """The clauses of a law, in order."""
    law, condition = law_graph(spec, name, statics)
    found: list[Clause] = []
    stack = [law]
    while stack:
        node = stack.pop()
        if node.op == "and":
            stack += reversed(node.args)
        else:
            found.append(Clause(node, None if condition is None else _aligned(condition, node)))
    return found


def _aligned(condition: Node, clause: Node) -> Node:
    """A condition as broadcast against a clause; over axes that the clause has not, it must hold throughout."""
    lost = tuple(i for i, axis in enumerate(condition.shape) if axis not in clause.shape and axis.number != 1)
    if lost:
        condition = p.reduce("all", condition, lost)
    return p.align(condition, clause.shape) if len(condition.shape) < len(clause.shape) else condition


def evaluate_law(
    spec: Spec, name: str, statics: graph.Statics, point: Point, call: Caller, bits: int
) -> list[ClauseValue]:
    """A law's clauses at a point, with `call` giving the values (balls) of the losses in it.

    Everything else is computed at `bits` bits on exact inputs.
    """
    parts = clauses(spec, name, statics)
    nodes: list[Node] = []
    for part in parts:
        nodes += [part.node, *(part.sides or ()), *([part.condition] if part.condition is not None else [])]
    with precision(bits):
        values = iter(evaluate(nodes, ArbArithmetic(), exact_bindings(point, call)))
        found = []
        for part in parts:
            holds = np.asarray(next(values), dtype=object)
            left, right = (next(values), next(values)) if part.sides else (None, None)
            claimed: Any = True
            if part.condition is not None:
                claimed = np.equal(np.asarray(next(values), dtype=object), True).astype(bool)
            claimed = np.broadcast_to(claimed, holds.shape)
            found.append(ClauseValue(part, holds, claimed, left, right))
    return found


def by_definition(own: Spec) -> Caller:
    """Answers every call of a loss by its definition, at the context's precision."""

    def call(node: Node, args: list[Array]) -> Array:
        site: Call = node.attributes[0]
        spec = own if site.own else library.get(site.loss)
        return np.asarray(evaluate_definition(spec, site, args, ArbArithmetic()))

    return call


def evaluate_definition(spec: Spec, site: Call, args: list[Any], arithmetic: Any) -> Any:
    """The definition (or its gradient, cotangent 1) at values of an arithmetic.

    args: inputs first, then the parameters of `site.given`.
    """
    inputs = dict(zip(spec.inputs, args, strict=False))
    given = dict(zip(site.given, args[len(inputs) :], strict=True))
    numbers = {name: value for name, value in given.items() if not value.shape}
    leaves = inputs | {name: value for name, value in given.items() if value.shape}
    dimensions = bind_dimensions(spec, {name: array.shape for name, array in inputs.items()})
    output = graph.definition(spec, site.statics)
    node = output
    if site.wrt is not None:
        node = graph.gradient(spec, site.statics)[site.wrt]
        shape = tuple(size.at(dimensions) for size in output.shape)
        leaves[graph.COTANGENT] = arithmetic.leaf(np.ones(shape))
    (value,) = evaluate([node], arithmetic, Bindings(leaves, numbers, dimensions))
    return value


def bind_dimensions(spec: Spec, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The sizes of a spec's named dimensions, read off the shapes of its inputs."""
    bound: dict[str, int] = {}
    for name, declared in spec.inputs.items():
        for axis, size in zip(declared.shape, shapes[name], strict=True):
            if isinstance(axis, str):
                bound.setdefault(axis, size)
    return bound
