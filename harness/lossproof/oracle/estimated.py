"""What may excuse a result that does not pass, as the vector tier has it: near enough where no verdict is close.

The certified answers (certified.py) cost many times as much for large graphs and whole batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lossproof.expression.node import Node
from lossproof.oracle import wide
from lossproof.oracle.certified import Question, attainable, leaf_radii, narrower
from lossproof.oracle.evaluate import Bindings, evaluate
from lossproof.oracle.fused import fused
from lossproof.oracle.guards import unguarded
from lossproof.oracle.own_error import own_rounding
from lossproof.oracle.radius import spread
from lossproof.oracle.rounding import NO_ROUNDING, Array, Radius, Rounding
from lossproof.oracle.running_error import Ball, Families, RunningError
from lossproof.oracle.vector_tier import OWN

UNSURE = 2.0**-4
"""So large a part of all that a result is allowed may hang on the tier's own error."""


@dataclass(frozen=True)
class Excuses:
    """Elementwise, nan where the tier cannot tell: see Certified for both.

    coarse: 0 where the implementation is expected to work in the storage format.
    """

    excuse: Array
    coarse: Array

    @property
    def told(self) -> Array:
        """Where the tier can."""
        return ~(np.isnan(self.excuse) | np.isnan(self.coarse))


def excuses(question: Question) -> Excuses:
    """The excuses of a question's graph at its point."""
    point, storage = question.point, question.point.storage
    families = Families()
    dtype = wide.wide_dtype(max(storage, question.working, key=lambda fmt: fmt.precision))
    # the last radius is the excuse and the tier's own error together
    roundings = [Rounding.of(question.working), NO_ROUNDING, own_rounding(storage)]
    low = storage.precision < question.working.precision
    if low:
        roundings.append(Rounding.of(storage))
    arithmetic = RunningError(wide.WideArithmetic(dtype, families), wide.view, roundings, families, own=OWN)

    def value(node: Node, radii: Mapping[str, tuple[Radius, ...]]) -> Ball:
        leaves = {name: arithmetic.leaf(array, radii.get(name, ())) for name, array in point.arrays.items()}
        numbers = {name: arithmetic.number(value) for name, value in point.reals.items()}
        found: Ball
        (found,) = evaluate(fused([node]), arithmetic, Bindings(leaves, numbers, point.dimensions))
        return found

    def quantity(name: str) -> Array:
        named = question.excuses.get(name)
        return point.arrays[name].astype(np.float64) if named is None else value(named, {}).view

    with np.errstate(all="ignore"):
        radii: dict[str, tuple[Radius, ...]] = {}
        for name, array in point.arrays.items():
            flushed, excuse = leaf_radii(question, name, quantity)
            excuse = np.broadcast_to(excuse, array.shape)
            radii[name] = (flushed, excuse, excuse, flushed)[: len(roundings)]
        found = value(question.node, radii)
        own, excuse, most, *coarse = (spread(radius, found.shape) for radius in found.radii)
        bare = unguarded(question.node)
        if bare is not question.node:
            plain = value(bare, radii)
            excuse, most = narrower(excuse, plain, 1), narrower(most, plain, 2)
        # of a difference that is smaller than the tier's own error no excuse can be in proportion
        told = np.isfinite(found.mid) & (most - excuse <= UNSURE * (own + excuse))
        least = attainable(coarse[0], found.mid, storage, storage) if low else 0.0
        return Excuses(np.where(told, excuse, np.nan), np.where(told, least, np.nan))
