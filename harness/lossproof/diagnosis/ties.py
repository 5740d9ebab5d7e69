"""Whether a mistake goes when equal entries and zero vectors are moved apart, by however little."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis.rays import gentle, put
from lossproof.diagnosis.samples import Facet, Sample, wide
from lossproof.diagnosis.spot import Spot
from lossproof.floats import FORMATS
from lossproof.inputs.case import Array, Case
from lossproof.spec.model import Domain, Spec

MOVED = (Domain.REAL, Domain.EXTENDED_REAL, Domain.EMBEDDING)

MOVES = (1.0, 2.0**-4)
"""What depends on ties alone goes with the smaller move as with the larger; what cancels beside them does not."""

SLIGHT = 2.0**-10
"""And finite results with one at which something small that was added still shows, in a format that holds it."""


def undefined_at_ties(facet: Facet, failing: Sample, spot: Spot) -> Diagnosis | None:
    """A nan, or an infinite derivative, at equal entries or zero vectors."""
    got, of_value = spot.got(failing), spot.name == "value"
    if math.isfinite(got) or (of_value and not math.isnan(got)):
        return None
    why = _goes(facet, failing, spot)
    if why is None:
        return None
    shown = f"{spot.told} at {list(spot.place)} is {got:.6g} where the truth is {spot.truth(failing):.6g}"
    pair = coincident(facet, failing, spot)
    if of_value:
        kind = "divides by zero" if "zero vectors" in why and pair is None else "wrong at ties"
    else:
        kind = "nan from 0*inf"
    if pair is not None:
        one, two = pair
        return Diagnosis(
            kind,
            f"{shown}; it is so where {one} and {two} coincide (their difference is 0), wherever that is, and right "
            "when they are apart",
        )
    return Diagnosis(kind, f"{shown}; it is right when {why}")


def coincident(facet: Facet, failing: Sample, spot: Spot) -> tuple[str, str] | None:
    """Two inputs that are equal in the row of the spot, where that alone makes a result nan or inf: both far from
    zero, and every other input away from them."""
    spec, case = facet.cell.spec, failing.case
    arrays = {n: wide(case.inputs[n]) for n, d in spec.inputs.items() if d.domain in MOVED}
    for one, two in itertools.combinations(arrays, 2):
        if spec.inputs[one].shape != spec.inputs[two].shape or not _equal(arrays[one], arrays[two], spot):
            continue
        for share in MOVES:
            apart = {
                name: 1 + share * (place + 1) * _wave(array, place)
                for place, (name, array) in enumerate(arrays.items())
            }
            apart = {name: apart[name].astype(case.inputs[name].dtype) for name in arrays}
            met = facet.sample(put(case, {**apart, two: apart[one]}))
            right = _right(facet, put(case, apart), spot)
            if (
                not right
                or met is None
                or not met.fits
                or math.isfinite(spot.got(met))
                or not spot.wrong(met)
            ):
                break
        else:
            return one, two
    return None


def _equal(one: Array, two: Array, spot: Spot) -> bool:
    row = spot.place[0] if spot.place and one.ndim and one.shape[0] > spot.place[0] else ...
    return bool((one[row] == two[row]).all())


def wrong_at_ties(facet: Facet, failing: Sample, spot: Spot) -> Diagnosis | None:
    """A finite result that is wrong at equal entries or zeros alone, as a derivative at a kink may be."""
    got, truth = spot.got(failing), spot.truth(failing)
    if not (math.isfinite(got) and math.isfinite(truth)) or not _tied(facet.cell.spec, failing.case):
        return None
    fine = FORMATS[facet.cell.dtype].unit_roundoff < SLIGHT**2
    why = _goes(facet, failing, spot, (*MOVES, SLIGHT) if fine else MOVES)
    if why is None:
        return None
    shown = f"{spot.told} at {list(spot.place)} is {got:.6g} where the truth is {truth:.6g}"
    return Diagnosis("wrong at ties", f"{shown}; it is right when {why}")


def _goes(facet: Facet, failing: Sample, spot: Spot, moves: tuple[float, ...] = MOVES) -> str | None:
    """With which inputs moved, by much and by little, the result at the spot is right."""
    spec = facet.cell.spec
    for base in (gentle(spec, failing.case), failing.case):
        sample = facet.sample(base)
        if sample is None or not sample.fits or not spot.wrong(sample):
            continue
        for moved in zip(*(_apart(spec, base, share) for share in moves), strict=True):
            if all(_right(facet, case, spot) for case, _ in moved):
                why: str = moved[0][1]
                return why
    return None


def _tied(spec: Spec, case: Case) -> bool:
    """Whether there are zeros, equal entries of a row or equal rows among the real inputs, or two of them agree."""
    arrays = [
        wide(case.inputs[n]) for n, d in spec.inputs.items() if d.domain in MOVED and case.inputs[n].ndim
    ]
    if any(a.ndim == 1 and not a.all() for a in arrays):
        return True
    if any((a == b).any() for a, b in itertools.combinations(arrays, 2) if a.shape == b.shape):
        return True
    tables = [a for a in arrays if a.ndim == 2]
    if any(len(np.unique(row)) < len(row) for table in tables for row in table):
        return True
    return any(len(np.unique(table, axis=0)) < len(table) for table in tables)


def _wave(array: Array, place: int) -> Array:
    return np.asarray(0.11 * np.cos(np.arange(1, array.size + 1) * (1.7 + place)).reshape(array.shape))


def _right(facet: Facet, case: Case, spot: Spot) -> bool:
    sample = facet.sample(case)
    if sample is None or not sample.fits:
        return False
    return bool(sample.truth[spot.name].known[spot.place]) and not spot.wrong(sample)


def _apart(spec: Spec, case: Case, share: float) -> Iterator[tuple[Case, str]]:
    """The case with one input after the other, then all, moved by a share of a tenth."""
    moved: dict[str, Array] = {}
    for place, (name, declared) in enumerate(spec.inputs.items()):
        array = case.inputs[name]
        if declared.domain in MOVED and array.ndim:
            wave = _wave(array, place)
            finite = wide(array)[np.isfinite(wide(array))]
            scale = min(4.0, max(1.0, float(np.abs(finite).max(initial=0.0)) / 4))
            moved[name] = (wide(array) + share * scale * wave).astype(array.dtype)
    for name, array in moved.items():
        vectors = spec.inputs[name].domain is Domain.EMBEDDING
        zero = vectors and not wide(case.inputs[name]).any(axis=-1).all()
        what = "zero vectors" if zero else "equal entries or zeros"
        yield put(case, {name: array}), f"{name} is moved a little away from {what}"
    if len(moved) > 1:
        zero = all(
            spec.inputs[name].domain is Domain.EMBEDDING and not wide(case.inputs[name]).any(axis=-1).all()
            for name in moved
        )
        way = "away from zero vectors" if zero else "apart"
        yield put(case, moved), " and ".join(moved) + f" are moved a little {way}"
