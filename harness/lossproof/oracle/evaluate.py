"""Evaluate a graph with any arithmetic: the one walk that every tier of the oracle shares.

An arithmetic supplies the leaves that are constants and a method for each operation of the graph. Structure
(indexing, joining, axes) is the same for all of them and lives in structure.py.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from lossproof.expression.node import Node, topological
from lossproof.expression.size import Size

Array = np.ndarray[Any, np.dtype[Any]]


class Arithmetic(Protocol):
    """Operations on the arithmetic's own values, such as arrays of its numbers."""

    def constant(self, value: Any) -> Any:
        """A real number."""

    def integers(self, array: Array) -> Any:
        """Whole numbers or booleans, exactly."""

    def full(self, value: Any, shape: tuple[int, ...]) -> Any:
        """A scalar as an array."""

    def operation(self, op: str) -> Callable[..., Any]: ...


@dataclass(frozen=True)
class Bindings:
    """What the leaves of a graph stand for: values of the arithmetic."""

    leaves: Mapping[str, Any]
    parameters: Mapping[str, Any]
    dimensions: Mapping[str, int]
    call: Callable[[Node, list[Any]], Any] | None = None


def evaluate(
    outputs: Sequence[Node], arithmetic: Arithmetic, bindings: Bindings, known: dict[Node, Any] | None = None
) -> list[Any]:
    """The values of several nodes of one graph; what they share is computed once.

    known: values from an earlier walk with the same arithmetic and bindings, to which those of this one are added.
    """
    values: dict[Node, Any] = {} if known is None else known
    for node in _order(tuple(outputs)):
        if node not in values:
            values[node] = _evaluate(node, [values[arg] for arg in node.args], arithmetic, bindings)
    return [values[node] for node in outputs]


@functools.lru_cache(maxsize=4096)
def _order(outputs: tuple[Node, ...]) -> tuple[Node, ...]:
    return tuple(topological(outputs))


def _evaluate(node: Node, args: list[Any], arithmetic: Arithmetic, bindings: Bindings) -> Any:
    match node.op:
        case "input":
            return bindings.leaves[node.attributes[0]]
        case "parameter":
            return bindings.parameters[node.attributes[0]]
        case "constant":
            value = node.attributes[0]
            return (
                arithmetic.constant(value) if node.kind == "real" else arithmetic.integers(np.asarray(value))
            )
        case "size":
            return arithmetic.integers(np.asarray(_fixed(node.attributes[0], bindings)))
        case "call":
            assert bindings.call is not None
            return bindings.call(node, args)
        case "full":
            return arithmetic.full(args[0], tuple(size.at(bindings.dimensions) for size in node.shape))
    if not node.attributes:
        return arithmetic.operation(node.op)(*args)
    return arithmetic.operation(node.op)(*args, *attributes(node, bindings))


def attributes(node: Node, bindings: Bindings) -> list[Any]:
    """The attributes of a node, with sizes in place of dimensions."""
    return [_fixed(each, bindings) for each in node.attributes]


def _fixed(attribute: Any, bindings: Bindings) -> Any:
    """An attribute with sizes in place of dimensions."""
    if isinstance(attribute, Size):
        return attribute.at(bindings.dimensions)
    if isinstance(attribute, tuple) and attribute and isinstance(attribute[0], Size):
        return tuple(size.at(bindings.dimensions) for size in attribute)
    return attribute
