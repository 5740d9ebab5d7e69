"""Binding a callable to a spec: the words of a declaration are checked here, all of them at once."""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any

from lossproof.errors import AdapterError, LossproofError, Place, shown, suggest, unknown
from lossproof.floats import DTYPES, FORMATS
from lossproof.frameworks import DEVICES, NAMES
from lossproof.implementation.declare import Declaration, declared
from lossproof.implementation.model import DEFAULT_DTYPES, Implementation
from lossproof.implementation.signature import fit
from lossproof.implementation.unmet import remarks, unreduced

if TYPE_CHECKING:
    from lossproof.spec.model import Parameter, Spec


def bind(
    function: Callable[..., Any],
    loss: str,
    framework: str,
    *,
    dtypes: Iterable[str] | str | None = None,
    devices: Iterable[str] | str | None = None,
    precision: str | None = None,
    name: str | None = None,
    gradient: Callable[..., Any] | None = None,
    **fixed: Any,
) -> Implementation:
    """Bind an undecorated callable; arguments as for `implements`.

    A callable without a signature (a builtin, a ufunc) is taken to have the right inputs and to take no
    parameter. Raises AdapterError, with the place where it is known, if it does not fit the spec, and
    TypeError as `implements` does.
    """
    declaration = declared(loss, framework, dtypes, devices, precision, name, gradient, fixed)
    if not callable(function):
        raise AdapterError(f"{function!r} is no function")
    path, line = source(function)
    called = name_of(function)
    adapter = (
        Path(path).stem if path else str(getattr(function, "__module__", None) or "python").rpartition(".")[2]
    )
    implementation, problems = fitted(
        function, declaration, called, adapter, path, line, _target(function, path)
    )
    if implementation is None:
        raise AdapterError("; ".join(problems), Place(path, line) if path else None)
    return implementation


def fitted(
    function: Callable[..., Any],
    declaration: Declaration,
    called: str,
    adapter: str,
    path: str,
    line: int,
    target: str,
) -> tuple[Implementation | None, list[str]]:
    """The implementation that a declaration makes of a function, or everything that is wrong with it."""
    from lossproof.spec import library

    problems = [
        unknown(kind, word, allowed)
        for kind, words, allowed in (
            ("framework", (declaration.framework,), NAMES),
            ("dtype", declaration.dtypes or (), DTYPES),
            ("device", declaration.devices or (), DEVICES),
            ("precision", (declaration.precision,) if declaration.precision else (), tuple(FORMATS)),
        )
        for word in words
        if word not in allowed
    ]
    try:
        # a file is named relative to where the declaration stands, as an import is, and not to where one works
        home = os.path.dirname(os.path.abspath(declaration.path)) if declaration.path else os.getcwd()
        file = os.path.join(home, declaration.loss) if declaration.loss.endswith((".yaml", ".yml")) else ""
        spec = library.find(file) if file else library.get(declaration.loss)
    except LossproofError as error:
        return None, [*problems, str(error)]
    found = fit(function, called, spec.loss, tuple(spec.inputs), tuple(spec.parameters))
    problems += found.problems
    fixed, wrong = _fixed({**found.bound, **declaration.fixed}, spec)
    problems += wrong
    if problems:
        return None, problems
    return Implementation(
        function=function,
        loss=spec.loss,
        framework=declaration.framework,
        name=f"{adapter}.{declaration.name or called}",
        adapter=adapter,
        fixed=fixed,
        takes=found.takes,
        dtypes=declaration.dtypes or DEFAULT_DTYPES,
        devices=declaration.devices,
        precision=declaration.precision,
        gradient=declaration.gradient,
        path=path,
        line=line,
        target=target,
        spec=file,
        remarks=tuple(remarks(called, found.left, spec, {*found.takes, *fixed})),
    ), []


def _fixed(given: Mapping[str, Any], spec: Spec) -> tuple[dict[str, Any], list[str]]:
    fixed, problems = {}, []
    for name, value in given.items():
        if name == "reduction" and name not in spec.parameters:
            problems.append(unreduced(spec, value))
            continue
        if name not in spec.parameters:
            known = suggest(name, spec.parameters) if spec.parameters else f" ({spec.loss} has no parameters)"
            problems.append(f"unknown parameter '{name}' of {spec.loss}{known}")
            continue
        parameter = spec.parameters[name]
        if reason := _unfit(value, parameter):
            problems.append(f"{name}={value!r}: {name} of {spec.loss} {reason}")
            continue
        if parameter.choices is not None:
            value = next((each for each in parameter.choices if _same(each, value)), value)
        fixed[name] = value
    return fixed, problems


def _unfit(value: Any, parameter: Parameter) -> str | None:
    """Why a parameter cannot be fixed to a value. A number may lie outside the range that is drawn from."""
    if value is None and parameter.default is None:
        return None
    if parameter.choices is not None:
        if any(_same(each, value) for each in parameter.choices):
            return None
        if parameter.integer and isinstance(value, int) and not isinstance(value, bool):
            return None
        return f"is one of {', '.join(map(repr, parameter.choices))}"
    if parameter.kind == "array":
        return "is an array, and can be fixed to None only"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "is a number"
    return "is a whole number" if parameter.integer and value != int(value) else None


def _same(choice: Any, value: Any) -> bool:
    """Equality that keeps True apart from 1, and takes 2.0 for 2."""
    return (
        isinstance(choice, bool) == isinstance(value, bool)
        and type(value).__module__ == "builtins"
        and bool(choice == value)
    )


def source(function: Any) -> tuple[str, int]:
    """File and line of a callable's code, ("", 0) where it has none; relative below the working directory."""
    code = code_of(function)
    return (shown(code.co_filename), code.co_firstlineno) if code is not None else ("", 0)


def code_of(function: Any) -> CodeType | None:
    """The code of a function, of what a wrapper or functools.partial wraps, or of a callable object."""
    plain = inspect.unwrap(getattr(function, "func", function))
    code = getattr(plain, "__code__", None)
    if code is None and not isinstance(plain, type):
        code = getattr(getattr(type(plain), "forward", type(plain).__call__), "__code__", None)
    return code if isinstance(code, CodeType) else None


def name_of(function: Any) -> str:
    plain = getattr(function, "func", function)  # of a functools.partial
    return str(getattr(plain, "__name__", None) or type(plain).__name__)


def _target(function: Any, path: str) -> str:
    """What finds a function again: by file, or by module where that is installed; "" where nothing does."""
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", "")
    home = sys.modules.get(module)
    if home is None or getattr(home, name, None) is not function:
        return ""
    file = getattr(home, "__file__", None)
    if file is None or any(Path(file).is_relative_to(each) for each in _installed()):
        return f"{module}:{name}"
    return f"{path}:{name}" if os.path.isfile(path) else ""


def _installed() -> set[str]:
    return {sysconfig.get_path(key) for key in ("purelib", "platlib", "stdlib")}
