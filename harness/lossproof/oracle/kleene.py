"""Comparisons and logic of balls: True, False, or None where the balls cannot tell (Kleene's third value)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flint import arb

from lossproof.oracle import ball
from lossproof.oracle.objects import mapped


def _compare(op: str) -> Callable[[Any, Any], bool | None]:
    """True, False, or None where the balls cannot tell; exact numbers always can."""

    def decide(x: Any, y: Any) -> bool | None:
        if isinstance(x, arb):
            if x.is_nan() or y.is_nan():
                return None
            less, more = bool(x < y), bool(x > y)
            same = bool(x == y) or (ball.is_infinite(x) and ball.is_infinite(y) and not less and not more)
            known = {
                "lt": (less, bool(x >= y)), "le": (bool(x <= y) or same, more), "gt": (more, bool(x <= y)),
                "ge": (bool(x >= y) or same, less), "eq": (same, less or more), "ne": (less or more, same),
            }[op]  # fmt: skip
            return True if known[0] else False if known[1] else None
        answer = {"lt": x < y, "le": x <= y, "gt": x > y, "ge": x >= y, "eq": x == y, "ne": x != y}[op]
        return bool(answer)

    return decide


COMPARED = {op: mapped(_compare(op), 2) for op in ("lt", "le", "gt", "ge", "eq", "ne")}


def _and(x: bool | None, y: bool | None) -> bool | None:
    return False if x is False or y is False else None if x is None or y is None else True


def _plain(value: Any) -> bool | None:
    return None if value is None else bool(value)


LOGIC = {
    "and": mapped(lambda x, y: _and(_plain(x), _plain(y)), 2),
    "or": mapped(lambda x, y: _negate(_and(_negate(_plain(x)), _negate(_plain(y)))), 2),
    "not": mapped(lambda x: _negate(_plain(x)), 1),
}


def _negate(value: bool | None) -> bool | None:
    return None if value is None else not value


def _choose(condition: bool | None, yes: Any, no: Any) -> Any:
    if condition is None:
        return ball.hull(yes, no)
    return yes if condition else no


def _to_real(value: Any) -> arb:
    if value is None:
        return ball.HALF_OPEN
    return arb(int(value))


where = mapped(_choose, 3)
real = mapped(_to_real, 1)
finite = mapped(lambda x: None if x.is_nan() else bool(x.is_finite()), 1)
