"""`implements`: says on a function which loss it implements. Light: it imports and checks nothing else."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, TypeVar

_ATTRIBUTE = "__lossproof__"
_DECORATED = "__lossproof_decorated__"

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Declaration:
    """What one `implements(...)` says; whether it fits the spec is looked at on discovery.

    module, path, line: where `implements` was called.
    """

    loss: str
    framework: str
    dtypes: tuple[str, ...] | None = None
    devices: tuple[str, ...] | None = None
    precision: str | None = None
    name: str | None = None
    gradient: Callable[..., Any] | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    module: str = ""
    path: str = ""
    line: int = 0


# Declarations of callables that take no attributes, by identity; the callable is kept alive with them.
_elsewhere: dict[int, tuple[Any, tuple[Declaration, ...]]] = {}


def implements(
    loss: str,
    *,
    framework: str,
    dtypes: Iterable[str] | str | None = None,
    devices: Iterable[str] | str | None = None,
    precision: str | None = None,
    name: str | None = None,
    gradient: Callable[..., Any] | None = None,
    **fixed: Any,
) -> Callable[[F], F]:
    """Declare that a function implements `loss` in `framework` ("numpy", "torch" or "jax").

    loss: the name of a bundled loss, or the path of a spec of your own, relative to this file ("my_loss.yaml").

    The function is called with native arrays, positionally in the spec's order of inputs (labels int64, masks
    bool), and with the spec's parameters that it takes, by keyword. It is returned unchanged, and may be
    declared several times.

    dtypes: the dtypes to check, float32 and float64 unless given. devices: "cpu", "cuda". precision: the
    format in which it really computes ("tf32", "bfloat16"), to which it is then held. name: used in place of
    the function's name. gradient: for a framework without automatic derivatives, called with the inputs and
    the parameters; returns the derivative of the sum of the results, an array for each differentiable input
    (the array itself where there is one). fixed: parameters of the spec at the value which the function has
    built in.

    Raises TypeError where an argument has the wrong type. Names are checked when the adapter is used.
    """
    caller = sys._getframe(1)
    declaration = declared(
        loss,
        framework,
        dtypes,
        devices,
        precision,
        name,
        gradient,
        fixed,
        (caller.f_globals.get("__name__", ""), caller.f_code.co_filename, caller.f_lineno),
    )

    def declare(function: F) -> F:
        if not callable(function):
            raise TypeError(f"implements decorates a function, not {function!r}")
        _note(function, declaration, sys._getframe(1))
        every = (*declarations(function), declaration)
        try:
            setattr(function, _ATTRIBUTE, every)
        except (AttributeError, TypeError):
            _elsewhere[id(function)] = (function, every)
        return function

    return declare


def declared(
    loss: Any,
    framework: Any,
    dtypes: Iterable[str] | str | None,
    devices: Iterable[str] | str | None,
    precision: str | None,
    name: str | None,
    gradient: Callable[..., Any] | None,
    fixed: Mapping[str, Any],
    place: tuple[str, str, int] = ("", "", 0),
) -> Declaration:
    """A declaration of arguments of the right types; raises TypeError for others."""
    if callable(loss):
        raise TypeError('write @implements("loss", framework="…"): the decorator needs its arguments')
    for key, value in (("loss", loss), ("framework", framework), ("precision", precision), ("name", name)):
        optional = key in ("precision", "name")
        if not isinstance(value, str) and not (optional and value is None):
            raise TypeError(f"implements({key}=…) takes a name, not {value!r}")
    if gradient is not None and not callable(gradient):
        raise TypeError(f"implements(gradient=…) takes a function, not {gradient!r}")
    return Declaration(
        loss,
        framework,
        _names("dtypes", dtypes),
        _names("devices", devices),
        precision,
        name,
        gradient,
        dict(fixed),
        *place,
    )


def declarations(function: Any) -> tuple[Declaration, ...]:
    """Every declaration on a function, in the order of application; empty where it has none."""
    if id(function) in _elsewhere:
        return _elsewhere[id(function)][1]
    try:
        found = getattr(function, _ATTRIBUTE, ())
    except Exception:  # a module's object may answer any attribute with any exception
        return ()
    # An object that invents attributes (a mock, a lazy module) answers with something else.
    if isinstance(found, tuple) and all(isinstance(each, Declaration) for each in found):
        return found
    return ()


def shadowed(namespace: Mapping[str, Any]) -> list[tuple[str, Declaration, int]]:
    """Decorated functions that a later one of their name replaced: the name, the declaration, and the later one's line.

    namespace: of the module. A function that is kept under another name is not lost.
    """
    _, decorated = namespace.get(_DECORATED) or (None, [])
    kept = {id(_plain(value)) for value in list(namespace.values())}
    lost: list[tuple[str, Declaration, int]] = []
    for index, (function, declaration) in enumerate(decorated):
        later = [
            after.line
            for other, after in decorated[index + 1 :]
            if other.__qualname__ == function.__qualname__ and other is not function
        ]
        later = later or _undecorated(function, namespace)
        if id(function) not in kept and later:
            lost.append((function.__qualname__, declaration, later[-1]))
    return lost


def _undecorated(function: Any, namespace: Mapping[str, Any]) -> list[int]:
    """The line of a plain function of the same module that has the name of another one now.

    What a decorator made of it has a name of its own, or leads to what it wraps.
    """
    name = function.__qualname__
    now = _plain(namespace.get(name))
    code = getattr(now, "__code__", None)
    if not isinstance(code, CodeType) or now is function:
        return []
    own = (getattr(now, "__qualname__", None), getattr(now, "__module__", None))
    return [code.co_firstlineno] if own == (name, getattr(function, "__module__", None)) else []


def _note(function: Any, declaration: Declaration, frame: FrameType | None) -> None:
    """Remember a decorated function of a module with the module's code, which is another when it is loaded anew."""
    plain = _plain(function)
    name = getattr(plain, "__qualname__", None)
    while frame is not None and frame.f_code.co_name != "<module>":
        frame = frame.f_back
    if frame is None or not isinstance(name, str) or not name.isidentifier():
        return
    namespace = frame.f_globals
    if getattr(plain, "__module__", None) != namespace.get("__name__"):
        return
    known: tuple[CodeType | None, list[tuple[Any, Declaration]]] = namespace.get(_DECORATED, (None, []))
    if known[0] is not frame.f_code:
        known = namespace[_DECORATED] = (frame.f_code, [])
    known[1].append((plain, declaration))


def _plain(value: Any) -> Any:
    """What a wrapper wraps."""
    try:
        return inspect.unwrap(value)
    except Exception:  # a module's object may answer any attribute with any exception
        return value


def _names(key: str, value: Iterable[str] | str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    if isinstance(value, str):
        return (value,)
    try:
        names = tuple(value)
    except TypeError:
        names = (None,)  # type: ignore[assignment]
    if not names or not all(isinstance(each, str) for each in names):
        raise TypeError(f"implements({key}=…) takes a list of names, not {value!r}")
    return names
