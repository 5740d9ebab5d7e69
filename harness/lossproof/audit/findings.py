"""From a failed check at its minimal case to a finding."""

from __future__ import annotations

import hashlib
from typing import Any

from lossproof.audit.encoding import encode, encode_parameter
from lossproof.audit.results import Diagnosis, Finding, Verdict
from lossproof.audit.snippet import snippet
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Cell, Trial
from lossproof.diagnosis import Breakdown
from lossproof.inputs.case import Case


def identity(cell: Cell, check: str) -> str:
    """A short name of what fails where, the same from run to run."""
    parts = (
        cell.implementation.name,
        cell.spec.loss,
        cell.framework.name,
        cell.device,
        cell.mode,
        cell.dtype,
        check,
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def finding(
    cell: Cell,
    check: str,
    case: Case,
    observation: Observation,
    waiver: str | None,
    diagnosis: Diagnosis,
    breakdown: Breakdown | None = None,
) -> Finding:
    """The finding of a check that failed at a case."""
    trial = Trial(cell, case)
    return Finding(
        id=identity(cell, check),
        loss=cell.spec.loss,
        implementation=cell.implementation.name,
        framework=cell.framework.name,
        device=cell.device,
        mode=cell.mode,
        check=check,
        dtype=cell.dtype,
        regime=case.regime,
        verdict=Verdict.WAIVED if waiver else observation.verdict,
        inputs={name: encode(array) for name, array in case.inputs.items()},
        parameters={name: encode_parameter(value) for name, value in case.parameters.items()},
        variables={name: encode(array) for name, array in case.variables.items()},
        cotangent=encode(trial.cotangent) if observation.quantity.startswith(("gradient", "Σ")) else None,
        quantity=observation.quantity,
        expected=_encoded(observation.expected),
        attainable=_encoded(observation.attainable),
        got=_encoded(observation.got),
        bits_lost=observation.bits,
        reason=observation.reason or "",
        diagnosis=diagnosis,
        snippet=snippet(cell, check, case, observation.quantity),
        target=cell.implementation.target,
        spec=cell.implementation.spec,
        waiver=waiver,
        breakdown=breakdown,
    )


def _encoded(array: Any) -> Any:
    return None if array is None else encode(array)
