"""Midpoints with their radii, node by node: an arithmetic of midpoints, and rules for how wide each step's ball is.

The midpoints come from one tier of the oracle (wide floats or Arb), the radii from radius.py for one or more
roundings. What an uncertain comparison chooses widens the ball to hold both choices. Where the tier's own error
leaves a comparison open, so that even the midpoint is not known, the midpoint becomes nan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from typing import Any, Protocol

import numpy as np

from lossproof.oracle import structure
from lossproof.oracle.radius import Radii, Term, spread
from lossproof.oracle.rounding import Array, Radius, Rounding, exact
from lossproof.oracle.softmax_family import SoftmaxFamily

COMPARED = frozenset({"lt", "le", "gt", "ge", "eq", "ne"})
LOGIC = frozenset({"and", "or", "not", "any", "all"})
SOFTMAXES = frozenset({"softmax", "scaled_softmax", "less_scaled_softmax"})


@dataclass(frozen=True, slots=True)
class Ball:
    """An array of balls, or of booleans or integers.

    mid: the tier's own numbers (for Arb's booleans True, False or None). view: them as float64, or as plain booleans
    or integers. radii: one for each rounding; for booleans where that rounding leaves them uncertain (0.0: nowhere).
    open: where the tier does not know a boolean itself. binary: nothing but 0 and 1.
    """

    mid: Array
    view: Array
    radii: tuple[Radius, ...]
    open: Array | None = None
    binary: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.mid.shape)


class Midpoints(Protocol):
    """An arithmetic of midpoints: that of wide.py, or Arb's."""

    @property
    def dtype(self) -> Any: ...
    def leaf(self, array: Array) -> Array: ...
    def constant(self, value: Any) -> Array: ...
    def operation(self, op: str) -> Callable[..., Array]: ...


