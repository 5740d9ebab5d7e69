"""Stability maps: the bits that a cell loses over the plane of its loss, in value and gradient.

Where the points of a plane can stand along the axis of independent rows they are few calls; where a parameter varies
along the plane there are as many more, and where a loss couples its batch, or the implementation its rows, each point
is a call of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossproof.audit.planned import PlannedCell
from lossproof.audit.results import Axis, Plane, StabilityMap
from lossproof.checks import answers
from lossproof.checks.distribution import MOST
from lossproof.checks.trial import COTANGENTS, Cell, Trial
from lossproof.errors import ImplementationError
from lossproof.inputs import Profile
from lossproof.inputs.case import Array, Case
from lossproof.inputs.plane import Grid, grid_of, inside
from lossproof.oracle import verdict as oracle_verdict
from lossproof.oracle.verdict import judge
from lossproof.spec import graph
from lossproof.spec.model import Spec

POINTWISE = 80
"""So many points at most are each a call of its own."""

_COTANGENTS = tuple(each for each in COTANGENTS if each)
"""A cotangent of 0 tells nothing about its point."""


def plane_of(spec: Spec) -> Plane | None:
    """The plane of a spec, as reports know it."""
    grid, plane = grid_of(spec), spec.plane
    if grid is None or plane is None:
        return None
    x, y = (
        Axis(axis.name, axis.scale.value, list(values))
        for axis, values in ((plane.x, grid.x), (plane.y, grid.y))
    )
    return Plane(spec.loss, x, y, " ".join(plane.text.split()))


def wanted(cells: Sequence[PlannedCell], modes: Sequence[str]) -> list[PlannedCell]:
    """The cells that run, those that make maps marked: of eager mode, and of compiled mode where that is asked for
    or where it runs alone, but in a dtype that follows another only what needs no convention more. modes: those that
    were asked for."""

    def others(cell: PlannedCell) -> tuple[int, str, str]:
        return id(cell.implementation), cell.device, cell.dtype

    eager = {others(cell) for cell in cells if cell.mode == "eager"}
    return [
        replace(
            cell,
            maps=(cell.mode == "eager" or "compiled" in modes or others(cell) not in eager)
            and not (cell.share.follows and cell.implementation.free),
        )
        for cell in cells
    ]


def draw(cell: Cell, profile: Profile) -> tuple[StabilityMap, ...]:
    """The maps of a cell: of its value and its gradient, as far as there is something to tell.

    There are none where the implementation does not take a parameter that the plane varies, nor in compiled mode where
    it does, since each value compiles again; and what each point as a call of its own would cost is left to
    profiles that do not mind (Profile.pointwise).
    """
    grid = grid_of(cell.spec)
    if grid is None or any(name not in cell.implementation.free for name in grid.parameters):
        return ()
    if cell.mode == "compiled" and grid.parameters:
        return ()
    points = _Points(cell, grid, profile.pool[0])
    dear = cell.framework.compiles_operations or cell.storage.precision < cell.working.precision
    if not points.stacked and (grid.size > POINTWISE or (dear and not profile.pointwise)):
        return ()
    canvases = {"value": _Canvas(grid), "gradient": _Canvas(grid)}
    for case, chosen in points.cases():
        trial = Trial(cell, case, _COTANGENTS, forward_mode=False)
        _note(canvases["value"], points, chosen, lambda trial=trial: _values(trial, points))  # type: ignore[misc]
        _note(canvases["gradient"], points, chosen, lambda trial=trial: _gradients(trial, points))  # type: ignore[misc]
    i = cell.implementation
    return tuple(
        StabilityMap(
            i.loss, i.name, i.framework, cell.device, cell.mode, cell.dtype, quantity,
            canvas.bits, canvas.breakdown,
        )
        for quantity, canvas in canvases.items()
        if canvas.told
    )  # fmt: skip


class _Points:
    """The points of a grid as cases of a cell. stacked: whether points stand along the rows of a case."""

    def __init__(self, cell: Cell, grid: Grid, rows: int) -> None:
        spec = cell.spec
        self.spec, self._cell, self._grid = spec, cell, grid
        self._inputs, self._legal = inside(spec, grid, cell.dtype)
        self._parameters = dict(spec.defaults()) | dict(cell.implementation.fixed)
        statics = graph.statics_of(spec, self._parameters | dict.fromkeys(grid.parameters, 1.0))
        result = [size.name for size in graph.definition(spec, statics).shape]
        shared = [
            array for name, array in self._inputs.items() if spec.independent not in spec.inputs[name].shape
        ]
        self.stacked = (
            spec.independent is not None
            and result.count(spec.independent) == 1
            and all((array == array[:1]).all() for array in shared)
        )
        self.of_result = result.index(spec.independent) if self.stacked else None
        compiled = cell.mode == "compiled" or cell.framework.compiles_operations
        self._rows = rows if compiled else None

    def of_input(self, name: str) -> int | None:
        """The axis along which points stand in an input; None where they do not."""
        shape = self.spec.inputs[name].shape
        return shape.index(self.spec.independent) if self.spec.independent in shape else None

    def cases(self) -> Iterator[tuple[Case, Array]]:
        """Every case, with the numbers of the points in it."""
        for chosen in self._strips():
            if self.stacked:
                size = self._rows or len(chosen)
                for start in range(0, len(chosen), size):
                    part = chosen[start : start + size]
                    # a shape that has been compiled, whatever is left for the last
                    yield self._case(np.resize(part, size)), part
            else:
                for point in chosen:
                    yield self._case(np.array([point])), np.array([point])

    def _strips(self) -> Iterable[Array]:
        """The points inside the domains, those with the same parameters together."""
        legal = np.flatnonzero(self._legal)
        strips: dict[tuple[float, ...], list[int]] = {}
        for point in legal:
            key = tuple(float(array[point]) for array in self._grid.parameters.values())
            strips.setdefault(key, []).append(int(point))
        return map(np.array, strips.values())

    def _case(self, chosen: Array) -> Case:
        inputs = {}
        for name, array in self._inputs.items():
            at = self.of_input(name)
            inputs[name] = array[chosen[0]] if at is None else np.moveaxis(array[chosen], 0, at).copy()
        given = {name: float(array[chosen[0]]) for name, array in self._grid.parameters.items()}
        parameters = self._parameters | given
        return Case(self.spec.loss, self._cell.dtype, "plane", inputs, parameters)


class _Canvas:
    """The worst error at each point: its multiple of the attainable one, what was returned there, whether it fails."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._ratio = np.full(grid.size, -1.0)
        self._got = np.zeros(grid.size)
        self._failed = np.zeros(grid.size, dtype=bool)

    def note(self, chosen: Array, judged: _Judged) -> None:
        """Take in an array of results; what is undecided says nothing."""
        ratio, verdicts, got = (each[: len(chosen)] for each in judged)
        ratio = np.where(verdicts == oracle_verdict.UNDECIDED, -1.0, ratio)
        worst = ratio.argmax(axis=1)
        rows = np.arange(len(chosen))
        higher = ratio[rows, worst] > self._ratio[chosen]
        self._ratio[chosen] = np.where(higher, ratio[rows, worst], self._ratio[chosen])
        self._got[chosen] = np.where(higher, got[rows, worst], self._got[chosen])
        self._failed[chosen] |= (verdicts == oracle_verdict.FAIL).any(axis=1)

    @property
    def told(self) -> bool:
        return bool((self._ratio >= 0).any())

    @property
    def bits(self) -> list[list[float | str | None]]:
        """See results.StabilityMap."""
        marks = [_mark(float(ratio), float(got)) for ratio, got in zip(self._ratio, self._got, strict=True)]
        width = len(self._grid.x)
        return [marks[start : start + width] for start in range(0, len(marks), width)]

    @property
    def breakdown(self) -> list[float | None]:
        """See results.StabilityMap."""
        shape = len(self._grid.y), len(self._grid.x)
        rows = zip((self._ratio >= 0).reshape(shape), self._failed.reshape(shape), strict=True)
        return [self._breaks(known, failed) for known, failed in rows]

    def _breaks(self, known: Array, failed: Array) -> float | None:
        found = None
        for x, told, wrong in zip(reversed(self._grid.x), known[::-1], failed[::-1], strict=True):
            if told and not wrong:
                break
            found = x if told else found
        return found


