"""`lossproof compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from lossproof.audit.results import FAIL_ON
from lossproof.cli import options as given
from lossproof.cli.exits import CLEAN, FINDINGS, NOTHING


def compare(
    old: Annotated[
        Path, typer.Argument(metavar="OLD", help="Results of --json before, or the HTML report of them.")
    ],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="Those of now.")],
    json: given.Json = None,
    fail_on: given.FailOn = "fail",
) -> None:
    """Compare two runs: what is new, fixed, worse by more than a bit, better, gone.

    Exit code 1: something is new or worse. 3: the runs have nothing in common that ran.
    """
    from lossproof.gate import compare as gate
    from lossproof.report import comparison, files
    from lossproof.report.console import console
    from lossproof.report.json import read

    given.one_of("--fail-on", fail_on, FAIL_ON)
    to_stdout = json is not None and str(json) == "-"
    if json is not None and not to_stdout:
        files.prepare(json)
    found = gate.compare(read(old), read(new), fail_on)
    comparison.show(found, console(sys.stderr if to_stdout else sys.stdout))
    if to_stdout:
        sys.stdout.write(comparison.text(found))
    elif json is not None:
        files.write(json, comparison.text(found))
    if found.regressed:
        raise typer.Exit(FINDINGS)
    changes = (found.fixed, found.better)
    raise typer.Exit(CLEAN if found.same or any(changes) else NOTHING)
