"""Compiled functions, kept while they are likely to be called again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

# Each entry holds compiled code; a run fuzzes parameters, and each value of a static one compiles anew.
_SIZE = 128


class Compiled:
    """A cache of compiled functions: the least recently used are dropped."""

    def __init__(self) -> None:
        self._entries: OrderedDict[Hashable, tuple[Any, Callable[..., Any]]] = OrderedDict()

    def get(
        self, function: Callable[..., Any], key: Hashable, compile_: Callable[[], Callable[..., Any]]
    ) -> Callable[..., Any]:
        # By identity, since a callable need not be hashable; the entry keeps it alive, so that no other
        # object gets its id.
        full = (id(function), key)
        if full not in self._entries:
            self._entries[full] = (function, compile_())
            while len(self._entries) > _SIZE:
                self._entries.popitem(last=False)
        self._entries.move_to_end(full)
        return self._entries[full][1]

    def clear(self) -> None:
        self._entries.clear()


def split(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters that are static Python values, and those that are arrays."""
    static = {name: value for name, value in parameters.items() if not isinstance(value, np.ndarray)}
    arrays = {name: value for name, value in parameters.items() if isinstance(value, np.ndarray)}
    return static, arrays


def frozen(static: Mapping[str, Any]) -> Hashable:
    """A key of static parameters that tells 1 from 1.0 and True, and 0.0 from -0.0."""
    return tuple((name, type(static[name]).__name__, repr(static[name])) for name in sorted(static))
