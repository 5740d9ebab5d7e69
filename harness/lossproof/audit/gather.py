"""From the ledger of a cell to its rows and findings, each finding cut down to its minimal case."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from lossproof.audit.findings import finding, identity
from lossproof.audit.ledger import Ledger, Row, summary
from lossproof.audit.observe import observe
from lossproof.audit.results import Diagnosis, Finding, Result, Tolerance, Verdict
from lossproof.checks import accuracy, gradient, laws
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Cell
from lossproof.diagnosis import Inquiry, breakdown
from lossproof.inputs import Case, minimise
from lossproof.inputs.filling import called
from lossproof.inputs.stack import fits

BUDGET = {"eager": 200, "compiled": 40, "breakdown": 64}
"""How many calls a finding may cost to be cut down; compiled code compiles for every new shape.

So does eager code of a framework that compiles its operations, where rows cannot be filled up. breakdown: to find
where a finding of eager code sets in; one that is waived is known, and costs nothing.
"""

OF_WAIVED = 5
"""A waived finding, whose minimal case stands in the waiver, may cost so many times less."""


NOT_ASKED = Diagnosis(
    "unexplained", "waived, and not asked for where each operation compiles for each shape: see the waiver"
)
"""An inquiry takes some six shapes more, and the waiver says what is the matter."""


def results_of(ledger: Ledger, findings: dict[str, Finding]) -> list[Result]:
    """A result for each row of the ledger that saw anything."""
    return [
        _result(ledger, check, regime, row, findings)
        for (check, regime), row in ledger.rows.items()
        if row.observations
    ]


def _result(ledger: Ledger, check: str, regime: str | None, row: Row, findings: dict[str, Finding]) -> Result:
    cell, seen = ledger.cell, summary(row, ledger.blamed)
    key = identity(cell, check)
    return Result(
        loss=cell.spec.loss,
        implementation=cell.implementation.name,
        framework=cell.framework.name,
        device=cell.device,
        mode=cell.mode,
        dtype=cell.dtype,
        check=check,
        regime=regime,
        verdict=seen.verdict,
        cases=seen.cases,
        undecided=seen.undecided,
        bits_lost=seen.bits,
        reason=seen.reason,
        finding=key if key in findings and (row.failed or row.waived) else None,
    )


def tolerances_of(ledger: Ledger) -> list[Tolerance]:
    """The errors of values and gradients, by regime, where any were judged."""
    cell, quantities = ledger.cell, {accuracy.NAME: "value", gradient.NAME: "gradient"}
    return [
        Tolerance(
            cell.spec.loss, cell.implementation.name, cell.framework.name, cell.device, cell.mode, cell.dtype,
            quantities[check], regime, row.errors.counts, row.errors.fixed,
        )
        for (check, regime), row in ledger.rows.items()
        if row.errors is not None and regime is not None and row.errors.counts
    ]  # fmt: skip


def findings_of(ledger: Ledger, keep: set[str], pool: tuple[int, ...]) -> dict[str, Finding]:
    """One finding for each check of the cell that failed or was waived, by id.

    keep: parameters that stay as they are
    while a case is cut down. pool: the numbers of rows to which calls were filled up.
    """
    found: dict[str, Finding] = {}
    inquiry = Inquiry(ledger.cell, _failures(ledger))
    smaller = _Smaller(ledger, keep, pool)
    for check in dict.fromkeys(name for name, _ in ledger.rows):
        rows = [row for (name, _), row in ledger.rows.items() if name == check]
        failed = [each for row in rows for each in row.failed]
        waived = [each for row in rows for each in row.waived]
        if failed:
            # what fails is told before what is degraded, where that counts as well
            failed = [each for each in failed if each[1].verdict is not Verdict.DEGRADED] or failed
            # a wrong number says more than a nan or inf, where both are there
            chosen = next((each for each in failed if not _way(each[1])[1]), failed[0])
            if chosen is not failed[0] and not smaller.certified(check, *chosen):
                chosen = failed[0]  # of each row the first to fail is certified
            case, seen = smaller(check, *chosen, waived=False)
            seen = _with_worst(seen, [each for _, each in failed])
            waiver = None
        elif waived:
            first, seen, known = waived[0]
            case, seen = smaller(check, first, seen, waived=True)
            waiver = known.reason + (f" ({known.link})" if known.link else "")
        else:
            continue
        if waiver is not None and ledger.cell.framework.compiles_operations:
            diagnosis = NOT_ASKED
        else:
            diagnosis = inquiry.of(check, case, seen)
        wanted = ledger.cell.mode == "eager" and waiver is None and not case.variables
        calls = BUDGET["breakdown"] if wanted else 0
        point = breakdown(ledger.cell, check, case, seen, calls, diagnosis)
        found[identity(ledger.cell, check)] = finding(
            ledger.cell, check, case, seen, waiver, diagnosis, point
        )
    return found


def _failures(ledger: Ledger) -> dict[str, list[tuple[Case, Observation]]]:
    """By check, the cases on which it failed."""
    found: dict[str, list[tuple[Case, Observation]]] = {}
    for (check, _), row in ledger.rows.items():
        if row.failed:
            found.setdefault(check, []).extend(row.failed)
    return found


def _with_worst(seen: Observation, failed: list[Observation]) -> Observation:
    """The minimal case is the simplest, not the worst; its reason says how bad it gets elsewhere."""
    worst = max((each.bits for each in failed if each.bits is not None), default=None)
    if worst is None or seen.bits is None or worst <= seen.bits + 1:
        return seen
    lost = "nan or inf" if math.isinf(worst) else f"{worst:.1f} bits lost"
    return replace(seen, reason=f"{seen.reason} (at worst, on another input: {lost})")


class _Smaller:
    """Cuts cases down; remembers the small ones, since several checks often fail on the same."""

    def __init__(self, ledger: Ledger, keep: set[str], pool: tuple[int, ...]) -> None:
        self.ledger, self.keep = ledger, keep
        # most cases on the way are smaller ones to come: that the last one fails is certified
        self.near = replace(ledger.cell, certify=None)
        self.filled = replace(self.near, pool=pool)
        self.known: list[Case] = []

    def certified(self, check: str, case: Case, seen: Observation) -> bool:
        """Whether a check fails on a case as was seen, certified."""
        return _again(self.ledger.cell, check, case, seen) is not None

    def __call__(
        self, check: str, case: Case, seen: Observation, *, waived: bool
    ) -> tuple[Case, Observation]:
        """The smallest case found on which the check fails in the same way, and what it sees there."""
        cell = self.ledger.cell
        failed: dict[tuple[object, ...], Observation] = {case.fingerprint: seen}

        def fails(candidate: Case, cell: Cell) -> bool:
            found = _again(cell, check, candidate, seen)
            if found is None:
                return False
            # a smaller case must show this failure, not a waived one that takes its place
            if not waived and self.ledger.covered(check, candidate, found):
                return False
            failed[candidate.fingerprint] = found
            return True

        known = () if case.variables else self.known
        small = next((each for each in known if fails(each, self.near) and fails(each, cell)), None)
        if small is None:
            compiles = cell.framework.compiles_operations
            settled = waived and compiles
            if cell.mode == "compiled":
                # one function for each smaller shape, where eager code compiles each of its operations
                settled &= fits(cell.spec, case, self.filled.pool, laws.law_of(check))
            minimal = partial(
                minimise,
                case,
                cell.spec,
                budget=self._budget(case) // (OF_WAIVED if waived else 1),
                law=laws.law_of(check),
                keep=set(case.parameters) if settled else self.keep & set(case.parameters),
            )
            if settled:
                small = self._settled(check, case, minimal, fails)
            else:
                if compiles:
                    # nothing new to compile but the classes, and at the end the smallest case by itself
                    small = minimal(lambda candidate: fails(candidate, self.filled))
                if small is None or not fails(small, self.near):
                    small = minimal(lambda candidate: fails(candidate, self.near))
                if small is not case and not fails(small, cell):
                    small = minimal(lambda candidate: fails(candidate, cell))
            if not case.variables:
                self.known.append(small)
        # as it was seen there: a function that answers anew each time may pass by now
        return small, failed[small.fingerprint]

    def _settled(
        self, check: str, case: Case, minimal: Callable[..., Case], fails: Callable[..., bool]
    ) -> Case:
        """A waived case cut down in the one shape that is compiled, and at the end by itself, if it shows there.

        Its minimal case stands in the waiver, which is not worth compiling each operation for each smaller shape.
        """

        def as_called(candidate: Case) -> Case:
            return called(self.ledger.cell.spec, candidate, self.filled.pool, laws.law_of(check))

        shapes = _shapes(as_called(case))
        small = minimal(lambda each: _shapes(as_called(each)) == shapes and fails(each, self.filled))
        if fails(small, self.ledger.cell):
            return small
        small = as_called(small)
        return small if fails(small, self.ledger.cell) else case

    def _budget(self, case: Case) -> int:
        cell = self.ledger.cell
        compiles = cell.framework.compiles_operations and not fits(cell.spec, case, self.filled.pool)
        return BUDGET["compiled" if compiles else cell.mode]


def _shapes(case: Case) -> list[tuple[str, tuple[int, ...]]]:
    arrays = {**case.inputs, **case.variables}
    return sorted((name, np.shape(array)) for name, array in arrays.items())


def _again(cell: Cell, check: str, case: Case, seen: Observation) -> Observation | None:
    """What a check sees at a case where it fails as it was seen to, else None."""
    found = observe(cell, check, case, forward_mode=seen.quantity == gradient.FORWARD)
    same = found is not None and found.verdict is seen.verdict and _way(found) == _way(seen)
    return found if same else None


def _way(seen: Observation) -> tuple[str, bool]:
    """How a check fails: in which quantity, and whether by a nan or inf."""
    return seen.quantity, seen.bits is not None and math.isinf(seen.bits)
