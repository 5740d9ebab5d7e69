"""Several runs as one, in the order of a single one."""

from __future__ import annotations

from collections.abc import Sequence

import lossproof
from lossproof.audit.environment import environment
from lossproof.audit.results import Finding, Result, Run, StabilityMap, Tolerance


def ordered(run: Run) -> Run:
    """The run, with all that it holds sorted, so that equal runs are equal files."""
    run.results.sort(key=_of_row)
    run.findings.sort(key=_of_finding)
    run.implementations.sort(key=lambda each: (each.loss, each.implementation, each.framework))
    run.tolerances.sort(key=_of_tolerance)
    run.planes.sort(key=lambda plane: plane.loss)
    run.maps.sort(key=_of_map)
    return run


def merged(runs: Sequence[Run], seed: int, profile: str) -> Run:
    """Runs of the same seed and profile as one. What several of them found alike is there once."""
    whole = Run(lossproof.__version__, seed, profile, runs[0].environment if runs else environment())
    findings: dict[str, list[Finding]] = {}
    tolerances: dict[tuple[str, ...], Tolerance] = {}
    maps: dict[tuple[str, ...], StabilityMap] = {}
    for run in runs:
        whole.results += run.results
        whole.problems += (each for each in run.problems if each not in whole.problems)
        whole.seconds += run.seconds
        whole.cells += run.cells
        whole.cached += run.cached
        whole.implementations += (each for each in run.implementations if each not in whole.implementations)
        tolerances |= {_of_tolerance(each): each for each in run.tolerances}
        maps |= {_of_map(each): each for each in run.maps}
        whole.planes += (each for each in run.planes if each not in whole.planes)
        for finding in run.findings:
            same = findings.setdefault(finding.id, [])
            if finding not in same:
                same.append(finding)
    whole.tolerances, whole.maps = list(tolerances.values()), list(maps.values())
    # a row may hold what it met at its worst, which has no hash
    whole.results = list({repr(row): row for row in whole.results}.values())
    whole.findings = [finding for same in findings.values() for finding in same]
    return ordered(whole)


def _of_row(row: Result) -> tuple[str, ...]:
    cell = (row.loss, row.implementation, row.framework, row.device, row.mode, row.dtype)
    return (*cell, row.check, row.regime or "")


def _of_finding(finding: Finding) -> tuple[str, ...]:
    cell = (finding.loss, finding.implementation, finding.framework, finding.device, finding.mode)
    return (*cell, finding.dtype, finding.check)


def _of_tolerance(each: Tolerance) -> tuple[str, ...]:
    cell = (each.loss, each.implementation, each.framework, each.device, each.mode, each.dtype)
    return (*cell, each.quantity, each.regime)


def _of_map(each: StabilityMap) -> tuple[str, ...]:
    cell = (each.loss, each.implementation, each.framework, each.device, each.mode, each.dtype)
    return (*cell, each.quantity)
