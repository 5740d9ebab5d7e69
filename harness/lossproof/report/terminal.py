"""The summary of a run for a terminal: a line per implementation, findings, skips, totals."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lossproof.audit.results import Run, Verdict, blamed
from lossproof.report import digest as gather
from lossproof.report.digest import Cause, Digest, Line
from lossproof.report.facts import facts
from lossproof.report.progress import STYLES
from lossproof.report.sentences import by_reason, row_text, skip_text, worst_text
from lossproof.report.text import bits, clean, duration, one_line, plural

NARROW = 100
UNHELD = "Waivers that do not hold in this run"


def summary(
    run: Run,
    console: Console,
    *,
    fail_on: str = "fail",
    written: Sequence[str] = (),
    replay: str | None = None,
    remarks: Sequence[str] = (),
    meant: Sequence[str] = (),
) -> None:
    """Print what the run found.

    fail_on: "degraded" shows degraded findings in full. written: lines about the files that were written.
    replay: the JSON file that `lossproof replay` can be given. remarks, meant: about waivers, and about how functions
    are bound; of no weight for the outcome.
    """
    _implementations(run, console)
    _findings(run, console, fail_on, replay)
    if fail_on != "degraded":
        _short(console, "Degraded", by_reason(run, Verdict.DEGRADED), "yellow")
    _short(console, "Waived", by_reason(run, Verdict.WAIVED), "cyan")
    _short(console, "Worst inputs found", [worst_text(row) for row in run.results if row.worst], "")
    _short(console, "Skipped", [skip_text(entry) for entry in gather.skipped(run)], "")
    objections = [f"{each.where}: {each.message}" for each in run.objections]
    _short(console, "Waivers that do not hold", objections, "bold red")
    _short(console, UNHELD, remarks, "yellow")
    _short(console, "Perhaps meant otherwise", meant, "yellow")
    problems = [f"{problem.where}: {problem.message}" for problem in run.problems]
    _short(console, "Problems", problems, "bold red")
    _last(run, console, written)


def _implementations(run: Run, console: Console) -> None:
    lines = [line for line in gather.lines(run) if line.whole.verdict is not Verdict.SKIP]
    if not lines:
        return
    wide = console.width >= NARROW
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    if wide:
        table.add_column(overflow="fold")
    for _ in range(5 if wide else 4):
        table.add_column(justify="right", no_wrap=True)
    heads = [
        *([""] * (4 if wide else 3)),
        "value",
        "gradient",
        "laws",
        *(["cases"] if wide else []),
        "undecided",
    ]
    table.add_row(*(Text(head, "dim") for head in heads))
    for position, line in enumerate(lines):
        if position == 0 or lines[position - 1].loss != line.loss:
            table.add_row(Text(one_line(line.loss), "bold"))
        table.add_row(*_cells(line, wide))
    console.print(table)
    console.print(Text("value, gradient, laws: the most bits lost; up to 3 pass", "dim"))


def _cells(line: Line, wide: bool) -> Iterable[Text]:
    style = STYLES[line.whole.verdict]
    yield Text(f"  {one_line(line.implementation)}")
    yield Text(f"{line.whole.symbol} {line.whole.verdict}" if wide else line.whole.symbol, style)
    yield Text(line.where)
    if wide:
        dtypes = (dtype.replace("bfloat", "bf").replace("float", "f") for dtype in line.dtypes)
        yield Text(f"{' '.join(dtypes)} · {' '.join(line.modes)}")
    for part in (line.value, line.gradient, line.laws):
        yield _lost(part)
    if wide:
        yield Text(f"{line.whole.cases:,}")
    yield Text(f"{line.whole.undecided:,}", "" if line.whole.undecided else "dim")


def _lost(part: Digest | None) -> Text:
    if part is None:
        return Text("–", "dim")
    return Text(bits(part.bits_lost), STYLES[part.verdict] if part.verdict is not Verdict.PASS else "")


def _findings(run: Run, console: Console, fail_on: str, replay: str | None) -> None:
    wrong = blamed(fail_on)
    accused = (finding for finding in run.findings if finding.verdict in wrong and finding.waiver is None)
    causes = gather.causes(accused)
    bare = gather.bare(run, wrong)
    if not causes and not bare:
        return
    console.print()
    console.print(Text("Findings", "bold"))
    explained: set[tuple[str, str]] = set()
    for cause in causes:
        finding = cause.shown
        name = (finding.implementation, finding.framework)
        _cause(cause, console, replay, snippet=name not in explained)
        explained.add(name)
    _short(console, None, [row_text(row) for row in bare], "bold red")


def _cause(cause: Cause, console: Console, replay: str | None, *, snippet: bool) -> None:
    finding = cause.shown
    console.print()
    symbol = gather.SYMBOLS[finding.verdict]
    head = f"{symbol} {one_line(gather.headline(finding))}"
    console.print(
        Text.assemble((head, STYLES[finding.verdict]), (f"  [{finding.id}]", "dim")), soft_wrap=True
    )
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in facts(finding):
        table.add_row(Text(label), Text(value))
    if cause.others:
        table.add_row(Text("also"), Text(one_line(cause.also)))
    console.print(Padding(table, (0, 0, 0, 4), expand=False))
    if replay is not None:  # unwrapped, to be copied
        again = f"lossproof replay {shlex.quote(replay)} {finding.id}"
        console.print(Text.assemble("    ", ("again             ", "dim"), again), soft_wrap=True)
    if snippet and finding.snippet.strip():
        for line in clean(finding.snippet).strip("\n").splitlines():
            console.print(Text.assemble("      ", ("│ ", "dim"), line), soft_wrap=True)


def _short(console: Console, title: str | None, texts: Sequence[str], style: str) -> None:
    if not texts:
        return
    console.print()
    if title:
        console.print(Text(title, "bold"))
    for text in texts:
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        table.add_row(Text(" ·", style), Text(one_line(text)))
        console.print(table)


def _last(run: Run, console: Console, written: Sequence[str]) -> None:
    console.print()
    left_out = gather.totals(run).get(Verdict.SKIP, 0)
    if not gather.checked(run):
        console.print(Text("Nothing was checked.", "bold yellow"))
    elif left_out or run.problems:
        said = [plural(left_out, "check") + " skipped"] if left_out else []
        said += [plural(len(run.problems), "problem")] if run.problems else []
        console.print(Text(f"Not everything was checked: {', '.join(said)}.", "yellow"))
    line = Text(gather.totals_text(run), "bold")
    line.append(f"  in {duration(run.seconds)}, profile {run.profile}, seed {run.seed}", "dim")
    if run.cached:
        line.append(f", {run.cached:,} of {plural(run.cells, 'cell')} from the cache", "dim")
    console.print(line, soft_wrap=True)
    for text in written:
        console.print(Text(text), soft_wrap=True)
