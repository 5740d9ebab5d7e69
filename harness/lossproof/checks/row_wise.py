"""Which laws speak of each row by itself, so that cases of them can share calls and lose no sharpness."""

from __future__ import annotations

import functools

from lossproof.expression.node import Node, topological
from lossproof.expression.size import Size
from lossproof.inputs.rows import rows_of
from lossproof.spec import graph, library
from lossproof.spec.law_graph import Call, law_graph
from lossproof.spec.model import Spec


def row_wise(spec: Spec, law: str, statics: graph.Statics) -> bool:
    """Whether no value in a law depends on two rows, under given choices.

    A law that sums over rows is as true of a stack, but there one huge row drowns the others.
    """
    return _row_wise(graph.Key(spec), law, statics)


@functools.lru_cache(maxsize=4096)
def _row_wise(key: graph.Key, law: str, statics: graph.Statics) -> bool:
    spec = key.spec
    if rows_of(spec, statics, law) is None:
        return False
    nodes = topological(node for node in law_graph(spec, law, statics) if node is not None)
    return all(_by_rows(node, Size.of(spec.independent or ""), spec) for node in nodes)


def _by_rows(node: Node, axis: Size, spec: Spec) -> bool:
    if node.op == "call":
        return _called_by_rows(node, axis, spec)
    if node.op == "size":
        return bool(node.attributes[0] != axis)
    if not any(axis in arg.shape for arg in node.args):
        return True
    along = node.op in ("softmax", "log_softmax", "sort") and node.shape[node.attributes[0]] == axis
    return node.shape.count(axis) == 1 and not along


def _called_by_rows(node: Node, axis: Size, spec: Spec) -> bool:
    site: Call = node.attributes[0]
    called = spec if site.own else library.get(site.loss)
    rows = rows_of(called, site.statics)
    if rows is None:
        return False
    return all(
        at is not None and arg.shape[at] == axis and arg.shape.count(axis) == 1
        for arg, at in zip(node.args, rows.inputs.values(), strict=False)
    )
