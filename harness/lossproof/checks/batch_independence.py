"""Batch independence: a row's result does not depend on what stands in the other rows."""

from __future__ import annotations

import math

import numpy as np

from lossproof.audit.results import Verdict
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Trial, with_inputs
from lossproof.inputs.case import Array
from lossproof.oracle.verdict import PASS_BITS
from lossproof.spec import graph
from lossproof.spec.model import Domain

NAME = "batch_independence"

POISONS = (math.nan, math.inf, -math.inf)


def observe(trial: Trial) -> Observation | None:
    """None where rows are coupled or alone.

    The rows before the last are replaced by the last itself, labels and all, so that one class has the batch to itself,
    and by nan, ±inf and huge numbers; the last row must come out as it did, up to 8 × the attainable error on either
    side.
    """
    spec, case = trial.cell.spec, trial.case
    axis = spec.independent
    names = [size.name for size in graph.definition(spec, graph.statics_of(spec, case.parameters)).shape]
    if axis is None or axis not in names or not trial.shape_fits:
        return None
    place = names.index(axis)
    rows = trial.reference.shape[place]
    if rows < 2:
        return None
    first = np.take(trial.outcome.value, rows - 1, place)
    attainable = np.take(trial.reference.attainable, rows - 1, place)
    company = {"are copies of it": _copies(trial, axis)}
    for poison in (*POISONS, trial.cell.storage.largest / 4):
        company[f"hold {poison:.3g}"] = _poisoned(trial, axis, poison)
    for what, inputs in company.items():
        value = Trial(trial.cell, with_inputs(case, inputs)).outcome.value
        if value.shape != trial.outcome.value.shape:
            continue
        second = np.take(value, rows - 1, place)
        bits = _bits(first, second, attainable)
        if bits > PASS_BITS:
            return Observation(
                Verdict.FAIL, rows, 0, bits, f"the last row changes when the other rows {what}",
                "last row", first, attainable, second,
            )  # fmt: skip
    return Observation(Verdict.PASS, rows)


def _poisoned(trial: Trial, axis: str, poison: float) -> dict[str, Array]:
    changed = {}
    for name, declared in trial.cell.spec.inputs.items():
        if (
            declared.domain in (Domain.REAL, Domain.EXTENDED_REAL, Domain.EMBEDDING)
            and axis in declared.shape
        ):
            array = trial.case.inputs[name].copy()
            place = declared.shape.index(axis)
            others = [slice(None)] * array.ndim
            others[place] = slice(0, -1)
            array[tuple(others)] = poison
            changed[name] = array
    return changed


def _copies(trial: Trial, axis: str) -> dict[str, Array]:
    changed = {}
    for name, declared in trial.cell.spec.inputs.items():
        if axis in declared.shape:
            array, place = trial.case.inputs[name], declared.shape.index(axis)
            changed[name] = np.repeat(np.take(array, [-1], place), array.shape[place], place)
    return changed


def _bits(first: Array, second: Array, attainable: Array) -> float:
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    with np.errstate(all="ignore"):
        same = (first == second) | (np.isnan(first) & np.isnan(second)) | ~np.isfinite(attainable)
        error = np.where(same, 0.0, np.abs(first - second))
        error = np.where(np.isnan(error), np.inf, error)
        # both calls may be off by the attainable error
        lost = np.where(error > 0, np.log2(error / (2 * attainable)), 0.0)
    return max(0.0, float(np.max(lost, initial=0.0)))
