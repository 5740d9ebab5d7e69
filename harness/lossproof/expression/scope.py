"""The names that an expression may use, and what is known of them before anything is evaluated."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lossproof.expression.node import Node
from lossproof.expression.size import Size

NUMBER = object()
"""Stands for the value of a parameter that is a number: known only when the graph is evaluated."""

ARRAY = object()
"""Stands for an array given for a parameter; its leaf is among the inputs."""

CallBuilder = Callable[[str, "list[Node]", "dict[str, Any]", "str | None"], Node]


@dataclass
class Scope:
    """The names that an expression may use.

    inputs: leaves by name (inputs, variables of a law, arrays of parameters). parameters: a choice's value, None,
    or NUMBER. dimensions: sizes by name. let: local definitions, parsed on first use. calls: losses that may be
    called, each with its inputs in order; call builds the node (loss, arguments, parameters, input of a `grad`).
    own: the loss whose name wins over a primitive of that name.
    """

    inputs: Mapping[str, Node]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    dimensions: Mapping[str, Size] = field(default_factory=dict)
    let: Mapping[str, str] = field(default_factory=dict)
    calls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    call: CallBuilder | None = None
    own: str | None = None
    _let_nodes: dict[str, Node | None] = field(default_factory=dict)

    def names(self) -> set[str]:
        return {*self.inputs, *self.parameters, *self.dimensions, *self.let, "inf"}


def static(tree: ast.expr, parameters: Mapping[str, Any]) -> Any:
    """The value of a condition on choices, known before anything is evaluated; None where it is not static."""
    match tree:
        case ast.Constant():
            return tree.value
        case ast.Name(id=name) if name in parameters and parameters[name] is not NUMBER:
            value = parameters[name]
            # an array of a parameter stands for "not None"
            return value if value is None or isinstance(value, str | int | float) else NUMBER
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = static(operand, parameters)
            return not inner if isinstance(inner, bool) else None
        case ast.BoolOp(op=op, values=values):
            inner_values = [static(v, parameters) for v in values]
            decisive = isinstance(op, ast.Or)  # one value that decides, whatever the others are
            if any(v is decisive for v in inner_values):
                return decisive
            return (not decisive) if all(isinstance(v, bool) for v in inner_values) else None
        case ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[ast.Constant(value=None)]) if (
            parameters.get(name) is NUMBER
        ):
            # its value is not known yet, but it has one
            return (
                isinstance(op, ast.IsNot | ast.NotEq)
                if isinstance(op, ast.Is | ast.Eq | ast.IsNot | ast.NotEq)
                else None
            )
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            if not (_is_static(left, parameters) and _is_static(right, parameters)):
                return None
            a, b = static(left, parameters), static(right, parameters)
            match op:
                case ast.Is() | ast.Eq():
                    return a is b if b is None or a is None else a == b
                case ast.IsNot() | ast.NotEq():
                    return a is not b if b is None or a is None else a != b
    return None


def _is_static(tree: ast.expr, parameters: Mapping[str, Any]) -> bool:
    if isinstance(tree, ast.Name):
        return tree.id in parameters and parameters[tree.id] is not NUMBER
    return isinstance(tree, ast.Constant | ast.UnaryOp)
