"""Run a finding again: the same case, from a file of results."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lossproof.audit.encoding import decode, encode
from lossproof.audit.observe import observe
from lossproof.audit.results import Finding, Verdict
from lossproof.audit.worker import siblings_of
from lossproof.checks import laws
from lossproof.checks.trial import Cell
from lossproof.errors import UsageError, suggest
from lossproof.frameworks import framework
from lossproof.implementation import Implementation, bind_target, discover, importable, whole
from lossproof.inputs.case import Array, Case
from lossproof.spec import library
from lossproof.spec.graph import kind_of
from lossproof.spec.model import Domain, Spec


@dataclass(frozen=True)
class Replayed:
    """A finding and what came of it now; got is encoded as in the finding."""

    finding: Finding
    verdict: Verdict
    reason: str
    got: Any


def replay(findings: list[Finding], finding_id: str | None, path: Path) -> list[Replayed]:
    """Run the findings of a file again, or the one of that id.

    Raises UsageError for an unknown id. An implementation that is no longer there, or a device that is missing,
    gives a skip with its reason.
    """
    if finding_id is not None:
        chosen = [f for f in findings if f.id == finding_id]
        if not chosen:
            raise UsageError(
                f"no finding '{finding_id}' in {path}{suggest(finding_id, [f.id for f in findings])}"
            )
        findings = chosen
    return [_replay(finding) for finding in findings]


def _replay(finding: Finding) -> Replayed:
    implementation, siblings, reason = _find(finding)
    engine = framework(finding.framework)
    reason = reason or engine.missing() or engine.missing_device(finding.device)
    reason = reason or engine.missing_mode(finding.mode, finding.device)
    if reason is not None or implementation is None:
        return Replayed(finding, Verdict.SKIP, reason or "the implementation is no longer there", None)
    spec = library.get(finding.loss)
    cell = Cell(implementation, spec, engine, finding.device, finding.mode, finding.dtype, siblings)
    with importable(implementation.target):
        seen = observe(cell, finding.check, case_of(finding, spec))
    if seen is None:
        return Replayed(finding, Verdict.SKIP, "the check no longer applies to the case", None)
    got = None if seen.got is None else encode(seen.got)
    return Replayed(finding, seen.verdict, seen.reason or "", got)


def _find(finding: Finding) -> tuple[Implementation | None, dict[str, Implementation], str | None]:
    if not finding.target:
        return None, {}, "the implementation was defined in a running program and cannot be found again"
    everything, problems = discover(whole(finding.target))
    wanted = (finding.implementation, finding.loss, finding.framework)
    for each in everything:
        if (each.name, each.loss, each.framework) == wanted:
            return each, siblings_of(each, everything), None
    try:
        return bind_target(finding.target, finding.spec or finding.loss, finding.framework), {}, None
    except Exception as error:
        return None, {}, str(problems[0].message if problems else error)


def case_of(finding: Finding, spec: Spec) -> Case:
    """The case of a finding, bit by bit."""
    variables: dict[str, Array] = {}
    law = spec.laws.get(laws.law_of(finding.check) or "")
    for name, encoded in finding.variables.items():
        variable = law.forall.get(name) if law is not None else None
        domain = Domain.REAL if variable is None else variable.domain or Domain.REAL
        if variable is not None and variable.like is not None:
            domain = spec.inputs[variable.like].domain
        variables[name] = decode(encoded, _dtype(domain, finding.dtype))
    return Case(
        finding.loss,
        finding.dtype,
        finding.regime,
        {
            name: decode(e, _dtype(spec.inputs[name].domain, finding.dtype))
            for name, e in finding.inputs.items()
        },
        {name: _parameter(spec, name, e, finding.dtype) for name, e in finding.parameters.items()},
        variables,
    )


def _dtype(domain: Domain, dtype: str) -> str:
    return {"integer": "int64", "boolean": "bool", "real": dtype}[kind_of(domain)]


def _parameter(spec: Spec, name: str, encoded: Any, dtype: str) -> Any:
    parameter = spec.parameters[name]
    if isinstance(encoded, list):
        return decode(encoded, dtype)
    if parameter.kind == "number" and isinstance(encoded, str):
        return float(np.float64(float.fromhex(encoded)))
    return encoded
