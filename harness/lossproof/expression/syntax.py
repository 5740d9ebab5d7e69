"""From text to Python's syntax tree, within limits; nothing is ever evaluated as code."""

from __future__ import annotations

import ast
import textwrap

from lossproof.errors import ExpressionError

MAX_CHARACTERS = 4_000


def syntax(text: str) -> ast.expr:
    """Python's syntax tree of an expression, its positions counted in `text`."""
    if len(text) > MAX_CHARACTERS:
        raise ExpressionError(
            f"the expression has {len(text)} characters; {MAX_CHARACTERS} are allowed", at=(1, 1)
        )
    # the parenthesis lets an expression run over several lines
    try:
        tree = ast.parse(f"({textwrap.dedent(text)}\n)", mode="eval").body
    except SyntaxError as error:
        at = (error.lineno or 1, max(1, (error.offset or 1) - (error.lineno == 1)))
        raise ExpressionError(f"not an expression: {_told(error.msg)}", at=at) from None
    except (RecursionError, MemoryError, ValueError):
        raise ExpressionError("the expression is nested too deeply", at=(1, 1)) from None
    if isinstance(tree, ast.Tuple):
        raise ExpressionError("one expression is expected, not several with commas between", at=(1, 1))
    return tree


def _told(message: str) -> str:
    """What Python says, with our words for what a single `=` makes of a comparison."""
    message = message.partition(" Maybe you meant '=='")[0]
    if message == "invalid syntax." or message.startswith("positional argument follows keyword"):
        return f"{message.rstrip('.')} (equality is written '==')"
    return message


def described(tree: ast.AST) -> str:
    """A tree as it is written, in quotes, for an error message."""
    try:
        return f"'{ast.unparse(tree)}'"
    except Exception:
        return f"'{type(tree).__name__}'"
