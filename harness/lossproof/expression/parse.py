"""From text to a graph: Python's expression syntax through a whitelist."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from lossproof.errors import ExpressionError, suggest
from lossproof.expression import primitives as p
from lossproof.expression.node import Node, topological
from lossproof.expression.scope import NUMBER, Scope, static
from lossproof.expression.size import Size, Sizes
from lossproof.expression.syntax import described, syntax

MAX_NODES = 20_000


def parse(text: str, scope: Scope) -> Node:
    """The graph of an expression.

    Raises ExpressionError with `at` set: syntax outside the whitelist, unknown names (with the nearest right
    one), shapes or kinds that do not fit, too large.
    """
    tree = syntax(text)
    node = _Builder(scope).build(tree)
    if len(topological([node])) > MAX_NODES:
        raise ExpressionError(f"the expression has more than {MAX_NODES} operations", at=(1, 1))
    return node


_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
_COMPARE = {ast.Eq: "eq", ast.NotEq: "ne", ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge"}


class _Builder:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def build(self, tree: ast.expr) -> Node:
        try:
            return self._visit(tree)
        except ExpressionError as error:
            if error.at is None:
                # column offsets count from 0, and the added parenthesis moved the first line by 1
                column = tree.col_offset + (tree.lineno > 1)
                error.at = (tree.lineno, max(1, column))
            raise
        except RecursionError:
            raise ExpressionError("the expression is nested too deeply", at=(1, 1)) from None

    def _visit(self, tree: ast.expr) -> Node:
        if isinstance(tree, ast.Compare | ast.BoolOp):
            known = static(tree, self.scope.parameters)
            if isinstance(known, bool):
                return Node.make("constant", attributes=(known,), kind="boolean")
        match tree:
            case ast.Constant(value=bool() | str() | None):
                raise ExpressionError(f"{tree.value!r} stands where a number is expected")
            case ast.Constant(value=int() | float() as value):
                return p.constant(value)
            case ast.Name():
                return self._name(tree.id)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                node = self.build(operand)
                if node.op == "constant":
                    return Node.make("constant", attributes=(-node.attributes[0],), kind=node.kind)
                return p.elementwise("neg", node)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self.build(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return p.logic("not", self.build(operand))
            case ast.BinOp() if type(tree.op) in _BINARY:
                return p.elementwise(_BINARY[type(tree.op)], self.build(tree.left), self.build(tree.right))
            case ast.BoolOp():
                op = "and" if isinstance(tree.op, ast.And) else "or"
                nodes = [self.build(value) for value in tree.values]
                result = nodes[0]
                for node in nodes[1:]:
                    result = p.logic(op, result, node)
                return result
            case ast.Compare():
                return self._compare(tree)
            case ast.IfExp():
                return self.build(tree.body if self._static(tree.test) else tree.orelse)
            case ast.Call():
                return self._call(tree)
            case ast.Subscript():
                return p.subscript(self.build(tree.value), self._items(tree.slice))
        raise ExpressionError(f"{described(tree)} is not part of the language")

    def _name(self, name: str) -> Node:
        scope = self.scope
        if name in scope.let:
            return self._let(name)
        if name in scope.inputs:
            return scope.inputs[name]
        if name in scope.parameters:
            return self._parameter(name, scope.parameters[name])
        if name in scope.dimensions:
            return p.size(scope.dimensions[name])
        if name == "inf":
            return Node.make("constant", attributes=(float("inf"),))
        if name in p.PUBLIC or name in scope.calls:
            raise ExpressionError(f"'{name}' is a function and needs its arguments in parentheses")
        raise ExpressionError(f"unknown name '{name}'{suggest(name, scope.names())}")

    def _parameter(self, name: str, value: Any) -> Node:
        if value is NUMBER:
            return Node.make("parameter", attributes=(name,))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ExpressionError(
                f"parameter '{name}' is {value!r} here, and stands only in the condition of 'A if … else B'"
            )
        return p.constant(value)

    def _let(self, name: str) -> Node:
        known = self.scope._let_nodes
        if name not in known:
            known[name] = None
            known[name] = _Builder(self.scope).build(syntax(self.scope.let[name]))
        node = known[name]
        if node is None:
            raise ExpressionError(f"'{name}' is defined by itself")
        return node

    def _compare(self, tree: ast.Compare) -> Node:
        left = self.build(tree.left)
        result: Node | None = None
        for op, other in zip(tree.ops, tree.comparators, strict=True):
            if type(op) not in _COMPARE:
                raise ExpressionError(f"{described(op)} stands only in the condition of 'A if … else B'")
            right = self.build(other)
            node = p.compare(_COMPARE[type(op)], left, right)
            result = node if result is None else p.logic("and", result, node)
            left = right
        assert result is not None
        return result

    def _static(self, tree: ast.expr) -> bool:
        value = static(tree, self.scope.parameters)
        if not isinstance(value, bool):
            raise ExpressionError(
                "the condition of 'A if … else B' is a comparison of parameters that are choices"
            )
        return value

    def _items(self, tree: ast.expr) -> tuple[Any, ...]:
        parts = tree.elts if isinstance(tree, ast.Tuple) else [tree]
        return tuple(self._item(part) for part in parts)

    def _item(self, tree: ast.expr) -> Any:
        if isinstance(tree, ast.Slice):
            return slice(
                *(None if end is None else self._whole(end) for end in (tree.lower, tree.upper, tree.step))
            )
        if isinstance(tree, ast.Constant) and (tree.value is None or tree.value is Ellipsis):
            return tree.value
        return self._whole(tree)

    def _whole(self, tree: ast.expr) -> int:
        node = self.build(tree)
        if node.op == "constant" and isinstance(node.attributes[0], int):
            return node.attributes[0]
        raise ExpressionError("a whole number is expected here")

    def _axis(self, node: Node, tree: ast.expr) -> int:
        if isinstance(tree, ast.Name) and tree.id in self.scope.dimensions:
            return p.axis_of(node, self.scope.dimensions[tree.id])
        return p.axis_of(node, self._whole(tree))

    def _size(self, tree: ast.expr) -> Size:
        node = self.build(tree)
        size = _as_size(node)
        if size is None:
            raise ExpressionError(
                "a size is expected here: dimensions and whole numbers, their sums and products"
            )
        return size

    def _call(self, tree: ast.Call) -> Node:
        if not isinstance(tree.func, ast.Name):
            raise ExpressionError(f"{described(tree.func)} cannot be called")
        name, scope = tree.func.id, self.scope
        if name == "grad" and scope.call is not None:
            return self._grad(tree)
        if name in p.PUBLIC and name != scope.own:
            return self._primitive(name, tree)
        if name in scope.calls and scope.call is not None:
            return self._loss(name, tree, None)
        known = {*p.PUBLIC, *scope.calls, *({"grad"} if scope.call else ())}
        raise ExpressionError(f"unknown function '{name}'{suggest(name, known)}")

    def _grad(self, tree: ast.Call) -> Node:
        match tree:
            case ast.Call(
                args=[ast.Call(func=ast.Name(id=loss)) as inner, ast.Name(id=name)], keywords=[]
            ) if loss in self.scope.calls:
                if name not in self.scope.calls[loss]:
                    raise ExpressionError(
                        f"'{loss}' has no input '{name}'{suggest(name, self.scope.calls[loss])}"
                    )
                return self._loss(loss, inner, name)
        raise ExpressionError("grad takes a call of a loss and the name of one of its inputs")

    def _loss(self, name: str, tree: ast.Call, wrt: str | None) -> Node:
        inputs = self.scope.calls[name]
        if len(tree.args) != len(inputs) or any(isinstance(a, ast.Starred) for a in tree.args):
            raise ExpressionError(
                f"'{name}' takes {len(inputs)} inputs ({', '.join(inputs)}), not {len(tree.args)}"
            )
        parameters: dict[str, Any] = {}
        for keyword in tree.keywords:
            if keyword.arg is None:
                raise ExpressionError("** is not part of the language")
            parameters[keyword.arg] = self._argument(keyword.value)
        assert self.scope.call is not None
        return self.scope.call(name, [self.build(a) for a in tree.args], parameters, wrt)

    def _argument(self, tree: ast.expr) -> Any:
        """A parameter of a called loss: a choice or None as it is, else the node of a number or an array."""
        if isinstance(tree, ast.Constant) and (tree.value is None or isinstance(tree.value, str | bool)):
            return tree.value
        if isinstance(tree, ast.Name) and tree.id in self.scope.parameters:
            value = self.scope.parameters[tree.id]
            if value is not NUMBER:
                return value
        return self.build(tree)

    def _primitive(self, name: str, tree: ast.Call) -> Node:
        arguments = list(tree.args)
        least, most = p.PUBLIC[name]
        for keyword in tree.keywords:
            if keyword.arg != "axis" or name not in (*p.REDUCTIONS, *p.KEPT):
                raise ExpressionError(f"'{name}' has no keyword '{keyword.arg}'")
            arguments.append(keyword.value)
        if not least <= len(arguments) <= most:
            count = str(least) if least == most else f"{least} to {most}"
            raise ExpressionError(f"'{name}' takes {count} arguments, not {len(arguments)}")
        if name == "arange":
            return p.arange(self._size(arguments[0]))
        first = self.build(arguments[0])
        if name in p.REDUCTIONS:
            axes = (self._axis(first, arguments[1]),) if len(arguments) == 2 else None
            if name == "logsumexp" and axes is None and len(first.shape) != 1:
                raise ExpressionError("logsumexp needs its axis")
            return p.reduce(name, first, axes)
        if name in p.KEPT:
            axis = self._axis(first, arguments[1]) if len(arguments) == 2 else p.axis_of(first, -1)
            return p.kept(name, first, axis)
        if name == "onehot":
            return p.onehot(first, self._size(arguments[1]))
        if name == "full":
            shape: Sizes = tuple(self._size(a) for a in arguments[1:])
            return p.full(first, shape)
        rest = [self.build(a) for a in arguments[1:]]
        if name in p.ELEMENTWISE:
            return p.elementwise(name, first, *rest)
        if name == "isfinite":
            return Node.make("isfinite", (p.real(first),), (), first.shape, "boolean")
        if name == "dot":
            return p.reduce("sum", p.elementwise("mul", first, *rest), (len(first.shape) - 1,))
        build: Callable[..., Node] = getattr(p, name)
        return build(first, *rest)


def _as_size(node: Node) -> Size | None:
    if node.op == "constant" and isinstance(node.attributes[0], int):
        return Size.of(node.attributes[0])
    if node.op == "size":
        size: Size = node.attributes[0]
        return size
    if node.op in ("real", "neg"):
        inner = _as_size(node.args[0])
        return inner if inner is None or node.op == "real" else inner * Size.of(-1)
    if node.op in ("add", "sub", "mul"):
        left, right = (_as_size(arg) for arg in node.args)
        if left is None or right is None:
            return None
        return (
            left * right if node.op == "mul" else left + (right if node.op == "add" else right * Size.of(-1))
        )
    return None
