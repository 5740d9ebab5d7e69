"""The laws of a cell: in stacks where a law speaks of each row by itself, else case by case."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from lossproof.audit.ledger import Ledger, Row
from lossproof.audit.observe import raised
from lossproof.audit.results import Verdict
from lossproof.checks import laws
from lossproof.checks.cell import Cell
from lossproof.checks.observation import Observation
from lossproof.checks.row_wise import row_wise
from lossproof.errors import ImplementationError
from lossproof.inputs import Case
from lossproof.inputs.filling import called
from lossproof.inputs.stack import Stack, stack
from lossproof.spec import graph
from lossproof.spec.model import Spec

ENOUGH = 4
"""So many cases on which a law fails settle it; each is worked out in balls, one by one."""


@contextmanager
def as_called(row: Row, spec: Spec, pool: tuple[int, ...], law: str | None = None) -> Iterator[None]:
    """Failures that are written down inside are those of the cases as they were called: filled up, if there is a pool.

    So they are shown, and cut down from there, even if it takes so many rows to see them.
    """
    failed, waived = len(row.failed), len(row.waived)
    yield
    if pool:
        row.failed[failed:] = [(called(spec, case, pool, law), seen) for case, seen in row.failed[failed:]]
        row.waived[waived:] = [
            (called(spec, case, pool, law), seen, waiver) for case, seen, waiver in row.waived[waived:]
        ]


def examine_law(cell: Cell, ledger: Ledger, name: str, cases: Sequence[Case], pool: tuple[int, ...]) -> None:
    """Writes down what a law says at cases, until it has failed at ENOUGH of them. What does not pass in a stack goes
    alone, and so is told as ever.

    pool: the numbers of rows to which calls are filled up.
    """
    spec = cell.spec
    by_rows: list[Case] = []
    coupled: list[Case] = []
    for case in cases:
        statics = graph.statics_of(spec, case.parameters)
        (by_rows if row_wise(spec, name, statics) else coupled).append(case)
    stacks, unfit = stack(spec, by_rows, pool, name)
    row = ledger.row(laws.PREFIX + name)
    for stacked in stacks:
        if len(row.failed) < ENOUGH:
            _together(replace(cell, pool=pool), ledger, name, stacked)
    for case in (*unfit, *coupled):
        if len(row.failed) < ENOUGH:
            _alone(cell, ledger, name, case)


def _alone(
    cell: Cell, ledger: Ledger, name: str, case: Case, seen: Observation | None = None
) -> Observation | None:
    """A law at one case. seen: what is known of it."""
    check = laws.PREFIX + name
    row = ledger.row(check)

    def look(other: Case) -> Observation:
        return seen if seen is not None and other is case else laws.observe(cell, name, other)

    with as_called(row, cell.spec, cell.pool, name):
        return ledger.note(row, check, case, look, lambda other: called(cell.spec, other, cell.pool, name))


def _together(cell: Cell, ledger: Ledger, name: str, stacked: Stack) -> None:
    check = laws.PREFIX + name
    try:
        seen = laws.observe(cell, name, stacked.case)
    except ImplementationError as error:
        seen = raised(cell, check, error)
    if seen.verdict is not Verdict.SKIP and not ledger.blames(seen):
        ledger.row(check).observations.append(seen)
        return
    alone: list[Observation | None] = []
    for case, _ in stacked.members:
        if len(ledger.row(check).failed) >= ENOUGH:
            return
        alone.append(_alone(cell, ledger, name, case))
        if seen.verdict is Verdict.SKIP and alone[0] is not None and alone[0].reason == seen.reason:
            return  # what the law asks cannot be had, in whatever company
    if seen.verdict is Verdict.SKIP or any(map(ledger.blames, alone)):
        return
    if seen.bits is None or math.isfinite(seen.bits):
        # It fails in company alone: the failing case is the whole stack. Not for a nan or inf, of which a law cannot
        # tell that it stands in another row than what it speaks about; accuracy tells it.
        _alone(cell, ledger, name, stacked.case, seen)
