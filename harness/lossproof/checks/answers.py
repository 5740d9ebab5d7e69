"""References remembered: every implementation that meets the same case asks the oracle the same question."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np

from lossproof.floats import FORMATS, Format
from lossproof.inputs.case import Array, Case
from lossproof.oracle.law import bind_dimensions
from lossproof.oracle.reference import Evaluation, Point, Reference, references
from lossproof.oracle.unread import unread
from lossproof.spec import graph
from lossproof.spec.model import Spec

_KEPT = 20_000
"""References; a cell of the standard profile asks for some hundreds."""

_LARGEST = 2**20
"""Bytes of inputs above which an answer is not remembered: such a case is met by few, and costs more to keep."""

_remembered: OrderedDict[Any, Any] = OrderedDict()
_latest: tuple[tuple[Any, ...], Evaluation] | None = None


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
    rows = spec.independent if spec.independent in output_names(spec, case) else None
    return Point(
        arrays | dict(extra or {}), numbers, dimensions, FORMATS[case.dtype], rows, _void(spec, case, rows)
    )


def _void(spec: Spec, case: Case, rows: str | None) -> Array | None:
    """Which results nobody will judge, because they depend on a nan or +inf, which no domain allows.

    A mask of rows, of no dimensions where it concerns all of them; None for no result.
    """
    found: Array | None = None
    for name, declared in spec.inputs.items():
        bad = _illegal(spec, case, name) if declared.is_real else None
        if bad is None:
            continue
        if rows is None or rows not in declared.shape:
            return np.array(True)
        place = declared.shape.index(rows)
        here = np.asarray(bad.any(axis=tuple(i for i in range(bad.ndim) if i != place)))
        found = here if found is None else found | here
    return found


def _illegal(spec: Spec, case: Case, name: str) -> Array | None:
    """Entries of a real input that are nan or +inf and may not be; None where there are none."""
    array = case.inputs[name]
    if array.dtype.isbuiltin != 1:  # bfloat16
        array = array.astype(np.float64)
    if np.maximum.reduce(array, axis=None, initial=-np.inf) < np.inf:
        return None
    bad = np.asarray(np.isnan(array) | (array == np.inf))
    free = unread(spec, name, case.inputs, case.parameters)
    bad = bad if free is None else bad & ~free
    return bad if bad.any() else None


def output_names(spec: Spec, case: Case) -> list[str | None]:
    """The names of the dimensions of the result at a case; None for a size that has none."""
    statics = graph.statics_of(spec, case.parameters)
    return [size.name for size in graph.definition(spec, statics).shape]


def value_reference(spec: Spec, case: Case, working: Format, flush: bool) -> Reference:
    """Truth and attainable error of the loss at a case."""

    def ask() -> Reference:
        statics = graph.statics_of(spec, case.parameters)
        evaluation = _evaluation(spec, case, working, flush)
        return evaluation.references([graph.definition(spec, statics)])[0]

    return _remember("value", spec, case, working, flush, None, ask)  # type: ignore[no-any-return]


def gradient_references(
    spec: Spec, case: Case, cotangent: Array, working: Format, flush: bool
) -> dict[str, Reference]:
    """Truth and attainable error of the vector–Jacobian product, for each differentiable input."""

    def ask() -> dict[str, Reference]:
        nodes = graph.gradient(spec, graph.statics_of(spec, case.parameters))
        if not nodes:
            return {}
        evaluation = _evaluation(spec, case, working, flush)
        found = evaluation.references(list(nodes.values()), {graph.COTANGENT: cotangent})
        return dict(zip(nodes, found, strict=True))

    return _remember("gradient", spec, case, working, flush, cotangent, ask)  # type: ignore[no-any-return]


def _evaluation(spec: Spec, case: Case, working: Format, flush: bool) -> Evaluation:
    """The evaluation at a case: value and gradient, asked one after the other, share what they have in common."""
    global _latest
    key = (spec, case, working, flush)
    if _latest is not None and all(a is b for a, b in zip(_latest[0], key, strict=True)):
        return _latest[1]
    if _latest is not None:
        _latest[1].release()
    statics = graph.statics_of(spec, case.parameters)
    excuses = {name: graph.aside(spec, statics, text) for name, text in spec.excuse.items()}
    _latest = key, Evaluation(point_of(spec, case), working, flush, excuses)
    return _latest[1]


def slack(spec: Spec, case: Case, wrt: str | None = None) -> Array | float:
    """The spec's slack as an absolute error: 8 roundoffs of its expression.

    wrt: the input in whose gradient it is, and to whose shape it broadcasts; None for the value.
    """
    text = spec.slack.value if wrt is None else spec.slack.of_gradient(wrt)
    if text is None:
        return 0.0
    statics = graph.statics_of(spec, case.parameters)
    storage = FORMATS[case.dtype]
    (reference,) = references([graph.aside(spec, statics, str(text))], point_of(spec, case), storage)
    return np.asarray(8 * storage.unit_roundoff * np.nan_to_num(np.abs(reference.expected)))


def _remember(
    kind: str, spec: Spec, case: Case, working: Format, flush: bool, cotangent: Array | None, ask: Any
) -> Any:
    if sum(array.nbytes for array in case.inputs.values()) > _LARGEST:
        return ask()
    arrays = tuple(case.inputs.values()) if cotangent is None else (*case.inputs.values(), cotangent)
    numbers = tuple(
        (name, (value.shape, value.tobytes()) if isinstance(value, np.ndarray) else (type(value), value))
        for name, value in case.parameters.items()
    )
    key = _Asked((kind, id(spec), case.dtype, numbers, working.name, flush), arrays)
    if key in _remembered:
        _remembered.move_to_end(key)
        return _remembered[key]
    found = _remembered[key] = ask()
    if len(_remembered) > _KEPT:
        _remembered.popitem(last=False)
    return found


class _Asked:
    """What was asked: equal to another where words and arrays are, bit by bit.

    The hash looks at some entries of each array alone: over all of them it took as long as a call of the
    implementation.
    """

    __slots__ = ("_arrays", "_hash", "_words")

    def __init__(self, words: tuple[Any, ...], arrays: tuple[Array, ...]) -> None:
        self._words, self._arrays = words, arrays
        some = [(a.shape, a.dtype.str, a.ravel()[:: a.size // 64 + 1].tobytes()) for a in arrays]
        self._hash = hash((words, *some))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Asked)
            and self._words == other._words
            and len(self._arrays) == len(other._arrays)
            and all(map(_same, self._arrays, other._arrays))
        )


def _same(a: Array, b: Array) -> bool:
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes())


def forget() -> None:
    """Drop every remembered reference."""
    global _latest
    _remembered.clear()
    _latest = None
