"""Reverse-mode derivative: from a graph to the graph of its vector–Jacobian product.

The result is made of the same primitives, so that one evaluator gives values, gradients, and the attainable
error and excuse of both. Where a function has a kink, its derivative is the ball of every subgradient, which no
precision makes narrow: such an element counts as undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lossproof.errors import ExpressionError
from lossproof.expression import primitives as p
from lossproof.expression.node import Node, topological
from lossproof.expression.size import ONE

e = p.elementwise


def vjp(output: Node, cotangent: Node, inputs: Sequence[Node]) -> list[Node]:
    """The derivative of Σ cotangent · output with respect to each of `inputs` (nodes of the graph).

    output: a real node of any shape; cotangent: a node of the same shape. Each result has the shape of its
    input; an input without influence has a constant 0. Griewank & Walther, Evaluating Derivatives, ch. 3.
    """
    order = topological([output])
    active = {id(node) for node in inputs}
    for node in order:
        if any(id(arg) in active for arg in node.args):
            active.add(id(node))
    adjoint: dict[int, Node] = {id(output): cotangent}
    for node in reversed(order):
        ct = adjoint.get(id(node))
        if ct is None or not node.args or id(node) not in active:
            continue
        for position, arg in enumerate(node.args):
            if id(arg) not in active or arg.kind != "real":
                continue
            share = _unbroadcast(_pull_back(node, position, ct), arg)
            before = adjoint.get(id(arg))
            adjoint[id(arg)] = share if before is None else e("add", before, share)
    zero = p.real(p.constant(0))
    return [adjoint.get(id(node), p.full(zero, node.shape) if node.shape else zero) for node in inputs]


def _unbroadcast(share: Node, arg: Node) -> Node:
    """Summed over the axes along which an operand was stretched."""
    stretched = tuple(
        i for i, (a, b) in enumerate(zip(share.shape, arg.shape, strict=True)) if b == ONE and a != ONE
    )
    return p.reduce("sum", share, stretched, keep=True) if stretched else share


def _pull_back(node: Node, position: int, ct: Node) -> Node:
    if node.op in _ELEMENTWISE:
        return _ELEMENTWISE[node.op](position, ct, node, *node.args)
    if node.op in _STRUCTURAL:
        return _STRUCTURAL[node.op](position, ct, node, *node.args)
    raise ExpressionError(f"'{node.op}' has no derivative")


def _times(ct: Node, weight: Node) -> Node:
    return e("mul", ct, weight)


def _number(value: int) -> Node:
    return p.constant(value)


def _power(position: int, ct: Node, _: Node, base: Node, exponent: Node) -> Node:
    if position:
        raise ExpressionError("an exponent has no derivative here")
    return _times(ct, e("mul", exponent, e("pow", base, e("sub", exponent, _number(1)))))


def _where(position: int, ct: Node, _: Node, condition: Node, yes: Node, no: Node) -> Node:
    zero = _number(0)
    return p.where(condition, ct, zero) if position == 1 else p.where(condition, zero, ct)


def _rel_entr(position: int, ct: Node, _: Node, x: Node, y: Node) -> Node:
    if position:
        return e("neg", e("xdivy", _times(ct, x), y))
    return _times(ct, e("add", e("sub", e("log", x), e("log", y)), _number(1)))


_ELEMENTWISE: dict[str, Callable[..., Node]] = {
    "neg": lambda i, ct, n, x: e("neg", ct),
    "add": lambda i, ct, n, x, y: ct,
    "sub": lambda i, ct, n, x, y: ct if i == 0 else e("neg", ct),
    "mul": lambda i, ct, n, x, y: _times(ct, (y, x)[i]),
    "times": lambda i, ct, n, x, y: _times(ct, y) if i == 0 else e("times", x, ct),
    "div": lambda i, ct, n, x, y: e("div", ct, y) if i == 0 else e("neg", _times(ct, e("div", n, y))),
    "pow": _power,
    "exp": lambda i, ct, n, x: _times(ct, n),
    "log": lambda i, ct, n, x: e("div", ct, x),
    "log1p": lambda i, ct, n, x: e("div", ct, e("add", _number(1), x)),
    "expm1": lambda i, ct, n, x: _times(ct, e("exp", x)),
    "sqrt": lambda i, ct, n, x: e("div", ct, e("mul", _number(2), n)),
    "square": lambda i, ct, n, x: _times(ct, e("mul", _number(2), x)),
    "abs": lambda i, ct, n, x: _times(ct, e("slope_abs", x)),
    "softplus": lambda i, ct, n, x: _times(ct, e("sigmoid", x)),
    "sigmoid": lambda i, ct, n, x: _times(ct, e("mul", n, e("sigmoid", e("neg", x)))),
    "log_sigmoid": lambda i, ct, n, x: _times(ct, e("sigmoid", e("neg", x))),
    "sin": lambda i, ct, n, x: _times(ct, e("cos", x)),
    "cos": lambda i, ct, n, x: e("neg", _times(ct, e("sin", x))),
    "acos": lambda i, ct, n, x: e(
        "neg", e("div", ct, e("sqrt", e("mul", e("sub", _number(1), x), e("add", _number(1), x))))
    ),
    "tanh": lambda i, ct, n, x: _times(ct, e("mul", e("sub", _number(1), n), e("add", _number(1), n))),
    "maximum": lambda i, ct, n, x, y: _times(ct, e("step", x, y) if i == 0 else e("step", y, x)),
    "minimum": lambda i, ct, n, x, y: _times(ct, e("step", y, x) if i == 0 else e("step", x, y)),
    # the cotangent times x first: x / y alone leaves the exponent range where the product does not
    "xlogy": lambda i, ct, n, x, y: _times(ct, e("log", y)) if i == 0 else e("xdivy", _times(ct, x), y),
    "xdivy": lambda i, ct, n, x, y: e("xdivy", ct, y) if i == 0 else e("neg", e("xdivy", _times(ct, n), y)),
    "rel_entr": _rel_entr,
    "real": lambda i, ct, n, x: ct,
    "where": _where,
}


def _keep(ct: Node, node: Node) -> Node:
    """The cotangent of a reduction with its axes back as axes of size 1."""
    axes, keep = node.attributes
    return ct if keep else p.newaxis(ct, axes)


def _log_softmax(_: int, ct: Node, node: Node, x: Node) -> Node:
    (axis,) = node.attributes
    if ct.op == "scatter" and axis == len(ct.shape) - 1:
        # one entry of each row has a cotangent: their sum is that entry
        total = p.newaxis(ct.args[0], (axis,))
    else:
        total = p.reduce("sum", ct, (axis,), keep=True)
    return e("sub", ct, e("mul", p.kept("softmax", x, axis), total))


def _softmax(_: int, ct: Node, node: Node, x: Node) -> Node:
    (axis,) = node.attributes
    mean = p.reduce("sum", e("times", node, ct), (axis,), keep=True)
    return e("times", node, e("sub", ct, mean))


def _take(_: int, ct: Node, node: Node, x: Node, index: Node) -> Node:
    spread = Node.make("scatter", (ct, index), (x.shape[-1],), (*index.shape, x.shape[-1]))
    if len(x.shape) == 1 and len(index.shape) >= 1:
        return p.reduce("sum", spread, tuple(range(len(index.shape))))
    return spread


def _matmul(position: int, ct: Node, _: Node, left: Node, right: Node) -> Node:
    if position == 0:
        return p.matmul(ct, p.transpose(right))
    return p.matmul(p.transpose(left), ct)


def _stretch(ct: Node, node: Node, x: Node) -> Node:
    """The cotangent of a sum, given back to every summand."""
    return _part("stretch", _keep(ct, node), x, x.shape)


def _part(op: str, ct: Node, x: Node, *attributes: object) -> Node:
    return Node.make(op, (ct,), attributes, x.shape)


_STRUCTURAL: dict[str, Callable[..., Node]] = {
    "sum": lambda i, ct, n, x: _stretch(ct, n, x),
    "max": lambda i, ct, n, x: _times(
        _keep(ct, n), Node.make("argmax_weight", (x,), n.attributes[:1], x.shape)
    ),
    "min": lambda i, ct, n, x: _times(
        _keep(ct, n), Node.make("argmax_weight", (e("neg", x),), n.attributes[:1], x.shape)
    ),
    "norm": lambda i, ct, n, x: _times(_keep(ct, n), Node.make("unit", (x,), n.attributes[:1], x.shape)),
    "logsumexp": lambda i, ct, n, x: _times(_keep(ct, n), p.kept("softmax", x, n.attributes[0][0])),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "take": _take,
    "matmul": _matmul,
    "transpose": lambda i, ct, n, x: p.transpose(ct),
    "permute": lambda i, ct, n, x, s: Node.make("unpermute", (ct, s), (), x.shape),
    "newaxis": lambda i, ct, n, x: _part("squeeze", ct, x, n.attributes[0]),
    "squeeze": lambda i, ct, n, x: p.newaxis(ct, n.attributes[0]),
    "full": lambda i, ct, n, x: p.reduce("sum", ct),
    "flatten": lambda i, ct, n, x: _part("unflatten", ct, x, x.shape),
    "join_rows": lambda i, ct, n, x: _part("unflatten", ct, x, x.shape),
    "subscript": lambda i, ct, n, x: _part("place", ct, x, n.attributes[0], x.shape),
    "concat": lambda i, ct, n, x, y: _part("split", ct, (x, y)[i], i, (x, y)[i].shape[-1]),
}
