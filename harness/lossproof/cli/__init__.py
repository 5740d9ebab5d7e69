"""The command line. Each command imports the engine when it runs, so that help and lists start at once."""

from __future__ import annotations

import contextlib
import io
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

import lossproof
from lossproof.cli import audit, compare, gate, listing, prove, replay, report
from lossproof.cli.exits import INTERRUPTED, WRONG
from lossproof.errors import LossproofError


class Commands(TyperGroup):
    """The commands; a mistake of the user's ends in one line and exit code 2, never in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except LossproofError as error:
            from lossproof.report.text import one_line

            typer.echo(f"error: {one_line(str(error))}", err=True)
            raise typer.Exit(WRONG) from error
        except KeyboardInterrupt as error:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from error


app = typer.Typer(
    cls=Commands,
    help="Verify and fuzz implementations of machine-learning loss functions.",
    epilog="Exit code: 0 no finding, 1 findings, 2 wrong usage, spec or adapter, 3 nothing was checked.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("check")(audit.check)
app.command("audit")(audit.audit)
app.command("gate")(gate.gate)
app.command("prove")(prove.prove)
app.command("replay")(replay.replay)
app.command("compare")(compare.compare)
app.command("report")(report.report)
app.command("list")(listing.list_)
app.command("show")(listing.show)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"lossproof {lossproof.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line with the arguments of the process, and leave with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(ValueError, OSError):
                stream.reconfigure(errors="replace")  # a terminal without ✓ shows ? instead of a traceback
    app(prog_name="lossproof")
