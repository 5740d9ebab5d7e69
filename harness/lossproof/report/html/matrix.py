"""The matrix of losses and implementations, with what the filters need to know of each cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lossproof.audit.results import Result, Run, Verdict
from lossproof.report import digest, text
from lossproof.report.digest import Digest, Line
from lossproof.report.html.changes import Changes
from lossproof.report.html.charts import PASSED
from lossproof.report.html.settings import settings

SHORT = {"float64": "f64", "float32": "f32", "float16": "f16", "bfloat16": "bf16"}


@dataclass(frozen=True)
class Column:
    """One adapter in one framework on one device. settings: in which dtypes and modes something ran there."""

    adapter: str
    framework: str
    where: str
    settings: str


def matrix(run: Run, lines: Sequence[Line], changes: Changes | None) -> dict[str, Any]:
    """columns, matrix (rows of cells in their order), filters, and the columns that are empty."""
    keys = list(dict.fromkeys(_key(line) for line in sorted(lines, key=_key)))
    ran = {_key(line) for line in lines if line.whole.verdict is not Verdict.SKIP}
    shown = [key for key in keys if key in ran]
    losses = dict.fromkeys(line.loss for line in lines)
    return {
        "columns": [_column([line for line in lines if _key(line) == key]) for key in shown],
        "empty": [" ".join(key) for key in keys if key not in ran],
        "matrix": [
            {
                "loss": loss,
                "cells": [
                    _cells([line for line in lines if line.loss == loss and _key(line) == key], changes)
                    for key in shown
                ],
            }
            for loss in losses
        ],
        "filters": _filters(lines),
    }


def _key(line: Line) -> tuple[str, str]:
    return (line.adapter, line.where)


def _column(lines: Sequence[Line]) -> Column:
    dtypes = sorted({dtype for line in lines for dtype in line.dtypes}, key=digest.dtype_order)
    modes = sorted({mode for line in lines for mode in line.modes}, reverse=True)
    told = " ".join(SHORT.get(dtype, dtype) for dtype in dtypes) + " · " + ", ".join(modes)
    return Column(lines[0].adapter, lines[0].framework, lines[0].where, told)


def _cells(lines: Sequence[Line], changes: Changes | None) -> list[dict[str, Any]]:
    found = []
    for line in lines:
        name = line.implementation.rpartition(".")[2]
        bits, lost = _lost(line.whole, line.rows)
        found.append(
            {
                "whole": line.whole,
                "lost": lost,
                "short": name if len(lines) > 1 or name != line.loss else "",
                "label": f"{line.loss}, {line.implementation} {line.where}: {line.whole.verdict}, {lost}"
                + (" bits lost" if bits is not None else ""),
                "settings": [_setting(setting) for setting in settings(line)],
                "change": changes.of(line) if changes else None,
            }
        )
    return found


def _setting(setting: dict[str, Any]) -> dict[str, Any]:
    bits, lost = _lost(setting["whole"], setting["rows"])
    short = f"{SHORT.get(setting['dtype'], setting['dtype'])} {setting['mode']}"
    return {**setting, "bits": _plain(bits), "lost": lost, "short": short}


def _lost(whole: Digest, rows: Sequence[Result]) -> tuple[float | None, str]:
    """The most bits lost, and what a cell says: the bits, or the check that fails where it measures none."""
    if whole.verdict is Verdict.SKIP:
        return None, "skip"
    worst = [row for row in rows if row.verdict is whole.verdict]
    measured = any(row.bits_lost is not None for row in worst) or (whole.bits_lost or 0.0) > PASSED
    if not measured and whole.verdict is not Verdict.PASS:
        return None, digest.check_text(worst[0].check)
    return whole.bits_lost, text.bits(whole.bits_lost)


def _filters(lines: Sequence[Line]) -> dict[str, list[tuple[str, str]]]:
    """What can be filtered by, each with its values and their labels; nothing where there is no choice."""
    ran = [row for line in lines for row in line.rows if row.verdict is not Verdict.SKIP]
    verdicts = {row.verdict for line in lines for row in line.rows}
    every = {
        "framework": [(name, name) for name in sorted({row.framework for row in ran})],
        "dtype": [(name, name) for name in sorted({row.dtype for row in ran}, key=digest.dtype_order)],
        "mode": [(name, name) for name in sorted({row.mode for row in ran}, reverse=True)],
        "verdict": [(v.value, f"{digest.SYMBOLS[v]} {v.value}") for v in Verdict if v in verdicts],
    }
    return {name: values for name, values in every.items() if len(values) > 1}


def _plain(bits: float | None) -> str:
    """Bits for a script to read."""
    return "" if bits is None or math.isnan(bits) else "Infinity" if math.isinf(bits) else f"{bits:.3g}"
