"""The laws of a cell: in stacks where a law speaks of each row by itself, else case by case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lossproof.audit.ledger import Ledger
from lossproof.audit.observe import raised
from lossproof.audit.results import Verdict
from lossproof.checks import laws
from lossproof.checks.cell import Cell
from lossproof.checks.observation import Observation
from lossproof.checks.row_wise import row_wise
from lossproof.errors import ImplementationError
from lossproof.inputs import Case
from lossproof.inputs.filling import Filling
from lossproof.inputs.rows import rows_of
from lossproof.inputs.stack import Stack, stack
from lossproof.spec import graph

BLAMED = (Verdict.FAIL, Verdict.ERROR, Verdict.WAIVED)


def examine_law(cell: Cell, ledger: Ledger, name: str, cases: Sequence[Case], pool: tuple[int, ...]) -> None:
    """Writes down what a law says at cases. What does not pass in a stack goes alone, and so is told as ever.

    pool: the numbers of rows to which the calls for stacks are filled up.
    """
    spec = cell.spec
    by_rows: list[Case] = []
    coupled: list[Case] = []
    for case in cases:
        statics = graph.statics_of(spec, case.parameters)
        (by_rows if row_wise(spec, name, statics) else coupled).append(case)
    stacks, unfit = stack(spec, by_rows, pool, name)
    for stacked in stacks:
        _together(cell, ledger, name, stacked, pool)
    for case in (*unfit, *coupled):
        _alone(cell, ledger, name, case)


def _alone(cell: Cell, ledger: Ledger, name: str, case: Case) -> Observation | None:
    check = laws.PREFIX + name
    return ledger.note(ledger.row(check), check, case, lambda c: laws.observe(cell, name, c))


def _together(cell: Cell, ledger: Ledger, name: str, stacked: Stack, pool: tuple[int, ...]) -> None:
    check = laws.PREFIX + name
    try:
        seen = laws.observe(replace(cell, pool=pool), name, stacked.case)
    except ImplementationError as error:
        seen = raised(cell, check, error)
    if seen.verdict in (Verdict.PASS, Verdict.DEGRADED):
        ledger.row(check).observations.append(seen)
        return
    alone = []
    for case, _ in stacked.members:
        alone.append(_alone(cell, ledger, name, case))
        if seen.verdict is Verdict.SKIP and alone[0] is not None and alone[0].reason == seen.reason:
            return  # what the law asks cannot be had, in whatever company
    if seen.verdict is Verdict.SKIP or any(each is not None and each.verdict in BLAMED for each in alone):
        return
    # it fails in company alone: the failing case is the whole stack, as it was called
    rows = rows_of(cell.spec, graph.statics_of(cell.spec, stacked.case.parameters), name)
    assert rows is not None
    whole = Filling(stacked.case, rows, pool).case
    ledger.note(
        ledger.row(check), check, whole, lambda c: seen if c is whole else laws.observe(cell, name, c)
    )
