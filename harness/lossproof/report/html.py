"""A run as one self-contained HTML file: no scripts, no requests, readable in light, dark and on a phone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from lossproof.audit.results import Result, Run, Verdict, blamed
from lossproof.builtin import content
from lossproof.report import digest, embedded, files, json, sentences, text
from lossproof.report.digest import Digest, Line
from lossproof.report.facts import facts
from lossproof.report.formula import Formula, about


def write(run: Run, directory: Path) -> Path:
    """Write `directory`/index.html and return its path. Raises UsageError where that cannot be."""
    path = directory / "index.html"
    files.write(path, page(run))
    return path


def page(run: Run) -> str:
    """The whole page. What specs, adapters and exceptions say is escaped."""
    lines = digest.lines(run)
    losses = list(dict.fromkeys(line.loss for line in lines))
    columns = list(dict.fromkeys(_column(line) for line in sorted(lines, key=_column)))
    ran = {_column(line) for line in lines if line.whole.verdict is not Verdict.SKIP}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            embedded=Markup(embedded.pack(json.text(run))),
            Verdict=Verdict,
            totals=digest.totals_text(run),
            counts=digest.totals(run),
            cases=sum(row.cases for row in run.results),
            undecided=sum(row.undecided for row in run.results),
            environment=flat(run.environment),
            columns=[column for column in columns if column in ran],
            empty=[column for column in columns if column not in ran],
            matrix={loss: _matrix_row(loss, lines) for loss in losses},
            losses=[_loss(loss, [line for line in lines if line.loss == loss]) for loss in losses],
            causes=digest.causes(f for f in run.findings if f.verdict is not Verdict.WAIVED),
            excused=digest.causes(f for f in run.findings if f.verdict is Verdict.WAIVED),
            bare=[sentences.row_text(row) for row in digest.bare(run, blamed("fail"))],
            degraded=sentences.by_reason(run, Verdict.DEGRADED),
            waived=sentences.by_reason(run, Verdict.WAIVED),
            skipped=digest.skipped(run),
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


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(content("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(
        bits=text.bits,
        check=digest.check_text,
        duration=text.duration,
        facts=facts,
        headline=digest.headline,
        anchor=_anchor,
        breakable=_breakable,
        symbol=lambda verdict: digest.SYMBOLS[verdict],
    )
    return environment


def _finalize(value: Any) -> Any:
    """Control and bidirectional characters in texts of others are shown, not obeyed."""
    return text.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _breakable(name: str) -> Markup:
    """A name that may be broken after `_` and `.`, where a reader would break it."""
    pieces = re.split(r"(?<=[_.])(?=[^\W\d])", text.clean(name))
    return Markup("<wbr>").join(pieces)


def _anchor(name: str) -> str:
    """A name as a fragment: letters, digits, hyphens; others by their code."""
    return "".join(
        character
        if character.isascii() and (character.isalnum() or character in "-_")
        else f".{ord(character):x}"
        for character in name
    )


def _column(line: Line) -> tuple[str, str]:
    return (line.adapter, line.where)


def _matrix_row(loss: str, lines: list[Line]) -> dict[tuple[str, str], list[Line]]:
    cells: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        if line.loss == loss:
            cells.setdefault(_column(line), []).append(line)
    return cells


def _loss(loss: str, lines: list[Line]) -> dict[str, Any]:
    known = about(loss)
    settings = [setting for line in lines for setting in _settings(line)]
    laws = list(
        dict.fromkeys(row.check for line in lines for row in line.rows if row.check.startswith("law:"))
    )
    return {
        "name": loss,
        "about": known,
        "mathml": Markup(known.mathml) if known.mathml else None,
        "settings": [each for each in settings if each["whole"].verdict is not Verdict.SKIP],
        "left_out": _left_out(settings),
        "lines": [line for line in lines if line.whole.verdict is not Verdict.SKIP],
        "laws": [_law(check, lines, known) for check in laws],
    }


def _law(check: str, lines: list[Line], known: Formula) -> dict[str, Any]:
    name = check.removeprefix("law:")
    return {
        "name": name,
        "text": known.laws.get(name),
        "cells": [
            digest.digest(row for row in line.rows if row.check == check)
            for line in lines
            if line.whole.verdict is not Verdict.SKIP
        ],
    }


def _settings(line: Line) -> list[dict[str, Any]]:
    """The rows of an implementation by device, dtype and mode."""
    grouped: dict[tuple[str, str, str], list[Result]] = {}
    for row in line.rows:
        grouped.setdefault((row.device, row.dtype, row.mode), []).append(row)
    return [
        {
            "line": line,
            "device": device,
            "dtype": dtype,
            "mode": mode,
            "whole": digest.digest(rows),
            "value": _of(rows, "accuracy"),
            "gradient": _of(rows, "gradient"),
            "laws": _of(rows, "law"),
            "others": _others(rows),
        }
        for (device, dtype, mode), rows in grouped.items()
    ]


def _left_out(settings: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The settings in which nothing ran, by the reason."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for setting in settings:
        if setting["whole"].verdict is Verdict.SKIP:
            grouped.setdefault(setting["whole"].reason or "no reason was given", []).append(setting)
    return grouped


def _of(rows: list[Result], check: str) -> Digest | None:
    return digest.digest(row for row in rows if row.check.partition(":")[0] == check)


def _others(rows: list[Result]) -> list[tuple[str, Digest]]:
    """The checks that have no column of their own."""
    names = dict.fromkeys(
        row.check for row in rows if row.check.partition(":")[0] not in ("accuracy", "gradient", "law")
    )
    found = ((name, digest.digest(row for row in rows if row.check == name)) for name in names)
    return [(name, entry) for name, entry in found if entry is not None]
