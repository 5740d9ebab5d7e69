"""What is true at given inputs, and how well it can be computed there: truth and attainable error of a graph.

Design, section 1. The vector tier answers for whole batches. Where it cannot tell the truth, and where a result is to
be blamed, rows go up to Arb, which is certified (verdict.py says which).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lossproof.expression.node import Node, topological
from lossproof.floats import Format
from lossproof.oracle import certified, estimated, remembered, vector_tier
from lossproof.oracle.certified import Certified, Question
from lossproof.oracle.estimated import Excuses
from lossproof.oracle.point import Point, along, rows_axis
from lossproof.oracle.rounding import Array
from lossproof.oracle.vector_tier import OWN, Told

__all__ = ["OWN", "Evaluation", "Point", "Reference", "counted", "references"]


@dataclass
class Reference:
    """Truth and attainable error of one array of results, elementwise; radii are float64 in the units of the value.

    middle: the truth in float64, or in binary128 for float64 under test; nan where it is not decided. It is off by
    at most OWN × attainable, and attainable itself by twice that part. attainable: inf where no result can be blamed.
    """

    middle: Array
    attainable: Array
    storage: Format
    _ask: Callable[[Array | None, Format | None], Certified] = field(repr=False, compare=False)
    """Certified answers for a mask of elements or for all, of code that works in a format or as expected."""
    _estimate: Callable[[Array], Excuses] = field(repr=False, compare=False)
    """What the vector tier says of the elements of a mask."""
    _more: float = field(default=0.0, repr=False)
    """What was added to the attainable error."""
    _size: float | None = field(default=None, repr=False, compare=False)
    """The largest magnitude of the truths, where it was worked out already."""

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.middle.shape)

    @property
    def size(self) -> int:
        return self.middle.size

    @functools.cached_property
    def expected(self) -> Array:
        """Truth rounded to the storage format, float64; nan where it is not decided."""
        return certified.rounded(self.middle, self.storage)

    @functools.cached_property
    def finite(self) -> bool:
        """Whether the truth is finite everywhere, and within the format."""
        size = certified.largest(self.middle) if self._size is None else self._size
        return size <= self.storage.largest

    @functools.cached_property
    def decided(self) -> bool:
        """Whether every result can be blamed."""
        return bool(certified.most(self.attainable) < np.inf)

    @property
    def overflowed(self) -> Array:
        """Elements whose truth is finite and rounds to an infinity of the format."""
        return np.asarray(np.isinf(self.expected) & ~np.isinf(self.middle))

    def certified(self, mask: Array | None = None) -> Certified:
        """The certified answers at the elements of a mask (all for None), nan elsewhere.

        What this reference calls undecided stays so.
        """
        found = self._ask(mask, None)
        return replace(
            found, attainable=np.where(np.isinf(self.attainable), np.inf, found.attainable + self._more)
        )

    def estimated(self, mask: Array) -> Excuses:
        """What may excuse the elements of a mask, as the vector tier has it; nan elsewhere and where it cannot tell."""
        return self._estimate(mask)

    @functools.cached_property
    def whole(self) -> Certified:
        """The certified answers everywhere."""
        return self.certified()

    @property
    def in_truth(self) -> Reference:
        """With the certified answers everywhere in place of the vector tier's."""
        whole = self.whole
        return replace(
            self,
            middle=whole.middle,
            attainable=whole.attainable,
            _estimate=lambda mask: Excuses(whole.excuse, whole.coarse),
            _size=None,
        )

    def attainable_at(self, working: Format) -> Array:
        """The attainable error of code that works in another format."""
        return self._ask(None, working).attainable

    def rows(self, axis: int, rows: slice) -> Reference:
        """The part of these rows along an axis."""
        place = (slice(None),) * axis + (rows,)

        def ask(mask: Array | None, working: Format | None) -> Certified:
            whole = np.zeros(self.shape, dtype=bool)
            whole[place] = True if mask is None else mask
            return self._ask(whole, working).at(place)

        def estimate(mask: Array) -> Excuses:
            whole = np.zeros(self.shape, dtype=bool)
            whole[place] = mask
            found = self._estimate(whole)
            return Excuses(found.excuse[place], found.coarse[place])

        return Reference(self.middle[place], self.attainable[place], self.storage, ask, estimate, self._more)

    def wider(self, more: float) -> Reference:
        """With more added to the attainable error, an absolute number."""
        return replace(self, attainable=self.attainable + more, _more=self._more + more)

    def undecided_at(self, mask: Array | None) -> Reference:
        """With the elements of a mask undecided; None for none of them."""
        if mask is None or not mask.any():
            return self
        return replace(self, attainable=np.where(mask, np.inf, self.attainable))


SMALL = 1000
"""Steps times entries up to which Arb answers about as fast as the vector tier."""


@dataclass
class _Count:
    asked: int = 0
    handed_up: int = 0


