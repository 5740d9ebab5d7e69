"""Whether inputs were exchanged, left out, moved by one or taken along another axis."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis.samples import Facet, Sample, Truth, Truths
from lossproof.diagnosis.spot import Spot
from lossproof.inputs.case import Array, Case
from lossproof.inputs.rows import Rows
from lossproof.spec.model import Domain, Spec

Change = Callable[[Case], Case | None]

COUPLED = "batch coupled"


def exchanged(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """The truth at inputs that are exchanged, left out, replaced or moved fits what came out."""
    for kind, text, change in changes(facet.cell.spec):
        if facet.explained(samples, facet.under(change)):
            what = "gradient" if facet.gradient else "value"
            return Diagnosis(kind, f"this is the {what} with {text}, on {len(samples)} batches")
    return None


def gradients_exchanged(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """The gradient of one input given for another."""
    names = list(samples[0].got)
    for one, two in itertools.permutations(names, 2):

        def supposed(sample: Sample, a: str = one, b: str = two) -> Truths | None:
            return {**sample.truth, a: sample.truth[b]}

        if facet.explained(samples, supposed):
            return Diagnosis("swapped arguments", f"the gradient in {one} is that in {two}")
    return None


def along_another_axis(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """The same loss over the other axis of a matrix: of a loss with one input and a result of its shape."""
    spec = facet.cell.spec
    if len(spec.inputs) != 1 or facet.gradient:
        return None
    (name,) = spec.inputs

    def supposed(sample: Sample) -> Truths | None:
        array = sample.case.inputs[name]
        if array.ndim != 2:
            return None
        found = facet.truth(_put(sample.case, name, np.ascontiguousarray(array.T)))
        return found and {each: Truth(t.middle.T, t.attainable.T) for each, t in found.items()}

    if facet.explained(samples, supposed):
        return Diagnosis("wrong axis", f"this is the value over axis 0 of {name}, not over its last")

    def flat(sample: Sample) -> Truths | None:
        array = sample.case.inputs[name]
        found = facet.truth(_put(sample.case, name, array.reshape(1, -1)))
        if found is None or found["value"].middle.size != array.size:
            return None
        return {
            each: Truth(t.middle.reshape(array.shape), t.attainable.reshape(array.shape))
            for each, t in found.items()
        }

    if facet.explained(samples, flat):
        return Diagnosis("wrong axis", f"this is the value over both axes of {name}, not over its last")
    return None


def _put(case: Case, name: str, array: Array) -> Case:
    return replace(case, inputs={**case.inputs, name: array})


def changes(spec: Spec) -> Iterator[tuple[str, str, Change]]:
    """Kind, words for it and the change, of all that may be mistaken about inputs."""
    inputs = spec.inputs
    alike = [
        (a, b)
        for a, b in itertools.combinations(inputs, 2)
        if inputs[a].shape == inputs[b].shape and inputs[a].domain == inputs[b].domain
    ]
    for a, b in alike:
        yield "swapped arguments", f"{a} and {b} exchanged", _exchanged((a, b))
    for (a, b), (c, d) in itertools.combinations(alike, 2):
        if not {a, b} & {c, d}:
            text = f"{a} and {b}, and {c} and {d} exchanged"
            yield "swapped arguments", text, _exchanged((a, b), (c, d))
    for a, b in (*alike, *((b, a) for a, b in alike)):
        yield "ignores an input", f"{b} in the place of {a}", _instead(a, b)
    for name, declared in inputs.items():
        if declared.domain in (Domain.REAL, Domain.EXTENDED_REAL, Domain.SIGN, Domain.EMBEDDING):
            yield "sign", f"−{name} in the place of {name}", _moved(name, np.negative)
        if declared.domain is Domain.REAL:
            yield "ignores an input", f"{name} left out", _moved(name, np.zeros_like)
        if declared.domain in (Domain.BINARY, Domain.UNIT_INTERVAL):
            yield "sign", f"1 − {name} in the place of {name}", _moved(name, _complement)
        if declared.domain is Domain.CLASS_INDEX:
            for step in (1, -1):
                text = f"{name} {'plus' if step > 0 else 'minus'} 1"
                yield "off by one", text, partial(_next_class, spec, name=name, step=step)
        if declared.ahead is not None or declared.domain is Domain.MASK:
            axis = len(declared.shape) - 1
            text = f"{name} moved by one along {declared.shape[axis]}"
            for step in (1, -1):
                yield "off by one", text, _moved(name, partial(np.roll, shift=step, axis=axis))
    # rows that are all compared with each other are told apart by their order alone
    rows = spec.independent or next((d.shape[0] for d in inputs.values() if len(d.shape) > 1), None)
    for name, declared in inputs.items():
        if rows in declared.shape and len(inputs) > 1:
            axis = declared.shape.index(rows)
            for step in (1, -1):
                text = f"{name} of the row {'before' if step > 0 else 'after'}"
                kind = "off by one" if spec.independent is None else COUPLED
                yield kind, text, _moved(name, partial(np.roll, shift=step, axis=axis))


def _exchanged(*pairs: tuple[str, str]) -> Change:
    def change(case: Case) -> Case:
        inputs = dict(case.inputs)
        for a, b in pairs:
            inputs[a], inputs[b] = case.inputs[b], case.inputs[a]
        return replace(case, inputs=inputs)

    return change


def _instead(name: str, other: str) -> Change:
    return lambda case: _put(case, name, case.inputs[other])


def _moved(name: str, move: Callable[[Array], Array]) -> Change:
    return lambda case: _put(case, name, move(case.inputs[name]))


def _complement(array: Array) -> Array:
    return np.asarray(1 - array).astype(array.dtype)


def _next_class(spec: Spec, case: Case, name: str, step: int) -> Case | None:
    """Labels of the class beside; those that are left out stay so."""
    from lossproof.inputs.anatomy import anatomy
    from lossproof.oracle.law import bind_dimensions

    labelled = anatomy(spec).labelled
    if labelled is None:
        return None
    classes = bind_dimensions(spec, {n: a.shape for n, a in case.inputs.items()})[labelled]
    labels = case.inputs[name]
    return _put(case, name, np.where(labels < 0, labels, (labels + step) % classes))


def coupled(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """A row's result changes with the rows beside it, or with its own place, where the truth does not."""
    spec = facet.cell.spec
    axis = spec.independent
    trial = facet.trial(samples[0].case)
    if trial.rows is None or axis is None:
        return None
    for half, text in (
        (True, "the other half of the rows is taken away"),
        (False, "the rows are put in reverse"),
    ):
        if not half and facet.gradient:
            continue  # the cotangents would stand at other rows
        found = _changed(facet, samples, trial.rows, half)
        if found is None:
            return None
        changed, told = found
        if changed >= 2:
            what = "gradients" if facet.gradient else "values"
            return Diagnosis(COUPLED, f"{changed} of {told} {what} change when {text}")
    return None


