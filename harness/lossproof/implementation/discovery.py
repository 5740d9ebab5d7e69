"""Finding implementations: from a target to those that its adapter declares, and to what is wrong there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from lossproof.audit.results import Problem
from lossproof.errors import AdapterError, LossproofError, Place, UsageError, shown, suggest
from lossproof.frameworks import NAMES, framework
from lossproof.implementation.binding import code_of, fitted, source
from lossproof.implementation.declare import Declaration, declarations, shadowed
from lossproof.implementation.model import Implementation
from lossproof.implementation.targets import LibraryMissing, Target, bundled, load, parse, registered

__all__ = ["AdapterSkip", "Undeclared", "bind_target", "bundled", "discover", "registered"]


@dataclass(frozen=True)
class AdapterSkip(Problem):
    """No problem: a bundled or registered adapter cannot run, since the library it binds is not installed.

    framework: where that library is a framework.
    """

    adapter: str = ""
    framework: str | None = None


def _of_package(module: ModuleType) -> str:
    """What to name in the place of a package that brings none of what its modules declare into its `__init__.py`."""
    folders = [shown(folder) for folder in module.__path__]
    pattern = f"a pattern of its files ('{os.path.join(folders[0], '*.py')}')" if folders else "its files"
    return (
        f"the package itself has no function with @implements, and its modules are not looked through; name {pattern} "
        f"or a module of it ({module.__name__}.MODULE)"
    )


@dataclass(frozen=True)
class Undeclared(Problem):
    """An adapter declares no implementation, which is no problem of a file that a pattern matches."""


def discover(target: str) -> tuple[list[Implementation], list[Problem]]:
    """The implementations that a target declares, and one Problem for each thing that is wrong with it.

    Never raises for what an adapter does: every bad declaration is a Problem, and the good ones are returned
    all the same. An AdapterSkip among the problems is a skip with its reason.
    """
    try:
        parsed = parse(target)
        module = load(parsed)
    except LibraryMissing as error:
        return [], [_skip(parsed.adapter, error)]
    except (UsageError, AdapterError) as error:
        return [], [_problem(error, target)]
    found = list(_declared(module, package=parsed.kind != "file"))
    lost = list(_lost(module, parsed))
    if parsed.function is not None:
        try:
            chosen = _function(module, parsed, [name for name, _, _ in found])
        except UsageError as error:
            return [], [_problem(error, target)]
        found = [(parsed.function, chosen, each) for each in declarations(chosen)]
        if not found:
            return [], lost or [Problem(target, f"'{parsed.function}' has no @implements; {_ADVICE}")]
    elif lost and not found:
        return [], lost
    elif not found:
        if parsed.kind == "module" and hasattr(module, "__path__"):
            return [], [Undeclared(target, _of_package(module))]
        return [], [Undeclared(target, f"no function here has @implements; {_ADVICE}")]
    implementations, problems = _fit_all(found, parsed, module.__name__)
    return implementations, [*lost, *problems]


def bind_target(target: str, loss: str, framework: str, **fixed: Any) -> Implementation:
    """Bind the function that `file.py:function` or `module:function` names, decorated or not.

    fixed: as for `implements`. Raises UsageError, AdapterError or TypeError.
    """
    parsed = parse(target)
    if parsed.function is None:
        raise UsageError(f"'{target}' names no function; write {target}:FUNCTION")
    module = load(parsed)
    function = _function(module, parsed, [name for name, value in vars(module).items() if callable(value)])
    if not callable(function):
        raise UsageError(f"'{parsed.function}' in {parsed.word} is no function")
    path, line = source(function)
    declaration = Declaration(loss, framework, fixed=fixed)
    implementation, problems = fitted(
        function, declaration, parsed.function, parsed.adapter, path, line, target
    )
    if implementation is None:
        raise AdapterError("; ".join(problems), Place(path, line) if path else Place(target))
    return implementation


_ADVICE = "declare one, or bind an undecorated function: TARGET:FUNCTION --spec LOSS --framework F"


def _declared(module: ModuleType, *, package: bool) -> Iterator[tuple[str, Any, Declaration]]:
    """The declarations made in a module, or in a module of the package that it is, or by a helper from elsewhere on
    a function of the module; each function once.

    package: whether a package has what its modules declare; the `__init__.py` of one, as a file, has its own alone.
    """
    seen: set[int] = set()
    for name, value in list(vars(module).items()):
        if id(value) in seen:
            continue
        for each in declarations(value):
            own = getattr(value, "__module__", None) == module.__name__
            if own or (_inside(each.module, module.__name__) if package else each.module == module.__name__):
                seen.add(id(value))
                yield name, value, each


def _inside(name: Any, home: str) -> bool:
    """Whether a module's name is that of an adapter, or of a module in the package that it is."""
    return isinstance(name, str) and (name == home or name.startswith(f"{home}."))


def _function(module: ModuleType, target: Target, known: list[str]) -> Any:
    assert target.function is not None
    missing = object()
    function = getattr(module, target.function, missing)
    if function is missing:
        names = [name for name in known if not name.startswith("_")]
        raise UsageError(
            f"{target.word} has no function '{target.function}'{suggest(target.function, names)}"
        )
    return function


def _fit_all(
    found: list[tuple[str, Any, Declaration]], target: Target, home: str
) -> tuple[list[Implementation], list[Problem]]:
    implementations: list[Implementation] = []
    problems: list[Problem] = []
    seen: set[tuple[str, str, str]] = set()
    placed = [
        (_place(function, declaration, home), called, function, declaration)
        for called, function, declaration in found
    ]
    for (path, line), called, function, declaration in sorted(placed, key=lambda each: each[0]):
        again = f"{target.word}:{called}"
        made, wrong = fitted(function, declaration, called, target.adapter, path, line, again)
        place = str(Place(path, line))
        problems += [Problem(place, each) for each in wrong]
        if made is None:
            continue
        key = (made.name, made.loss, made.framework)
        if key in seen:
            problems.append(
                Problem(
                    place,
                    f"{made.name} is declared twice for {made.loss} in {made.framework}; give one a name=…",
                )
            )
            continue
        seen.add(key)
        implementations.append(made)
    return implementations, problems


def _lost(module: ModuleType, target: Target) -> Iterator[Problem]:
    """What a later function of the same name replaced, which nothing can check."""
    for name, first, line in shadowed(vars(module)):
        if target.function in (None, name):
            yield Problem(
                str(Place(shown(first.path), first.line)),
                f"{target.adapter}.{name} is defined twice: the function in line {line} replaces this one, which "
                "nothing checks; rename one of the two",
            )


def _place(function: Any, declaration: Declaration, home: str) -> tuple[str, int]:
    """Where to point a reader: at the declaration, or at the adapter's function where a helper declares it."""
    code = code_of(function)
    if code is None:
        return shown(declaration.path), declaration.line
    if code.co_filename != declaration.path:
        if _inside(getattr(function, "__module__", None), home):
            return shown(code.co_filename), code.co_firstlineno
        return shown(declaration.path), declaration.line
    last = max(line for _, _, line in code.co_lines() if line is not None)
    decorates = code.co_firstlineno <= declaration.line <= last
    return shown(declaration.path), declaration.line if decorates else code.co_firstlineno


def _skip(adapter: str, error: LibraryMissing) -> AdapterSkip:
    if error.library not in NAMES:
        return AdapterSkip(adapter, error.message, adapter=adapter)
    reason = framework(error.library).missing() or error.message
    return AdapterSkip(adapter, reason, adapter=adapter, framework=error.library)


def _problem(error: LossproofError, target: str) -> Problem:
    return Problem(str(error.place or target), error.message)