class Families:
    """The softmax families of arrays, each worked out once."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Array, SoftmaxFamily]] = {}

    def __call__(self, x: Array, axis: int) -> SoftmaxFamily:
        key = (id(x), axis)
        if key not in self._known:
            # the array is kept, so that its id is not given to another
            self._known[key] = (x, SoftmaxFamily.of(x, axis))
        return self._known[key][1]


class RunningError:
    """The arithmetic of `Ball`s, for evaluate(). Call inside `np.errstate(all="ignore")`.

    own: how wide, in units of the first radius, a midpoint's own error can be; 0 for certified midpoints. With
    `own_radius` the last radius is that bound itself. guess: a choice that this error hides is made by the midpoints,
    and what follows may be wrong; its radii are those of both choices.
    """

    def __init__(
        self,
        midpoints: Midpoints,
        view: Callable[[Array], Array],
        roundings: Sequence[Rounding],
        families: Families,
        *,
        own: float = 0.0,
        own_radius: bool = False,
        guess: bool = False,
        radii: Callable[[Rounding, Families], Radii] = Radii,
    ) -> None:
        self.midpoints, self.view, self.roundings = midpoints, view, tuple(roundings)
        self._rules = [radii(rounding, families) for rounding in roundings]
        self._own, self._own_radius, self._guess = own, own_radius, guess
        self._exact: tuple[Radius, ...] = (0.0,) * len(self.roundings)

    # leaves

    def leaf(self, array: Array, radii: tuple[Radius, ...] = ()) -> Ball:
        """An input: exact, or with a radius for each rounding."""
        mid = self.midpoints.leaf(array)
        if mid.dtype.kind in "iub":
            return self.integers(mid)
        return Ball(mid, self.view(mid), radii or self._exact)

    def number(self, value: float | Fraction) -> Ball:
        """A parameter: stored in the format of each rounding."""
        mid = self.midpoints.constant(value)
        return Ball(mid, self.view(mid), tuple(rounding.constant(value) for rounding in self.roundings))

    constant = number

    def integers(self, array: Array) -> Ball:
        return Ball(array, array, self._exact)

    def full(self, value: Ball, shape: tuple[int, ...]) -> Ball:
        return self._moved(lambda x: np.broadcast_to(x, shape), value)

    # operations

    def operation(self, op: str) -> Callable[..., Ball]:
        # not kept: a method kept by its object is a cycle, which holds every array until the collector comes by
        return partial(_operation(op), self)

    def _step_of(self, op: str, *args: Any) -> Ball:
        balls = [arg for arg in args if isinstance(arg, Ball)]
        attributes = args[len(balls) :]
        mid = self.midpoints.operation(op)(*(ball.mid for ball in balls), *attributes)
        mid = np.asarray(mid, dtype=self.midpoints.dtype)
        view = self.view(mid)
        radii = tuple(
            rules.rule(op)(view, *(_term(ball, place) for ball in balls), *attributes)
            for place, rules in enumerate(self._rules)
        )
        found = Ball(mid, view, radii)
        if op in SOFTMAXES:
            return self._unknown_weights(balls[0], attributes[0], found)
        return self._unknown_at_kinks(op, balls, attributes, found) if op in _KINKED else found

    def _structural(self, move: Callable[..., Array], *args: Any) -> Ball:
        balls = [arg for arg in args if isinstance(arg, Ball)]
        attributes = args[len(balls) :]
        if not balls:
            return self.integers(move(*attributes))
        first, others = balls[0], balls[1:]
        if len(others) == 1 and others[0].mid.dtype.kind in "iub" and first.mid.dtype.kind not in "iub":
            return self._moved(lambda x: move(x, others[0].mid, *attributes), first)
        if not others:
            return self._moved(lambda x: move(x, *attributes), first)
        return self._joined(lambda *parts: move(*parts, *attributes), balls)

    def _moved(self, move: Callable[[Array], Array], ball: Ball) -> Ball:
        """Every part of a ball through an operation that computes nothing."""
        mid = move(ball.mid)
        view = mid if ball.view is ball.mid else move(ball.view)
        shape = ball.mid.shape
        radii = tuple(r if exact(r) else move(np.broadcast_to(r, shape)) for r in ball.radii)
        return Ball(mid, view, radii, None if ball.open is None else move(ball.open), ball.binary)

    def _joined(self, move: Callable[..., Array], balls: Sequence[Ball]) -> Ball:
        mid = move(*(ball.mid for ball in balls))
        if balls[0].view.dtype.kind == "b":
            view = _booleans(mid)
        else:
            view = mid if mid.dtype.kind in "iu" else self.view(mid)
        radii: list[Radius] = []
        for place in range(len(self.roundings)):
            parts = [ball.radii[place] for ball in balls]
            wide = [_filled(r, ball) for r, ball in zip(parts, balls, strict=True)]
            radii.append(0.0 if all(map(exact, parts)) else move(*wide))
        untold = None
        if any(ball.open is not None for ball in balls):
            untold = move(*(_flags(0.0 if ball.open is None else ball.open, ball) for ball in balls))
        return Ball(mid, view, tuple(radii), untold, binary=all(ball.binary for ball in balls))

    # truth values

    def _compare(self, op: str, x: Ball, y: Ball) -> Ball:
        mid = np.asarray(self.midpoints.operation(op)(x.mid, y.mid))
        if x.view.dtype.kind in "iub" and y.view.dtype.kind in "iub":
            return self.integers(mid.astype(bool))
        radii = tuple(_unsure(x, y, place) for place in range(len(self.roundings)))
        return Ball(mid, _booleans(mid), radii, self._untold(mid, x, y))

    def _untold(self, mid: Array, x: Ball, y: Ball) -> Array | None:
        """Where the tier cannot tell a comparison."""
        if mid.dtype == object:
            found = _is_none(mid)
        else:
            width = self._own_error(x) + self._own_error(y)
            found = np.isnan(x.view) | np.isnan(y.view)
            if not exact(width):
                apart = self.view(np.abs(np.where(x.mid == y.mid, x.mid * 0, x.mid - y.mid)))
                found = found | ((width != 0) & ~(apart > width))
        found = np.asarray(found).astype(bool)
        return found if found.any() else None

    def _own_error(self, ball: Ball) -> Radius:
        if self._guess:
            return 0.0
        return ball.radii[-1] if self._own_radius else ball.radii[0] * self._own

    def _logic(self, op: str, *args: Any) -> Ball:
        balls = [arg for arg in args if isinstance(arg, Ball)]
        attributes = args[len(balls) :]
        mid = np.asarray(self.midpoints.operation(op)(*(ball.mid for ball in balls), *attributes))

        def decide(*parts: Array) -> Array:
            if op in ("any", "all"):
                return np.asarray(_LOGIC[op](*parts, axis=attributes[0], keepdims=attributes[1]))
            return np.asarray(_LOGIC[op](*parts))

        radii = tuple(_either(decide, balls, [b.radii[k] for b in balls]) for k in range(len(self.roundings)))
        untold = _either(decide, balls, [0.0 if ball.open is None else ball.open for ball in balls])
        return Ball(mid, _booleans(mid), radii, None if exact(untold) else np.asarray(untold))

    def _real(self, x: Ball) -> Ball:
        if x.view.dtype.kind != "b":
            mid = self.midpoints.operation("real")(x.mid)
            return Ball(mid, self.view(mid), self._exact)
        mid = self._with_nan(self.midpoints.operation("real")(x.mid), x.open)
        radii = tuple(r if exact(r) else np.where(r, 1.0, 0.0) for r in x.radii)
        return Ball(mid, self.view(mid), radii, binary=x.open is None)

    def _onehot(self, index: Ball, classes: int) -> Ball:
        mid = self.midpoints.operation("onehot")(index.mid, classes)
        return Ball(mid, self.view(mid), self._exact, binary=True)

    def _isfinite(self, x: Ball) -> Ball:
        mid = np.asarray(self.midpoints.operation("isfinite")(x.mid))
        radii = tuple(r if exact(r) else np.isnan(r) for r in x.radii)
        untold = np.isnan(x.view)
        return Ball(mid, _booleans(mid), radii, untold if untold.any() else None)

    def _where(self, condition: Ball, yes: Ball, no: Ball) -> Ball:
        if yes.view.dtype.kind in "iub":
            return self.integers(np.where(condition.view, yes.mid, no.mid))
        mid = self.midpoints.operation("where")(condition.mid, yes.mid, no.mid)
        mid = np.asarray(mid, dtype=self.midpoints.dtype)
        untold = condition.open
        if untold is not None and mid.dtype != object:
            # where both are the same it does not matter which it is
            untold = untold & ~(yes.mid == no.mid)
        mid = self._with_nan(mid, untold)
        view = self.view(mid)
        radii = tuple(self._chosen(condition, yes, no, place) for place in range(len(self.roundings)))
        return Ball(mid, view, radii, binary=yes.binary and no.binary and condition.open is None)

    def _chosen(self, condition: Ball, yes: Ball, no: Ball, place: int) -> Radius:
        a, b, unsure = yes.radii[place], no.radii[place], condition.radii[place]
        plain: Radius = 0.0 if exact(a) and exact(b) else np.where(condition.view, a, b)
        if exact(unsure):
            return plain
        # whichever it is, the ball holds both
        apart = np.abs(yes.view - no.view)
        apart = np.where(yes.view == no.view, 0.0, apart)
        return np.where(unsure, np.maximum(plain, apart + np.where(condition.view, b, a)), plain)

    def _with_nan(self, mid: Array, unknown: Array | None) -> Array:
        if unknown is None or mid.dtype == object:
            return mid
        return np.where(unknown, np.nan, mid)

    def _unknown_weights(self, x: Ball, axis: int, found: Ball) -> Ball:
        """nan where the tier's own error leaves open which entry of a softmax has the weight.

        The radius of a weight ends at 1, so that it is no longer in proportion to that of the logits.
        """
        width = self._own_error(x)
        if found.mid.dtype == object or exact(width):
            return found
        width = np.where(np.isneginf(x.view), 0.0, width)
        lost = (np.max(width, axis=axis, keepdims=True) > 1) & ~np.isneginf(x.view)
        if not lost.any():
            return found
        mid = self._with_nan(found.mid, lost)
        return Ball(mid, self.view(mid), found.radii)

    def _unknown_at_kinks(
        self, op: str, balls: Sequence[Ball], attributes: Sequence[Any], found: Ball
    ) -> Ball:
        """nan where the tier's own error hides on which side of a kink an operand lies."""
        if found.mid.dtype == object:
            return found
        x, width = balls[0], self._own_error(balls[0])
        apart: Array
        if op == "step":
            width = np.add(width, self._own_error(balls[1]))
            apart = x.mid - balls[1].mid
        elif op == "argmax_weight":
            apart = x.mid - np.max(x.mid, axis=attributes[0], keepdims=True)
            width = width if exact(width) else width + np.max(width, axis=attributes[0], keepdims=True)
        else:
            apart = x.mid
        if exact(width):
            return found
        near = (np.abs(self.view(apart)) <= width) & (np.asarray(width) > 0)
        if op == "argmax_weight":
            near = near & (np.sum(near, axis=attributes[0], keepdims=True) > 1)
        if not near.any():
            return found
        mid = self._with_nan(found.mid, near)
        return Ball(mid, self.view(mid), found.radii)


