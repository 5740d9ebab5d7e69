"""The graph of an expression: typed nodes, shared where they are equal.

A node knows its operation, its operands, its shape in named dimensions and its kind. Nodes are interned, so
equal subexpressions are one node and evaluators memoise by identity.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from lossproof.expression.size import Sizes

Kind = Literal["real", "integer", "boolean"]


class Node:
    """One operation of a graph.

    op: the name of a primitive, or of a leaf: input, parameter, constant, size, call.
    attributes: what is static, such as an axis or the value of a constant; hashable.
    """

    __slots__ = ("__weakref__", "args", "attributes", "kind", "op", "shape")
    _interned: ClassVar[weakref.WeakValueDictionary[Any, Node]] = weakref.WeakValueDictionary()

    op: str
    args: tuple[Node, ...]
    attributes: tuple[Any, ...]
    shape: Sizes
    kind: Kind

    @classmethod
    def make(
        cls,
        op: str,
        args: Iterable[Node] = (),
        attributes: tuple[Any, ...] = (),
        shape: Sizes = (),
        kind: Kind = "real",
    ) -> Node:
        """The node with these parts; the same parts give the same object."""
        args = tuple(args)
        # the types tell 1 from True and 1.0, which are equal as keys
        key = (op, tuple(map(id, args)), attributes, tuple(map(type, attributes)), shape, kind)
        node = cls._interned.get(key)
        if node is None:
            node = cls()
            node.op, node.args, node.attributes, node.shape, node.kind = op, args, attributes, shape, kind
            cls._interned[key] = node
        return node

    def __repr__(self) -> str:
        inside = ", ".join([*map(repr, self.args), *map(str, self.attributes)])
        return f"{self.op}({inside})"


def topological(outputs: Iterable[Node]) -> list[Node]:
    """Every node that the outputs depend on, operands first, each once."""
    order: list[Node] = []
    seen: set[int] = set()
    stack: list[tuple[Node, bool]] = [(node, False) for node in outputs]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack.append((node, True))
            stack.extend((arg, False) for arg in node.args)
    return order
