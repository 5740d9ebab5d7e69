"""The whole page, put together from its sections."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lossproof.audit.results import Run, Verdict, blamed
from lossproof.report import digest, embedded, files, json, sentences
from lossproof.report.html import changes, findings, losses, matrix, overview, scripts, unchecked
from lossproof.report.html.rendering import rendering


def write(run: Run, directory: Path, old: Run | None = None) -> Path:
    """Write `directory`/index.html and return its path; old: a run to tell the changes from.

    Raises UsageError where it cannot be written.
    """
    path = directory / "index.html"
    files.write(path, page(run, old))
    return path


def page(run: Run, old: Run | None = None) -> str:
    """The whole page. What specs, adapters and exceptions say is escaped."""
    lines = digest.lines(run)
    changed = changes.changes(old, run) if old is not None else None
    causes = findings.causes(f for f in run.findings if f.verdict is not Verdict.WAIVED)
    excused = findings.causes(f for f in run.findings if f.verdict is Verdict.WAIVED)
    sections = losses.sections(run, lines, [*causes, *excused])
    parts = scripts.parts(charts=any(section["maps"] or section["tolerances"] for section in sections))
    skipped = digest.skipped(run)
    return (
        rendering()
        .get_template("base.html.j2")
        .render(
            run=run,
            Verdict=Verdict,
            policy=parts.policy,
            script=parts.script,
            libraries=parts.libraries,
            embedded=Markup(embedded.pack(json.document(run))),
            verdict=overview.verdict(run, lines, causes),
            counts=overview.counts(run),
            figures=overview.figures(run, lines),
            complete=not (skipped or run.problems or not run.results),
            environment=flat(run.environment),
            changes=changed,
            **matrix.matrix(run, lines, changed),
            losses=sections,
            causes=causes,
            excused=excused,
            bare=[sentences.row_text(row) for row in digest.bare(run, blamed("fail"))],
            degraded=sentences.by_reason(run, Verdict.DEGRADED),
            waived=sentences.by_reason(run, Verdict.WAIVED),
            skipped=skipped,
            undecided=unchecked.undecided(run),
        )
    )


def flat(environment: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """The environment as rows; nested entries get their path as name."""
    rows: list[tuple[str, str]] = []
    for key, value in environment.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows += flat(value, f"{name} ")
        else:
            entries = value if isinstance(value, list | tuple) else [value]
            rows.append((name, ", ".join("none" if entry is None else str(entry) for entry in entries)))
    return rows
