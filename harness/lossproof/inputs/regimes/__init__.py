"""The registry of regimes, by family of inputs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lossproof.inputs.anatomy import Family, anatomy
from lossproof.inputs.regimes.log_probabilities import LOG_PROBABILITIES
from lossproof.inputs.regimes.logits import LOGITS
from lossproof.inputs.regimes.probabilities import PROBABILITIES
from lossproof.inputs.regimes.reals import REALS
from lossproof.inputs.regimes.sketch import Regime, Sketch
from lossproof.spec.model import Spec

FAMILIES: dict[Family, tuple[Regime, ...]] = {
    Family.LOGITS: LOGITS,
    Family.PROBABILITIES: PROBABILITIES,
    Family.LOG_PROBABILITIES: LOG_PROBABILITIES,
    Family.REALS: REALS,
    Family.PLAIN: (Regime("ordinary", lambda sketch: None),),
}

__all__ = ["FAMILIES", "POISONED", "Regime", "Sketch", "batches_of", "poison", "regime_of", "regimes_of"]

POISONED = "poisoned_row"
"""The regime in which some rows, not all, hold nan or +inf; it is about the rows beside them."""


def regimes_of(spec: Spec) -> tuple[str, ...]:
    """The names of the regimes which the inputs of a spec can meet, in a fixed order."""
    return tuple(regime.name for regime in _regimes(spec))


def regime_of(spec: Spec, name: str) -> Regime:
    """The regime of that name for a spec; KeyError where the spec cannot meet it."""
    return {regime.name: regime for regime in _regimes(spec)}[name]


def batches_of(spec: Spec, name: str, most: int) -> int:
    """How many batches of a regime a profile with `most` batches draws."""
    limit = regime_of(spec, name).batches
    return most if limit is None else min(limit, most)


def _regimes(spec: Spec) -> tuple[Regime, ...]:
    parts = anatomy(spec)
    found = tuple(regime for regime in FAMILIES[parts.family] if regime.applies(parts))
    if spec.independent is None or not _poisonable(spec):
        return found
    ordinary = next(regime for regime in found if regime.name == "ordinary")
    return (*found, replace(ordinary, name=POISONED, rows=2))


def poison(sketch: Sketch) -> None:
    """Puts nan or +inf into some rows, never into all of them."""
    names = _poisonable(sketch.spec)
    rows = sketch.shape(names[0])[0]
    for row in sketch.special(np.arange(rows))[: rows - 1]:
        name = names[sketch.structure.below(len(names))]
        line = sketch.arrays[name][row : row + 1].reshape(-1)
        bad = np.nan if sketch.structure.chance(5) else np.inf
        places = sketch.special(np.arange(len(line)))
        sketch.arrays[name][row : row + 1].reshape(-1)[places] = bad


def _poisonable(spec: Spec) -> list[str]:
    """The real inputs whose first axis is the rows that do not touch each other."""
    return [n for n, p in spec.inputs.items() if p.is_real and p.shape[:1] == (spec.independent,)]
