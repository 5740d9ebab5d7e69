"""Entries at −inf or zero, with which a mistake goes, however gentle the others are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis.rays import gentle, put
from lossproof.diagnosis.samples import Facet, Sample, wide
from lossproof.diagnosis.spot import Spot
from lossproof.diagnosis.ties import undefined_at_ties
from lossproof.inputs.case import Array, Case
from lossproof.oracle.unread import unread
from lossproof.spec.model import Domain, Spec


def at_special_entries(facet: Facet, failing: Sample, spot: Spot) -> Diagnosis | None:
    """Entries at −inf or zero, with which the mistake goes, however gentle the others are."""
    spec, case = facet.cell.spec, failing.case
    got = spot.got(failing)
    infinite = not math.isfinite(got)
    shown = f"{spot.told} at {list(spot.place)} is {got:.6g} where the truth is {spot.truth(failing):.6g}"
    for base in (gentle(spec, case), case):
        if not _fails(facet, base, spot):
            continue
        for change, kind, why in _without_special(spec, base, spot):
            sample = facet.sample(change)
            if sample is None or not sample.fits or spot.wrong(sample):
                continue
            if not infinite and not math.isfinite(spot.truth(failing)):
                continue
            if not infinite and base is case and kind != "masked":
                continue
            if infinite and kind in ALONE and not _fails(facet, ALONE[kind](facet, base), spot):
                continue  # it takes something else as well, which a ray may tell
            if kind == "masked" and not infinite:
                return Diagnosis("masked entries leak", f"{shown}; it is right without {why}")
            if kind == "masked":
                return Diagnosis("nan from 0*inf", f"{shown}; it is right with a finite number for {why}")
            if kind == "unread":
                return Diagnosis("masked rows leak", f"{shown}; it is right when {why} hold 0")
            if kind == "empty" and infinite:
                return Diagnosis("divides by zero", f"{shown}; it is right where {why}")
            if infinite:
                return Diagnosis("nan from 0*inf", f"{shown}; it is right when {why}")
    return undefined_at_ties(facet, failing, spot)


def _moderate(facet: Facet, case: Case) -> Case:
    """The case with no probability between 0 and 0.01: a mistake of zeros alone is still there."""
    changes = {}
    for name, declared in facet.cell.spec.inputs.items():
        array = wide(case.inputs[name])
        if declared.domain is Domain.PROBABILITY and (array > 0).any(axis=-1).all():
            some = np.where(array > 0, np.maximum(array, 0.01), 0)
            changes[name] = (some / some.sum(axis=-1, keepdims=True)).astype(case.inputs[name].dtype)
    return put(case, changes)


def _usual(facet: Facet, case: Case) -> Case:
    """The case at the defaults of the numbers that are taken: what is empty is still empty there."""
    numbers = {
        name: parameter.default
        for name, parameter in facet.cell.spec.parameters.items()
        if parameter.kind == "number" and name in facet.cell.implementation.free
    }
    return replace(case, parameters={**case.parameters, **numbers})


ALONE: Mapping[str, Callable[[Facet, Case], Case]] = {"zeros": _moderate, "empty": _usual}
"""By kind of special entries, the case without anything else that is extreme in it."""


def _fails(facet: Facet, case: Case, spot: Spot) -> bool:
    sample = facet.sample(case)
    return sample is not None and sample.fits and spot.wrong(sample)


def _without_special(spec: Spec, case: Case, spot: Spot) -> Iterator[tuple[Case, str, str]]:
    inputs = case.inputs
    for name, declared in spec.inputs.items():
        array = inputs[name]
        hidden = unread(spec, name, inputs, case.parameters) if declared.is_real else None
        if hidden is not None and hidden.any() and not np.isfinite(wide(array)[hidden]).all():
            yield (
                put(case, {name: np.where(hidden, 0, array).astype(array.dtype)}),
                "unread",
                f"unread entries of {name}",
            )
    masked = {n: a for n, a in inputs.items() if spec.inputs[n].is_real and (wide(a) == -np.inf).any()}
    changes: dict[str, Array] = {}
    for name, array in masked.items():
        finite = wide(array)[np.isfinite(wide(array))]
        low = float(finite.min(initial=0.0)) - 3
        changes[name] = np.where(wide(array) == -np.inf, low, array).astype(array.dtype)
        yield put(case, {name: changes[name]}), "masked", f"−inf in {name}"
    if len(changes) > 1:
        yield put(case, changes), "masked", "−inf in " + " and ".join(changes)
    zeros: dict[str, Array] = {}
    for name, declared in spec.inputs.items():
        if declared.domain is Domain.PROBABILITY and (inputs[name] == 0).any():
            some = np.where(inputs[name] == 0, 0.01, wide(inputs[name]))
            zeros[name] = (some / some.sum(axis=-1, keepdims=True)).astype(inputs[name].dtype)
            yield put(case, {name: zeros[name]}), "zeros", f"{name} holds 0.01 for its zeros"
    if len(zeros) > 1:
        yield put(case, zeros), "zeros", " and ".join(zeros) + " hold 0.01 for their zeros"
    for name, declared in spec.inputs.items():
        if declared.domain is Domain.MASK and not inputs[name].all():
            yield put(case, {name: np.ones_like(inputs[name])}), "empty", f"{name} keeps every entry"
        if declared.domain is Domain.CLASS_INDEX and (inputs[name] < 0).any():
            yield (
                put(case, {name: np.where(inputs[name] < 0, 0, inputs[name])}),
                "empty",
                f"{name} keeps every row",
            )
        if declared.domain is Domain.CLASS_ID:
            count = inputs[name].size
            paired = np.minimum(np.arange(count) // 2, max(0, count // 2 - 1))
            yield put(case, {name: paired.reshape(inputs[name].shape)}), "empty", "each class has two members"
