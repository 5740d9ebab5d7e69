"""The primitives of the language: what shapes and kinds they take and give.

`build(name, …)` is the single way in which a node comes to be, for the parser and for the derivative alike.
Broadcasting aligns by name: operands of equal rank follow NumPy's rule; of a lower rank, a missing dimension
is inserted where the names match.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from lossproof.errors import ExpressionError
from lossproof.expression.node import Kind, Node
from lossproof.expression.size import ONE, Size, Sizes, show

# name → number of operands; every operand and the result are real, shapes broadcast
ELEMENTWISE = {
    "neg": 1, "add": 2, "sub": 2, "mul": 2, "div": 2, "pow": 2,
    "exp": 1, "log": 1, "log1p": 1, "expm1": 1, "sqrt": 1, "abs": 1, "sign": 1, "square": 1,
    "softplus": 1, "sigmoid": 1, "log_sigmoid": 1, "sin": 1, "cos": 1, "acos": 1, "tanh": 1,
    "maximum": 2, "minimum": 2, "xlogy": 2, "xdivy": 2, "rel_entr": 2, "times": 2,
    # weights of derivatives at a kink: the ball of every subgradient
    "step": 2, "slope_abs": 1,
}  # fmt: skip
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
LOGIC = {"and": 2, "or": 2, "not": 1}
REDUCTIONS = ("sum", "mean", "max", "min", "norm", "logsumexp", "any", "all", "count")
KEPT = ("softmax", "log_softmax", "sort")

PUBLIC = {
    **{name: (n, n) for name, n in ELEMENTWISE.items() if name not in ("neg", "add", "sub", "mul", "div", "pow",
                                                                      "step", "slope_abs")},
    **dict.fromkeys((*REDUCTIONS, *KEPT), (1, 2)),
    "isfinite": (1, 1), "where": (3, 3), "dot": (2, 2), "matmul": (2, 2), "transpose": (1, 1),
    "take": (2, 2), "onehot": (2, 2), "permute": (2, 2), "relabel": (2, 2), "concat": (2, 2),
    "full": (1, 5), "arange": (1, 1), "flatten": (1, 1), "join_rows": (1, 1),
}  # fmt: skip
"""The functions of the language with their least and most positional arguments."""


def constant(value: int | float | Fraction) -> Node:
    """A number; finite floats are taken as the decimal that they print as, so 0.1 is one tenth."""
    if isinstance(value, float) and abs(value) != float("inf"):
        value = Fraction(repr(value))
    if isinstance(value, Fraction) and value.denominator == 1:
        value = value.numerator
    return Node.make("constant", attributes=(value,), kind="integer" if isinstance(value, int) else "real")


def size(value: Size) -> Node:
    """A dimension as a number."""
    number = value.number
    return constant(number) if number is not None else Node.make("size", attributes=(value,), kind="integer")


def real(node: Node) -> Node:
    """The node as a real number; booleans become 0 and 1."""
    if node.kind == "real":
        return node
    return Node.make("real", (node,), shape=node.shape)


def broadcast_shape(shapes: Sequence[Sizes]) -> Sizes:
    """The shape that operands take together; ExpressionError where they do not fit."""
    result: Sizes = ()
    for shape in shapes:
        result = _broadcast(result, shape)
    return result


def _broadcast(left: Sizes, right: Sizes) -> Sizes:
    if len(left) < len(right):
        left, right = right, left
    if len(left) != len(right):
        positions = _placement(right, left)
        right = tuple(right[positions.index(i)] if i in positions else ONE for i in range(len(left)))
    for a, b in zip(left, right, strict=True):
        if a != b and ONE not in (a, b):
            raise ExpressionError(f"shapes {show(left)} and {show(right)} do not fit: {a} is not {b}")
    return tuple(b if a == ONE else a for a, b in zip(left, right, strict=True))


def _placement(short: Sizes, long: Sizes) -> list[int]:
    """Where the axes of a shape of lower rank go in the longer one, by name; scalars go nowhere."""
    found: list[list[int]] = [[]]
    for axis in short:
        found = [
            [*before, i]
            for before in found
            for i in range(before[-1] + 1 if before else 0, len(long))
            if long[i] == axis
        ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ExpressionError(f"shapes {show(long)} and {show(short)} do not fit: no axis of that name")
    raise ExpressionError(
        f"shapes {show(long)} and {show(short)} fit in {len(found)} ways; say which with x[:, None] or x[None, :]"
    )


def align(node: Node, shape: Sizes) -> Node:
    """The node with axes of size 1 inserted, so that its rank is that of `shape`."""
    if len(node.shape) == len(shape):
        return node
    positions = _placement(node.shape, shape)
    inserted = tuple(i for i in range(len(shape)) if i not in positions)
    return newaxis(node, inserted)


def newaxis(node: Node, inserted: tuple[int, ...]) -> Node:
    """The node with axes of size 1 at these positions of the result."""
    if not inserted:
        return node
    rest = iter(node.shape)
    shape = tuple(ONE if i in inserted else next(rest) for i in range(len(node.shape) + len(inserted)))
    return Node.make("newaxis", (node,), (inserted,), shape, node.kind)


def elementwise(op: str, *args: Node) -> Node:
    """A primitive of ELEMENTWISE on broadcast real operands."""
    shape = broadcast_shape([a.shape for a in args])
    return Node.make(op, [align(real(a), shape) for a in args], shape=shape)


def compare(op: str, left: Node, right: Node) -> Node:
    """A comparison of COMPARISONS; integers are compared as integers."""
    if not left.kind == right.kind == "integer":
        left, right = real(left), real(right)
    shape = broadcast_shape([left.shape, right.shape])
    return Node.make(op, [align(left, shape), align(right, shape)], shape=shape, kind="boolean")


def logic(op: str, *args: Node) -> Node:
    """and, or, not of booleans, elementwise."""
    for arg in args:
        if arg.kind != "boolean":
            raise ExpressionError(f"'{op}' takes booleans (comparisons, masks), not a {arg.kind}")
    shape = broadcast_shape([a.shape for a in args])
    return Node.make(op, [align(a, shape) for a in args], shape=shape, kind="boolean")


_UNROUNDED = frozenset({"onehot", "constant", "size"})
"""Real numbers that nothing rounds, where they are compared."""

_MOVING = frozenset(
    {"real", "newaxis", "transpose", "subscript", "full", "flatten", "join_rows", "concat", "permute"}
)
"""What computes nothing."""


def _certain(node: Node) -> bool:
    """Whether a number or truth value hangs on integers and masks alone, and is known whatever is rounded."""
    if node.kind == "integer" or node.op in _UNROUNDED:
        return True
    if node.kind == "boolean":
        return node.op != "isfinite" and all(map(_certain, node.args))
    return node.op in _MOVING and all(map(_certain, node.args))


def where(condition: Node, yes: Node, no: Node) -> Node:
    """`yes` where the condition holds, else `no`; the branch not taken has no influence, nan included."""
    if condition.kind != "boolean":
        raise ExpressionError(f"where takes a boolean condition, not a {condition.kind}")
    # a choice by real numbers may be open, and of balls there are no integers that hold two
    kind: Kind = "integer" if yes.kind == no.kind == "integer" and _certain(condition) else "real"
    if kind == "real":
        yes, no = real(yes), real(no)
    shape = broadcast_shape([condition.shape, yes.shape, no.shape])
    return Node.make("where", [align(a, shape) for a in (condition, yes, no)], shape=shape, kind=kind)


def axis_of(node: Node, axis: int | Size) -> int:
    """The position of an axis given by number or by dimension; ExpressionError where there is none or two."""
    if isinstance(axis, Size):
        found = [i for i, a in enumerate(node.shape) if a == axis]
        if len(found) != 1:
            raise ExpressionError(f"shape {show(node.shape)} has {len(found) or 'no'} axes {axis}")
        return found[0]
    if not -len(node.shape) <= axis < len(node.shape):
        raise ExpressionError(f"shape {show(node.shape)} has no axis {axis}")
    return axis % len(node.shape)


def reduce(op: str, node: Node, axes: tuple[int, ...] | None = None, keep: bool = False) -> Node:
    """A reduction over axes (all of them for None); `keep` leaves axes of size 1."""
    axes = tuple(range(len(node.shape))) if axes is None else axes
    kind: Kind = "boolean" if op in ("any", "all") else "real"
    if op in ("any", "all", "count"):
        if node.kind != "boolean":
            raise ExpressionError(f"{op} takes booleans, not a {node.kind}")
    else:
        node = real(node)
    shape = tuple(ONE if i in axes else a for i, a in enumerate(node.shape) if keep or i not in axes)
    if op == "mean":
        count = size(_product([node.shape[i] for i in axes]))
        return elementwise("div", reduce("sum", node, axes, keep), count)
    if op == "count":
        return reduce("sum", real(node), axes, keep)
    if not axes:
        return node if op != "norm" else elementwise("abs", node)
    return Node.make(op, (node,), (axes, keep), shape, kind)


def kept(op: str, node: Node, axis: int) -> Node:
    """softmax, log_softmax or sort along an axis."""
    return Node.make(op, (real(node),), (axis,), node.shape)


def matmul(left: Node, right: Node) -> Node:
    """[…, n, k] by […, k, m] gives […, n, m]; leading axes are alike."""
    if len(left.shape) < 2 or len(left.shape) != len(right.shape) or left.shape[-1] != right.shape[-2]:
        raise ExpressionError(
            f"matmul of {show(left.shape)} and {show(right.shape)}: the inner axes do not fit"
        )
    shape = (*_broadcast(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1])
    return Node.make("matmul", (real(left), real(right)), shape=shape)


def transpose(node: Node) -> Node:
    """The last two axes exchanged."""
    if len(node.shape) < 2:
        raise ExpressionError(f"transpose takes two axes or more, not {show(node.shape)}")
    shape = (*node.shape[:-2], node.shape[-1], node.shape[-2])
    return Node.make("transpose", (node,), shape=shape, kind=node.kind)


def take(node: Node, index: Node) -> Node:
    """The entry of the last axis at each index; [N, V] with [N] gives [N], [V] with [N] gives [N]."""
    if index.kind != "integer":
        raise ExpressionError(f"take needs class indices, not a {index.kind}")
    if len(node.shape) == 1:
        return Node.make("take", (node, index), shape=index.shape, kind=node.kind)
    if node.shape[:-1] != index.shape:
        raise ExpressionError(f"take of {show(node.shape)} at {show(index.shape)}: leading axes do not fit")
    return Node.make("take", (node, index), shape=index.shape, kind=node.kind)


def onehot(index: Node, classes: Size) -> Node:
    """1 at the index and 0 elsewhere, along a new last axis."""
    if index.kind != "integer":
        raise ExpressionError(f"onehot needs class indices, not a {index.kind}")
    return Node.make("onehot", (index,), (classes,), (*index.shape, classes))


def permute(node: Node, permutation: Node) -> Node:
    """out[…, j] = x[…, permutation[j]]."""
    if permutation.kind != "integer" or permutation.shape != node.shape[-1:]:
        raise ExpressionError(
            f"permute takes a permutation of the last axis of {show(node.shape)}, not {show(permutation.shape)}"
        )
    return Node.make("permute", (node, permutation), shape=node.shape, kind=node.kind)


def relabel(index: Node, permutation: Node) -> Node:
    """The index that each class has after `permute`."""
    if index.kind != "integer" or permutation.kind != "integer" or len(permutation.shape) != 1:
        raise ExpressionError("relabel takes class indices and a permutation of the classes")
    return Node.make("relabel", (index, permutation), shape=index.shape, kind="integer")


def concat(left: Node, right: Node) -> Node:
    """Joined along the last axis."""
    if not left.shape or left.shape[:-1] != right.shape[:-1]:
        raise ExpressionError(
            f"concat of {show(left.shape)} and {show(right.shape)}: leading axes do not fit"
        )
    if left.kind != right.kind:
        left, right = real(left), real(right)
    shape = (*left.shape[:-1], left.shape[-1] + right.shape[-1])
    return Node.make("concat", (left, right), shape=shape, kind=left.kind)


def full(value: Node, shape: Sizes) -> Node:
    """An array of this shape that holds one scalar everywhere."""
    if value.shape:
        raise ExpressionError(f"full takes a scalar, not {show(value.shape)}")
    return Node.make("full", (value,), (), shape, value.kind)


def arange(length: Size) -> Node:
    """0, 1, … along one axis."""
    return Node.make("arange", (), (length,), (length,), "integer")


def flatten(node: Node) -> Node:
    """The last two axes joined into one."""
    if len(node.shape) < 2:
        raise ExpressionError(f"flatten takes two axes or more, not {show(node.shape)}")
    shape = (*node.shape[:-2], node.shape[-2] * node.shape[-1])
    return Node.make("flatten", (node,), (), shape, node.kind)


def join_rows(node: Node) -> Node:
    """All axes but the last joined into one: [B, T, V] gives [B·T, V]."""
    if len(node.shape) < 2:
        raise ExpressionError(f"join_rows takes two axes or more, not {show(node.shape)}")
    return Node.make("join_rows", (node,), (), (_product(node.shape[:-1]), node.shape[-1]), node.kind)


def subscript(node: Node, items: tuple[Any, ...]) -> Node:
    """NumPy's basic indexing by integers, slices of integers, None and one Ellipsis."""
    given = sum(item is not None and item is not Ellipsis for item in items)
    if given > len(node.shape):
        raise ExpressionError(f"{given} subscripts for shape {show(node.shape)}")
    missing = len(node.shape) - given
    if Ellipsis not in items:
        items = (*items, Ellipsis)
    expanded: list[Any] = []
    for item in items:
        expanded += [slice(None)] * missing if item is Ellipsis else [item]
    shape: list[Size] = []
    axes = iter(node.shape)
    for item in expanded:
        if item is None:
            shape.append(ONE)
            continue
        axis = next(axes)
        if isinstance(item, slice):
            shape.append(_sliced(axis, item))
    key = tuple(("slice", i.start, i.stop) if isinstance(i, slice) else i for i in expanded)
    return Node.make("subscript", (node,), (key,), tuple(shape), node.kind)


def _sliced(axis: Size, item: slice) -> Size:
    """Only slices that cut a fixed number of entries off either end have a size known in advance."""
    start, stop = item.start or 0, item.stop
    if item.step not in (None, 1) or start < 0 or (stop is not None and stop >= 0 and axis.number is None):
        raise ExpressionError(
            "a slice is [a:] or [:-b] or [a:-b] with whole numbers, or [a:b] on a fixed size"
        )
    if stop is not None and stop >= 0:
        return Size.of(max(0, min(stop, axis.number or 0) - start))
    return axis + Size.of((stop or 0) - start)


def _product(sizes: Sequence[Size]) -> Size:
    total = ONE
    for factor in sizes:
        total = total * factor
    return total