@cache
def _operation(op: str) -> Callable[..., Ball]:
    """An operation, as a function of the arithmetic and of the operands."""
    named: Callable[..., Ball] | None = getattr(RunningError, f"_{op}", None)
    if op in structure.OPERATIONS:
        move = structure.OPERATIONS[op]
        return lambda self, *args: self._structural(move, *args)
    if op in COMPARED:
        return lambda self, *args: self._compare(op, *args)
    if op in LOGIC:
        return lambda self, *args: self._logic(op, *args)
    return named or (lambda self, *args: self._step_of(op, *args))


_KINKED = frozenset({"step", "slope_abs", "sign", "argmax_weight"})
_LOGIC: Mapping[str, Any] = {
    "and": np.logical_and, "or": np.logical_or, "not": np.logical_not, "any": np.any, "all": np.all,
}  # fmt: skip


def _term(ball: Ball, place: int) -> Term:
    return Term(ball.mid, ball.view, ball.radii[place], ball.binary)


def _filled(radius: Radius, ball: Ball) -> Array:
    return spread(radius, ball.mid.shape)


_is_none = np.frompyfunc(lambda entry: entry is None, 1, 1)


def _booleans(mid: Array) -> Array:
    return np.equal(mid, True).astype(bool) if mid.dtype == object else mid


def _unsure(x: Ball, y: Ball, place: int) -> Radius:
    """Where balls of one rounding overlap, so that a comparison can come out either way."""
    a, b = x.radii[place], y.radii[place]
    if exact(a) and exact(b):
        return 0.0
    width = np.add(a, b)
    apart = np.where(x.view == y.view, 0.0, np.abs(x.view - y.view))
    return np.asarray((width != 0) & ~(apart > width))


def _either(decide: Callable[..., Array], balls: Sequence[Ball], unsure: Sequence[Radius]) -> Radius:
    """Where the answer is not the same for every choice of the uncertain operands."""
    if all(map(exact, unsure)):
        return 0.0
    high = decide(*(ball.view | _flags(u, ball) for ball, u in zip(balls, unsure, strict=True)))
    low = decide(*(ball.view & ~_flags(u, ball) for ball, u in zip(balls, unsure, strict=True)))
    return np.asarray(high != low)


def _flags(unsure: Radius, ball: Ball) -> Array:
    return np.broadcast_to(np.asarray(unsure).astype(bool), ball.mid.shape)
