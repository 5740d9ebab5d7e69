"""Whether waivers hold: what a run says about those that have expired, are exceeded or match nothing."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence

from lossproof.audit.results import Objection, Result, Run, Verdict, blamed
from lossproof.checks import NAMES
from lossproof.errors import suggest
from lossproof.gate.misspelt import Sources, meant
from lossproof.spec import library
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
        if said := _objection(waiver, run, fail_on, partial=partial):
            kind, message = said
            where = str(waiver.place) if waiver.place is not None else "waiver"
            found.append(Objection(kind, where, f"the waiver for {waiver.subject} {message}"))
    return found


def remarks(
    run: Run, waivers: Sequence[Waiver], fail_on: str, *, narrowed: bool, sources: Sources
) -> list[str]:
    """What a gate would say against the waivers about the adapters of a run that is none, each with its place.

    Also those that are about them but for their spelling. sources: the files of the adapters.
    """
    adapters = {_adapter(row.implementation) for row in run.results if row.check != "*"}
    said: list[str] = []
    for waiver in waivers:
        own = [waiver] if _adapter(waiver.implementation) in adapters else []
        found = objections(run, own, fail_on, narrowed=narrowed)
        said += [f"{each.where}: {each.message}" for each in found]
        if not found and (near := meant(waiver, run, fail_on, sources)):
            said.append(
                f"{waiver.place or 'waiver'}: the waiver for {waiver.subject} matches nothing: "
                f"there is no implementation '{waiver.implementation}'; did you mean '{near}'?"
            )
    return said


def _adapter(implementation: str) -> str:
    return implementation.rpartition(".")[0]


def _rows(waiver: Waiver, run: Run) -> list[Result]:
    """What ran and the waiver is about."""
    return [row for row in run.results if waiver.is_about(*_of(row)) and row.verdict is not Verdict.SKIP]


def _may_be_about(waiver: Waiver, row: Result) -> bool:
    """Whether a row is one that the waiver is about and that was skipped, its adapter's row among them."""
    if row.verdict is not Verdict.SKIP:
        return False
    if row.check == "*":
        return _adapter(waiver.implementation) == row.implementation
    return waiver.is_about(row.implementation, row.loss, row.check, row.dtype)


def _objection(waiver: Waiver, run: Run, fail_on: str, *, partial: bool) -> tuple[str, str] | None:
    if not waiver.reason.strip() or waiver.reason.strip() == PLACEHOLDER:
        return "no reason", "gives no reason; write why the finding is accepted"
    if not waiver.in_force:
        return "expired", f"expired on {waiver.expires}: mend the loss, or decide anew until when"
    rows = _rows(waiver, run)
    beyond = [row for row in rows if row.verdict in blamed(fail_on) and not waiver.accepts(row.bits_lost)]
    if beyond:
        worst = max(beyond, key=lambda row: float("inf") if row.bits_lost is None else row.bits_lost)
        lost = "it could not run" if worst.bits_lost is None else f"{_bits(worst.bits_lost)} are lost"
        return "exceeded", f"accepts {waiver.bits:g} bits, and {lost} in {worst.check} ({worst.dtype})"
    if not _matches(rows, fail_on):
        if rows:
            return "matches nothing", f"matches nothing: {_passing(rows)}; delete it"
        if not partial and not _skipped(waiver, run):
            return "matches nothing", f"matches nothing: {_why(waiver, run)}"
    if idle := list(_idle_parts(waiver, run, fail_on, partial=partial)):
        return "matches nothing", f"matches nothing in part: {'; '.join(idle)}"
    return None


def _matches(rows: Sequence[Result], fail_on: str) -> bool:
    return any(row.verdict in blamed(fail_on) or row.verdict is Verdict.WAIVED for row in rows)


def _skipped(waiver: Waiver, run: Run) -> bool:
    return any(_may_be_about(waiver, row) for row in run.results)


def _idle_parts(waiver: Waiver, run: Run, fail_on: str, *, partial: bool) -> Iterator[str]:
    """What is to be said of each of its checks that accepts nothing.

    Where only part has run, of none but those that no run can have.
    """
    for name in waiver.checks:
        part = waiver.model_copy(update={"checks": (name,)})
        rows = _rows(part, run)
        known = _checks(waiver.loss)
        if known and not fnmatch.filter(known, name):
            yield f"there is no check {name}{suggest(name, known)}"
        elif partial or _matches(rows, fail_on):
            continue
        elif rows:
            yield f"{name} is {_how(rows)}; take it out"
        elif not _skipped(part, run):
            yield f"{name} had nothing to check; take it out"


def _checks(loss: str) -> list[str]:
    """The names of the checks of a loss; empty where nobody knows the loss."""
    if loss not in library.names():
        return []
    return [*NAMES, *(f"law:{law}" for law in library.get(loss).laws)]


def _passing(rows: Sequence[Result]) -> str:
    checks = list(dict.fromkeys(row.check for row in rows))
    return f"{', '.join(checks)} {'is' if len(checks) == 1 else 'are'} {_how(rows)}"


def _how(rows: Sequence[Result]) -> str:
    return "degraded at worst" if any(row.verdict is Verdict.DEGRADED for row in rows) else "right now"


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
