"""An expression under a convention: parameters take their values, and what these decide is decided."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Mapping
from typing import Any

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Is: lambda a, b: a is b or a == b,
    ast.IsNot: lambda a, b: a is not b and a != b,
}


def choose(tree: ast.expr, values: Mapping[str, object]) -> ast.expr:
    """A syntax tree (of `syntax.syntax`) in which the names of `values` stand at their values.

    Conditions that these decide are gone with the branches that are not taken; everything else stays as it is, so
    `a if kind == "x" else b` with kind = "x" is `a`. The tree that was given is not touched.
    """
    chosen = _Choice(values).visit(copy.deepcopy(tree))
    assert isinstance(chosen, ast.expr)
    return chosen


class _Choice(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, object]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id not in self.values:
            return node
        value = self.values[node.id]
        assert value is None or isinstance(value, bool | str | int | float)
        return ast.Constant(value)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            taken: ast.expr = self.visit(node.body if test.value else node.orelse)
            return taken
        return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        left, others = self.visit(node.left), [self.visit(other) for other in node.comparators]
        decide = _COMPARISONS.get(type(node.ops[0]))
        if len(others) == 1 and decide is not None:
            right = others[0]
            if isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
                return ast.Constant(decide(left.value, right.value))
        return ast.Compare(left, node.ops, others)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        deciding = isinstance(node.op, ast.Or)
        left: list[ast.expr] = []
        for value in (self.visit(each) for each in node.values):
            if not isinstance(value, ast.Constant):
                left.append(value)
            elif bool(value.value) is deciding:
                return ast.Constant(deciding)
        if not left:
            return ast.Constant(not deciding)
        return left[0] if len(left) == 1 else ast.BoolOp(node.op, left)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.visit(node.operand)
        if isinstance(node.op, ast.Not) and isinstance(operand, ast.Constant):
            return ast.Constant(not operand.value)
        return ast.UnaryOp(node.op, operand)
