"""Graphs for the vector tier: steps that need fewer passes over whole arrays when they are put together as one.

What comes out is the same to the bit, and its radius but for rounding errors of float64; only less is computed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

from lossproof.expression.node import Node, topological


def fused(nodes: Sequence[Node]) -> list[Node]:
    """The same graphs, with the logarithm of one class's probability where that of every class was worked out, and a
    softmax times a number for each row, or numbers at an index of each row less that, as one step."""
    return list(_fused(tuple(nodes)))


@functools.lru_cache(maxsize=4096)
def _fused(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    made: dict[Node, Node] = {}
    for node in topological(nodes):
        made[node] = _rewritten(node, tuple(made[arg] for arg in node.args))
    return tuple(made[node] for node in nodes)


def _rewritten(node: Node, args: tuple[Node, ...]) -> Node:
    if node.op == "take" and args[0].op == "log_softmax":
        family, index = args[0].args[0], args[1]
        (axis,) = args[0].attributes
        if len(family.shape) > 1 and axis == len(family.shape) - 1:
            return Node.make("take_log_softmax", (family, index), (axis,), node.shape, node.kind)
    if node.op == "mul":
        for weights, factor in (args, args[::-1]):
            if weights.op == "softmax" and _of_rows(weights, factor):
                return Node.make(
                    "scaled_softmax", (weights.args[0], factor), weights.attributes, node.shape, node.kind
                )
    if node.op == "sub" and args[0].op == "scatter" and args[1].op == "scaled_softmax":
        operands = *args[1].args, *args[0].args
        return Node.make("less_scaled_softmax", operands, args[1].attributes, node.shape, node.kind)
    if args == node.args:
        return node
    return Node.make(node.op, args, node.attributes, node.shape, node.kind)


def _of_rows(weights: Node, factor: Node) -> bool:
    """Whether a factor is one number for each row of weights [N, V]."""
    if len(weights.shape) != 2 or weights.attributes != (1,) or len(factor.shape) != 2:
        return False
    return factor.shape[0] == weights.shape[0] and factor.shape[1].number == 1


@functools.lru_cache(maxsize=4096)
def constant_nodes(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes of some graphs that no input, parameter or other loss has a part in."""
    found: dict[Node, bool] = {}
    for node in topological(nodes):
        varies = node.op in ("input", "parameter", "call") or not all(found[arg] for arg in node.args)
        found[node] = not varies
    return tuple(node for node, constant in found.items() if constant)
