"""What the checks of a cell saw, row by row, with the failures that waivers cover set aside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from lossproof import waivers as waiving
from lossproof.audit.observe import raised
from lossproof.audit.results import Verdict, blamed
from lossproof.checks.distribution import Distribution
from lossproof.checks.observation import Observation, worst
from lossproof.checks.trial import Cell
from lossproof.errors import ImplementationError
from lossproof.inputs import Case
from lossproof.waivers import Waiver

Observe = Callable[[Case], Observation | None]


@dataclass
class Row:
    """The observations of one row of the results, the cases that failed, and the errors of all elements."""

    observations: list[Observation] = field(default_factory=list)
    failed: list[tuple[Case, Observation]] = field(default_factory=list)
    waived: list[tuple[Case, Observation, Waiver]] = field(default_factory=list)
    errors: Distribution | None = None

    def skip(self, reason: str) -> None:
        self.observations.append(Observation(Verdict.SKIP, reason=reason))

    def fail(self, case: Case, observation: Observation) -> None:
        self.observations.append(observation)
        self.failed.append((case, observation))


class Ledger:
    """Rows by check and regime (None for a check whose row spans the regimes).

    blamed: the verdicts that are a failure here: degraded too, where that is asked for.
    """

    def __init__(self, cell: Cell, waivers: Sequence[Waiver], fail_on: str = "fail") -> None:
        self.cell, self.waivers, self.blamed = cell, waivers, blamed(fail_on)
        self.rows: dict[tuple[str, str | None], Row] = {}

    def row(self, check: str, regime: str | None = None) -> Row:
        return self.rows.setdefault((check, regime), Row())

    def note(
        self,
        row: Row,
        check: str,
        case: Case,
        observe: Observe,
        filled: Callable[[Case], Case] = lambda case: case,
    ) -> Observation | None:
        """Look at a case and write down what was seen; None where the check does not apply.

        filled: gives the case as it was called, with all rows of the call.
        """
        seen = self._tried(check, observe, case)
        if seen is None:
            return None
        if seen.judged:
            seen = self._counted(row, seen)
        if seen.verdict in self.blamed:
            return self._note_failure(row, check, case, seen, observe, filled)
        row.observations.append(seen)
        return seen

    def _note_failure(
        self,
        row: Row,
        check: str,
        case: Case,
        seen: Observation,
        observe: Observe,
        filled: Callable[[Case], Case],
    ) -> Observation:
        """A failure counts as far as it is left when the rows that a waiver covers are taken out of the case."""
        covering = self.covering(check, seen.bits)
        rest = waiving.without(case, self.cell.spec, covering, filled(case)) if covering else case
        if rest is case:
            row.fail(case, seen)
            return seen
        row.waived.append((case, seen, covering[0]))
        again = None if rest is None else self._tried(check, observe, rest)
        if rest is not None and again is not None and again.verdict in self.blamed:
            row.fail(rest, again)
            return again
        waived = replace(seen, verdict=Verdict.WAIVED, reason=covering[0].reason)
        row.observations.append(waived)
        return waived

    def _counted(self, row: Row, seen: Observation) -> Observation:
        """An observation without what was judged, which the row has taken in; so no array is kept."""
        if row.errors is None:
            row.errors = Distribution(self.cell.dtype)
        for each in seen.judged:
            row.errors.add(each)
        return replace(seen, judged=())

    def _tried(self, check: str, observe: Observe, case: Case) -> Observation | None:
        try:
            return observe(case)
        except ImplementationError as error:
            return raised(self.cell, check, error)

    def blames(self, seen: Observation | None) -> bool:
        """Whether an observation is a failure, waived or not."""
        return seen is not None and (seen.verdict in self.blamed or seen.verdict is Verdict.WAIVED)

    def covering(self, check: str, bits: float | None) -> list[Waiver]:
        """The waivers for a check of this cell that accept so many lost bits."""
        cell = self.cell
        found = waiving.covering(self.waivers, cell.implementation.name, cell.spec.loss, check, cell.dtype)
        return [waiver for waiver in found if waiver.accepts(bits)]

    def covered(self, check: str, case: Case, seen: Observation) -> bool:
        """Whether a waiver covers a row of a failing case."""
        covering = self.covering(check, seen.bits)
        return bool(covering) and waiving.without(case, self.cell.spec, covering) is not case


def summary(row: Row, wrong: frozenset[Verdict]) -> Observation:
    """The row as one observation; a waived failure counts above all but the verdicts that are wrong.

    A row that compared nothing is no pass: it is a skip with its reason.
    """
    waived = [o for o in row.observations if o.verdict is Verdict.WAIVED]
    others = [o for o in row.observations if o.verdict is not Verdict.WAIVED]
    merged = worst(others) if others else Observation(Verdict.PASS)
    if not waived or merged.verdict in wrong:
        if merged.verdict is Verdict.PASS and not merged.cases:
            reason = "undecided in every case" if merged.undecided else "no case to which the check applies"
            return replace(merged, verdict=Verdict.SKIP, bits=None, reason=reason)
        return merged
    total = worst([replace(o, verdict=Verdict.FAIL) for o in waived])
    return replace(
        total,
        verdict=Verdict.WAIVED,
        cases=total.cases + merged.cases,
        undecided=total.undecided + merged.undecided,
    )
