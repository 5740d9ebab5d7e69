"""`lossproof replay`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lossproof.cli.exits import CLEAN, FINDINGS, NOTHING


def replay(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Results that were written with --json.")],
    finding: Annotated[
        str | None, typer.Argument(metavar="ID", help="One finding; all unless given.")
    ] = None,
) -> None:
    """Run findings again on their minimal cases.

    Exit code 0: none of them shows any more. 1: one still fails. 3: there was nothing to run.
    """
    from rich.text import Text

    from lossproof.audit.replay import replay as replay_findings
    from lossproof.audit.results import Verdict
    from lossproof.report.console import console
    from lossproof.report.digest import SYMBOLS, headline
    from lossproof.report.json import read
    from lossproof.report.progress import STYLES
    from lossproof.report.text import array, one_line, plural

    replayed = replay_findings(read(file).findings, finding, file)
    out = console(sys.stdout)
    for entry in replayed:
        style = STYLES[entry.verdict]
        head = Text.assemble((f"{SYMBOLS[entry.verdict]} {entry.verdict}", style), f"  {entry.finding.id}  ")
        out.print(head + Text(one_line(f"was: {headline(entry.finding)}")), soft_wrap=True)
        dtype = entry.finding.dtype
        values = (
            ("expected", entry.finding.expected),
            ("got then", entry.finding.got),
            ("got now", entry.got),
        )
        told = [(label, array(value, dtype)) for label, value in values if value is not None]
        point = one_line(entry.finding.breakdown["text"]) if entry.finding.breakdown else ""
        for label, text in (*told, ("reason", one_line(entry.reason or "")), ("breakdown", point)):
            if text:
                out.print(Text.assemble("    ", (f"{label:<10}", "dim"), text), soft_wrap=True)
    wrong = (Verdict.FAIL, Verdict.ERROR, Verdict.DEGRADED)
    still = sum(entry.verdict in wrong for entry in replayed)
    ran = sum(entry.verdict is not Verdict.SKIP for entry in replayed)
    out.print(Text(f"{plural(len(replayed), 'finding')}: {still} still there, {ran - still} gone", "bold"))
    if not ran:
        raise typer.Exit(NOTHING)
    raise typer.Exit(FINDINGS if still else CLEAN)
