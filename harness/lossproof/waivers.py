"""Waivers: findings that are known and accepted, each with a reason, a scope and an expiry date."""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lossproof import builtin
from lossproof.checks.answers import point_of
from lossproof.errors import Place, UsageError
from lossproof.expression import primitives as p
from lossproof.inputs.case import Array, Case
from lossproof.oracle.arb_tier import ArbArithmetic
from lossproof.oracle.certified import exact_bindings
from lossproof.oracle.evaluate import evaluate
from lossproof.spec import graph
from lossproof.spec.model import Spec


class Waiver(BaseModel):
    """One accepted defect.

    checks: names, with `*` as in file names. where: an expression over the spec's inputs and parameters, true where the
    defect shows; rows where it is false are judged as ever. bits: the most bits lost that are accepted, None
    for any. case: the minimal case, for the reader.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    implementation: str
    loss: str
    checks: tuple[str, ...]
    dtypes: tuple[str, ...] | None = None
    where: str | None = None
    bits: float | None = None
    reason: str
    link: str | None = None
    since: datetime.date
    expires: datetime.date
    case: dict[str, Any] = Field(default_factory=dict)

    @property
    def in_force(self) -> bool:
        """Whether it has not expired."""
        return datetime.date.today() <= self.expires

    def covers(self, implementation: str, loss: str, check: str, dtype: str) -> bool:
        """Whether the waiver is about this implementation, loss, check and dtype, and is in force."""
        return (
            self.implementation == implementation
            and self.loss == loss
            and any(fnmatch.fnmatchcase(check, pattern) for pattern in self.checks)
            and (self.dtypes is None or dtype in self.dtypes)
            and self.in_force
        )

    def accepts(self, bits: float | None) -> bool:
        return self.bits is None or (bits is not None and bits <= self.bits)


def load(path: Path) -> list[Waiver]:
    """The waivers of a YAML file (a list). Raises UsageError with the place."""
    try:
        entries = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or []
        if not isinstance(entries, list):
            raise UsageError("a file of waivers is a list", Place(str(path), 1))
        return [Waiver.model_validate(entry) for entry in entries]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"waiver {where}: {first['msg']}", Place(str(path))) from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = Place(str(path), mark.line + 1, mark.column + 1) if mark else Place(str(path))
        raise UsageError(f"not YAML: {getattr(error, 'problem', error)}", place) from None


def bundled() -> list[Waiver]:
    """The waivers of the bundled adapters: real defects of the libraries that they bind."""
    path = builtin.content("adapters") / "waivers.yaml"
    return load(path) if path.is_file() else []


def covering(
    waivers: Iterable[Waiver], implementation: str, loss: str, check: str, dtype: str
) -> list[Waiver]:
    return [w for w in waivers if w.covers(implementation, loss, check, dtype)]


def without(case: Case, spec: Spec, waivers: Iterable[Waiver], called: Case | None = None) -> Case | None:
    """The rows of a case to which no waiver applies; None where nothing is left.

    Where rows are coupled, or a waiver has no `where`, the case goes as a whole. called: the case with all the rows of
    the call, of which a `where` speaks that is about the rows together.
    """
    keep: Array | None = None
    for waiver in waivers:
        if waiver.where is None:
            return None
        shown = _shown(waiver.where, case, spec)
        if called is not None and called is not case and _rows(shown, spec) is None:
            shown = _shown(waiver.where, called, spec)
        if not shown.any():
            continue
        rows = _rows(shown, spec)
        if rows is None:
            return None
        keep = ~rows if keep is None else keep & ~rows
    if keep is None:
        return case
    return _keep_rows(case, spec, keep) if keep.any() else None


def _shown(where: str, case: Case, spec: Spec) -> Array:
    statics = graph.statics_of(spec, case.parameters)
    node = graph.condition(spec, statics, where)
    point = point_of(spec, case)
    if spec.independent is not None:
        lost = tuple(i for i, size in enumerate(node.shape) if size.name != spec.independent)
        node = p.reduce("any", node, lost) if lost else node
    (value,) = evaluate([node], ArbArithmetic(), exact_bindings(point))
    # what cannot be told (a nan) is no sign of the defect
    return np.asarray(np.equal(np.asarray(value, dtype=object), True), dtype=bool)


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
