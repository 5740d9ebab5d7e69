"""A section for each loss: what it is, its conventions, how its implementations keep its laws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from lossproof.audit.results import Run, Verdict
from lossproof.report import digest
from lossproof.report.digest import Line
from lossproof.report.formula import Formula, about
from lossproof.report.html import charts, conventions
from lossproof.report.html.findings import CauseCards
from lossproof.report.html.settings import settings

LONG = 6
"""In laws a loss with a name of more letters is ℓ."""


def sections(run: Run, lines: Sequence[Line], causes: Sequence[CauseCards]) -> list[dict[str, Any]]:
    """What the template of a loss shows, for every loss of the run."""
    losses = dict.fromkeys(line.loss for line in lines if line.loss != "*")
    return [
        _section(
            run,
            loss,
            [line for line in lines if line.loss == loss],
            [cause for cause in causes if cause.card.finding.loss == loss],
        )
        for loss in losses
    ]


def _section(run: Run, loss: str, lines: list[Line], causes: list[CauseCards]) -> dict[str, Any]:
    bound = [each for each in run.implementations if each.loss == loss]
    path = next((each.spec for each in bound if each.spec), "")
    known = about(loss, path)
    every = [setting for line in lines for setting in settings(line)]
    checks = dict.fromkeys(row.check for line in lines for row in line.rows if row.check.startswith("law:"))
    ran = [line for line in lines if line.whole.verdict is not Verdict.SKIP]
    return {
        "name": loss,
        "about": known,
        "verdict": min((line.whole.verdict for line in ran), key=digest.ORDER.index, default=Verdict.SKIP),
        "mathml": Markup(known.mathml) if known.mathml else None,
        "conventions": conventions.conventions(known, bound),
        "fixed": conventions.fixed(known, bound),
        "causes": causes,
        "short": len(loss) > LONG,
        "settings": [each for each in every if each["whole"].verdict is not Verdict.SKIP],
        "left_out": _left_out(every),
        "lines": ran,
        "laws": [_law(check, loss, ran, known) for check in checks],
        "maps": charts.stability(run, loss),
        "tolerances": charts.tolerances(run, loss),
    }


def _law(check: str, loss: str, ran: list[Line], known: Formula) -> dict[str, Any]:
    name = check.removeprefix("law:")
    told = known.laws.get(name)
    return {
        "name": name,
        "told": told,
        "math": Markup(_short(told.math, loss)) if told and told.math else None,
        "when": Markup(told.when) if told and told.when else None,
        "cells": [digest.digest(row for row in line.rows if row.check == check) for line in ran],
    }


def _short(math: str, loss: str) -> str:
    """The markup of a law of a loss, with ℓ for its name where that is long."""
    return math.replace(f"<mi>{escape(loss)}</mi>", "<mi>ℓ</mi>") if len(loss) > LONG else math


def _left_out(every: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The settings in which nothing ran, by the reason."""
    grouped: dict[str, list[dict[str, Any]]] = {}
    for setting in every:
        if setting["whole"].verdict is Verdict.SKIP:
            grouped.setdefault(setting["whole"].reason or "no reason was given", []).append(setting)
    return grouped
