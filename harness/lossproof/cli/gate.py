"""`lossproof gate`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lossproof.audit.results import FAIL_ON, Run, Verdict
from lossproof.cli import options as given
from lossproof.cli.execute import STDOUT, Outputs, execute
from lossproof.errors import LossproofError, Place, UsageError, shown

if TYPE_CHECKING:
    from lossproof.gate.config import Config
    from lossproof.gate.git import Reference
    from lossproof.waivers import Waiver


def gate(
    config_from: Annotated[
        str | None,
        typer.Option(
            "--config-from",
            metavar="REF",
            help="Read pyproject.toml and the waivers as they are at this git reference.",
        ),
    ] = None,
    write_waivers: Annotated[
        bool,
        typer.Option("--write-waivers", help="Draft waivers for the findings, with reasons to fill in."),
    ] = False,
    loss: given.Loss = None,
    framework: given.Framework = None,
    device: given.Device = None,
    dtype: given.Dtype = None,
    mode: given.Mode = None,
    regime: given.Regime = None,
    profile: given.GateProfile = None,
    seed: given.GateSeed = None,
    jobs: given.Jobs = None,
    no_cache: given.NoCache = False,
    json: given.Json = None,
    html: given.Html = None,
    junit: given.Junit = None,
    sarif: given.Sarif = None,
    markdown: given.Markdown = None,
    waivers: given.Waivers = None,
    fail_on: given.GateFailOn = None,
) -> None:
    """Hold a repository to [tool.lossproof] of its pyproject.toml, and its waivers to what is found.

    Options override what stands there. A waiver that matches nothing, has expired, is exceeded or gives no reason
    fails the gate.
    """
    from lossproof.audit.plan import Options
    from lossproof.gate import config, git
    from lossproof.gate.verdict import objections

    reference = git.Reference(config_from, Path.cwd()) if config_from is not None else None
    said = config.find(Path.cwd(), reference)
    path = waivers if waivers is not None else said.root / (said.waivers or config.WAIVERS)
    accepted = _waivers(path, said, reference, wanted=waivers is not None, drafting=write_waivers)
    narrowing = [given.split(each) for each in (loss, framework, device, dtype, mode, regime)]
    options = Options(
        targets=said.targets,
        losses=narrowing[0] or said.losses,
        frameworks=narrowing[1] or said.frameworks,
        devices=narrowing[2] or said.devices,
        dtypes=narrowing[3] or said.dtypes,
        modes=narrowing[4] or said.modes,
        regimes=narrowing[5] or said.regimes,
        profile=profile or said.profile,
        seed=said.seed if seed is None else seed,
        jobs=jobs or said.jobs,
        cache=not no_cache,
        waivers=tuple(accepted),
        fail_on=given.one_of("--fail-on", fail_on or said.fail_on, FAIL_ON),
        maps=html is not None,
    )
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    outputs = Outputs(
        json=_here(json), html=_here(html), junit=_here(junit), sarif=_here(sarif), markdown=_here(markdown),
        summary=Path(summary) if summary else None, fail_on=options.fail_on,
    )  # fmt: skip

    drafted: list[str] = []

    def judge(run: Run) -> None:
        run.objections = objections(run, accepted, options.fail_on, narrowed=any(narrowing))
        if write_waivers:
            drafted.append(_draft(run, path, options.fail_on))

    # targets and modules are named from where the configuration stands
    with contextlib.chdir(said.root):
        try:
            code = execute(options, outputs, judge)
        finally:
            for line in drafted:  # at the end, below a report that may be long
                typer.echo(line, err=True)
    raise typer.Exit(code)


def _here(path: Path | None) -> Path | None:
    """A path as the user means it, from the folder in which the command was given."""
    return path if path is None or path == STDOUT else path.absolute()


def _waivers(
    path: Path, said: Config, reference: Reference | None, *, wanted: bool, drafting: bool
) -> Sequence[Waiver]:
    """The waivers of a file, which may be missing unless somebody names it. Raises UsageError with the place."""
    from lossproof.spec.source import text
    from lossproof.waivers import parse

    path = path.absolute()
    shown = os.path.relpath(path, said.root)
    if reference is not None:
        written, shown_at = reference.text(path), f"{reference.name}:{shown}"
    else:
        written, shown_at = (text(path) if path.exists() else None), shown
    if written is None:
        if (wanted or said.waivers is not None) and not drafting:
            raise UsageError(
                f"there is no file of waivers '{shown_at}'", None if wanted else said.waivers_place
            )
        return []
    try:
        return parse(written, shown)
    except LossproofError as error:
        raise UsageError(error.message, _at(error.place, shown_at)) from None


def _at(place: Place | None, file: str) -> Place:
    return Place(file) if place is None else replace(place, file=file)


def _draft(run: Run, path: Path, fail_on: str) -> str:
    """Add what is missing to a file of waivers, and say so."""
    from lossproof.gate.drafts import draft
    from lossproof.report import files
    from lossproof.report.text import plural

    path = path.absolute()
    written = path.read_bytes().decode("utf-8") if path.is_file() else ""
    text, count = draft(run, fail_on, written)
    if count:
        files.write(path, text)
        return f"{plural(count, 'waiver')} drafted in {shown(str(path))}: fill in the reasons"
    waived = any(row.verdict is Verdict.WAIVED for row in run.results)
    return f"no waiver to draft: there is no finding{' beside those that are waived' if waived else ''}"
