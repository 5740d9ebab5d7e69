"""An implementation: a callable bound to a spec, in one framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lossproof.errors import Place

DEFAULT_DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Implementation:
    """A callable bound to a spec; that it fits the spec has been checked.

    name: `<adapter>.<function>`. fixed: parameters of the spec at the value built in, valid for the spec.
    takes: the spec's parameters that the function takes by keyword; one that it neither takes nor fixes has
    the spec's default. devices: None for every device of the framework. precision: a name in floats.FORMATS.
    target: what `check` accepts to find it again ("file.py:function", "module:function"); empty where it
    cannot be found again, such as a function defined inside another. spec: the path of the spec where that is
    a file of the user's, empty for a bundled one. remarks: what may be meant otherwise in how it is bound, a line each.
    """

    function: Callable[..., Any]
    loss: str
    framework: str
    name: str
    adapter: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    takes: frozenset[str] = frozenset()
    dtypes: tuple[str, ...] = DEFAULT_DTYPES
    devices: tuple[str, ...] | None = None
    precision: str | None = None
    gradient: Callable[..., Any] | None = None
    path: str = ""
    line: int = 0
    target: str = ""
    spec: str = ""
    remarks: tuple[str, ...] = ()

    @property
    def remarked(self) -> tuple[str, ...]:
        """The remarks, each with the place of the function."""
        where = f"{Place(self.path, self.line or None)}: " if self.path else ""
        return tuple(where + each for each in self.remarks)

    @property
    def free(self) -> frozenset[str]:
        """The parameters that may be varied: taken and not fixed."""
        return self.takes - frozenset(self.fixed)

    def arguments(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The keywords to call the function with, of every parameter of a case: those that it takes."""
        return {name: self.fixed.get(name, parameters[name]) for name in parameters if name in self.takes}
