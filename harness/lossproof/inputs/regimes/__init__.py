"""The registry of regimes, by family of inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np

from lossproof.inputs.anatomy import Family, anatomy
from lossproof.inputs.regimes.embeddings import EMBEDDINGS
from lossproof.inputs.regimes.log_probabilities import LOG_PROBABILITIES
from lossproof.inputs.regimes.logits import LOGITS
from lossproof.inputs.regimes.probabilities import PROBABILITIES
from lossproof.inputs.regimes.reals import REALS
from lossproof.inputs.regimes.sketch import Regime, Sketch
from lossproof.spec.graph import Key
from lossproof.spec.model import Spec

FAMILIES: dict[Family, tuple[Regime, ...]] = {
    Family.LOGITS: LOGITS,
    Family.PROBABILITIES: PROBABILITIES,
    Family.LOG_PROBABILITIES: LOG_PROBABILITIES,
    Family.EMBEDDINGS: EMBEDDINGS,
    Family.REALS: REALS,
    Family.PLAIN: (Regime("ordinary", lambda sketch: None),),
}

__all__ = [
    "FAMILIES", "POISONED", "UNREAD", "Regime", "Sketch", "batches_of", "poison", "regime_of", "regimes_of",
]  # fmt: skip

POISONED = "poisoned_row"
"""The regime in which some rows, not all, hold nan or +inf; it is about the rows beside them."""

UNREAD = "unread"
"""The regime in which entries that nothing depends on hold anything: nan, infinities, huge numbers."""


def regimes_of(spec: Spec) -> tuple[str, ...]:
    """The names of the regimes which the inputs of a spec can meet, in a fixed order."""
    return tuple(_regimes(Key(spec)))


def regime_of(spec: Spec, name: str) -> Regime:
    """The regime of that name for a spec; KeyError where the spec cannot meet it."""
    return _regimes(Key(spec))[name]


def batches_of(spec: Spec, name: str, most: int) -> int:
    """How many batches of a regime a profile with `most` batches draws."""
    limit = regime_of(spec, name).batches
    return most if limit is None else min(limit, most)


@lru_cache(maxsize=256)
def _regimes(key: Key) -> Mapping[str, Regime]:
    spec = key.spec
    parts = anatomy(spec)
    found = {regime.name: regime for regime in FAMILIES[parts.family] if regime.applies(parts)}
    if spec.independent is not None and _poisonable(spec):
        found[POISONED] = replace(found["ordinary"], name=POISONED, rows=2)
    if any(declared.unread is not None for declared in spec.inputs.values()):
        found[UNREAD] = replace(found["ordinary"], name=UNREAD)
    return found


def poison(sketch: Sketch) -> None:
    """Puts nan or +inf into some rows, never into all of them; into one input of a row."""
    names, dice = _poisonable(sketch.spec), sketch.structure
    count = sketch.shape(names[0])[0]
    bad = sketch.special(dice.below(count, 1), (1, count))[0]
    holds, what = dice.below(len(names), count), np.where(dice.chance(5, count), np.nan, np.inf)
    for number, name in enumerate(names):
        lines = sketch.arrays[name].reshape(count, -1)
        places = sketch.special(shape=lines.shape) & (bad & (holds == number))[:, None]
        sketch.arrays[name] = np.where(places, what[:, None], lines).reshape(sketch.shape(name))


def _poisonable(spec: Spec) -> list[str]:
    """The real inputs whose first axis is the rows that do not touch each other."""
    return [n for n, p in spec.inputs.items() if p.is_real and p.shape[:1] == (spec.independent,)]
