"""A loss's formula and its laws as MathML, for reports."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from html import escape
from typing import Protocol

from lossproof.errors import ExpressionError
from lossproof.expression.syntax import syntax
from lossproof.expression.typeset import element, name, symbol, typeset, words


class Definition(Protocol):
    """What is typeset of a spec."""

    @property
    def loss(self) -> str: ...
    @property
    def definition(self) -> str: ...
    @property
    def let(self) -> Mapping[str, str]: ...


def mathml(spec: Definition) -> str:
    """The definition of a loss as `<math display="block">`, with the local definitions that it uses below.

    Every name and text is escaped, so the result may stand in HTML as it is. Never raises on what a spec may
    hold: an expression that cannot be typeset is shown as text.
    """
    equations = [(element("mi", escape(spec.loss)), spec.definition)]
    equations += [(name(local), spec.let[local]) for local in _used(spec)]
    lines = []
    for i, (left, text) in enumerate(equations):
        lead = words("where\u00a0") if i == 1 else element("mrow")
        cells = (lead, left, symbol("="), _markup(text))
        lines.append(
            element("mtr", *(_cell(cell, "right" if j == 1 else "left") for j, cell in enumerate(cells)))
        )
    return _math(element("mtable", *lines, attributes='displaystyle="true"'), "block")


def mathml_expression(text: str, *, block: bool = False) -> str:
    """One expression, such as a law, as `<math>`; escaped, and as text where it cannot be typeset."""
    return _math(_markup(text), "block" if block else "inline")


def mathml_equation(left: str, right: ast.expr) -> str:
    """`left = right` as `<math>`, of a name and a syntax tree; escaped, and as text where it cannot be typeset."""
    try:
        markup = typeset(right).markup
    except (ExpressionError, RecursionError, MemoryError, ValueError, KeyError):
        markup = words(ast.unparse(right))
    return _math(element("mrow", name(left), symbol("="), markup), "inline")


def _math(inside: str, display: str) -> str:
    return element("math", inside, attributes=f'display="{display}"')


def _cell(inside: str, side: str) -> str:
    return element("mtd", inside, attributes=f'style="text-align: {side}"')


def _markup(text: str) -> str:
    try:
        return typeset(syntax(text)).markup
    except (ExpressionError, RecursionError, MemoryError, ValueError, KeyError):
        return words(text)


def _used(spec: Definition) -> list[str]:
    """The local definitions that the definition uses, directly or not, in the order of the spec."""
    found: set[str] = set()
    waiting = [spec.definition]
    while waiting:
        names = _names(waiting.pop()) & spec.let.keys() - found
        found |= names
        waiting += [spec.let[local] for local in names]
    return [local for local in spec.let if local in found]


def _names(text: str) -> set[str]:
    try:
        return {node.id for node in ast.walk(syntax(text)) if isinstance(node, ast.Name)}
    except ExpressionError:
        return set()
