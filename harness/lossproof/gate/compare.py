"""Two runs side by side: what is new, fixed, worse, better and gone."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from lossproof.audit.results import Result, Run, Verdict, blamed

ONE_BIT = 1.0

ORDER = (Verdict.ERROR, Verdict.FAIL, Verdict.WAIVED, Verdict.DEGRADED, Verdict.PASS)
"""The worst first; what is waived is still there, and outweighs what is degraded."""

Name = tuple[str, str, str, str, str, str, str]
"""loss, implementation, framework, device, mode, dtype, check."""


@dataclass(frozen=True)
class Side:
    """What a run says of one check in one setting: the worst verdict, the most bits lost, over the regimes."""

    verdict: Verdict
    bits_lost: float | None
    reason: str | None
    finding: str | None


@dataclass(frozen=True)
class Change:
    """One check in one setting, before and after; None where it did not run."""

    name: Name
    old: Side | None
    new: Side | None


@dataclass
class Comparison:
    """new: findings that were none. fixed: findings, waived ones too, that are no longer there. worse, better: by more
    than a bit, or by a verdict. gone: ran before and does not now. notes: why the runs are not quite of the same kind.
    """

    new: list[Change] = field(default_factory=list)
    fixed: list[Change] = field(default_factory=list)
    worse: list[Change] = field(default_factory=list)
    better: list[Change] = field(default_factory=list)
    gone: list[Change] = field(default_factory=list)
    same: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def regressed(self) -> bool:
        """Whether anything is a finding that was none, or worse."""
        return bool(self.new or self.worse)


def compare(old: Run, new: Run, fail_on: str = "fail") -> Comparison:
    """What changed from one run to another. fail_on: from which verdict on a row is a finding."""
    found = Comparison(notes=list(_notes(old, new)))
    before, after = _sides(old), _sides(new)
    wrong = blamed(fail_on)
    for name in sorted(before.keys() | after.keys()):
        change = Change(name, before.get(name), after.get(name))
        kind = _kind(change.old, change.new, wrong)
        if kind is None:
            found.same += 1
        else:
            getattr(found, kind).append(change)
    return found


def _kind(old: Side | None, new: Side | None, wrong: frozenset[Verdict]) -> str | None:
    if new is None:
        return "gone"
    if new.verdict in wrong and (old is None or old.verdict not in wrong):
        return "new"
    if old is None:
        return None
    known = wrong | {Verdict.WAIVED}
    if old.verdict in known and new.verdict not in known:  # a waiver alone mends nothing
        return "fixed"
    waived = Verdict.WAIVED in (old.verdict, new.verdict)
    step = 0 if waived else ORDER.index(old.verdict) - ORDER.index(new.verdict)
    lost = _more(old.bits_lost, new.bits_lost)
    if lost > ONE_BIT or step > 0:
        return "worse"
    if lost < -ONE_BIT or step < 0:
        return "better"
    return None


def _more(old: float | None, new: float | None) -> float:
    if old is None or new is None or (math.isinf(old) and math.isinf(new)):
        return 0.0
    return new - old


def _sides(run: Run) -> dict[Name, Side]:
    """The checks that ran. What a waived row lost is not told beside a verdict that another row earned."""
    grouped: dict[Name, list[Result]] = {}
    for row in run.results:
        if row.verdict is not Verdict.SKIP:
            name = (row.loss, row.implementation, row.framework, row.device, row.mode, row.dtype, row.check)
            grouped.setdefault(name, []).append(row)
    return {name: _side(rows) for name, rows in grouped.items()}


def _side(rows: list[Result]) -> Side:
    worst = min(rows, key=lambda row: (ORDER.index(row.verdict), -(row.bits_lost or 0.0)))
    told = [row for row in rows if row.verdict is not Verdict.WAIVED or worst.verdict is Verdict.WAIVED]
    bits = max((row.bits_lost for row in told if row.bits_lost is not None), default=None)
    return Side(worst.verdict, bits, worst.reason, worst.finding)


def _notes(old: Run, new: Run) -> Iterable[str]:
    """What differs about the runs; other cases were drawn where seed, profile or version of lossproof differ."""
    for word, one, other in (
        ("seeds", old.seed, new.seed),
        ("profiles", old.profile, new.profile),
        ("versions of lossproof", old.lossproof, new.lossproof),
    ):
        if one != other:
            yield f"the {word} differ ({one}, {other}): the cases are not the same ones"
    for key in sorted(old.environment.keys() | new.environment.keys()):
        before, after = old.environment.get(key), new.environment.get(key)
        if before != after:
            yield f"{key}: {before} before, {after} now"
