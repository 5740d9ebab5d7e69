"""Where a graph is evaluated."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lossproof.expression.node import Node, topological
from lossproof.floats import Format

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Point:
    """Exact float arrays (any format), integer and boolean arrays, numbers.

    numbers: parameters by name. dimensions: sizes by name. storage: the format of the arrays. rows: the dimension
    along which results do not touch each other, None where they do. void: which rows nobody will judge, a mask (of
    no dimensions for all of them), None for none.
    """

    arrays: Mapping[str, Array]
    numbers: Mapping[str, Any]
    dimensions: Mapping[str, int]
    storage: Format
    rows: str | None = None
    void: Array | None = None

    @property
    def reals(self) -> dict[str, float]:
        """The numbers that a graph computes with; choices are words."""
        return {name: value for name, value in self.numbers.items() if isinstance(value, int | float)}

    def subnormal(self, name: str) -> Array:
        """Which entries of a float array are subnormal numbers."""
        size = np.abs(self.arrays[name].astype(np.float64))
        return np.asarray((size > 0) & (size < self.storage.smallest_normal))

    def part(self, nodes: Iterable[Node], rows: Array | slice) -> Point:
        """The point with these rows alone. nodes: graphs at the point, whose leaves tell which axes are rows."""
        assert self.rows is not None
        arrays = dict(self.arrays)
        for name, axis in _row_axes(tuple(nodes), self.rows):
            if name in arrays:
                arrays[name] = self.arrays[name][(slice(None),) * axis + (rows,)]
        count = self.dimensions[self.rows]
        kept = len(range(*rows.indices(count))) if isinstance(rows, slice) else len(rows)
        return replace(self, arrays=arrays, dimensions={**self.dimensions, self.rows: kept})

    def chunks(self, nodes: Iterable[Node], most: int) -> list[slice]:
        """Slices of the rows such that no array at the point has more than `most` entries, or one row each."""
        if self.rows is None:
            return [slice(None)]
        count, widest = self.dimensions[self.rows], _widest(tuple(nodes), tuple(self.dimensions.items()))
        if widest <= most:
            return [slice(None)]
        size = max(1, most * count // widest)
        return [slice(start, min(start + size, count)) for start in range(0, count, size)]


@functools.lru_cache(maxsize=4096)
def _widest(nodes: tuple[Node, ...], dimensions: tuple[tuple[str, int], ...]) -> int:
    """The entries of the largest array on the way to some graphs."""
    sizes = dict(dimensions)
    return max((math.prod(size.at(sizes) for size in node.shape) for node in topological(nodes)), default=1)


@functools.lru_cache(maxsize=4096)
def _row_axes(nodes: tuple[Node, ...], rows: str) -> list[tuple[str, int]]:
    """The inputs among the leaves of some graphs that have rows, with their axes."""
    inputs = [node for node in topological(nodes) if node.op == "input"]
    axes = [(node.attributes[0], rows_axis(node, rows)) for node in inputs]
    return [(name, axis) for name, axis in axes if axis is not None]


def along(rows: Array, axis: int, shape: tuple[int, ...]) -> Array:
    """A mask of rows as one of a shape of which they are this axis."""
    return np.broadcast_to(np.expand_dims(rows, tuple(i for i in range(len(shape)) if i != axis)), shape)


def rows_axis(node: Node, rows: str) -> int | None:
    """The position of the rows among the axes of a node, None where it has none."""
    found = [place for place, size in enumerate(node.shape) if size.name == rows]
    return found[0] if found else None
