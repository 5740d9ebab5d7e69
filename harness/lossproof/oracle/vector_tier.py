"""The vector tier: truth and attainable error of whole batches, in a wide float format with running error analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossproof.expression.node import Node
from lossproof.floats import Format
from lossproof.oracle import wide
from lossproof.oracle.certified import flushed_radius
from lossproof.oracle.evaluate import Bindings, evaluate
from lossproof.oracle.fused import constant_nodes, fused
from lossproof.oracle.point import Point, rows_axis
from lossproof.oracle.rounding import Array, Radius, Rounding, exact
from lossproof.oracle.running_error import Ball, Families, RunningError
from lossproof.oracle.undecidable import undecidable

OWN = 2.0**-10
"""The tier's own error, as a part of the radius at the format under test.

Each step in the wide format is off by at most a few of its units, 2^-28 of a step in the format under test at most
(float64 beside float32; less for the others), and radii are in proportion (radius.py). The rest is room for sums
in NumPy's order in place of pairwise ones, up to 2^17 terms one by one.
"""

CHUNK = 2**17
"""Entries of the widest array that is worked on at once, so that the arrays of a step stay in the cache."""

KEPT = 2**21
"""Entries of the widest array up to which what graphs share is kept from one to the next."""


CONSTANTS = 32
"""So many graphs and sizes are kept with what in them depends on sizes alone."""

_CONSTANTS: dict[Any, dict[Node, Ball]] = {}


@dataclass(frozen=True)
class Told:
    """What the tier tells of a graph: elementwise, midpoints and radii.

    undecidable: the nan midpoints that Arb could not decide either, None for none; at the others this tier alone
    cannot tell.
    """

    middle: Array
    radius: Radius
    undecidable: Array | None


class VectorTier:
    """Graphs at a point; what they share is computed once, until `release`."""

    def __init__(self, point: Point, working: Format, flush: bool) -> None:
        self.point, self.working, self.flush = point, working, flush
        self._parts: dict[tuple[int | None, int | None], _Part] = {}

    def release(self) -> None:
        self._parts.clear()

    def evaluate(self, nodes: Sequence[Node], extra: Mapping[str, Array]) -> list[Told]:
        """What the tier tells of each graph. extra: more leaves."""
        found = []
        slices = self.point.chunks(nodes, CHUNK)
        for rows in slices:
            key = (rows.start, rows.stop)
            part = self._parts.get(key) or _Part(self.point, self.working, self.flush, nodes, rows)
            self._parts[key] = part
            found.append(part.evaluate(nodes, extra))
            if len(slices) * CHUNK > KEPT:
                self._parts.clear()
        if len(found) == 1:
            return found[0]
        assert self.point.rows is not None
        return [
            _joined(node, self.point.rows, [each[place] for each in found])
            for place, node in enumerate(nodes)
        ]


class _Part:
    """Some of the rows, with what was computed for them."""

    def __init__(
        self, point: Point, working: Format, flush: bool, nodes: Sequence[Node], rows: slice
    ) -> None:
        self._rows, self._whole = rows, point
        self.point = point if rows == slice(None) else point.part(nodes, rows)
        self._working = working
        self.arithmetic = self._arithmetic()
        self.leaves = {
            name: self.arithmetic.leaf(array, (flushed_radius(self.point, name) if flush else 0.0,))
            for name, array in self.point.arrays.items()
        }
        self.numbers = {name: self.arithmetic.number(value) for name, value in point.reals.items()}
        self.known: dict[Node, Any] = {}
        self._kind = point.storage.name, working

    def evaluate(self, nodes: Sequence[Node], extra: Mapping[str, Array]) -> list[Told]:
        with np.errstate(all="ignore"):
            leaves = dict(self.leaves)
            for name, array in self._extra(nodes, extra).items():
                leaves[name] = self.arithmetic.leaf(array)
            # what hangs on an extra leaf is not known for another one of that name
            graphs = tuple(fused(nodes))
            known = self.known | self._constants(graphs)
            bindings = Bindings(leaves, self.numbers, self.point.dimensions)
            balls: list[Ball] = evaluate(graphs, self.arithmetic, bindings, known)
            if not extra:
                self.known = known
            masks = undecidable(graphs, known, bindings, lambda: self._hopeless(graphs, bindings))
        return [Told(ball.mid, ball.radii[0], mask) for ball, mask in zip(balls, masks, strict=True)]

    def _hopeless(self, graphs: Sequence[Node], bindings: Bindings) -> list[Array]:
        """Where the results are within the format, and code may come to any number all the same, as a guess has it."""
        found: list[Ball] = evaluate(graphs, self._arithmetic(guess=True), bindings)
        most = self.point.storage.largest
        return [np.asarray((np.abs(ball.view) <= most) & ~np.isfinite(ball.radii[0])) for ball in found]

    def _arithmetic(self, *, guess: bool = False) -> RunningError:
        families, working, storage = Families(), self._working, self.point.storage
        dtype = wide.wide_dtype(storage if storage.precision > working.precision else working)
        return RunningError(
            wide.WideArithmetic(dtype, families),
            wide.view,
            (Rounding.of(working),),
            families,
            own=OWN,
            guess=guess,
        )

    def _constants(self, graphs: tuple[Node, ...]) -> dict[Node, Ball]:
        """The nodes that depend on sizes alone; the next part of these sizes finds them worked out."""
        key = graphs, tuple(self.point.dimensions.items()), self._kind
        found = _CONSTANTS.get(key)
        if found is None:
            bindings = Bindings({}, {}, self.point.dimensions)
            found = {}
            evaluate(constant_nodes(graphs), self.arithmetic, bindings, found)
            if len(_CONSTANTS) >= CONSTANTS:
                _CONSTANTS.clear()
            _CONSTANTS[key] = found
        return found

    def _extra(self, nodes: Sequence[Node], extra: Mapping[str, Array]) -> Mapping[str, Array]:
        if not extra or self._rows == slice(None):
            return extra
        whole = Point(extra, {}, self._whole.dimensions, self._whole.storage, self._whole.rows)
        return whole.part(nodes, self._rows).arrays


def _joined(node: Node, rows: str, parts: Sequence[Told]) -> Told:
    axis = rows_axis(node, rows)
    assert axis is not None
    middle = np.concatenate([part.middle for part in parts], axis)
    radius: Radius = 0.0
    if not all(exact(part.radius) for part in parts):
        radius = np.concatenate([np.broadcast_to(part.radius, part.middle.shape) for part in parts], axis)
    mask = None
    if any(part.undecidable is not None for part in parts):
        masks = [np.zeros(p.middle.shape, bool) if p.undecidable is None else p.undecidable for p in parts]
        mask = np.concatenate(masks, axis)
    return Told(middle, radius, mask)
