"""What is wrong, as plain text: for the message of a test that fails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lossproof.audit.results import Finding, Result, Run, blamed
from lossproof.report import digest
from lossproof.report.facts import facts
from lossproof.report.sentences import row_text
from lossproof.report.text import clean, one_line


def of_rows(run: Run, rows: Sequence[Result], fail_on: str) -> str:
    """What the rows of a run that are blamed have to say; empty where none is.

    fail_on: as for `blamed`. Findings of one cause are told once, by the clearest; then rows without a finding.
    """
    wrong = [row for row in rows if row.verdict in blamed(fail_on)]
    named = {row.finding for row in wrong}
    findings = [each for each in run.findings if each.id in named]
    known = {each.id for each in findings}
    bare = [row_text(row) for row in wrong if row.finding not in known]
    return "\n\n".join([*of_findings(findings), *(["\n".join(map(one_line, bare))] if bare else [])])


def of_findings(findings: Iterable[Finding]) -> list[str]:
    """A text for each cause: the headline, the minimal case, the diagnosis, a snippet that shows it again."""
    told = []
    for cause in digest.causes(findings):
        finding = cause.shown
        lines = [*facts(finding), *([("also", one_line(cause.also))] if cause.others else [])]
        width = max(len(label) for label, _ in lines)
        told.append(
            "\n".join(
                [
                    one_line(digest.headline(finding)),
                    *(f"  {label:<{width}}  {text}" for label, text in lines),
                    *(f"    │ {line}" for line in clean(finding.snippet).strip("\n").splitlines()),
                ]
            )
        )
    return told
