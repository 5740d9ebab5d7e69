"""The rows of a case to which no waiver applies."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from lossproof.checks.answers import point_of
from lossproof.errors import ExpressionError
from lossproof.expression import primitives as p
from lossproof.inputs.case import Array, Case
from lossproof.oracle.arb_tier import ArbArithmetic
from lossproof.oracle.certified import exact_bindings
from lossproof.oracle.evaluate import evaluate
from lossproof.spec import graph
from lossproof.spec.model import Spec
from lossproof.waivers.model import Waiver


def without(case: Case, spec: Spec, waivers: Iterable[Waiver], called: Case | None = None) -> Case | None:
    """The rows of a case to which no waiver applies; None where nothing is left.

    Where rows are coupled, or a waiver has no `where`, the case goes as a whole. called: the case with all the rows of
    the call, of which a `where` speaks that is about the rows together.
    """
    keep: Array | None = None
    for waiver in waivers:
        if waiver.where is None:
            return None
        shown = _shown(waiver, waiver.where, case, spec)
        if called is not None and called is not case and _rows(shown, spec) is None:
            shown = _shown(waiver, waiver.where, called, spec)
        if not shown.any():
            continue
        rows = _rows(shown, spec)
        if rows is None:
            return None
        keep = ~rows if keep is None else keep & ~rows
    if keep is None:
        return case
    return _keep_rows(case, spec, keep) if keep.any() else None


def _shown(waiver: Waiver, where: str, case: Case, spec: Spec) -> Array:
    statics = graph.statics_of(spec, case.parameters)
    try:
        node = graph.condition(spec, statics, where)
    except ExpressionError as error:
        raise waiver.misread(error) from None
    point = point_of(spec, case)
    if spec.independent is not None:
        lost = tuple(i for i, size in enumerate(node.shape) if size.name != spec.independent)
        node = p.reduce("any", node, lost) if lost else node
    (value,) = evaluate([node], _OfInputs(), exact_bindings(point))
    # what cannot be told (a comparison with a nan) is no sign of the defect
    return np.asarray(np.equal(np.asarray(value, dtype=object), True), dtype=bool)


class _OfInputs(ArbArithmetic):
    """The arithmetic of a `where`, which looks at inputs alone: a nan there is an input that is not finite."""

    def isfinite(self, x: Array) -> Array:
        return np.equal(super().isfinite(x), True)


def _rows(shown: Array, spec: Spec) -> Array | None:
    return shown if spec.independent is not None and shown.ndim == 1 else None


def _keep_rows(case: Case, spec: Spec, keep: Array) -> Case:
    inputs = dict(case.inputs)
    for name, declared in spec.inputs.items():
        if spec.independent in declared.shape:
            inputs[name] = np.compress(keep, inputs[name], declared.shape.index(spec.independent))
    variables = dict(case.variables)
    for name, array in variables.items():
        if array.ndim and array.shape[0] == len(keep):
            variables[name] = array[keep]
    return replace(case, inputs=inputs, variables=variables)
