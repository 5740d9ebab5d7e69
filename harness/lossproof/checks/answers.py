"""References remembered: every implementation that meets the same case asks the oracle the same question."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from lossproof.floats import FORMATS, Format
from lossproof.inputs.case import Array, Case
from lossproof.oracle.law import bind_dimensions
from lossproof.oracle.reference import Point, Reference, references
from lossproof.spec import graph
from lossproof.spec.model import Spec

_KEPT = 20_000
_remembered: OrderedDict[Any, Any] = OrderedDict()


def point_of(spec: Spec, case: Case, extra: Mapping[str, Array] | None = None) -> Point:
    """The point at which the graphs of a spec are evaluated for a case; `extra` adds leaves (a cotangent)."""
    arrays = dict(case.inputs) | dict(case.variables)
    numbers: dict[str, Any] = {}
    for name, value in case.parameters.items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif isinstance(value, int | float):
            numbers[name] = value
    dimensions = bind_dimensions(spec, {name: array.shape for name, array in case.inputs.items()})
    return Point(arrays | dict(extra or {}), numbers, dimensions, FORMATS[case.dtype])


def value_reference(spec: Spec, case: Case, working: Format, flush: bool) -> Reference:
    """Truth and attainable error of the loss at a case."""

    def ask() -> Reference:
        statics = graph.statics_of(spec, case.parameters)
        nodes = [graph.definition(spec, statics)]
        return references(nodes, point_of(spec, case), working, flush, _excuses(spec, statics))[0]

    return _remember(("value", *_key(spec, case, working, flush)), ask)  # type: ignore[no-any-return]


def gradient_references(
    spec: Spec, case: Case, cotangent: Array, working: Format, flush: bool
) -> dict[str, Reference]:
    """Truth and attainable error of the vector–Jacobian product, for each differentiable input."""

    def ask() -> dict[str, Reference]:
        statics = graph.statics_of(spec, case.parameters)
        nodes = graph.gradient(spec, statics)
        if not nodes:
            return {}
        point = point_of(spec, case, {graph.COTANGENT: cotangent})
        found = references(list(nodes.values()), point, working, flush, _excuses(spec, statics))
        return dict(zip(nodes, found, strict=True))

    key = ("gradient", *_key(spec, case, working, flush), cotangent.shape, cotangent.tobytes())
    return _remember(key, ask)  # type: ignore[no-any-return]


def slack(spec: Spec, case: Case, part: str) -> Array | float:
    """The spec's slack for `value` or `gradient` as an absolute error: 8 roundoffs of its expression."""
    text = getattr(spec.slack, part)
    if text is None:
        return 0.0
    statics = graph.statics_of(spec, case.parameters)
    storage = FORMATS[case.dtype]
    (reference,) = references([graph.aside(spec, statics, str(text))], point_of(spec, case), storage)
    return np.asarray(np.nan_to_num(np.abs(reference.expected)) * 8 * storage.unit_roundoff)


def _excuses(spec: Spec, statics: graph.Statics) -> dict[str, Any]:
    return {name: graph.aside(spec, statics, text) for name, text in spec.excuse.items()}


def _key(spec: Spec, case: Case, working: Format, flush: bool) -> tuple[Any, ...]:
    arrays = tuple((name, a.shape, a.dtype.str, a.tobytes()) for name, a in case.inputs.items())
    parameters = tuple(
        (name, (v.shape, v.tobytes()) if isinstance(v, np.ndarray) else (type(v), v))
        for name, v in case.parameters.items()
    )
    return (id(spec), case.dtype, arrays, parameters, working.name, flush)


def _remember(key: Any, ask: Any) -> Any:
    if key in _remembered:
        _remembered.move_to_end(key)
        return _remembered[key]
    found = _remembered[key] = ask()
    if len(_remembered) > _KEPT:
        _remembered.popitem(last=False)
    return found


def forget() -> None:
    """Drop every remembered reference."""
    _remembered.clear()
