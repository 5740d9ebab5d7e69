"""The user's waivers, applied to what a run found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from lossproof import waivers
from lossproof.audit.results import Result, Run, Verdict
from lossproof.errors import Place, UsageError
from lossproof.waivers import Waiver

_BAD = (Verdict.FAIL, Verdict.ERROR)


def load(files: Iterable[Path]) -> list[Waiver]:
    """The waivers of these files. Raises UsageError with the place."""
    found = []
    for path in files:
        for waiver in waivers.load(path):
            if waiver.where is not None:
                raise UsageError(
                    f"waiver of {waiver.implementation}: 'where' is for bundled adapters", Place(str(path))
                )
            found.append(waiver)
    return found


def waived(run: Run, accepted: Sequence[Waiver]) -> Run:
    """The run with the verdict `waived` on what a waiver in force accepts; a finding, where all its rows are."""
    if not accepted:
        return run
    results = [_waived(row, accepted) for row in run.results]
    open_still = {row.finding for row in results if row.verdict in _BAD}
    reasons = {row.finding: row.reason for row in results if row.verdict is Verdict.WAIVED}
    findings = [
        replace(each, verdict=Verdict.WAIVED, waiver=reasons[each.id])
        if each.id in reasons and each.id not in open_still
        else each
        for each in run.findings
    ]
    return replace(run, results=results, findings=findings)


def _waived(row: Result, accepted: Sequence[Waiver]) -> Result:
    if row.verdict not in _BAD:
        return row
    for waiver in waivers.covering(accepted, row.implementation, row.loss, row.check, row.dtype):
        if waiver.accepts(row.bits_lost):
            return replace(row, verdict=Verdict.WAIVED, reason=waiver.reason)
    return row
