"""A step of a definition in the words of its spec."""

from __future__ import annotations

from collections.abc import Callable

from lossproof.errors import ExpressionError
from lossproof.expression.node import Node
from lossproof.spec import graph
from lossproof.spec.model import Spec

BETWEEN = {"add": "+", "sub": "−", "mul": "·", "div": "/"}

UNSEEN = ("real", "newaxis")
"""Operations of which a formula shows nothing."""

DEPTH = 3
"""So many operations inside each other are written out."""


def speaker(spec: Spec, statics: graph.Statics) -> Callable[[Node], str]:
    """What writes a step as a formula, of the names that the spec gives to others."""
    named: dict[int, str] = {}
    for name in spec.let:
        try:
            node = graph.aside(spec, statics, name)
        except ExpressionError:
            continue  # a name of a choice that is not taken
        if _bare(node).args:
            named[id(_bare(node))] = name

    def told(node: Node, depth: int = DEPTH, inside: bool = False) -> str:
        node = _bare(node)
        if depth < DEPTH and id(node) in named:
            return named[id(node)]
        if not node.args:
            leaf = node.attributes[0] if node.attributes else node.op
            return f"{leaf:g}" if isinstance(leaf, float) else str(leaf)
        if not depth:
            return "…"
        if node.op in BETWEEN and len(node.args) == 2:
            one, two = (told(arg, depth - 1, True) for arg in node.args)
            return f"({one} {BETWEEN[node.op]} {two})" if inside else f"{one} {BETWEEN[node.op]} {two}"
        if node.op == "neg":
            return f"−{told(node.args[0], depth - 1, True)}"
        return f"{node.op}({', '.join(told(arg, depth - 1) for arg in node.args)})"

    def said(node: Node) -> str:
        name = named.get(id(_bare(node)))
        return f"`{told(node)}`" if name is None else f"`{name}`, which is `{told(node)}`,"

    return said


def _bare(node: Node) -> Node:
    while node.op in UNSEEN and len(node.args) == 1:
        (node,) = node.args
    return node
