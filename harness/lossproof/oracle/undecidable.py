"""Where no tier decides what the vector tier does not tell, so that it is no use to ask Arb.

Either the truth is undefined, at a nan input, a quotient by 0 or by what code may take for 0, and what is computed from
them. Or it hangs on a choice that the tier's own error hides (a comparison, a kink, which entry of a softmax has the
weight), and whatever is chosen, code may come to any number there, as where a square overflows: with a guess at the
choice, whose radius holds both, the result is within the format and its radius infinite or nan.

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
from lossproof.oracle.running_error import SOFTMAXES, Ball

OVER_AXES = frozenset({"sum", "max", "min", "norm", "logsumexp", "any", "all"})
"""With the attributes axes and keep, not told where an entry along the axes is not."""

IN_AXES = frozenset({"unit", "softmax", "log_softmax", "argmax_weight"})
"""As those, but the result has the axes still."""


def undecidable(
    outputs: Sequence[Node],
    values: Mapping[Node, Ball],
    bindings: Bindings,
    hopeless: Callable[[], Sequence[Array]],
) -> list[Array | None]:
    """A mask for each output: where it is nan and Arb could not decide it either; None for nowhere.

    values: the ball of each node on the way. hopeless: for each output where its radius is no number and it is within
    the format, by a guess where the tier's own error hides a choice; asked where it matters.
    """
    nan = [_untold(values[node]) for node in outputs]
    if not any(each.any() for each in nan):
        return [None] * len(outputs)
    doubts: dict[Node, Array] = {}
    for node in topological(outputs):
        found = values[node]
        untold = _untold(found)
        doubts[node] = untold & _doubt(node, untold, values, doubts, bindings) if untold.any() else untold
    if any(doubts[node].any() for node in outputs):
        for node, mask in zip(outputs, hopeless(), strict=True):
            doubts[node] = doubts[node] & ~mask
    return [each & ~doubts[node] for each, node in zip(nan, outputs, strict=True)]


def _untold(ball: Ball) -> Array:
    """Where the tier does not tell: a number that is nan, a truth value that is open."""
    if ball.view.dtype.kind == "f":
        return np.isnan(ball.view)
    return np.zeros(ball.shape, dtype=bool) if ball.open is None else np.broadcast_to(ball.open, ball.shape)


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
        if condition.open is None:
            return np.asarray(of_chosen)
        # a choice that cannot be made is between two numbers, unless one of them is undefined
        undefined = (_untold(yes) & ~passed[1]) | (_untold(no) & ~passed[2])
        return np.asarray(np.where(condition.open, passed[0] | ~undefined, of_chosen))
    if node.op == "full":
        return np.broadcast_to(passed[0], untold.shape)
    move = structure.OPERATIONS.get(node.op)
    if move is not None:
        return _moved(move, balls, passed, fixed, untold)
    lost = list(map(_untold, balls))
    if node.op in SOFTMAXES:
        # no weight is known beside a logit that may be anything, but that of a masked class
        lost[0] = lost[0] | (np.isinf(balls[0].radii[0]) & ~np.isneginf(balls[0].view))
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
