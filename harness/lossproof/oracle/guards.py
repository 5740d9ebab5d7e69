"""Graphs without their guards: what a spec puts in the place of an operand only so that a derivative is defined.

In `where(same, 0, sqrt(sum(square(where(same, 1, apart)))))` the inner choice is never seen: where it takes 1, the
outer one takes 0. Balls do not know that. Where inputs are wide, so that `same` may be true or not, the inner one
holds everything between 1 and `apart`, and with it all that comes of it.
"""

from __future__ import annotations

import functools

from lossproof.expression.node import Node, topological


@functools.lru_cache(maxsize=4096)
def unguarded(node: Node) -> Node:
    """The same numbers where they are defined; the node itself where it has no guards."""
    made: dict[Node, Node] = {}
    for each in topological([node]):
        args = tuple(made[arg] for arg in each.args)
        if each.op == "where":
            condition, yes, no = args
            args = condition, _under(yes, condition, True), _under(no, condition, False)
        made[each] = _with(each, args)
    return made[node]


def _under(node: Node, condition: Node, holds: bool) -> Node:
    """A graph in which real choices by a condition are made: by what it is there."""
    wanted, made = _bare(condition), dict[Node, Node]()
    for each in topological([node]):
        args = tuple(made[arg] for arg in each.args)
        # an index that is replaced may be out of range
        if each.op == "where" and each.kind == "real" and _bare(args[0]) is wanted:
            chosen = args[1 if holds else 2]
            if chosen.shape == each.shape:
                made[each] = chosen
                continue
        made[each] = _with(each, args)
    return made[node]


def _bare(condition: Node) -> Node:
    """A condition without the axes that it is spread along."""
    while condition.op in ("newaxis", "stretch") or (
        condition.op == "subscript" and all(key in _WHOLE for key in condition.attributes[0])
    ):
        condition = condition.args[0]
    return condition


_WHOLE = (None, ("slice", None, None))
"""The keys of a subscript that leaves nothing out."""


def _with(node: Node, args: tuple[Node, ...]) -> Node:
    """The node with other operands; a root of a sum of squares as a norm, whose ball is narrow at 0 as well."""
    if args == node.args:
        return node
    if node.op == "sqrt" and args[0].op == "sum" and args[0].args[0].op == "square":
        return Node.make("norm", args[0].args[0].args, args[0].attributes, node.shape, node.kind)
    return Node.make(node.op, args, node.attributes, node.shape, node.kind)
