"""`lossproof report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DIRECTORY = Path("lossproof-report")


def report(
    results: Annotated[
        Path, typer.Argument(metavar="RESULTS", help="Results of --json, or the HTML report of them.")
    ],
    new: Annotated[
        Path | None,
        typer.Argument(
            metavar="[NEW]", help="Later results: the report is theirs, with what changed since RESULTS."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="DIR", help="Write DIR/index.html.", show_default=str(DIRECTORY)),
    ] = None,
) -> None:
    """Render the report of a run again, without running anything; of two runs, side by side.

    Exit code 0, whatever the results are.
    """
    from lossproof.report import files
    from lossproof.report.html import write
    from lossproof.report.json import read

    directory = html or DIRECTORY
    files.prepare(directory, directory=True)
    old = read(results) if new is not None else None
    run = read(new if new is not None else results)
    typer.echo(f"report: {write(run, directory, old)}")
