"""What a regime works on while it fills the inputs of one case."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np

from lossproof.floats import Format
from lossproof.inputs.anatomy import Anatomy, Family
from lossproof.inputs.case import Array
from lossproof.inputs.dice import Dice
from lossproof.inputs.sizes import extent
from lossproof.spec.model import Spec


@dataclass
class Sketch:
    """The inputs of a case in the making, as float64 and int64.

    structure: the stream that says where special entries sit; values: the one for the entries themselves. Two
    draws of an input that share the structure differ in their numbers and not in what they mask; so how much
    is taken from the structure must never depend on a value. Regimes draw all rows at once, as arrays
    [rows, classes], and what a row chooses as arrays [rows].
    """

    spec: Spec
    parts: Anatomy
    sizes: Mapping[str, int]
    structure: Dice
    values: Dice
    dial: int
    density: int
    arrays: dict[str, Array] = field(default_factory=dict)

    @property
    def form(self) -> Format:
        return self.values.form

    def shape(self, name: str) -> tuple[int, ...]:
        return extent(self.spec.inputs[name].shape, self.sizes)

    @cached_property
    def lines(self) -> tuple[int, int]:
        """The rows of the main inputs (all leading axes together) and their classes, 1 where they have no axis
        beside the rows. Embeddings stand one after the other: the rows are those of all of them."""
        if self.parts.family == Family.EMBEDDINGS:
            shapes = [self.shape(name) for name in self.parts.main]
            return sum(math.prod(shape[:-1]) for shape in shapes), shapes[0][-1]
        shape = self.shape(self.parts.main[0]) if self.parts.main else ()
        return (math.prod(shape[:-1]), shape[-1]) if len(shape) > 1 else (math.prod(shape), 1)

    @property
    def rows(self) -> int:
        return self.lines[0]

    @property
    def classes(self) -> int:
        return self.lines[1]

    @property
    def labelled(self) -> int:
        """One more than the largest class index."""
        return self.sizes[self.parts.labelled] if self.parts.labelled else self.classes

    @cached_property
    def every(self) -> Array:
        """The numbers of the rows: `lines[every, at]` is the entry of each row at its own class."""
        return np.arange(self.rows)

    def put(self, name: str, lines: Array) -> None:
        self.arrays[name] = lines.reshape(self.shape(name))

    def labels(self) -> Array:
        """A class for each row: its label where the spec has labels, else one of the sketch's choice."""
        for name in self.parts.labels:
            declared = self.spec.inputs[name]
            if declared.shape == self.spec.inputs[self.parts.main[0]].shape[:-1]:
                labels = self.arrays[name]
                if declared.ahead is not None:
                    labels = np.roll(labels, -1, declared.shape.index(declared.ahead))
                return labels.reshape(-1)
        return self.anywhere()

    def anywhere(self) -> Array:
        """A class for each row."""
        return self.structure.below(self.classes, self.rows)

    def beside(self, at: Array) -> Array:
        """For each row another class than the one at hand, where there is another."""
        return _beside(self.structure, at, self.classes)

    def bad(self) -> Array:
        """Some rows (bool), one at least, whose results may be infinite: half of them where rows are independent, so
        that finite ones stand beside them; one or two where all is one result, which a single one makes infinite
        unless it is masked."""
        rows = self.structure.chance(4, self.rows)
        if self.parts.independent is None:
            rows[:] = False
            rows[self.structure.below(self.rows)] = self.structure.chance(4)
        rows[self.structure.below(self.rows)] = True
        return rows

    def dialled(self, low: int, high: int) -> int:
        """The number from low to high where the dial points."""
        return low + round((high - low) * self.dial / 63)

    def exponents(self, low: int, high: int) -> Array:
        """An exponent from low to high for each row: the first where the dial points, the others anywhere."""
        found = self.values.between(low, high, self.rows)
        found[0] = self.dialled(low, high)
        return found

    def turned(self) -> Array:
        """How far up its range of magnitudes each row is, 0 to 1: the first where the dial points, the others
        anywhere."""
        found = self.values.uniform(self.rows)
        found[0] = self.dial / 63
        return found

    def special(self, spared: Array | None = None, shape: tuple[int, int] | None = None) -> Array:
        """Some entries of each row (bool): a share of them up to what the density says, one at least.

        spared: the entry of each row that is never among them, and the only one of its row is not. shape: rows
        and entries, those of the main inputs unless given.
        """
        rows, count = shape or self.lines
        dice, every = self.structure, np.arange(rows)
        shares = np.minimum(dice.below(32 * self.density + 1, (rows, 1)), 255).astype(np.uint8)
        chosen = dice.octets((rows, count)) < shares
        if spared is None:
            chosen[every, dice.below(count, rows)] = True
        else:
            chosen[every, _beside(dice, spared, count)] = True
            chosen[every, spared] = False
        return chosen


def _beside(dice: Dice, at: Array, count: int) -> Array:
    return np.asarray((at + 1 + dice.below(max(count - 1, 1), len(at))) % count)


@dataclass(frozen=True)
class Regime:
    """A family of inputs.

    applies: whether the inputs of a spec can meet it. paint: fills the main inputs (and targets) of a sketch
    whose labels are there already. classes: one class, many, or a shape of the pool. rows: least number of
    rows. batches: most batches in a profile.
    """

    name: str
    paint: Callable[[Sketch], None]
    applies: Callable[[Anatomy], bool] = lambda parts: True
    classes: Literal["pool", "one", "many"] = "pool"
    rows: int = 1
    least_classes: int = 1
    batches: int | None = None