_count = _Count()


def counted() -> tuple[int, int]:
    """Elements whose truth was asked for since the process began, and those of them that went up to Arb for it."""
    return _count.asked, _count.handed_up


class Evaluation:
    """Graphs at one point, which share what they have in common until `release`.

    working: the format in which the implementation is expected to compute. flush: whether its framework takes
    subnormal inputs for 0. excuses: for inputs whose excuse is the rounding of another quantity, its graph.
    """

    def __init__(
        self, point: Point, working: Format, flush: bool = False, excuses: Mapping[str, Node] | None = None
    ) -> None:
        self.point, self.working, self.flush, self.excuses = point, working, flush, excuses or {}
        self._tier = vector_tier.VectorTier(point, working, flush)

    def release(self) -> None:
        """Forget the arrays on the way to the results."""
        self._tier.release()

    def references(self, nodes: Sequence[Node], extra: Mapping[str, Array] | None = None) -> list[Reference]:
        """A reference for each graph; `extra` binds more leaves (a cotangent), whose own rounding excuses nothing."""
        extra = extra or {}
        return [
            self._reference(node, extra, told)
            for node, told in zip(nodes, self._tier.evaluate(nodes, extra), strict=True)
        ]

    def _void(self, node: Node, shape: tuple[int, ...]) -> Array | None:
        """Elements that nobody will judge; None for none of them."""
        rows, void = self.point.rows, self.point.void
        if void is None:
            return None
        axis = None if rows is None or not void.ndim else rows_axis(node, rows)
        # what belongs to no row depends on all of them
        return np.full(shape, void.any()) if axis is None else along(void, axis, shape)

    def _reference(self, node: Node, extra: Mapping[str, Array], told: Told) -> Reference:
        storage, middle = self.point.storage, told.middle
        point = replace(self.point, arrays={**self.point.arrays, **extra})
        question = Question(node, point, self.working, self.flush, self.excuses, tuple(extra))

        def ask(mask: Array | None, working: Format | None = None) -> Certified:
            asked = question if working is None else replace(question, working=working)
            return _ask(asked, middle.shape, mask)

        def estimate(mask: Array) -> Excuses:
            return _estimate(question, middle.shape, mask)

        _count.asked += middle.size
        size = certified.largest(middle)
        attainable = certified.attainable(told.radius, middle, storage, self.working, size)
        void = self._void(node, middle.shape)
        if np.isnan(size):
            untold = np.isnan(middle)
            for known in (void, told.undecidable):
                untold = untold if known is None else untold & ~known
            if untold.any():
                _count.handed_up += int(np.count_nonzero(untold))
                up = ask(untold)
                middle = np.where(untold, up.middle, middle)
                attainable = np.where(untold, up.attainable, attainable)
                size = certified.largest(middle)
        return Reference(middle, attainable, storage, ask, estimate, _size=size).undecided_at(void)


def references(
    nodes: Sequence[Node],
    point: Point,
    working: Format,
    flush: bool = False,
    excuses: Mapping[str, Node] | None = None,
) -> list[Reference]:
    """A reference for each graph at one point; the arguments are those of Evaluation."""
    return Evaluation(point, working, flush, excuses).references(nodes)


def _ask(question: Question, shape: tuple[int, ...], mask: Array | None) -> Certified:
    """Certified answers for the rows in which a mask has an element, for the whole array where rows are coupled."""
    part, place = _part(question, mask)
    found = remembered.certify(part)
    return found if place is None else found.spread(shape, place)


def _estimate(question: Question, shape: tuple[int, ...], mask: Array) -> Excuses:
    part, place = _part(question, mask)
    found: Excuses
    if _work(part) <= SMALL:
        sure = remembered.certify(part)
        found = Excuses(sure.excuse, sure.coarse)
    else:
        found = estimated.excuses(part)
    if place is None:
        return found
    excuse, coarse = np.full(shape, np.nan), np.full(shape, np.nan)
    excuse[place], coarse[place] = found.excuse, found.coarse
    return Excuses(excuse, coarse)


def _work(question: Question) -> int:
    """Steps times entries, roughly."""
    return sum(array.size for array in question.point.arrays.values()) * _steps(question.node)


@functools.lru_cache(maxsize=4096)
def _steps(node: Node) -> int:
    return len(topological([node]))


def _part(question: Question, mask: Array | None) -> tuple[Question, tuple[Any, ...] | None]:
    """The question about the rows in which a mask has an element, and their place; None for all rows."""
    node, point = question.node, question.point
    axis = None if point.rows is None else rows_axis(node, point.rows)
    if mask is None or axis is None or mask.all():
        return question, None
    rows = np.flatnonzero(mask.any(axis=tuple(i for i in range(mask.ndim) if i != axis)))
    part = point.part([node, *question.excuses.values()], rows)
    return replace(question, point=part), (slice(None),) * axis + (rows,)