def _changed(facet: Facet, samples: list[Sample], rows: Rows, half: bool) -> tuple[int, int] | None:
    """How many results change, of how many, with the first half of the rows alone, or with all of them in reverse."""
    changed = told = 0
    for sample in samples[:3]:
        count = rows.count(sample.case)
        if count < 2:
            continue
        kept = list(range((count + 1) // 2)) if half else list(range(count))[::-1]
        inputs = {
            name: array if (at := rows.inputs[name]) is None else np.take(array, kept, at)
            for name, array in sample.case.inputs.items()
        }
        again = facet.sample(replace(sample.case, inputs=inputs))
        if again is None:
            return None
        for name, got in sample.got.items():
            place = rows.result if name == "value" else rows.inputs[name]
            if place is None or got.ndim <= place:
                return None
            before, after = np.take(got, kept, place), again.got[name]
            attainable = np.take(sample.truth[name].attainable, kept, place)
            if before.shape != after.shape or (
                facet.gradient
                and not np.array_equal(np.take(sample.cotangent, kept, rows.result), again.cotangent)
            ):
                return None
            with np.errstate(invalid="ignore"):
                same = (np.abs(before - after) <= 64 * attainable) | (before == after)
                same |= np.isnan(before) | np.isnan(after)
                differ = ~same & np.isfinite(attainable)
            changed, told = changed + int(differ.sum()), told + differ.size
    return changed, told


def beside_others(facet: Facet, failing: Sample, spot: Spot) -> Diagnosis | None:
    """A row that is wrong beside others and right by itself."""
    rows = facet.trial(failing.case).rows
    if rows is None or rows.count(failing.case) < 2:
        return None
    at = rows.result if spot.name == "value" else rows.inputs[spot.name]
    if at is None or len(spot.place) <= at:
        return None
    row = spot.place[at]
    inputs = {
        name: array if (axis := rows.inputs[name]) is None else np.take(array, [row], axis)
        for name, array in failing.case.inputs.items()
    }
    alone = facet.sample(replace(failing.case, inputs=inputs))
    place = (*spot.place[:at], 0, *spot.place[at + 1 :])
    if (
        alone is None
        or not alone.fits
        or not alone.truth[spot.name].known[place]
        or not alone.right(spot.name)[place]
    ):
        return None
    return Diagnosis(
        COUPLED,
        f"{spot.told} of row {row} is {spot.got(failing):.6g} beside the other rows, and right by itself",
    )
