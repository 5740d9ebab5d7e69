"""The statements that bring an implementation, and its written gradient, into a script under a name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from keyword import iskeyword
from typing import Any

from lossproof.checks.cell import Cell
from lossproof.errors import shown
from lossproof.implementation.declare import declarations
from lossproof.implementation.packages import home_of
from lossproof.implementation.targets import Target, parse


def function_of(cell: Cell) -> tuple[str, list[str]]:
    """The name of the implementation, and the lines that import it; a comment where nothing can."""
    i = cell.implementation
    target = _target(cell)
    if target is not None and target.function is not None:
        return target.function, _imported(target, target.module, target.function)
    name = _usable(getattr(i.function, "__name__", "")) or "loss"
    return name, [f"# {name}: the function that was checked, {_where(i.function)}"]


def gradient_of(cell: Cell) -> tuple[str, list[str]]:
    """The same for the gradient that is declared with the implementation."""
    gradient, target = cell.implementation.gradient, _target(cell)
    for module in _homes(cell, target, gradient):
        name = _name_in(module, gradient)
        if name is None:
            continue
        loaded = (target.module, _module_of(cell.implementation.function)) if target is not None else ()
        if target is not None and target.path is not None and module in loaded:
            return name, _imported(target, target.module, name)
        if all(map(_usable, module.split("."))):
            return name, [f"from {module} import {name}"]
    if target is not None:
        function, imports = function_of(cell)
        own = declarations(getattr(sys.modules.get(target.module), function, None))
        for index, each in enumerate(own):
            if each.gradient is gradient:
                return "gradient", [
                    "from lossproof.implementation.declare import declarations",
                    *imports,
                    f"gradient = declarations({function})[{index}].gradient",
                ]
    return "gradient", [f"# gradient: what was given as gradient=, {_where(gradient)}"]


def _target(cell: Cell) -> Target | None:
    return parse(cell.implementation.target) if cell.implementation.target else None


def _imported(target: Target, module: str, name: str) -> list[str]:
    """A file's name need not be a word of Python, and one in a package is a module of that."""
    if target.path is None:
        return [f"from {module} import {name}"]
    home = home_of(target.path)
    if home.packaged:
        inside = shown(str(home.root / home.module.partition(".")[0]))
        where = f"# in the folder of {inside}"
        if home.importable:
            return [where, f"from {home.module} import {name}"]
        return [where, "import importlib", f"{name} = importlib.import_module({home.module!r}).{name}"]
    where = f"# in the folder of {target.word}"
    if home.importable:
        return [where, f"from {home.module} import {name}"]
    return [where, "import runpy", f"{name} = runpy.run_path({home.module + '.py'!r})[{name!r}]"]


def _homes(cell: Cell, target: Target | None, gradient: Callable[..., Any] | None) -> Iterator[str]:
    """Modules that may have the gradient under a name, the first to look at first."""
    own = _module_of(gradient)
    if target is not None:
        # a package need not have the gradients of its modules
        if target.kind != "file" and own.startswith(f"{target.module}."):
            yield own
        yield target.module
        yield _module_of(cell.implementation.function)
    yield own


def _module_of(function: Any) -> str:
    return str(getattr(function, "__module__", None) or "")


def _name_in(module: str, function: Any) -> str | None:
    """Under which name a loaded module has a function: its own, or any."""
    names = vars(sys.modules[module]) if module in sys.modules else {}
    own = getattr(function, "__name__", "")
    found = [name for name, value in list(names.items()) if value is function and _usable(name)]
    return own if own in found else next(iter(found), None)


def _usable(name: str) -> str | None:
    return name if name.isidentifier() and not iskeyword(name) else None


def _where(function: Any) -> str:
    module = _module_of(function)
    return f"of {module}" if module else "of no module"
