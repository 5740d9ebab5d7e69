"""Whether another convention, or another use of a parameter, fits what an implementation gives."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.diagnosis.samples import Facet, Sample
from lossproof.expression.node import topological
from lossproof.floats import FORMATS
from lossproof.inputs.case import Case
from lossproof.spec import graph
from lossproof.spec.model import Parameter, Spec

SMALL = (1e-12, 1e-10, 1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
"""What people add so that nothing divides by zero."""

OTHERS = (0.3, 0.7, 1.3, 0.05, 1e-3, 3.0)
"""Values of a number at which a supposition about it is tried once more."""

FORMULAS: tuple[tuple[Callable[[float], float], str], ...] = (
    (lambda value: 1 / value if value else 0.0, "1/{}"),
    (lambda value: value**2, "{}²"),
    (lambda value: 2 * value, "2 {}"),
    (lambda value: value / 2, "{}/2"),
    (lambda value: abs(value) ** 0.5, "√{}"),
    (lambda value: 1 - value, "1 − {}"),
    (lambda value: 1 + value, "1 + {}"),
    (lambda value: value - 1, "{} − 1"),
)

OF_ANGLES: tuple[tuple[Callable[[float], float], str], ...] = (
    (math.radians, "{} · π/180, as of degrees,"),
    (math.degrees, "{} · 180/π, in degrees,"),
)
"""And what stands in the place of a number of which the definition takes a sine or cosine."""

COMMON = (
    0.0, 0.01, 0.02, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9,
    1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 8.0, 10.0, 16.0, 20.0, 30.0, 32.0, 50.0, 64.0, 80.0, 100.0,
)  # fmt: skip
"""What papers and libraries choose for temperatures, margins, scales and shares."""

CONVENTION = "another convention"
MISUSED = "parameter misused"
ROUNDED = "low precision"


def another(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """Tries each choice of each parameter, then other values of its numbers and arrays."""
    spec, given = facet.cell.spec, samples[0].case.parameters
    for kind, changes, text in (*_choices(spec, given), *_exchanged(spec, given), *_arrays(spec, given)):
        if facet.explained(samples, facet.under(partial(_with, changes=changes))):
            return _told(facet, samples, kind, changes, text)
    for kind, name, new, text in _numbers(spec, given):
        changes = {name: new(given)}
        if changes[name] == given[name]:
            continue
        if facet.explained(samples, facet.under(partial(_with, changes=changes))) and _elsewhere(
            facet, samples, name, new
        ):
            return _told(facet, samples, kind, changes, text)
    return None


def _elsewhere(facet: Facet, samples: list[Sample], name: str, new: Callable[[Any], Any]) -> bool:
    """Whether a supposition about a number that the implementation takes fits other values of it as well: 1 may stand
    in the place of 0 because it is 1 − 0."""
    parameter, given = facet.cell.spec.parameters[name], samples[0].case.parameters
    if name not in facet.cell.implementation.free or parameter.integer:
        return True
    for number in OTHERS:
        other = {**given, name: number}
        if not _allowed(parameter, number) or number == given[name] or new(other) == number:
            continue
        moved = [facet.sample(replace(sample.case, parameters=other)) for sample in samples[:2]]
        fit = [sample for sample in moved if sample is not None and sample.fits]
        if not fit:
            continue
        # or that it is right elsewhere: 0 may be taken for a number that was not given
        special = all(sample.all_right for sample in fit)
        return special or facet.explained(
            fit, facet.under(partial(_with, changes={name: new(other)})), enough=0
        )
    return True


def _allowed(parameter: Parameter, number: float) -> bool:
    low, high = parameter.range or (-np.inf, np.inf)
    return low <= number <= high and (not parameter.integer or number == int(number))


def built_in(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """Tries the numbers that people choose for each parameter which the implementation does not take, alone and with
    another choice of such a one. Many of them: where nothing else is known."""
    spec, given, free = facet.cell.spec, samples[0].case.parameters, facet.cell.implementation.free
    own = {name: parameter for name, parameter in spec.parameters.items() if name not in free}
    choices: list[tuple[dict[str, Any], str]] = [({}, "")]
    for name, parameter in own.items():
        others = [value for value in parameter.choices or () if value != given[name]]
        choices += [({name: value}, f"{name}: {value}, ") for value in others]
    for changes, text in choices:
        for name, parameter in own.items():
            if parameter.kind != "number" or given[name] is None:
                continue
            for number in COMMON:
                if number == given[name] or not _allowed(parameter, number):
                    continue
                tried = {**changes, name: int(number) if parameter.integer else number}
                if facet.explained(samples, facet.under(partial(_with, changes=tried))):
                    said = f"{text}{name}: {number:g} where {given[name]:g} is asked for"
                    return _told(facet, samples, CONVENTION, tried, said)
    return None


def _told(facet: Facet, samples: list[Sample], kind: str, changes: dict[str, Any], text: str) -> Diagnosis:
    what = "gradient" if facet.gradient else "value"
    told = f"this is the {what} of `{text}`, on {len(samples)} batches"
    plain = not any(callable(value) for value in changes.values())
    if kind == CONVENTION and plain and not set(changes) & facet.cell.implementation.free:
        declared = ", ".join(f"{name}={value!r}" for name, value in changes.items())
        told += f'; if that is meant, declare it: @implements("{facet.cell.spec.loss}", …, {declared})'
    return Diagnosis(kind, told)


def of_all_rows(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """Whether single numbers are the mean or the sum of the results that are asked for."""
    for what, reduce in (("mean", np.mean), ("sum", np.sum)):
        told = 0
        for sample in samples:
            got, truth = sample.got["value"], sample.truth["value"]
            whole = truth.middle.astype(np.float64)
            if got.shape or not whole.ndim or not np.isfinite(whole).all():
                break
            allowed = 64 * FORMATS[facet.cell.dtype].unit_roundoff * (np.abs(whole).max(initial=0.0) + 1e-30)
            if not abs(float(got) - float(reduce(whole))) <= allowed * (whole.size if what == "sum" else 1):
                break
            told += whole.size > 1
        else:
            if told >= 2:
                spec = facet.cell.spec
                none = "" if "reduction" in spec.parameters else f" ({spec.loss} has no reduction)"
                return Diagnosis(
                    "wrong shape",
                    f"this is the {what} over all rows, where each row's own value is asked for{none}: bind the "
                    f"function before its {what} is taken",
                )
    return None


def _with(case: Case, changes: dict[str, Any]) -> Case:
    made = {
        name: value(case.parameters[name]) if callable(value) else value for name, value in changes.items()
    }
    return replace(case, parameters={**case.parameters, **made})


Candidate = tuple[str, dict[str, Any], str]


def _choices(spec: Spec, given: Any) -> Iterator[Candidate]:
    """One choice changed, then two at once."""
    others = [
        (name, value)
        for name, parameter in spec.parameters.items()
        for value in parameter.choices or ()
        if value != given[name]
    ]
    for name, value in others:
        yield CONVENTION, {name: value}, f"{name}: {value}"
    for (one, a), (two, b) in itertools.combinations(others, 2):
        if one != two:
            yield CONVENTION, {one: a, two: b}, f"{one}: {a}, {two}: {b}"


def _numbers(spec: Spec, given: Any) -> Iterator[tuple[str, str, Callable[[Any], Any], str]]:
    """Kind, parameter, what stands in its place under given parameters, and the words for it."""
    numbers = {
        name: float(given[name])
        for name, parameter in spec.parameters.items()
        if parameter.kind == "number" and given[name] is not None
    }
    angles = _angles(spec, given)
    for name, value in numbers.items():
        parameter = spec.parameters[name]
        yield ROUNDED, name, _of(name, _nearest), f"{name} rounded to float32"
        if parameter.default is None:
            yield CONVENTION, name, _always(None), f"{name} left out"
        plain = [v for v in (parameter.default, *parameter.ends) if v is not None]
        if parameter.range and parameter.range[0] == 0:
            plain += [0.0, *(v for v in SMALL if v <= parameter.range[1] and parameter.range[1] < 0.1)]
        for other in dict.fromkeys([*plain, 1.0, 0.5, 2.0, 0.1, 0.01]):
            yield CONVENTION, name, _always(other), f"{name}: {other:g} where {value:g} is asked for"
        if value:
            yield "sign", name, _of(name, operator.neg), f"−{name} in the place of {name}"
        for formula, text in (*FORMULAS, *(OF_ANGLES if name in angles else ())):
            yield MISUSED, name, _of(name, formula), f"{text.format(name)} in the place of {name}"
        for two in numbers:
            if two != name and numbers[two]:
                yield (
                    MISUSED,
                    name,
                    _of_two(name, two, operator.truediv),
                    f"{name}/{two} in the place of {name}",
                )
                yield (
                    MISUSED,
                    name,
                    _of_two(name, two, operator.mul),
                    f"{name} · {two} in the place of {name}",
                )


def _angles(spec: Spec, given: Any) -> set[str]:
    """The parameters that stand in a sine or a cosine."""
    whole = graph.definition(spec, graph.statics_of(spec, given))
    turned = [node for node in topological([whole]) if node.op in ("sin", "cos")]
    return {str(node.attributes[0]) for node in topological(turned) if node.op == "parameter"}


def _nearest(value: float) -> float:
    return float(np.float32(value))


def _always(number: Any) -> Callable[[Any], Any]:
    return lambda given: number


def _of(name: str, formula: Callable[[float], float]) -> Callable[[Any], Any]:
    return lambda given: formula(given[name])


def _of_two(name: str, other: str, formula: Callable[[float, float], float]) -> Callable[[Any], Any]:
    return lambda given: formula(given[name], given[other])


def _exchanged(spec: Spec, given: Any) -> Iterator[Candidate]:
    numbers = [
        name
        for name, parameter in spec.parameters.items()
        if parameter.kind == "number" and given[name] is not None
    ]
    for one, two in itertools.combinations(numbers, 2):
        if given[one] != given[two]:
            yield MISUSED, {one: given[two], two: given[one]}, f"{one} and {two} exchanged"


def _arrays(spec: Spec, given: Any) -> Iterator[Candidate]:
    for name, parameter in spec.parameters.items():
        if parameter.shape is None or given[name] is None:
            continue
        if parameter.default is None:
            yield CONVENTION, {name: None}, f"{name} left out"
        yield MISUSED, {name: lambda value: np.square(value)}, f"{name} applied twice"
