"""A run gathered for a reader: rows summed up, findings of one cause together, skips by their reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from lossproof.audit.results import Finding, Result, Run, Verdict
from lossproof.floats import DTYPES
from lossproof.report import text

T = TypeVar("T")
K = TypeVar("K")

ORDER = tuple(Verdict)
COUNTED = (Verdict.PASS, Verdict.DEGRADED, Verdict.FAIL, Verdict.ERROR, Verdict.WAIVED, Verdict.SKIP)
SYMBOLS = {
    Verdict.PASS: "✓",
    Verdict.DEGRADED: "≈",
    Verdict.FAIL: "✗",
    Verdict.ERROR: "!",
    Verdict.WAIVED: "○",
    Verdict.SKIP: "–",
}
_DTYPES = ("float32", *(dtype for dtype in DTYPES if dtype != "float32"))
CHECKS = (
    "accuracy",
    "gradient",
    "finiteness",
    "law",
    "shape_and_dtype",
    "batch_independence",
    "purity",
    "determinism",
)
"""The checks in the order in which they are shown; "law" stands for each law of the spec."""


@dataclass(frozen=True)
class Digest:
    """Several rows as one: the worst verdict, the most bits lost, the sums of cases and undecided cases."""

    verdict: Verdict
    bits_lost: float | None
    cases: int
    undecided: int
    reason: str | None

    @property
    def symbol(self) -> str:
        return SYMBOLS[self.verdict]


def digest(rows: Iterable[Result]) -> Digest | None:
    """The rows as one; None without rows. Skipped rows count only where there are no others.

    What a waived row lost is not told beside a verdict that another row earned.
    """
    rows = list(rows)
    if not rows:
        return None
    worst = min(rows, key=lambda row: (ORDER.index(row.verdict), -(row.bits_lost or 0.0)))
    told = [row for row in rows if row.verdict is not Verdict.WAIVED or worst.verdict is Verdict.WAIVED]
    return Digest(
        verdict=worst.verdict,
        bits_lost=max((row.bits_lost for row in told if row.bits_lost is not None), default=None),
        cases=sum(row.cases for row in rows),
        undecided=sum(row.undecided for row in rows),
        reason=worst.reason,
    )


def totals(run: Run) -> dict[Verdict, int]:
    """How many rows got each verdict, in the order of COUNTED; verdicts without a row are left out."""
    counts = Counter(row.verdict for row in run.results)
    return {verdict: counts[verdict] for verdict in COUNTED if counts[verdict]}


def totals_text(run: Run) -> str:
    """`"312 checks: 298 pass, 4 degraded, 2 fail, 1 waived, 7 skip"`."""
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in totals(run).items())
    checks = f"{len(run.results):,} check{'' if len(run.results) == 1 else 's'}"
    return f"{checks}: {counts}" if counts else checks


def checked(run: Run) -> bool:
    """Whether anything was checked at all."""
    return any(row.verdict is not Verdict.SKIP for row in run.results)


def bare(run: Run, verdicts: frozenset[Verdict]) -> list[Result]:
    """Rows of these verdicts that no finding of the run describes."""
    known = {finding.id for finding in run.findings}
    return [row for row in run.results if row.verdict in verdicts and row.finding not in known]


@dataclass(frozen=True)
class Line:
    """One implementation of one loss in one framework on one device."""

    loss: str
    implementation: str
    framework: str
    device: str
    dtypes: tuple[str, ...]
    modes: tuple[str, ...]
    whole: Digest
    value: Digest | None
    gradient: Digest | None
    laws: Digest | None
    rows: tuple[Result, ...]

    @property
    def adapter(self) -> str:
        return self.implementation.rpartition(".")[0] or self.implementation

    @property
    def where(self) -> str:
        return self.framework if self.device == "cpu" else f"{self.framework} {self.device}"


def lines(run: Run) -> list[Line]:
    """Every implementation of the run, by loss and then by name."""
    grouped = _grouped(run.results, lambda row: (row.loss, row.implementation, row.framework, row.device))
    return [_line(rows) for _, rows in sorted(grouped.items())]


def _line(rows: Sequence[Result]) -> Line:
    whole = digest(rows)
    assert whole is not None
    ran = [row for row in rows if row.verdict is not Verdict.SKIP]
    first = rows[0]
    return Line(
        loss=first.loss,
        implementation=first.implementation,
        framework=first.framework,
        device=first.device,
        dtypes=tuple(sorted({row.dtype for row in ran}, key=dtype_order)),
        modes=tuple(sorted({row.mode for row in ran}, reverse=True)),
        whole=whole,
        value=digest(row for row in ran if row.check == "accuracy"),
        gradient=digest(row for row in ran if row.check == "gradient"),
        laws=digest(row for row in ran if row.check.startswith("law:")),
        rows=tuple(rows),
    )


@dataclass(frozen=True)
class Cause:
    """Findings of one implementation with one cause: the clearest of them, and the others."""

    shown: Finding
    others: tuple[Finding, ...]

    @property
    def also(self) -> str:
        """Where else: `"accuracy in float64 eager; law uniform, law shift in float32 eager, float64 eager"`."""
        by_check = _grouped(sorted(self.others, key=_clearest), lambda finding: finding.check)
        places = {
            check: ", ".join(sorted({setting(finding) for finding in found}))
            for check, found in by_check.items()
        }
        return "; ".join(
            f"{', '.join(map(check_text, checks))} in {where}"
            for where, checks in _grouped(places, lambda check: places[check]).items()
        )


def causes(findings: Iterable[Finding]) -> list[Cause]:
    """Findings grouped by their cause, worst first within an implementation.

    Findings share a cause where loss, implementation, framework and the kind of mistake agree; an unexplained
    one is grouped only with those of the same check. Where values come out wrong, laws are broken and results
    not finite in consequence, so those go with the clearest such finding.
    """
    grouped = _grouped(findings, _cause)
    for key, group in list(grouped.items()):
        if all(_consequence(finding) for finding in group):
            main = next(
                (other for other in grouped if _source(grouped[other]) and _same_mistake(key, other)), None
            )
            if main is not None:
                grouped[main] += grouped.pop(key)
    found = [sorted(group, key=_clearest) for group in grouped.values()]
    return [
        Cause(group[0], tuple(group[1:]))
        for group in sorted(
            found, key=lambda g: (g[0].loss, g[0].implementation, g[0].framework, _clearest(g[0]))
        )
    ]


def _cause(finding: Finding) -> tuple[str, ...]:
    kind = finding.diagnosis.kind
    within = f"unexplained {finding.check}" if kind == "unexplained" else kind
    verdict = "degraded" if finding.verdict is Verdict.DEGRADED else "fail"
    return (finding.loss, finding.implementation, finding.framework, within, verdict, finding.waiver or "")


def _consequence(finding: Finding) -> bool:
    return finding.check.startswith("law:") or finding.check == "finiteness"


def _source(group: Sequence[Finding]) -> bool:
    return any(finding.check in ("accuracy", "gradient") for finding in group)


def _same_mistake(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two causes differ in the kind alone."""
    return one[:3] == other[:3] and one[4:] == other[4:]


