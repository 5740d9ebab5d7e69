"""A run as Markdown: what a reviewer sees on the page of a pull request."""

from __future__ import annotations

import os
import re
from pathlib import Path

from lossproof.audit.results import Run, Verdict, blamed
from lossproof.errors import Place, UsageError
from lossproof.report import digest, files
from lossproof.report.digest import Cause, Line
from lossproof.report.facts import facts
from lossproof.report.sentences import by_reason, row_text, skip_text
from lossproof.report.text import bits, clean, one_line, plural

MANY = 40
"""More findings than that are counted, not shown: GitHub refuses a summary above 1 MiB."""

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~#&!])")


def text(run: Run, fail_on: str = "fail") -> str:
    """The Markdown, from a heading of the second level down."""
    wrong = blamed(fail_on)
    causes = digest.causes(f for f in run.findings if f.verdict in wrong and f.waiver is None)
    bare = [row_text(row) for row in digest.bare(run, wrong)]
    red = bool(causes or bare or run.objections or run.problems) or not digest.checked(run)
    parts = [f"## {'❌' if red else '✅'} lossproof", f"{_safe(digest.totals_text(run))}  \n{_how(run)}"]
    if not digest.checked(run):
        parts.append("**Nothing was checked.**")
    parts += _listed("Problems", [f"{each.where}: {each.message}" for each in run.problems])
    parts += _listed("Waivers that do not hold", [f"{each.where}: {each.message}" for each in run.objections])
    if causes or bare:
        parts.append("### Findings")
        parts += [_cause(cause) for cause in causes[:MANY]]
        if len(causes) > MANY:
            parts.append(f"… and {plural(len(causes) - MANY, 'more finding')}")
        parts += _listed(None, bare)
    parts += _table([line for line in digest.lines(run) if line.whole.verdict is not Verdict.SKIP])
    if fail_on != "degraded":
        parts += _folded("Degraded", by_reason(run, Verdict.DEGRADED))
    parts += _folded("Waived", by_reason(run, Verdict.WAIVED))
    parts += _folded("Skipped", [skip_text(entry) for entry in digest.skipped(run)])
    return "\n\n".join(parts) + "\n"


def write(run: Run, path: Path, fail_on: str = "fail") -> None:
    """Write the Markdown to `path`. Raises UsageError where that cannot be."""
    files.write(path, text(run, fail_on))


def append(run: Run, path: Path, fail_on: str = "fail") -> None:
    """Add the Markdown to a file to which other steps write as well. Raises UsageError where that cannot be."""
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(text(run, fail_on) + os.linesep)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror or error}", Place(str(path))) from error


def _how(run: Run) -> str:
    return f"profile {_safe(run.profile)}, seed {run.seed}, lossproof {_safe(run.lossproof)}"


def _cause(cause: Cause) -> str:
    finding = cause.shown
    told = [*facts(finding), *([("also", cause.also)] if cause.others else [])]
    wide = max(len(label) for label, _ in told)
    lines = [f"{label:<{wide}}  {one_line(value)}" for label, value in told]
    parts = [f"#### {_safe(digest.headline(finding))}", _fenced("\n".join(lines), "text")]
    if finding.snippet.strip():
        shown = _fenced(clean(finding.snippet).strip("\n"), "python")
        parts.append(f"<details><summary>to see it again</summary>\n\n{shown}\n\n</details>")
    return "\n\n".join(parts)


def _table(lines: list[Line]) -> list[str]:
    if not lines:
        return []
    head = "| loss | implementation | verdict | framework | value | gradient | laws |"
    rows = [head, "| --- | --- | --- | --- | ---: | ---: | ---: |"]
    for line in lines:
        lost = (bits(part.bits_lost) if part else "–" for part in (line.value, line.gradient, line.laws))
        verdict = f"{line.whole.symbol} {line.whole.verdict}"
        cells = (_safe(line.loss), _safe(line.implementation), verdict, line.where, *lost)
        rows.append(f"| {' | '.join(cells)} |")
    return [
        "### Implementations",
        "\n".join(rows),
        "Value, gradient, laws: the most bits lost; up to 3 pass.",
    ]


def _listed(title: str | None, texts: list[str]) -> list[str]:
    if not texts:
        return []
    listed = "\n".join(f"- {_safe(each)}" for each in texts)
    return [f"### {title}", listed] if title else [listed]


def _folded(title: str, texts: list[str]) -> list[str]:
    if not texts:
        return []
    listed = "\n".join(f"- {_safe(each)}" for each in texts)
    return [f"<details><summary>{title} ({len(texts)})</summary>\n\n{listed}\n\n</details>"]


def _fenced(text: str, language: str) -> str:
    """A code block whose fence is longer than any run of backticks in it."""
    longest = max((len(found) for found in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _safe(text: str) -> str:
    """A text of others as plain words: it sets no markup."""
    return _SPECIAL.sub(r"\\\1", one_line(text))
