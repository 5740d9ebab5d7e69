"""The options that check, audit and gate share; those of gate say nothing unless they are given."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from lossproof.errors import UsageError, unknown

_MANY = "Repeatable, or separated by commas."


def _many(flag: str, what: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        flag, metavar=flag.strip("-").upper(), help=f"{what} {_MANY}", show_default=False
    )
    return option


Loss = Annotated[list[str] | None, _many("--loss", "Only these losses.")]
Framework = Annotated[list[str] | None, _many("--framework", "Only these frameworks: numpy, torch, jax.")]
Device = Annotated[list[str] | None, _many("--device", "Only these devices: cpu, cuda.")]
Dtype = Annotated[
    list[str] | None,
    _many("--dtype", "These dtypes instead of the declared ones: float64, float32, float16, bfloat16."),
]
Mode = Annotated[list[str] | None, _many("--mode", "Only these modes: eager, compiled.")]
Regime = Annotated[list[str] | None, _many("--regime", "Only these regimes of inputs.")]
Profile = Annotated[
    str, typer.Option("--profile", metavar="PROFILE", help="How long to search: quick, standard or deep.")
]
Seed = Annotated[
    int,
    typer.Option("--seed", metavar="N", min=0, help="The same seed gives the same cases on every machine."),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", "-j", metavar="N", min=1, help="Worker processes; as many as there are cores unless given."
    ),
]
NoCache = Annotated[
    bool,
    typer.Option(
        "--no-cache", help="Examine again what an earlier run has examined unchanged, and keep none of it."
    ),
]
Json = Annotated[
    Path | None,
    typer.Option("--json", metavar="FILE", help="Write the results as JSON; - is standard output."),
]
Html = Annotated[
    Path | None, typer.Option("--html", metavar="DIR", help="Write the report as DIR/index.html.")
]
Junit = Annotated[
    Path | None, typer.Option("--junit", metavar="FILE", help="Write the results as JUnit XML.")
]
Sarif = Annotated[
    Path | None,
    typer.Option("--sarif", metavar="FILE", help="Write the findings as SARIF 2.1.0, for code hosts."),
]
Markdown = Annotated[
    Path | None, typer.Option("--markdown", metavar="FILE", help="Write a summary in Markdown.")
]
Waivers = Annotated[
    Path | None,
    typer.Option("--waivers", metavar="FILE", help="Accept the findings that the waivers in this file name."),
]
FailOn = Annotated[
    str,
    typer.Option("--fail-on", metavar="VERDICT", help="From which verdict on exit with 1: fail or degraded."),
]
GateProfile = Annotated[
    str | None,
    typer.Option("--profile", metavar="PROFILE", help="How long to search: quick, standard or deep."),
]
GateSeed = Annotated[int | None, typer.Option("--seed", metavar="N", min=0, help="Draw other cases.")]
GateFailOn = Annotated[
    str | None,
    typer.Option("--fail-on", metavar="VERDICT", help="From which verdict on exit with 1: fail or degraded."),
]


def split(values: Iterable[str] | None) -> tuple[str, ...]:
    """Repeated and comma-separated values as one tuple, in their order, each once."""
    words = (word.strip() for value in values or () for word in value.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def one_of(flag: str, word: str, allowed: Iterable[str]) -> str:
    """`word`, if it is allowed. UsageError with the nearest right word otherwise."""
    allowed = tuple(allowed)
    if word not in allowed:
        raise UsageError(f"{flag}: {unknown('value', word, allowed)}")
    return word
