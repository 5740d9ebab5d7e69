"""Evaluate a graph with any arithmetic: the one walk that every tier of the oracle shares.

An arithmetic supplies a method for each operation of the graph. Structure (indexing, joining, axes) is the
same for all of them and lives in structure.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lossproof.expression.node import Node, topological
from lossproof.expression.size import Size
from lossproof.oracle import structure

Array = np.ndarray[Any, np.dtype[Any]]


class Arithmetic(Protocol):
    """Operations on arrays of the arithmetic's own numbers; each public op of a graph is a method."""

    def constant(self, value: Any) -> Array: ...
    def operation(self, op: str) -> Callable[..., Array]: ...


@dataclass(frozen=True)
class Bindings:
    """What the leaves of a graph stand for: arrays of the arithmetic, integers and booleans as NumPy arrays."""

    leaves: Mapping[str, Array]
    parameters: Mapping[str, Array]
    dimensions: Mapping[str, int]
    call: Callable[[Node, list[Array]], Array] | None = None


def evaluate(outputs: Sequence[Node], arithmetic: Arithmetic, bindings: Bindings) -> list[Array]:
    """The values of several nodes of one graph; what they share is computed once."""
    values: dict[int, Array] = {}
    for node in topological(outputs):
        values[id(node)] = _evaluate(node, [values[id(arg)] for arg in node.args], arithmetic, bindings)
    return [values[id(node)] for node in outputs]


def _evaluate(node: Node, args: list[Array], arithmetic: Arithmetic, bindings: Bindings) -> Array:
    def fixed(attribute: Any) -> Any:
        if isinstance(attribute, Size):
            return attribute.at(bindings.dimensions)
        if isinstance(attribute, tuple) and attribute and isinstance(attribute[0], Size):
            return tuple(size.at(bindings.dimensions) for size in attribute)
        return attribute

    match node.op:
        case "input":
            return bindings.leaves[node.attributes[0]]
        case "parameter":
            return bindings.parameters[node.attributes[0]]
        case "constant":
            value = node.attributes[0]
            return arithmetic.constant(value) if node.kind == "real" else np.asarray(value)
        case "size":
            return np.asarray(fixed(node.attributes[0]))
        case "call":
            assert bindings.call is not None
            return bindings.call(node, args)
        case "full":
            return np.broadcast_to(args[0], tuple(size.at(bindings.dimensions) for size in node.shape))
        case op if op in structure.OPERATIONS:
            return structure.OPERATIONS[op](*args, *map(fixed, node.attributes))
        case op:
            return arithmetic.operation(op)(*args, *map(fixed, node.attributes))
