"""A comparison of two runs, for a terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from lossproof.gate.compare import Change, Comparison, Side
from lossproof.report.digest import check_text
from lossproof.report.json import plain
from lossproof.report.text import bits, one_line, plural

SCHEMA = 1
"""The version of the JSON."""

MANY = 50
"""More changes of one kind than that are counted, not shown, where they are no regression."""

TITLES = {
    "new": ("New findings", "bold red"),
    "worse": ("Worse", "bold red"),
    "fixed": ("Fixed", "green"),
    "better": ("Better", "green"),
    "gone": ("Gone: ran before, not now", "yellow"),
}


def show(found: Comparison, console: Console) -> None:
    """Print what changed; regressions first."""
    for note in found.notes:
        console.print(Text(one_line(note), "dim"), soft_wrap=True)
    for kind, (title, style) in TITLES.items():
        changes: Sequence[Change] = getattr(found, kind)
        if not changes:
            continue
        console.print()
        console.print(Text(f"{title} ({len(changes)})", style))
        shown = changes if kind in ("new", "worse") else changes[:MANY]
        for change in shown:
            console.print(Text(f" · {_told(change)}"), soft_wrap=True)
        if len(shown) < len(changes):
            console.print(Text(f" … and {plural(len(changes) - len(shown), 'more change')}"))
    console.print()
    counts = [f"{len(getattr(found, kind)):,} {kind}" for kind in TITLES if getattr(found, kind)]
    console.print(Text(", ".join([*counts, f"{found.same:,} unchanged"]), "bold"))


def text(found: Comparison) -> str:
    """The comparison as the text of a JSON file."""
    content: dict[str, Any] = {"schema": SCHEMA, "regressed": found.regressed, "notes": found.notes}
    content |= {kind: [_plain(change) for change in getattr(found, kind)] for kind in TITLES}
    content["unchanged"] = found.same
    return json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(change: Change) -> dict[str, Any]:
    words = ("loss", "implementation", "framework", "device", "mode", "dtype", "check")
    sides = {"old": change.old, "new": change.new}
    return dict(zip(words, change.name, strict=True)) | {
        which: None if side is None else {**vars(side), "verdict": side.verdict.value}
        for which, side in sides.items()
    }


def _told(change: Change) -> str:
    loss, implementation, framework, device, mode, dtype, check = change.name
    where = " ".join([framework, *([] if device == "cpu" else [device]), dtype, mode])
    new = change.new
    reason = f" ({new.reason})" if new is not None and new.reason and new.verdict != "pass" else ""
    told = f"{implementation} ({loss}) · {where} · {check_text(check)}: {_side(change.old)} → {_side(new)}{reason}"
    return one_line(told)


def _side(side: Side | None) -> str:
    if side is None:
        return "not run"
    return f"{side.verdict} {bits(side.bits_lost)}" if side.bits_lost else str(side.verdict)