_Judged = tuple[Array, Array, Array]
"""Ratios, verdicts and results, each [points, entries of a point]."""


def _mark(ratio: float, got: float) -> float | str | None:
    if ratio < 0:
        return None
    if np.isinf(ratio) and not np.isfinite(got):
        return str(got)
    return min(round(float(np.log2(max(ratio, 1.0))), 1), float(MOST))


def _note(canvas: _Canvas, points: _Points, chosen: Array, judged: Callable[[], Iterable[_Judged]]) -> None:
    """Write down what is told of some points: nothing where the implementation raises."""
    try:
        found = list(judged())
    except ImplementationError:
        return
    for each in found:
        canvas.note(chosen, each)


def _values(trial: Trial, points: _Points) -> Iterator[_Judged]:
    if not trial.shape_fits:
        return
    got = trial.outcome.value
    judgement = judge(got, trial.reference, trial.cell.working, answers.slack(points.spec, trial.case))
    yield _by_point(judgement, got, points.of_result)


def _gradients(trial: Trial, points: _Points) -> Iterator[_Judged]:
    """Of the inputs along which the points stand; those that all points share have a sum over them."""
    if trial.has_gradients is not None or not trial.shape_fits:
        return
    for name, reference in trial.gradient_references.items():
        got, at = trial.gradients[name], points.of_input(name) if points.stacked else None
        if got.shape == reference.shape and (at is not None or not points.stacked):
            slack = answers.slack(points.spec, trial.case, name)
            yield _by_point(judge(got, reference, trial.cell.working, slack), got, at)


def _by_point(judgement: oracle_verdict.Judgement, got: Any, at: int | None) -> _Judged:
    arrays = judgement.ratio, judgement.verdicts, np.asarray(got).astype(np.float64)
    if at is None:
        ratio, verdicts, values = (array.reshape(1, -1) for array in arrays)
    else:
        ratio, verdicts, values = (np.moveaxis(array, at, 0).reshape(array.shape[at], -1) for array in arrays)
    return ratio, verdicts, values
