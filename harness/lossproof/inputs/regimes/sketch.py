"""What a regime works on while it fills the inputs of one case."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from lossproof.floats import Format
from lossproof.inputs.anatomy import Anatomy
from lossproof.inputs.case import Array
from lossproof.inputs.dice import Dice
from lossproof.inputs.sizes import extent
from lossproof.spec.model import Spec


@dataclass
class Sketch:
    """The inputs of a case in the making, as float64 and int64.

    structure: the stream that says where special entries sit; values: the one for the entries themselves. Two
    draws of an input that share the structure differ in their numbers and not in what they mask.
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

    @property
    def classes(self) -> int:
        """The size of the classes' axis, 1 where there is none."""
        return self.shape(self.parts.main[0])[-1] if self.parts.main and self.parts.classes else 1

    @property
    def rows(self) -> int:
        """The number of rows of the main inputs, all leading axes together."""
        shape = self.shape(self.parts.main[0])
        return math.prod(shape[:-1] if len(shape) > 1 else shape)

    def put(self, name: str, lines: list[Array]) -> None:
        self.arrays[name] = np.asarray(lines, np.float64).reshape(self.shape(name))

    def labels(self) -> list[int]:
        """A class for each row: its label where the spec has labels, else one of the sketch's choice."""
        for name in self.parts.labels:
            if self.spec.inputs[name].shape == self.spec.inputs[self.parts.main[0]].shape[:-1]:
                return [int(label) for label in self.arrays[name].reshape(-1)]
        return [self.structure.below(self.classes) for _ in range(self.rows)]

    def exponent(self, low: int, high: int, row: int) -> int:
        """An exponent for a row: where the dial points for the first, anywhere for the others."""
        if row == 0:
            return low + round((high - low) * self.dial / 63)
        return self.values.between(low, high)

    def special(self, among: Array, least: int = 1) -> Array:
        """Some of the entries, as many as the density says, at least `least`."""
        return self.structure.some(among, least, max(least, len(among) * self.density // 8))


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
