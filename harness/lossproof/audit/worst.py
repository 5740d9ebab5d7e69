"""The worst inputs of a cell in the deep profile, found by ascent from the worst case that was drawn."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from lossproof.audit.encoding import encode, encode_parameter
from lossproof.audit.results import Result, Worst
from lossproof.checks import accuracy, gradient
from lossproof.checks.cell import Cell
from lossproof.checks.trial import Trial
from lossproof.errors import ExpressionError, ImplementationError
from lossproof.inputs import Case
from lossproof.inputs.ascent import ascend
from lossproof.inputs.rows import part
from lossproof.oracle.verdict import distances

CALLS = 240
"""How many more examples an ascent tries, for the value and for the gradient."""


class WorstCases:
    """Of each quantity of a cell the case on which it is farthest from the truth, in attainable errors."""

    def __init__(self, cell: Cell, seed: int) -> None:
        self.cell, self.seed = cell, seed
        self.found: dict[str, tuple[float, Case]] = {}

    def look(self, trial: Trial) -> None:
        """Take note of a case."""
        for check in (accuracy.NAME, gradient.NAME):
            error, row = _farthest(trial, check)
            if error > self.found.get(check, (0.0, None))[0]:
                self.found[check] = error, _alone(trial, row)

    def climb(self) -> Iterator[tuple[str, Case]]:
        """The checks with a case worse than those that were looked at, which it is from now on."""
        for check, (error, case) in list(self.found.items()):
            objective = functools.partial(self._error, check)
            best, found = ascend(case, self.cell.spec, objective, CALLS, self.seed, check)
            # a row by itself may be less wrong than it was in its batch
            if found > error:
                self.found[check] = found, best
                yield check, best

    def told(self, rows: list[Result]) -> list[Result]:
        """The rows, the worst case of a check beside the row of its regime."""
        told = {(check, case.regime): self._worst(check, case) for check, (_, case) in self.found.items()}
        return [replace(row, worst=told.get((row.check, row.regime or ""))) for row in rows]

    def _error(self, check: str, case: Case) -> float:
        return _farthest(Trial(self.cell, case, forward_mode=False), check)[0]

    def _worst(self, check: str, case: Case) -> Worst:
        return Worst(
            error=float(f"{self.found[check][0]:.4g}"),
            inputs={name: encode(array) for name, array in case.inputs.items()},
            parameters={name: encode_parameter(value) for name, value in case.parameters.items()},
        )


def _farthest(trial: Trial, check: str) -> tuple[float, int | None]:
    """The largest error of a case in attainable errors, −inf where nothing can be told, and its row."""
    worst, row = -math.inf, None
    try:
        if not trial.shape_fits:
            return worst, row
        if check == accuracy.NAME:
            pairs = [("value", trial.outcome.value, trial.reference)]
        elif trial.has_gradients is None:
            pairs = [(n, trial.gradients[n], r) for n, r in trial.gradient_references.items()]
        else:
            return worst, row
        for name, got, reference in pairs:
            if got.shape != reference.shape or not got.size:
                continue
            attainable = reference.attainable
            with np.errstate(all="ignore"):
                error = distances(got.astype(np.float64), reference.middle, reference.storage) / attainable
            error = np.where(np.isfinite(attainable) & ~np.isnan(error), error, -math.inf)
            at = np.unravel_index(int(error.argmax()), error.shape)
            if error[at] > worst:
                worst = float(error[at])
                axis = None
                if trial.rows is not None:
                    axis = trial.rows.result if name == "value" else trial.rows.inputs[name]
                row = None if axis is None else int(at[axis])
    except (ImplementationError, ExpressionError):
        return -math.inf, None
    return worst, row


def _alone(trial: Trial, row: int | None) -> Case:
    """The case with one of its rows alone, where rows are independent."""
    if trial.rows is None or row is None:
        return trial.case
    inputs = {
        name: part(array, trial.rows.inputs[name], slice(row, row + 1))
        for name, array in trial.case.inputs.items()
    }
    return replace(trial.case, inputs=inputs)
