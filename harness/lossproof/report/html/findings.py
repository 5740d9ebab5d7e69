"""Findings as cards: the minimal case, what came out, what it comes from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lossproof.audit.results import Finding
from lossproof.report import digest, facts
from lossproof.report.text import one_line


@dataclass(frozen=True)
class Card:
    """A finding for a reader: labels with texts. cause: what kind of mistake it is, in a line; empty if unexplained."""

    finding: Finding
    case: list[tuple[str, str]]
    outcome: list[tuple[str, str]]
    told: list[tuple[str, str]]

    @property
    def setting(self) -> str:
        return digest.setting(self.finding, framework=True)

    @property
    def cause(self) -> str:
        diagnosis = self.finding.diagnosis
        return "" if diagnosis.kind == "unexplained" else one_line(f"{diagnosis.kind}: {diagnosis.text}")


@dataclass(frozen=True)
class CauseCards:
    """Findings of one cause: the clearest, the others, and where these are. dtypes, modes: of all, for the filters."""

    card: Card
    others: list[Card]
    also: str
    dtypes: str
    modes: str


def causes(findings: Iterable[Finding]) -> list[CauseCards]:
    """Findings by their causes."""
    found = []
    for cause in digest.causes(findings):
        every = (cause.shown, *cause.others)
        found.append(
            CauseCards(
                _card(cause.shown),
                [_card(finding) for finding in cause.others],
                cause.also,
                " ".join(sorted({finding.dtype for finding in every}, key=digest.dtype_order)),
                " ".join(sorted({finding.mode for finding in every})),
            )
        )
    return found


def _card(finding: Finding) -> Card:
    return Card(finding, facts.case(finding), facts.outcome(finding), facts.told(finding))
