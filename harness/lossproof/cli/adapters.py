"""What the bundled adapters bind, read from their source: importing one would import its library."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lossproof.frameworks import NAMES


@dataclass(frozen=True)
class Adapter:
    """An adapter: the first line of its docstring, the losses and frameworks that its bindings name.

    audited: whether `lossproof audit` checks it.
    """

    name: str
    summary: str
    losses: tuple[str, ...]
    frameworks: tuple[str, ...]
    audited: bool


def bundled_adapters(losses: Iterable[str]) -> list[Adapter]:
    """The adapters in the package, by name; `losses` are the names that count as a loss."""
    from lossproof.implementation.targets import bundled, files_of, parse

    known = frozenset(losses)
    audited = bundled(demonstrations=False)
    return [scan(name, files_of(parse(name)), known, audited=name in audited) for name in bundled()]


def scan(name: str, files: Sequence[Path], losses: frozenset[str], *, audited: bool = True) -> Adapter:
    """Read the source of an adapter, of whose files the first tells what it is.

    A binding is a call whose first argument is a loss's name, `implements("mse", framework="numpy")` or a
    helper of the adapter's own around it; frameworks are the constants given as `framework=`.
    """
    try:
        trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files]
    except (OSError, SyntaxError, ValueError) as error:
        return Adapter(name, f"cannot be read: {error}", (), (), audited)
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    first = (_constant(call.args[0]) for call in calls if call.args)
    named = {
        _constant(keyword.value) for call in calls for keyword in call.keywords if keyword.arg == "framework"
    }
    summary = (ast.get_docstring(trees[0]) or "").strip().partition("\n")[0]
    return Adapter(
        name,
        summary,
        tuple(sorted({loss for loss in first if loss in losses})),
        tuple(framework for framework in NAMES if framework in named),
        audited,
    )


def _constant(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
