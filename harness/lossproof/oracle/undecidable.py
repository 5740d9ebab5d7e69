"""Where no tier decides what the vector tier does not tell, so that it is no use to ask Arb.

Either the truth is undefined, at a nan input, a quotient by exactly 0, and what is computed from them. Or it hangs on a
choice (a comparison, a kink, which entry of a softmax has the weight) by a number of which code may make anything, as
where a square overflows: then nobody is judged by it, whatever it is.

Any other nan goes up to Arb: a derivative exactly at a kink too, which is a bounded ball there, whose product with 0 is
known. Zero vectors, and vectors too long to be squared, are common enough to make it worth knowing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lossproof.expression.node import Node, topological
from lossproof.oracle import structure
from lossproof.oracle.evaluate import Bindings, attributes
from lossproof.oracle.rounding import Array
from lossproof.oracle.running_error import COMPARED, KINKED, Ball

OVER_AXES = frozenset({"sum", "max", "min", "norm", "logsumexp", "any", "all"})
"""With the attributes axes and keep, not told where an entry along the axes is not."""

IN_AXES = frozenset({"unit", "softmax", "log_softmax", "argmax_weight"})
"""As those, but the result has the axes still."""

HIDING = COMPARED | KINKED | {"softmax", "scaled_softmax", "less_scaled_softmax"}
"""Steps whose result is told no more, where what they choose by may be anything."""


def undecidable(
    outputs: Sequence[Node], values: Mapping[Node, Ball], bindings: Bindings
) -> list[Array | None]:
    """A mask for each output: where it is nan and Arb could not decide it either; None for nowhere.

    values: the ball of each node on the way.
    """
    if not any(_untold(values[node]).any() for node in outputs):
        return [None] * len(outputs)
    doubts: dict[Node, Array] = {}
    for node in topological(outputs):
        found = values[node]
        untold = _untold(found)
        doubts[node] = untold & _doubt(node, untold, values, doubts, bindings) if untold.any() else untold
    return [_untold(values[node]) & ~doubts[node] for node in outputs]


def _untold(ball: Ball) -> Array:
    """Where the tier does not tell: a number that is nan, a truth value that is open."""
    if ball.view.dtype.kind == "f":
        return np.isnan(ball.view)
    return np.zeros(ball.shape, dtype=bool) if ball.open is None else np.broadcast_to(ball.open, ball.shape)


def _anything(ball: Ball) -> Array:
    """Where code may come to any number, since a step overflows in its format, or what it divides by may be 0."""
    return np.broadcast_to(np.isinf(ball.radii[0]) & np.isfinite(ball.view), ball.shape)


def _doubt(
    node: Node,
    untold: Array,
    values: Mapping[Node, Ball],
    doubts: Mapping[Node, Array],
    bindings: Bindings,
) -> Array:
    """Where Arb may decide what is not told; at other entries anything."""
    if not node.args:
        return np.zeros(untold.shape, dtype=bool)
    balls = [values[arg] for arg in node.args]
    passed = [doubts[arg] for arg in node.args]
    fixed = attributes(node, bindings)
    if node.op == "where":
        condition, yes, no = balls
        chosen = np.where(condition.view, _untold(yes), _untold(no))
        of_chosen = np.where(condition.view, passed[1], passed[2]) | ~chosen
        return np.asarray(
            of_chosen if condition.open is None else np.where(condition.open, passed[0], of_chosen)
        )
    if node.op == "full":
        return np.broadcast_to(passed[0], untold.shape)
    move = structure.OPERATIONS.get(node.op)
    if move is not None:
        return _moved(move, balls, passed, fixed, untold)
    lost = list(map(_untold, balls))
    if node.op in HIDING:
        lost = [each | _anything(ball) for each, ball in zip(lost, balls, strict=True)]
    inherited: Array
    doubt: Array
    if node.op in OVER_AXES:
        axes, keep = fixed
        inherited, doubt = (_any_in(each, axes, keep) for each in (lost[0], passed[0]))
    elif node.op == "take_log_softmax":
        inherited, doubt = (_any_in(each, fixed[0], False) for each in (lost[0], passed[0]))
    elif node.op in ("scaled_softmax", "less_scaled_softmax"):
        inherited, doubt = (_scaled(masks, balls, untold.shape) for masks in (lost, passed))
    elif node.op in IN_AXES:
        inherited, doubt = (_any_in(each, fixed[0], True) for each in (lost[0], passed[0]))
    elif node.op == "matmul":
        inherited, doubt = (_products(*parts) for parts in (lost, passed))
    elif not fixed:
        inherited, doubt = _any(lost), _any(passed)
        if node.op == "div":
            # exactly 0, or what code may take for 0
            inherited = inherited | (balls[1].view == 0)
    else:
        return untold
    if node.op == "unit":
        # of the zero vector itself it is a ball
        surely = np.broadcast_to(balls[0].radii[0] == 0, balls[0].shape)
        inherited = inherited | ~_any_in((balls[0].view != 0) | surely, fixed[0], True)
    return np.asarray(doubt | ~inherited)


def _moved(
    move: Callable[..., Array],
    balls: Sequence[Ball],
    passed: Sequence[Array],
    fixed: Sequence[Any],
    untold: Array,
) -> Array:
    if balls[0].view.dtype.kind not in "fb":
        return untold
    parts = [p if ball.view.dtype.kind in "fb" else ball.mid for p, ball in zip(passed, balls, strict=True)]
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
