"""Rows in words, for the parts of a report that are lists."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lossproof.audit.results import Result, Run, Verdict
from lossproof.report.digest import Skipped, check_text, setting
from lossproof.report.facts import parameter
from lossproof.report.text import bits, plural, shape, size

MANY_NAMES = 4

FEW = 12
"""Numbers of an array that stand in a line."""


def row_text(row: Result) -> str:
    """One row: who, where, which check, its verdict, the reason."""
    where = f"{row.implementation} · {setting(row, framework=True)} · {check_text(row.check)}"
    regime = f" ({row.regime})" if row.regime else ""
    lost = f" {bits(row.bits_lost)} bits lost:" if row.bits_lost else ""
    return f"{where}{regime} {row.verdict}:{lost} {row.reason or 'no reason was given'}"


def by_reason(run: Run, verdict: Verdict) -> list[str]:
    """A line for each implementation and check with that verdict; the worst row gives the reason."""
    rows: dict[tuple[str, str, str], list[Result]] = {}
    for row in run.results:
        if row.verdict is verdict:
            rows.setdefault((row.implementation, row.framework, row.check), []).append(row)
    texts = []
    for (implementation, framework, check), group in rows.items():
        worst = max(group, key=lambda row: row.bits_lost or 0.0)
        told = "bits lost" in (worst.reason or "")
        lost = f", up to {bits(worst.bits_lost)} bits lost" if worst.bits_lost and not told else ""
        settings = ", ".join(dict.fromkeys(setting(row) for row in group))
        reason = f": {worst.reason}" if worst.reason else ""
        texts.append(f"{implementation} · {framework} · {check_text(check)} ({settings}){lost}{reason}")
    return texts


def worst_text(row: Result) -> str:
    """The worst inputs that a deep search found for a check: how far off, where, and which."""
    worst = row.worst
    assert worst is not None
    quantity = "value" if row.check == "accuracy" else row.check
    off = "not finite" if math.isinf(worst.error) else f"{worst.error:.3g} × the attainable error"
    inputs = ", ".join(f"{name} {_short(entries, row.dtype)}" for name, entries in worst.inputs.items())
    given = [f"{n} = {_short(v, row.dtype)}" for n, v in worst.parameters.items() if v is not None]
    under = f"; {', '.join(given)}" if given else ""
    where = f"{row.implementation} · {setting(row, framework=True)} · {quantity}"
    return f"{where}: {off}, in {row.regime}: {inputs}{under}"


def _short(entries: object, dtype: str) -> str:
    """Numbers where they are few, else how many there are."""
    return parameter(entries, dtype) if size(entries) <= FEW else f"of shape {list(shape(entries))}"


def skip_text(entry: Skipped) -> str:
    """What one reason kept from being checked: the reason, how many checks, of whom, and which."""
    which = f" ({_some(entry.places)})" if entry.places else ""
    return f"{entry.reason}: {plural(entry.checks, 'check')} of {_some(entry.implementations)}{which}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - MANY_NAMES
    return ", ".join(names[:MANY_NAMES]) + (f" and {more} more" if more > 0 else "")
