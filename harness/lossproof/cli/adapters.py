"""What the bundled adapters bind, read from their source: importing one would import its library."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lossproof.frameworks import NAMES


@dataclass(frozen=True)
class Adapter:
    """An adapter file: the first line of its docstring, the losses and frameworks that its bindings name.

    audited: whether `lossproof audit` checks it.
    """

    name: str
    summary: str
    losses: tuple[str, ...]
    frameworks: tuple[str, ...]
    audited: bool


def bundled_adapters(losses: Iterable[str]) -> list[Adapter]:
    """The adapters in the package, by name; `losses` are the names that count as a loss."""
    from lossproof.implementation.targets import bundled, parse

    known = frozenset(losses)
    audited = bundled(demonstrations=False)
    found = []
    for name in bundled():
        module = importlib.util.find_spec(parse(name).module)
        if module is not None and module.origin is not None:
            found.append(scan(Path(module.origin), known, audited=name in audited))
    return found


def scan(path: Path, losses: frozenset[str], *, audited: bool = True) -> Adapter:
    """Read one adapter's source.

    A binding is a call whose first argument is a loss's name, `implements("mse", framework="numpy")` or a
    helper of the adapter's own around it; frameworks are the constants given as `framework=`.
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError) as error:
        return Adapter(path.stem, f"cannot be read: {error}", (), (), audited)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    first = (_constant(call.args[0]) for call in calls if call.args)
    named = {
        _constant(keyword.value) for call in calls for keyword in call.keywords if keyword.arg == "framework"
    }
    summary = (ast.get_docstring(tree) or "").strip().partition("\n")[0]
    return Adapter(
        path.stem,
        summary,
        tuple(sorted({name for name in first if name in losses})),
        tuple(name for name in NAMES if name in named),
        audited,
    )


def _constant(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
