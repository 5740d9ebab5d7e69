"""Running a plan with progress, and handing what it found to the reports."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

import lossproof
from lossproof.audit.events import CellFinished, Event, ProblemMet, RunStarted
from lossproof.audit.results import Problem, Run
from lossproof.cli.exits import INTERRUPTED, exit_code
from lossproof.errors import LossproofError, Place

if TYPE_CHECKING:
    from lossproof.audit.plan import Options, Plan
    from lossproof.report.sarif import Sources

STDOUT = Path("-")


@dataclass(frozen=True)
class Outputs:
    """Where reports go, and from which verdict on a row is a finding. summary: a file that Markdown is added to."""

    json: Path | None = None
    html: Path | None = None
    junit: Path | None = None
    sarif: Path | None = None
    markdown: Path | None = None
    summary: Path | None = None
    fail_on: str = "fail"

    def prepare(self) -> None:
        """Fail now if something cannot be written later. Raises UsageError."""
        from lossproof.report import files

        for path in (self.json, self.junit, self.sarif, self.markdown, self.summary):
            if path is not None and path != STDOUT:
                files.prepare(path)
        if self.html is not None:
            files.prepare(self.html, directory=True)


class Partial:
    """Listens to a run and keeps what is finished, for a run that is interrupted."""

    def __init__(self, options: Options) -> None:
        self._total = 0
        self._done = 0
        self.run = Run(lossproof.__version__, options.seed, options.profile, {})

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._total = event.cells
        elif isinstance(event, CellFinished):
            self._done += 1
            self.run.results += event.results
            self.run.findings += event.findings
            self.run.tolerances += event.tolerances
            self.run.maps += event.maps
            self.run.seconds += event.seconds
        elif isinstance(event, ProblemMet):
            self.run.problems.append(event.problem)

    def interrupted(self) -> Run:
        """What is finished, with a problem that says that it is not everything."""
        message = f"interrupted after {self._done} of {self._total} cells"
        self.run.problems.append(Problem("run", message))
        self.run.results.sort(key=lambda row: (row.loss, row.implementation, row.framework, row.device))
        return self.run


def execute(options: Options, outputs: Outputs, judge: Callable[[Run], None] | None = None) -> int:
    """Plan, run, report; the exit code. judge: is shown a whole run before it is reported.

    Without a judge, what is to be said against waivers is a remark of the summary and no more.
    Raises UsageError for what the options name wrongly.
    """
    from lossproof.audit.plan import plan
    from lossproof.audit.run import run
    from lossproof.audit.worker import start
    from lossproof.report.console import console
    from lossproof.report.progress import listener

    # before any framework is imported: this process does a worker's work where there are few cells
    start()
    planned = plan(options)
    outputs.prepare()
    partial = Partial(options)
    announced: list[Problem] = []
    try:
        with listener(console(sys.stderr)) as progress:

            def both(event: Event) -> None:
                partial(event)
                if isinstance(event, ProblemMet):
                    announced.append(event.problem)
                progress(event)

            found = run(planned, both)
    except KeyboardInterrupt:
        report(partial.interrupted(), outputs, announced, planned)
        return INTERRUPTED
    if judge is not None:
        judge(found)
        return report(found, outputs, announced, planned)
    return report(found, outputs, announced, planned, _remarks(found, options, planned))


def _remarks(found: Run, options: Options, planned: Plan) -> Sequence[str]:
    if not options.waivers:
        return ()
    from lossproof.gate.verdict import remarks

    narrowing = (
        options.losses, options.frameworks, options.devices, options.dtypes, options.modes, options.regimes,
        *(":" in target for target in options.targets),
    )  # fmt: skip
    sources: dict[str, set[Path]] = {}
    for each in (cell.implementation for cell in planned.cells):
        sources.setdefault(each.adapter, set()).update([Path(each.path)] if each.path else [])
    return remarks(found, options.waivers, options.fail_on, narrowed=any(narrowing), sources=sources)


def report(
    run: Run,
    outputs: Outputs,
    announced: Sequence[Problem] = (),
    planned: Plan | None = None,
    remarks: Sequence[str] = (),
) -> int:
    """Write every report that is wanted, print the summary, and give the exit code.

    A run of nothing but problems is a line for each of them, once: `announced` are on the screen already.
    Where one report cannot be written the others still are; then the error is raised.
    """
    from lossproof.report import json, junit
    from lossproof.report.console import console
    from lossproof.report.terminal import summary
    from lossproof.report.text import one_line

    written: list[str] = []
    errors: list[LossproofError] = []

    def attempt(label: str, path: Path, write: Callable[[Path], object]) -> None:
        try:
            write(path)
        except LossproofError as error:
            errors.append(error)
        else:
            written.append(f"{label}: {path}")

    if outputs.json is not None and outputs.json != STDOUT:
        attempt("results", outputs.json, lambda path: json.write(run, path))
    if outputs.junit is not None:
        attempt("JUnit", outputs.junit, lambda path: junit.write(run, path, outputs.fail_on))
    if outputs.html is not None:
        from lossproof.report import html

        attempt("report", outputs.html / "index.html", lambda path: html.write(run, path.parent))
    if outputs.sarif is not None:
        from lossproof.report import sarif

        sources = _sources(planned)
        attempt("SARIF", outputs.sarif, lambda path: sarif.write(run, path, sources, outputs.fail_on))
    if outputs.markdown is not None or outputs.summary is not None:
        from lossproof.report import markdown

        if outputs.markdown is not None:
            attempt("Markdown", outputs.markdown, lambda path: markdown.write(run, path, outputs.fail_on))
        if outputs.summary is not None:
            attempt("summary", outputs.summary, lambda path: markdown.append(run, path, outputs.fail_on))
    replay = str(outputs.json) if outputs.json not in (None, STDOUT) else None
    stream = sys.stderr if outputs.json == STDOUT else sys.stdout
    if run.results or not run.problems:
        cells = planned.cells if planned is not None else ()
        meant = list(dict.fromkeys(said for cell in cells for said in cell.implementation.remarked))
        summary(
            run, console(stream), fail_on=outputs.fail_on, written=written, replay=replay,
            remarks=remarks, meant=meant,
        )  # fmt: skip
    else:
        for problem in run.problems:
            if problem not in announced:
                typer.echo(f"error: {one_line(f'{problem.where}: {problem.message}')}", err=True)
    if outputs.json == STDOUT:
        sys.stdout.write(json.text(run))
    if errors:
        raise errors[0]
    return exit_code(run, outputs.fail_on)


def _sources(planned: Plan | None) -> Sources:
    """Where the implementations of a plan stand, in the repository around the working directory."""
    from lossproof.gate import git
    from lossproof.report.sarif import Sources

    places = {
        (i.name, i.loss, i.framework): Place(i.path, i.line or None)
        for i in (cell.implementation for cell in (planned.cells if planned is not None else ()))
        if i.path
    }
    return Sources(git.top(Path.cwd()) or Path.cwd(), places)
