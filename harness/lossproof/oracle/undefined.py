"""Where the vector tier's nan is the truth: at a nan input, a quotient by exactly 0, and what is computed from them.

Any other nan says that the tier cannot tell, and goes up to Arb: a derivative exactly at a kink too, which is a bounded
ball there, whose product with 0 is known. A zero vector in each of many rows is common enough to make it worth knowing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lossproof.expression.node import Node, topological
from lossproof.oracle import structure
from lossproof.oracle.evaluate import Bindings, attributes
from lossproof.oracle.rounding import Array
from lossproof.oracle.running_error import Ball

OVER_AXES = frozenset({"sum", "max", "min", "norm", "logsumexp"})
"""With the attributes axes and keep, nan where an entry along the axes is."""

IN_AXES = frozenset({"unit", "softmax", "log_softmax"})
"""As those, but the result has the axes still."""


def undefined(outputs: Sequence[Node], values: Mapping[Node, Ball], bindings: Bindings) -> list[Array | None]:
    """A mask for each output: where it is nan because its truth is undefined; None for nowhere.

    values: the ball of each node on the way.
    """
    if not any(_nan(values[node]).any() for node in outputs):
        return [None] * len(outputs)
    doubts: dict[Node, Array] = {}
    for node in topological(outputs):
        found = values[node]
        nan = _nan(found)
        doubts[node] = nan & _doubt(node, nan, values, doubts, bindings) if nan.any() else nan
    return [_nan(values[node]) & ~doubts[node] for node in outputs]


def _nan(ball: Ball) -> Array:
    return np.isnan(ball.view) if ball.view.dtype.kind == "f" else np.zeros(ball.shape, dtype=bool)


def _doubt(
    node: Node,
    nan: Array,
    values: Mapping[Node, Ball],
    doubts: Mapping[Node, Array],
    bindings: Bindings,
) -> Array:
    """Where a nan may stand for a number; at other entries anything."""
    if not node.args:
        return np.zeros(nan.shape, dtype=bool)
    balls = [values[arg] for arg in node.args]
    passed = [doubts[arg] for arg in node.args]
    fixed = attributes(node, bindings)
    if node.op == "where":
        condition, yes, no = balls
        chosen = np.where(condition.view, _nan(yes), _nan(no))
        of_chosen = np.where(condition.view, passed[1], passed[2]) | ~chosen
        return np.asarray(of_chosen if condition.open is None else of_chosen | condition.open)
    if node.op == "full":
        return np.broadcast_to(passed[0], nan.shape)
    move = structure.OPERATIONS.get(node.op)
    if move is not None:
        return _moved(move, balls, passed, fixed, nan)
    inherited: Array
    doubt: Array
    if node.op in OVER_AXES:
        axes, keep = fixed
        inherited, doubt = (_any_in(each, axes, keep) for each in (_nan(balls[0]), passed[0]))
    elif node.op == "take_log_softmax":
        inherited, doubt = (_any_in(each, fixed[0], False) for each in (_nan(balls[0]), passed[0]))
    elif node.op in ("scaled_softmax", "less_scaled_softmax"):
        inherited, doubt = (_scaled(masks, balls, nan.shape) for masks in ([*map(_nan, balls)], passed))
    elif node.op in IN_AXES:
        inherited, doubt = (_any_in(each, fixed[0], True) for each in (_nan(balls[0]), passed[0]))
    elif node.op == "matmul":
        inherited, doubt = (_products(*parts) for parts in (map(_nan, balls), passed))
    elif not fixed:
        inherited, doubt = (_any(parts) for parts in (map(_nan, balls), passed))
        if node.op == "div":
            inherited = inherited | _zero(balls[1])
    else:
        return nan
    return np.asarray(doubt | ~inherited)


def _moved(
    move: Callable[..., Array],
    balls: Sequence[Ball],
    passed: Sequence[Array],
    fixed: Sequence[Any],
    nan: Array,
) -> Array:
    if balls[0].view.dtype.kind != "f":
        return nan
    parts = [p if ball.view.dtype.kind == "f" else ball.mid for p, ball in zip(passed, balls, strict=True)]
    return np.asarray(move(*parts, *fixed)).astype(bool)


def _any(parts: Any) -> Array:
    first, *rest = parts
    for part in rest:
        first = first | part
    return np.asarray(first)


def _any_in(mask: Array, axes: Any, keep: bool) -> Array:
    return np.asarray(np.any(mask, axis=axes, keepdims=keep))


def _products(x: Array, y: Array) -> Array:
    """Which products of a row and a column have a part in a mask."""
    return _any_in(x, -1, True) | _any_in(y, -2, True)


def _scaled(masks: Sequence[Array], balls: Sequence[Ball], shape: tuple[int, ...]) -> Array:
    """What has a part in a mask of a softmax's entries, of factors, and of numbers at an index of each row."""
    found = _any_in(masks[0], -1, True) | masks[1]
    if len(masks) > 2:
        return np.asarray(found | structure.scatter(masks[2], balls[3].mid, shape[-1]))
    return np.broadcast_to(found, shape)


def _zero(ball: Ball) -> Array:
    """Where a number is exactly 0."""
    return np.asarray((ball.view == 0) & (np.asarray(ball.radii[0]) == 0))
