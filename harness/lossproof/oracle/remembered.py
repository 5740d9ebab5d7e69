"""Certified answers that were asked for a moment ago.

The checks of a case, and the tries at a smaller one, ask in part for the same truths: of a value for its accuracy and
for each law that names it, of a case seen once more for its finding. No answer is dearer.
"""

from __future__ import annotations

import functools
from typing import Any

from lossproof.expression.node import Node, topological
from lossproof.oracle import certified
from lossproof.oracle.certified import Certified, Question

REMEMBERED = 256
LARGEST = 1024
"""Entries of all inputs together: with more, an answer is worked out each time, so that a few MiB hold what is kept."""


def certify(question: Question) -> Certified:
    """What certified.certify gives; not to be written to."""
    if sum(array.size for array in question.point.arrays.values()) > LARGEST:
        return certified.certify(question)
    return _answer(_Asked(question))


class _Asked:
    """A question that is equal to another where the answer is."""

    __slots__ = ("_key", "question")

    def __init__(self, question: Question) -> None:
        self.question = question
        point = question.point
        leaves = _leaves((question.node, *question.excuses.values()))
        self._key: Any = (
            question.node,
            question.working,
            question.flush,
            tuple(question.excuses.items()),
            tuple(name for name in question.exact if name in leaves),
            tuple(point.dimensions.items()),
            point.storage,
            # as it is written, which tells 1 from True and 0.0 from -0.0
            tuple((name, repr(value)) for name, value in point.reals.items()),
            tuple(
                (name, point.arrays[name].dtype, point.arrays[name].shape, point.arrays[name].tobytes())
                for name in leaves
                if name in point.arrays
            ),
        )

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and self._key == other._key


@functools.lru_cache(maxsize=REMEMBERED)
def _answer(asked: _Asked) -> Certified:
    found = certified.certify(asked.question)
    for part in (found.middle, found.attainable, found.excuse, found.coarse):
        part.setflags(write=False)
    return found


@functools.lru_cache(maxsize=4096)
def _leaves(nodes: tuple[Node, ...]) -> tuple[str, ...]:
    """The inputs that some graphs read."""
    return tuple(dict.fromkeys(node.attributes[0] for node in topological(nodes) if node.op == "input"))
