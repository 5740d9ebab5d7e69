"""Two runs in the same page: what changed from an older one to the one that is shown."""

from __future__ import annotations

from dataclasses import dataclass

from lossproof.audit.results import Run, Verdict
from lossproof.gate.compare import Change, Side, compare
from lossproof.report.comparison import TITLES
from lossproof.report.digest import Line


@dataclass(frozen=True)
class Changed:
    """One check in one setting, before and now. finding: the id of its finding, where the page holds it."""

    loss: str
    implementation: str
    framework: str
    device: str
    where: str
    check: str
    old: Side | None
    new: Side | None
    finding: str | None


@dataclass(frozen=True)
class Kind:
    kind: str
    title: str
    changes: list[Changed]


@dataclass(frozen=True)
class CellChange:
    """What changed in a cell of the matrix: the worst kind, and a text."""

    kind: str
    text: str


@dataclass(frozen=True)
class Changes:
    old: Run
    kinds: list[Kind]
    same: int
    notes: list[str]

    def of(self, line: Line) -> CellChange | None:
        """The worst that happened to an implementation; None where nothing changed."""
        cell = (line.loss, line.implementation, line.framework, line.device)
        counts = {
            kind.kind: sum((c.loss, c.implementation, c.framework, c.device) == cell for c in kind.changes)
            for kind in self.kinds
        }
        told = [(kind, count) for kind, count in counts.items() if count]
        if not told:
            return None
        return CellChange(told[0][0], ", ".join(f"{count} {kind}" for kind, count in told))


def changes(old: Run, new: Run) -> Changes:
    """What changed, regressions first."""
    found = compare(old, new)
    known = {finding.id for finding in new.findings}
    kinds = [
        Kind(kind, title, [_changed(change, known) for change in getattr(found, kind)])
        for kind, (title, _) in TITLES.items()
    ]
    return Changes(old, kinds, found.same, found.notes)


def _changed(change: Change, known: set[str]) -> Changed:
    loss, implementation, framework, device, mode, dtype, check = change.name
    where = " ".join([framework, *([] if device == "cpu" else [device]), dtype, mode])
    finding = change.new.finding if change.new and change.new.verdict is not Verdict.PASS else None
    return Changed(
        loss, implementation, framework, device, where, check, change.old, change.new,
        finding if finding in known else None,
    )  # fmt: skip
