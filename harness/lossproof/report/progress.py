"""Progress of a run: a bar on a terminal, one plain line per cell elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from lossproof.audit.events import CellFinished, Event, ProblemMet, RunStarted
from lossproof.audit.results import Verdict
from lossproof.report.digest import Digest, digest
from lossproof.report.text import bits, duration, one_line

STYLES = {
    Verdict.PASS: "green",
    Verdict.DEGRADED: "yellow",
    Verdict.FAIL: "bold red",
    Verdict.ERROR: "bold red",
    Verdict.WAIVED: "cyan",
    Verdict.SKIP: "dim",
}


class Lines:
    """Listens to a run and prints a line for each cell and problem."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._total = 0
        self._done = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._total = event.cells
        elif isinstance(event, CellFinished):
            self._done += 1
            count = f"[{self._done:>{len(str(self._total))}}/{self._total}] "
            took = "from the cache" if event.cached else duration(event.seconds)
            self._print(Text(count) + _cell(event) + Text(f"  {took}"))
        elif isinstance(event, ProblemMet):
            self._print(_problem(event))

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)


class Bar:
    """Listens to a run and moves a bar; cells that did not pass are printed above it."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._task: TaskID | None = None
        self._progress = Progress(
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._task = self._progress.add_task("", total=event.cells)
        elif isinstance(event, CellFinished) and self._task is not None:
            self._progress.update(self._task, advance=1, description=_name(event))
            found = digest(event.results)
            if found is not None and found.verdict in (Verdict.FAIL, Verdict.ERROR):
                self._console.print(_cell(event))
        elif isinstance(event, ProblemMet):
            self._console.print(_problem(event))


def listener(console: Console) -> Lines | Bar:
    """The progress that fits the console."""
    return Bar(console) if console.is_terminal else Lines(console)


def _name(cell: CellFinished) -> str:
    device = "" if cell.device == "cpu" else f"{cell.device} "
    return one_line(f"{cell.implementation} {cell.framework} {device}{cell.dtype} {cell.mode}")


def _cell(cell: CellFinished) -> Text:
    found = digest(cell.results) or Digest(Verdict.SKIP, None, 0, 0, None)
    line = Text.assemble((f"{found.symbol} {found.verdict:<8} ", STYLES[found.verdict]), _name(cell))
    if found.verdict is Verdict.SKIP:
        line.append(f": {one_line(found.reason or 'nothing to check')}")
    elif found.bits_lost:
        line.append(f"  {bits(found.bits_lost)} bits lost")
    return line


def _problem(event: ProblemMet) -> Text:
    problem = event.problem
    return Text.assemble(("error: ", "bold red"), one_line(f"{problem.where}: {problem.message}"))
