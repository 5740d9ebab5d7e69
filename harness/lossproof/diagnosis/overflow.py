"""Which limit of the format a result meets that is right up to a magnitude and nan or inf beyond it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.checks import answers
from lossproof.diagnosis.magnitudes import until
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

SHIFTED = frozenset({"logsumexp", "softmax", "log_softmax"})
"""Those in which code with care subtracts the maximum."""

LOGARITHM = "−log "
"""With which a magnitude of probabilities begins."""

Magnitude = tuple[str, float]


def limit_passed(
    facet: Facet, spot: Spot, good: Case, first: float, passed: Iterable[Magnitude]
) -> Diagnosis | None:
    """The limit at which a right result, of the case `good`, turns into `first`, which is nan or inf.

    passed: magnitudes of the case. Where none of them stands at a limit, those of the definition's steps are asked.
    """
    fmt = FORMATS[facet.cell.dtype]
    exponentials = tuple(_exponentials(fmt, shifted=_shifted(facet, good)))
    passed = list(passed)
    plain = [each for each in passed if " / " not in each[0] and " · " not in each[0]]
    small = [
        (text.removeprefix(LOGARITHM).removesuffix(" of"), math.exp(-size))
        for text, size in plain
        if text.startswith(LOGARITHM)
    ]
    sample = facet.sample(good)
    value = [("a value of", abs(spot.truth(sample)))] if sample is not None and spot.name == "value" else []
    for magnitudes, limits in (
        (passed, (*exponentials, *_largest(fmt))),
        (value, exponentials),
        (steps(facet, good, spot), exponentials),
        (passed, tuple(_squared(fmt))),
        ([] if math.isnan(first) else plain, tuple(_complement(fmt))),
        (small if facet.gradient else [], tuple(_reciprocal(fmt))),
    ):
        for text, size in magnitudes:
            for kind, reason, least, most in limits:
                if least <= abs(size) <= most:
                    shown = f"down to {text} {size:.4g}" if magnitudes is small else until(text, size)
                    return Diagnosis(
                        kind,
                        f"{spot.told} is right {shown} and {first:.6g} beyond: {reason}",
                    )
    return None


def _shifted(facet: Facet, case: Case) -> bool:
    """Whether there is a maximum to subtract."""
    whole = _definition(facet, case)
    return any(node.op in SHIFTED for node in topological([whole]))


def _definition(facet: Facet, case: Case) -> Node:
    spec = facet.cell.spec
    return p.real(graph.definition(spec, graph.statics_of(spec, case.parameters)))


def _exponentials(fmt: Format, *, shifted: bool) -> Iterator[tuple[str, str, float, float]]:
    """Kind, reason, and between which magnitudes."""
    top = math.log(fmt.largest)
    lacking = ", no maximum is subtracted" if shifted else ""
    yield "overflows", f"exp overflows at {top:.1f}{lacking}", top - 0.9, top * 1.003
    bottom = -math.log(fmt.smallest_subnormal)
    yield "underflows", f"exp underflows to 0 at −{bottom:.1f}", bottom - 1.2, bottom + 1.2


def _squared(fmt: Format) -> Iterator[tuple[str, str, float, float]]:
    half = math.log(fmt.largest) / 2
    yield "overflows", f"its square's exponential overflows at {half:.1f}", half * 0.997, half * 1.003


def _reciprocal(fmt: Format) -> Iterator[tuple[str, str, float, float]]:
    """Of probabilities: half of one is as near to the limit, and so is one whose square is the smallest number."""
    root = fmt.largest**-0.5
    reason = f"the reciprocal of a square overflows below {root:.3g}"
    yield "overflows", reason, fmt.smallest_subnormal**0.5 / 2, root * 4


def _complement(fmt: Format) -> Iterator[tuple[str, str, float, float]]:
    one = -math.log(fmt.unit_roundoff)
    yield "cancels", f"from {one:.1f} on a probability rounds to 1, and 1 less it to 0", one - 0.4, one + 1.1


def _largest(fmt: Format) -> Iterator[tuple[str, str, float, float]]:
    root = math.sqrt(fmt.largest)
    yield "overflows", f"a square overflows at {root:.3g}", root / 4, root * 1.01
    yield "overflows", f"the largest number is {fmt.largest:.3g}", fmt.largest / 16, fmt.largest * 1.01


def steps(facet: Facet, case: Case, spot: Spot) -> Iterator[Magnitude]:
    """How large the exponents in the definition are, and how far apart."""
    spec = facet.cell.spec
    nodes: dict[Node, None] = {}
    for node in topological([_definition(facet, case)]):
        if node.op in EXPONENTIATED:
            nodes |= dict.fromkeys(_exponents(node.args[0]))
    try:
        point = replace(answers.point_of(spec, case), rows=None)
        found = references(list(nodes), point, facet.cell.working, facet.cell.flush)
    except (ExpressionError, ArithmeticError, IndexError):
        return
    for each in found:
        array = each.middle.astype(np.float64)
        if spot.place and array.ndim and array.shape[0] > spot.place[0]:
            array = array[spot.place[0]][None]
        array = np.where(np.isfinite(array), array, np.nan)
        if np.isnan(array).all():
            continue
        yield "an exponent of", float(np.nanmax(np.abs(array)))
        if array.ndim > 1:
            rows = array[~np.isnan(array).all(axis=-1)]
            yield "a gap of exponents of", float(np.nanmax(np.nanmax(rows, -1) - np.nanmin(rows, -1)))


def _exponents(node: Node) -> Iterator[Node]:
    """What is exponentiated, and what it is where code masks it only afterwards; no inputs, which have names."""
    if node.op in ("input", "constant"):
        return
    yield node
    if node.op in ("where", "concat", "real"):
        for arg in node.args:
            if arg.kind == "real":
                yield from _exponents(arg)
