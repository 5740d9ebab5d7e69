"""What a run could not decide, by loss."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from lossproof.audit.results import Run
from lossproof.report.digest import check_text

_MANY = 3


@dataclass(frozen=True)
class Undecided:
    """checks: those with the most undecided cases, each with its number."""

    loss: str
    undecided: int
    cases: int
    checks: tuple[str, ...]

    @property
    def share(self) -> str:
        """How many of the cases: `"2.1 %"`. Undecided cases are not among those that were compared."""
        part = 100 * self.undecided / (self.cases + self.undecided)
        return f"{part:.1f} %" if part >= 0.1 else "< 0.1 %"


def undecided(run: Run) -> list[Undecided]:
    """The losses with undecided cases, the most of them first."""
    counts: dict[str, Counter[str]] = {}
    cases: Counter[str] = Counter()
    for row in run.results:
        cases[row.loss] += row.cases
        if row.undecided:
            counts.setdefault(row.loss, Counter())[row.check] += row.undecided
    found = [
        Undecided(
            loss,
            sum(by_check.values()),
            cases[loss],
            tuple(f"{check_text(check)} ({count:,})" for check, count in by_check.most_common(_MANY)),
        )
        for loss, by_check in counts.items()
    ]
    return sorted(found, key=lambda entry: (-entry.undecided, entry.loss))
