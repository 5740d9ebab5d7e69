"""Which limit of the format a result meets that is right up to a magnitude and nan or inf beyond it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.checks import answers
from lossproof.diagnosis.derivatives import shown
from lossproof.diagnosis.samples import Facet
from lossproof.diagnosis.spot import Spot
from lossproof.errors import ExpressionError
from lossproof.expression import primitives as p
from lossproof.expression.node import Node, topological
from lossproof.floats import FORMATS, Format
from lossproof.inputs.case import Case
from lossproof.oracle.reference import references
from lossproof.spec import graph

EXPONENTIATED = ("exp", "expm1", "softplus", "sigmoid", "log_sigmoid", "logsumexp", "softmax", "log_softmax")
"""Operations that code without care computes by an exponential of their argument."""

Magnitude = tuple[str, float]


def limit_passed(
    facet: Facet, spot: Spot, good: Case, first: float, passed: Iterable[Magnitude]
) -> Diagnosis | None:
    """The limit at which a right result, of the case `good`, turns into `first`, which is nan or inf.

    passed: magnitudes of the case. Where none of them stands at a limit, those of the definition's steps are asked.
    """
    fmt = FORMATS[facet.cell.dtype]
    passed = list(passed)
    plain = [each for each in passed if " / " not in each[0] and " · " not in each[0]]
    sample = facet.sample(good)
    value = [("a value of", abs(spot.truth(sample)))] if sample is not None and spot.name == "value" else []
    for magnitudes, limits in (
        (passed, (*_exponentials(fmt), *_largest(fmt))),
        (value, tuple(_exponentials(fmt))),
        (_steps(facet, good, spot), tuple(_exponentials(fmt))),
        (plain, tuple(_complement(fmt))),
    ):
        for text, size in magnitudes:
            for kind, reason, least, most in limits:
                if least <= size <= most:
                    return Diagnosis(
                        kind, f"{spot.told} is right up to {text} {size:.4g} and {first:.6g} beyond: {reason}"
                    )
    return None


def _exponentials(fmt: Format) -> Iterator[tuple[str, str, float, float]]:
    """Kind, reason, and between which magnitudes."""
    top = math.log(fmt.largest)
    yield "overflows", f"exp overflows at {top:.1f}, no maximum is subtracted", top - 0.9, top * 1.003
    bottom = -math.log(fmt.smallest_subnormal)
    yield "underflows", f"exp underflows to 0 at {bottom:.1f}", bottom - 1.2, bottom + 1.2
    half = f"its square's exponential overflows at {top / 2:.1f}"
    yield "overflows", half, top / 2 * 0.997, top / 2 * 1.003


def _complement(fmt: Format) -> Iterator[tuple[str, str, float, float]]:
    one = -math.log(fmt.unit_roundoff)
    yield "cancels", f"from {one:.1f} on a probability rounds to 1, and 1 less it to 0", one - 0.4, one + 1.1


def _largest(fmt: Format) -> Iterator[tuple[str, str, float, float]]:
    root = math.sqrt(fmt.largest)
    yield "overflows", f"a square overflows at {root:.3g}", root / 4, root * 1.01
    yield "overflows", f"the largest number is {fmt.largest:.3g}", fmt.largest / 16, fmt.largest * 1.01


def _steps(facet: Facet, case: Case, spot: Spot) -> Iterator[Magnitude]:
    """How large the exponents in the definition are, and how far apart."""
    spec = facet.cell.spec
    whole = p.real(graph.definition(spec, graph.statics_of(spec, case.parameters)))
    nodes: dict[Node, None] = {}
    for node in topological([whole]):
        if node.op in EXPONENTIATED and node.args[0].op not in ("input", "constant"):
            nodes[node.args[0]] = None
    try:
        point = replace(answers.point_of(spec, case), rows=None)
        found = references(list(nodes), point, facet.cell.working, facet.cell.flush)
    except (ExpressionError, ArithmeticError, IndexError):
        return
    for node, each in zip(nodes, found, strict=True):
        array = each.middle.astype(np.float64)
        if spot.place and array.ndim and array.shape[0] > spot.place[0]:
            array = array[spot.place[0]][None]
        array = np.where(np.isfinite(array), array, np.nan)
        if np.isnan(array).all():
            continue
        yield f"{shown(node)} of", float(np.nanmax(np.abs(array)))
        if array.ndim > 1:
            rows = array[~np.isnan(array).all(axis=-1)]
            yield f"a gap in {shown(node)} of", float(np.nanmax(np.nanmax(rows, -1) - np.nanmin(rows, -1)))
