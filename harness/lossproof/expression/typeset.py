"""From a syntax tree to Presentation MathML (MathML Core), piece by piece.

The trees are those of `syntax.syntax`. Subscripts that only insert axes are left out: a formula on paper
broadcasts without saying so. A construct without a notation of its own is shown as text in the language.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape

# how tightly a piece holds together; a looser one stands in parentheses inside a tighter one
CASES, OR, AND, NOT, COMPARE, ADD, BIG, NEGATIVE, MUL, APPLY, ATOM = range(11)


@dataclass(frozen=True)
class Piece:
    """Markup (one element) and its level; signed: it begins with a minus, so no sign may stand before it."""

    markup: str
    level: int = ATOM
    signed: bool = False


_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "iota": "ι", "kappa": "κ", "lambda_": "λ", "lam": "λ", "mu": "μ", "nu": "ν", "xi": "ξ",
    "pi": "π", "rho": "ρ", "sigma": "σ", "tau": "τ", "phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω",
}  # fmt: skip
_OPERATORS = {
    ast.Add: "+", ast.Sub: "−", ast.Eq: "=", ast.NotEq: "≠", ast.Lt: "<", ast.LtE: "≤", ast.Gt: ">",
    ast.GtE: "≥", ast.Is: "=", ast.IsNot: "≠",
}  # fmt: skip
_UPRIGHT = {"sign": "sgn", "acos": "arccos", "sigmoid": "σ", "maximum": "max", "minimum": "min"}
_FITS_A_NUMBER = re.compile(r"(<m(row|sup|sub|frac)>)*<m(i>.<|o|frac|sqrt)")
_THIN = '<mspace width="0.17em"></mspace>'
_LIMITS = {"max": "max", "min": "min", "any": "any", "all": "all", "count": "count"}


def element(tag: str, *parts: str, attributes: str = "") -> str:
    """`<tag attributes>parts</tag>`; the parts are markup."""
    return f"<{tag}{' ' if attributes else ''}{attributes}>{''.join(parts)}</{tag}>"


def row(*parts: str) -> str:
    return parts[0] if len(parts) == 1 else element("mrow", *parts)


def symbol(text: str) -> str:
    return element("mo", escape(text))


def words(text: str) -> str:
    return element("mtext", escape(text))


def name(text: str) -> str:
    """An identifier: Greek where it spells a letter, an index after the underscore of a single letter."""
    head, _, index = text.partition("_")
    if text not in _GREEK and index and (len(head) == 1 or head in _GREEK):
        return element("msub", name(head), element("mi", escape(index)))
    return element("mi", escape(_GREEK.get(text, text)))


def typeset(tree: ast.expr) -> Piece:
    """The piece of a tree; RecursionError for one that is nested too deeply."""
    match tree:
        case ast.Name(id="inf"):
            return Piece(element("mi", "∞"))
        case ast.Name(id=text):
            return Piece(name(text))
        case ast.Constant(value=value):
            return _constant(value)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = typeset(operand)
            return Piece(
                row(symbol("−"), _at_least(inner, BIG, signed=False)), min(inner.level, NEGATIVE), True
            )
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return typeset(operand)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return Piece(row(symbol("¬"), _at_least(typeset(operand), APPLY)), NOT)
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(typeset(left), op, typeset(right))
        case ast.BoolOp(op=op, values=values):
            level, sign = (AND, "∧") if isinstance(op, ast.And) else (OR, "∨")
            return Piece(_joined((_at_least(typeset(v), level + 1) for v in values), sign), level)
        case ast.Compare(left=left, ops=ops, comparators=others):
            parts = [_at_least(typeset(left), ADD)]
            for comparison, other in zip(ops, others, strict=True):
                parts += [symbol(_OPERATORS[type(comparison)]), _at_least(typeset(other), ADD)]
            return Piece(row(*parts), COMPARE)
        case ast.IfExp():
            return _cases(tree)
        case ast.Call(func=ast.Name(id="where"), args=[_, _, _], keywords=[]):
            return _cases(tree)
        case ast.Subscript(value=value, slice=key):
            return _subscript(typeset(value), key)
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=keywords):
            return _call(function, arguments, keywords)
    return Piece(words(ast.unparse(tree)))


def _constant(value: object) -> Piece:
    if value is None or isinstance(value, bool | str) or not isinstance(value, int | float):
        return Piece(words(value if isinstance(value, str) else str(value)))
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return Piece(element("mn", escape(mantissa.removesuffix(".0"))))
    sign = symbol("−") if exponent.startswith("-") else ""
    power = element("msup", element("mn", "10"), element("mrow", sign, element("mn", exponent.lstrip("+-0"))))
    if mantissa == "1":
        return Piece(power, APPLY)
    return Piece(row(element("mn", escape(mantissa)), symbol("×"), power), MUL)


def _binary(left: Piece, op: ast.operator, right: Piece) -> Piece:
    match op:
        case ast.Div():
            return Piece(element("mfrac", left.markup, right.markup), APPLY)
        case ast.Pow():
            return Piece(element("msup", _at_least(left, ATOM), right.markup), APPLY)
        case ast.Mult():
            return _product(left, right)
    sign = _OPERATORS.get(type(op), "?")
    markup = row(_at_least(left, ADD), symbol(sign), _at_least(right, BIG, signed=False))
    return Piece(markup, ADD, left.signed)


def _product(left: Piece, right: Piece) -> Piece:
    # after a number no sign is needed, unless another number or a word follows
    close = left.markup.startswith("<mn>") and _FITS_A_NUMBER.match(right.markup)
    sign = "\u2062" if close else "⋅"
    markup = row(_at_least(left, NEGATIVE), symbol(sign), _at_least(right, BIG, signed=False))
    # a sum at the end takes in what follows it
    return Piece(markup, BIG if right.level == BIG else MUL, left.signed and left.level >= NEGATIVE)


def _at_least(piece: Piece, level: int, signed: bool = True) -> str:
    if piece.level >= level and (signed or not piece.signed):
        return piece.markup
    return fenced("(", piece.markup, ")")


def fenced(opening: str, inside: str, closing: str) -> str:
    fences = (element("mo", sign, attributes=f'form="{form}" fence="true" stretchy="true"')
              for sign, form in ((opening, "prefix"), (closing, "postfix")))  # fmt: skip
    return element("mrow", next(fences), inside, next(fences))


def _joined(parts: Iterable[str], sign: str) -> str:
    found: list[str] = []
    for part in parts:
        found += [symbol(sign), part] if found else [part]
    return element("mrow", *found)


def _cases(tree: ast.expr) -> Piece:
    """A brace with a line for each branch; what is nested in the last branch goes on below."""
    lines: list[str] = []
    while True:
        match tree:
            case ast.IfExp(test=test, body=body, orelse=rest):
                pass
            case ast.Call(func=ast.Name(id="where"), args=[test, body, rest], keywords=[]):
                pass
            case _:
                break
        lines.append(_line(typeset(body).markup, row(words("if\u00a0"), _condition(test))))
        tree = rest
    lines.append(_line(typeset(tree).markup, words("otherwise")))
    brace = element("mo", "{", attributes='form="prefix" fence="true" stretchy="true"')
    return Piece(element("mrow", brace, element("mtable", *lines)), CASES)


def _line(*cells: str) -> str:
    return element("mtr", *(element("mtd", cell, attributes='style="text-align: left"') for cell in cells))


def _condition(tree: ast.expr) -> str:
    match tree:
        case ast.Compare(left=left, ops=[ast.Is() | ast.Eq()], comparators=[ast.Constant(value=None)]):
            return row(typeset(left).markup, words("\u00a0is not given"))
        case ast.Compare(left=left, ops=[ast.IsNot() | ast.NotEq()], comparators=[ast.Constant(value=None)]):
            return row(typeset(left).markup, words("\u00a0is given"))
    return typeset(tree).markup


def _subscript(value: Piece, key: ast.expr) -> Piece:
    items = key.elts if isinstance(key, ast.Tuple) else [key]
    if all(ast.unparse(item) in (":", "None", "...") for item in items):
        return value
    index = words(", ".join(ast.unparse(item) for item in items))
    return Piece(element("msub", _at_least(value, ATOM), index), APPLY)


def _call(function: str, arguments: list[ast.expr], keywords: list[ast.keyword]) -> Piece:
    axis = [k.value for k in keywords if k.arg == "axis"]
    if function in _NOTATION and len(axis) == len(keywords):
        try:
            return _NOTATION[function](*arguments, *axis)
        except TypeError:
            pass  # another number of arguments, as a loss of the same name may have
    parts = [typeset(a).markup for a in arguments]
    parts += [row(name(k.arg or "**"), symbol("="), typeset(k.value).markup) for k in keywords]
    return applied(element("mi", escape(_UPRIGHT.get(function, function))), *parts)


def applied(head: str, *arguments: str) -> Piece:
    """f(a, b)"""
    inside = _joined(arguments, ",") if arguments else element("mrow")
    return Piece(row(head, symbol("\u2061"), fenced("(", inside, ")")), APPLY)


def _axis(tree: ast.expr) -> str:
    text = ast.unparse(tree)
    return (
        words("last axis")
        if text == "-1"
        else words(f"axis {text}")
        if text.isdigit()
        else typeset(tree).markup
    )


def _below(head: str, axis: ast.expr | None) -> str:
    return head if axis is None else element("munder", head, _axis(axis))


def _index(head: str, axis: ast.expr | None) -> str:
    return head if axis is None else element("msub", head, _axis(axis))


def _mi(text: str) -> str:
    return element("mi", text)


def _sum(summand: str, axis: ast.expr | None) -> Piece:
    return Piece(row(_below(element("mo", "∑"), axis), summand), BIG)


def _total(x: ast.expr, axis: ast.expr | None = None) -> Piece:
    return _sum(_at_least(typeset(x), BIG, signed=False), axis)


def _mean(x: ast.expr, axis: ast.expr | None = None) -> Piece:
    if not isinstance(axis, ast.Name):
        return applied(_below(_mi("mean"), axis), typeset(x).markup)
    share = element("mfrac", element("mn", "1"), typeset(axis).markup)
    return Piece(row(share, _total(x, axis).markup), BIG)


def _limit(head: str) -> Callable[..., Piece]:
    def notation(x: ast.expr, axis: ast.expr | None = None) -> Piece:
        return applied(_below(_mi(head), axis), typeset(x).markup)

    return notation


def _log(argument: str) -> str:
    return row(_mi("log"), symbol("\u2061"), _THIN, argument)


def _logsumexp(x: ast.expr, axis: ast.expr | None = None) -> Piece:
    return Piece(_log(_sum(applied(_mi("exp"), typeset(x).markup).markup, axis).markup), BIG)


def _softmax(x: ast.expr, axis: ast.expr | None = None) -> Piece:
    return applied(_index(_mi("softmax"), axis), typeset(x).markup)


def _take(x: ast.expr, labels: ast.expr) -> Piece:
    return Piece(element("msub", _at_least(typeset(x), ATOM), typeset(labels).markup), APPLY)


def _xlogy(x: ast.expr, y: ast.expr) -> Piece:
    return _product(typeset(x), Piece(applied(_mi("log"), typeset(y).markup).markup, APPLY))


def _rel_entr(x: ast.expr, y: ast.expr) -> Piece:
    return _product(typeset(x), applied(_mi("log"), element("mfrac", typeset(x).markup, typeset(y).markup)))


def _full(value: ast.expr, *shape: ast.expr) -> Piece:
    sizes = _joined((_at_least(typeset(size), APPLY) for size in shape), "×")
    return Piece(element("msub", _at_least(typeset(value), ATOM), sizes), APPLY)


def _grad(loss: ast.expr, wrt: ast.expr) -> Piece:
    partial = element("mi", "∂")
    operator = element("mfrac", partial, row(partial, typeset(wrt).markup))
    return Piece(row(operator, symbol("\u2061"), _THIN, _at_least(typeset(loss), APPLY)), APPLY)


_NOTATION: dict[str, Callable[..., Piece]] = {
    "sum": _total, "mean": _mean, "logsumexp": _logsumexp, "softmax": _softmax, "take": _take, "full": _full,
    "xlogy": _xlogy, "rel_entr": _rel_entr, "grad": _grad,
    **{function: _limit(head) for function, head in _LIMITS.items()},
    "log_softmax": lambda x, axis=None: Piece(_log(_softmax(x, axis).markup), APPLY),
    "log_sigmoid": lambda x: Piece(_log(applied(_mi("σ"), typeset(x).markup).markup), APPLY),
    "norm": lambda x, axis=None: Piece(
        _index(fenced("‖", typeset(x).markup, "‖"), axis), ATOM if axis is None else APPLY
    ),
    "abs": lambda x: Piece(fenced("|", typeset(x).markup, "|")),
    "sqrt": lambda x: Piece(element("msqrt", typeset(x).markup), APPLY),
    "square": lambda x: Piece(element("msup", _at_least(typeset(x), ATOM), element("mn", "2")), APPLY),
    "times": lambda x, y: _product(typeset(x), typeset(y)),
    "xdivy": lambda x, y: Piece(element("mfrac", typeset(x).markup, typeset(y).markup), APPLY),
    "dot": lambda x, y: Piece(fenced("⟨", _joined([typeset(x).markup, typeset(y).markup], ","), "⟩")),
    "concat": lambda x, y: Piece(fenced("[", _joined([typeset(x).markup, typeset(y).markup], ","), "]")),
    "matmul": lambda x, y: Piece(
        row(_at_least(typeset(x), MUL), symbol("\u2062"), _at_least(typeset(y), APPLY)), MUL
    ),
    "transpose": lambda x: Piece(element("msup", _at_least(typeset(x), ATOM), symbol("⊤")), APPLY),
    "isfinite": lambda x: Piece(row(_at_least(typeset(x), ADD), words("\u00a0is finite")), COMPARE),
}  # fmt: skip
