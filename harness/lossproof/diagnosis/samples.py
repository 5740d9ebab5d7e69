"""What an implementation gives at ordinary inputs, beside the truth there and under other suppositions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lossproof.checks import answers
from lossproof.checks.cell import Cell
from lossproof.checks.trial import Trial
from lossproof.errors import ExpressionError, ImplementationError
from lossproof.floats import FORMATS
from lossproof.inputs import PROFILES, draw, expand
from lossproof.inputs.anatomy import anatomy
from lossproof.inputs.case import Array, Case
from lossproof.oracle.verdict import distances
from lossproof.spec import graph

ENOUGH = 4
"""So many results at least, before what they have in common is taken for a habit."""

BATCHES = 7
"""Ordinary batches that are looked at."""

SCALARS = 16
"""And where each gives one number, or none at all where all of its rows are left out."""

ROWS = (5, 5, 3, 7, 4, 6, 9)
"""Their rows; a factor 1/N is told from 1/5 by them."""

NEAR = 2.0**5
"""Up to so many attainable errors a result agrees with a supposition: worse than a pass, far from a coincidence."""

FAR = 2.0**7
"""Beyond so many it disagrees."""

GRAIN = 4.0
"""Roundoffs of the largest result that mistaken code may be off beside."""


@dataclass(frozen=True)
class Truth:
    """What is true of one array of results, float64 or wider, and how well it can be computed."""

    middle: Array
    attainable: Array

    @property
    def known(self) -> Array:
        return np.asarray(np.isfinite(self.attainable) & ~np.isnan(self.middle))


Truths = Mapping[str, Truth]


@dataclass(frozen=True)
class Sample:
    """A batch: what was called with, what came out by name ("value", or each input whose gradient it is), the truth.

    cotangent: with which the gradients were asked for.
    """

    case: Case
    got: Mapping[str, Array]
    truth: Truths
    cotangent: Array

    def wrong(self, name: str, grain: float = 0.0) -> Array:
        """Elements that are far from the truth, and by more than so many roundoffs of the largest."""
        return _beyond(self.got[name], self.truth[name], FAR, self.case, grain)

    def right(self, name: str) -> Array:
        """Elements that agree with the truth."""
        return self.truth[name].known & ~_beyond(self.got[name], self.truth[name], NEAR, self.case)

    @property
    def all_right(self) -> bool:
        return self.fits and not any(self.wrong(name).any() for name in self.got)

    @property
    def fits(self) -> bool:
        """Whether the results have the shapes of the truth."""
        return all(self.got[name].shape == self.truth[name].middle.shape for name in self.got)

    @property
    def sizes(self) -> dict[str, int]:
        return {name: array.shape[0] for name, array in self.case.inputs.items() if array.ndim}


class Facet:
    """One side of an implementation in a cell: its values, or its gradients."""

    def __init__(self, cell: Cell, gradient: bool) -> None:
        self.cell, self.gradient = cell, gradient

    def trial(self, case: Case) -> Trial:
        return Trial(self.cell, case, forward_mode=False)

    def sample(self, case: Case, alone: bool = True) -> Sample | None:
        """A batch; None where the implementation raises or no derivative can be had.

        alone: called with these rows and no others.
        """
        cell = replace(self.cell, pool=()) if alone else self.cell
        trial = Trial(cell, case, forward_mode=False)
        try:
            if not self.gradient:
                got = {"value": wide(trial.outcome.value)}
            elif trial.has_gradients is None and trial.shape_fits:
                got = {name: wide(array) for name, array in trial.gradients.items()}
            else:
                return None
            truth = self._truth_of(trial)
            return Sample(case, got, truth, trial.cotangent)
        except (ImplementationError, ExpressionError):
            return None

    def _truth_of(self, trial: Trial) -> Truths:
        if not self.gradient:
            return {"value": Truth(trial.reference.middle, trial.reference.attainable)}
        return {name: Truth(each.middle, each.attainable) for name, each in trial.gradient_references.items()}

    def truth(self, case: Case, cotangent: Array | None = None) -> Truths | None:
        """What would be true of another case or cotangent; None where there is no such truth."""
        cell = self.cell
        try:
            if not self.gradient:
                found = {"value": answers.value_reference(cell.spec, case, cell.working, cell.flush)}
            else:
                assert cotangent is not None
                if self.trial(case).reference.shape != cotangent.shape:
                    return None
                found = answers.gradient_references(cell.spec, case, cotangent, cell.working, cell.flush)
        except (ExpressionError, ArithmeticError, IndexError):
            return None
        return {name: Truth(each.middle, each.attainable) for name, each in found.items()}

    def explained(
        self, samples: Sequence[Sample], supposed: Callable[[Sample], Truths | None], enough: int = ENOUGH
    ) -> bool:
        """Whether every result agrees with what is supposed, `enough` of them where they disagree with the truth.

        A few roundoffs of the largest result are no disagreement: mistaken code need not be accurate as well.
        """
        told = 0
        for sample in samples:
            truths = supposed(sample)
            if truths is None:
                return False
            for name, got in sample.got.items():
                truth = truths[name]
                if got.shape != truth.middle.shape:
                    return False
                if (_beyond(got, truth, NEAR, sample.case, grain=GRAIN) & truth.known).any():
                    return False
                if got.shape == sample.truth[name].middle.shape:
                    told += int((sample.wrong(name, grain=4 * GRAIN) & truth.known).sum())
                else:
                    told += got.size
        return told >= enough

    def under(self, change: Callable[[Case], Case | None]) -> Callable[[Sample], Truths | None]:
        """A supposition: that the implementation computes the loss of a changed case."""

        def supposed(sample: Sample) -> Truths | None:
            case = change(sample.case)
            return None if case is None else self.truth(case, sample.cotangent)

        return supposed


def wide(array: Array) -> Array:
    return np.asarray(array).astype(np.float64)


def _beyond(got: Array, truth: Truth, times: float, case: Case, grain: float = 0.0) -> Array:
    """Elements whose error is more than so many attainable errors, and than so many roundoffs of the largest truth."""
    if got.shape != truth.middle.shape:
        return np.zeros(got.shape, dtype=bool)
    error = distances(got, truth.middle, FORMATS[case.dtype])
    with np.errstate(invalid="ignore", over="ignore"):
        beyond = truth.known & (error > times * truth.attainable)
        if grain and beyond.any():
            sizes = np.abs(truth.middle[truth.known & np.isfinite(truth.middle)]).astype(np.float64)
            beyond &= error > grain * FORMATS[case.dtype].unit_roundoff * sizes.max(initial=0.0)
    return np.asarray(beyond)


def ordinary_cases(cell: Cell, like: Case) -> list[Case]:
    """Batches of ordinary inputs under the parameters of a case, of several numbers of rows."""
    return list(_ordinary(_Known(cell, like)))


class _Known:
    """A cell's spec, dtype and framework with the parameters of a case, as a key: every cell of a loss asks again."""

    def __init__(self, cell: Cell, case: Case) -> None:
        self.spec, self.case = cell.spec, case
        self.few = cell.framework.compiles_operations
        shown = (
            (name, "array" if isinstance(value, np.ndarray) else repr(value))
            for name, value in case.parameters.items()
        )
        self.key = (id(cell.spec), case.dtype, self.few, tuple(shown))

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and other.key == self.key


@functools.lru_cache(maxsize=256)
def _ordinary(known: _Known) -> tuple[Case, ...]:
    spec, case = known.spec, known.case
    arrays = tuple(name for name, value in case.parameters.items() if isinstance(value, np.ndarray))
    fixed = {name: value for name, value in case.parameters.items() if name not in arrays}
    parts = anatomy(spec)
    scalar = not graph.definition(spec, graph.statics_of(spec, case.parameters)).shape
    count = SCALARS if scalar else BATCHES
    found = []
    for number, recipe in enumerate(draw(spec, "ordinary", PROFILES["quick"], 0, count)):
        sizes = recipe.sizes
        others = [name for name in parts.dims if name != parts.classes]
        lead = parts.independent if parts.independent in others else next(iter(others), None)
        if lead is not None:
            # each new number of rows compiles again
            sizes[lead] = max(parts.least_rows, ROWS[min(number, 2) if known.few else number % len(ROWS)])
        recipe = replace(recipe, dims=tuple(sizes.items()), arrays=arrays)
        found.append(expand(spec, recipe, case.dtype, parameters=fixed))
    return tuple(found)