def _clearest(finding: Finding) -> tuple[int, int, int, int, str, str]:
    return (
        ORDER.index(finding.verdict),
        check_order(finding.check),
        text.size(finding.inputs),
        dtype_order(finding.dtype),
        {"eager": "0"}.get(finding.mode, finding.mode),
        finding.id,
    )


@dataclass(frozen=True)
class Skipped:
    """What one reason kept from being checked. places: checks with their regimes, where others of the cell ran."""

    reason: str
    checks: int
    implementations: tuple[str, ...]
    settings: tuple[str, ...]
    places: tuple[str, ...] = ()


def skipped(run: Run) -> list[Skipped]:
    """The skipped rows by reason, the most frequent first."""
    rows = (row for row in run.results if row.verdict is Verdict.SKIP)
    ran = {_cell(row) for row in run.results if row.verdict is not Verdict.SKIP}
    grouped = _grouped(rows, lambda row: row.reason or "no reason was given")
    found = [
        Skipped(
            reason,
            len(group),
            tuple(dict.fromkeys(row.implementation for row in group)),
            tuple(dict.fromkeys(setting(row, framework=True) for row in group)),
            tuple(dict.fromkeys(_place(row) for row in group)) if ran.issuperset(map(_cell, group)) else (),
        )
        for reason, group in grouped.items()
    ]
    return sorted(found, key=lambda entry: (-entry.checks, entry.reason))


def _cell(row: Result) -> tuple[str, ...]:
    return row.loss, row.implementation, row.framework, row.device, row.mode, row.dtype


def _place(row: Result) -> str:
    return check_text(row.check) + (f" in {row.regime}" if row.regime else "")


def headline(finding: Finding) -> str:
    """`"textbook.cross_entropy_epsilon · torch float32 eager · accuracy FAILS: 16.4 bits lost"`."""
    said = {Verdict.DEGRADED: "is degraded", Verdict.ERROR: "could not run", Verdict.WAIVED: "fails (waived)"}
    lost = f": {text.bits(finding.bits_lost)} bits lost" if finding.bits_lost is not None else ""
    return (
        f"{finding.implementation} · {setting(finding, framework=True)} · "
        f"{check_text(finding.check)} {said.get(finding.verdict, 'FAILS')}{lost}"
    )


def setting(row: Result | Finding, *, framework: bool = False) -> str:
    """`"float32 eager"`, with the device where it is not the CPU; on request the framework before it."""
    parts = [row.framework] if framework else []
    return " ".join([*parts, *([] if row.device == "cpu" else [row.device]), row.dtype, row.mode])


def check_text(check: str) -> str:
    """A check's name for a reader: `law:uniform` is "law uniform"."""
    return check.replace("law:", "law ", 1) if check.startswith("law:") else check.replace("_", " ")


def check_order(check: str) -> int:
    """A sort key: the order in which the checks are shown."""
    name = check.partition(":")[0]
    return CHECKS.index(name) if name in CHECKS else len(CHECKS)


def dtype_order(dtype: str) -> int:
    """A sort key: float32 first."""
    return _DTYPES.index(dtype) if dtype in _DTYPES else len(_DTYPES)


def _grouped(entries: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    groups: dict[K, list[T]] = {}
    for entry in entries:
        groups.setdefault(key(entry), []).append(entry)
    return groups
