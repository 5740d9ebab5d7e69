"""Whether waivers hold: what a run says about those that have expired, are exceeded or match nothing."""

from __future__ import annotations

from collections.abc import Sequence

from lossproof.audit.results import Objection, Result, Run, Verdict, blamed
from lossproof.errors import suggest
from lossproof.waivers import PLACEHOLDER, Waiver


def objections(
    run: Run, waivers: Sequence[Waiver], fail_on: str, *, narrowed: bool = False
) -> list[Objection]:
    """What is to be said against each waiver after a run, in their order.

    narrowed: whether options left something out that the configuration names; then a waiver about what did not
    run is not said to match nothing; nor is any where something could not be checked at all.
    """
    found = []
    partial = narrowed or bool(run.problems)
    for waiver in waivers:
        rows = [
            row
            for row in run.results
            if waiver.is_about(row.implementation, row.loss, row.check, row.dtype)
            and row.verdict is not Verdict.SKIP
        ]
        skipped = not rows and any(_may_be_about(waiver, row) for row in run.results)
        if said := _objection(waiver, rows, run, fail_on, silent=skipped or (partial and not rows)):
            kind, message = said
            where = str(waiver.place) if waiver.place is not None else "waiver"
            found.append(Objection(kind, where, f"the waiver for {waiver.subject} {message}"))
    return found


def _may_be_about(waiver: Waiver, row: Result) -> bool:
    """Whether a row is one that the waiver is about and that was skipped, its adapter's row among them."""
    if row.verdict is not Verdict.SKIP:
        return False
    if row.check == "*":
        return waiver.implementation.rpartition(".")[0] == row.implementation
    return waiver.is_about(row.implementation, row.loss, row.check, row.dtype)


def _objection(
    waiver: Waiver, rows: Sequence[Result], run: Run, fail_on: str, *, silent: bool
) -> tuple[str, str] | None:
    if not waiver.reason.strip() or waiver.reason.strip() == PLACEHOLDER:
        return "no reason", "gives no reason; write why the finding is accepted"
    if not waiver.in_force:
        return "expired", f"expired on {waiver.expires}: mend the loss, or decide anew until when"
    wrong = [row for row in rows if row.verdict in blamed(fail_on)]
    beyond = [row for row in wrong if not waiver.accepts(row.bits_lost)]
    if beyond:
        worst = max(beyond, key=lambda row: float("inf") if row.bits_lost is None else row.bits_lost)
        lost = "it could not run" if worst.bits_lost is None else f"{_bits(worst.bits_lost)} are lost"
        return "exceeded", f"accepts {waiver.bits:g} bits, and {lost} in {worst.check} ({worst.dtype})"
    if not wrong and not any(row.verdict is Verdict.WAIVED for row in rows) and not silent:
        if rows:
            return "matches nothing", f"matches nothing: {_passing(rows)}; delete it"
        return "matches nothing", f"matches nothing: {_why(waiver, run)}"
    return None


def _passing(rows: Sequence[Result]) -> str:
    checks = list(dict.fromkeys(row.check for row in rows))
    how = "degraded at worst" if any(row.verdict is Verdict.DEGRADED for row in rows) else "right now"
    return f"{', '.join(checks)} {'is' if len(checks) == 1 else 'are'} {how}"


def _why(waiver: Waiver, run: Run) -> str:
    """Which of its words is about nothing that ran, with the nearest right one."""
    rows = run.results
    for word, name in ((waiver.implementation, "implementation"), (waiver.loss, "loss")):
        known = {getattr(row, name) for row in rows} - {"*"}
        if word not in known:
            return f"there is no {name} '{word}'{suggest(word, known)}"
        rows = [row for row in rows if getattr(row, name) == word]
    known = {row.check for row in rows}
    if not any(waiver.model_copy(update={"dtypes": None}).is_about(*_of(row)) for row in rows):
        return f"there is no check {', '.join(waiver.checks)}{suggest(waiver.checks[0], known)}"
    return f"the dtypes that ran are {', '.join(sorted({row.dtype for row in rows}))}"


def _of(row: Result) -> tuple[str, str, str, str]:
    return row.implementation, row.loss, row.check, row.dtype


def _bits(lost: float) -> str:
    return "all" if lost == float("inf") else f"{lost:.1f}"
