"""Functions of one ball (python-flint's `arb`) in the extended reals.

Arb answers nan for ∞ · 2 or log 0; here −∞ is a legal logit and log 0 = −∞. nan stands for what is undefined
(∞ − ∞) and for what this precision cannot tell (the logarithm of a ball that holds 0): a caller who raises the
precision learns which.
"""

from __future__ import annotations

from flint import arb

NAN = arb("nan")
INF = arb("inf")
NEG_INF = arb("-inf")
ZERO = arb(0)
ONE = arb(1)
UNIT = arb(0, 1)  # [−1, 1]
HALF_OPEN = arb(0.5, 0.5)  # [0, 1]


def is_infinite(x: arb) -> bool:
    """Whether the ball is exactly +∞ or −∞."""
    return not x.is_finite() and not x.is_nan() and x.is_exact()


def _sign(x: arb) -> int | None:
    """−1, 0, 1, or None where the ball holds both signs."""
    if x > 0:
        return 1
    if x < 0:
        return -1
    return 0 if x.is_zero() else None


def _infinity(sign: int | None) -> arb:
    return NAN if not sign else INF if sign > 0 else NEG_INF


def add(x: arb, y: arb) -> arb:
    result = x + y
    if result.is_finite() or not (x.is_finite() or y.is_finite()):
        return result
    if is_infinite(x) and y.is_finite():
        return x
    if is_infinite(y) and x.is_finite():
        return y
    return result


def sub(x: arb, y: arb) -> arb:
    # not x + (−y): Arb's negation would round y to the working precision first
    result = x - y
    if result.is_finite() or not (x.is_finite() or y.is_finite()):
        return result
    return add(x, -y)


def mul(x: arb, y: arb) -> arb:
    result = x * y
    if result.is_finite():
        return result
    if (is_infinite(x) or is_infinite(y)) and not (x.is_nan() or y.is_nan()):
        a, b = _sign(x), _sign(y)
        return NAN if a is None or b is None else _infinity(a * b)
    return NAN


def times(x: arb, y: arb) -> arb:
    """x · y, and 0 where x is exactly 0, whatever y is."""
    return ZERO if x.is_zero() else mul(x, y)


def div(x: arb, y: arb) -> arb:
    if is_infinite(y) and x.is_finite():
        return ZERO
    result = x / y
    if result.is_finite():
        return result
    if is_infinite(x) and y.is_finite():
        a, b = _sign(x), _sign(y)
        return NAN if a is None or not b else _infinity(a * b)
    return NAN


def xdivy(x: arb, y: arb) -> arb:
    """x / y for x, y ≥ 0 where 0 / 0 = 0 and x / 0 = +∞ for x > 0."""
    if x.is_zero():
        return ZERO
    if y.is_zero():
        return _infinity(_sign(x))
    return div(x, y)


def exp(x: arb) -> arb:
    return INF if x.is_nan() is False and is_infinite(x) and x > 0 else x.exp()


def log(x: arb) -> arb:
    if x.is_zero():
        return NEG_INF
    if is_infinite(x) and x > 0:
        return INF
    return x.log()


def xlogy(x: arb, y: arb) -> arb:
    return ZERO if x.is_zero() else mul(x, log(y))


def sqrt(x: arb) -> arb:
    return x.sqrt() if not (is_infinite(x) and x > 0) else INF


def power(x: arb, exponent: arb) -> arb:
    """x ** exponent; whole exponents for every base, others for bases ≥ 0, 0 ** 0 = 1."""
    if exponent.is_zero():
        return ONE
    whole = exponent.unique_fmpz() if exponent.is_exact() else None
    if x.is_zero():
        return ZERO if exponent > 0 else INF if exponent < 0 else NAN
    if is_infinite(x):
        if exponent > 0:
            if whole is None:
                return INF if x > 0 else NAN
            return INF if x > 0 or int(whole) % 2 == 0 else NEG_INF
        return ZERO if exponent < 0 else NAN
    if whole is not None:
        return _whole_power(x, int(whole))
    if x >= 0 and not x > 0 and exponent > 0:
        # a base whose ball touches 0: the power of its largest value bounds it
        return (x.abs_upper() ** exponent).union(ZERO)
    return x**exponent


def _whole_power(x: arb, exponent: int) -> arb:
    """x ** n by repeated multiplication: Arb's own takes a logarithm, which a ball around 0 has not."""
    if exponent < 0:
        return div(ONE, _whole_power(x, -exponent))
    if exponent % 2 == 0 and x.contains(0):
        # an even power is not negative, which a product of two balls around 0 does not know
        return (x.abs_upper() ** exponent).union(ZERO)
    result = ONE
    while exponent:
        if exponent & 1:
            result = result * x
        x, exponent = x * x, exponent >> 1
    return result


def square(x: arb) -> arb:
    return power(x, arb(2))


def absolute(x: arb) -> arb:
    return abs(x) if not is_infinite(x) else INF


def slope_abs(x: arb) -> arb:
    sign = _sign(x)
    return arb(sign) if sign else UNIT if not x.is_nan() else NAN


def sign(x: arb) -> arb:
    found = _sign(x)
    return arb(found) if found is not None else UNIT if not x.is_nan() else NAN


def step(x: arb, y: arb) -> arb:
    """The derivative of max(x, y) in x: 1, 0, or [0, 1] on the kink."""
    if x.is_nan() or y.is_nan():
        return NAN
    return ONE if x > y else ZERO if x < y else HALF_OPEN


def maximum(x: arb, y: arb) -> arb:
    if x.is_nan() or y.is_nan():
        return NAN
    # one of the two as it is, where that can be told: Arb's own would round it to the working precision
    if x >= y:
        return x
    return y if is_infinite(x) or is_infinite(y) or y >= x else x.max(y)


def log1p(x: arb) -> arb:
    return INF if is_infinite(x) and x > 0 else NEG_INF if x == -1 else x.log1p()


def expm1(x: arb) -> arb:
    if is_infinite(x):
        return INF if x > 0 else arb(-1)
    return x.expm1()


def softplus(x: arb) -> arb:
    """log(1 + eˣ) = max(x, 0) + log1p(e^−|x|), accurate to the last bit on both sides."""
    if is_infinite(x):
        return INF if x > 0 else ZERO
    if x > 0:
        return x + (-x).exp().log1p()
    return x.exp().log1p()


def sigmoid(x: arb) -> arb:
    if is_infinite(x):
        return ONE if x > 0 else ZERO
    if x > 0:
        return 1 / (1 + (-x).exp())
    small = x.exp()
    return small / (1 + small)


def tanh(x: arb) -> arb:
    return x.tanh() if not is_infinite(x) else sign(x)


def rel_entr(x: arb, y: arb) -> arb:
    """x log(x / y) for x, y ≥ 0; 0 at x = 0, +∞ at x > 0 = y."""
    if x.is_zero():
        return ZERO
    if y.is_zero():
        return INF if x > 0 else NAN
    return mul(x, log(div(x, y)))


def hull(x: arb, y: arb) -> arb:
    """The smallest ball around both, nan where one is not finite and they differ."""
    if x.is_finite() and y.is_finite():
        return x.union(y)
    return x if is_infinite(x) and is_infinite(y) and x == y else NAN
