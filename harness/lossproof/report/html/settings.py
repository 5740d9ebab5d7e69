"""The rows of an implementation by device, dtype and mode."""

from __future__ import annotations

from typing import Any

from lossproof.audit.results import Result
from lossproof.report import digest
from lossproof.report.digest import Digest, Line


def settings(line: Line) -> list[dict[str, Any]]:
    """For each setting of a line: line, device, dtype, mode, rows; digests: whole, value, gradient, laws, others."""
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
            "rows": rows,
            "value": _of(rows, "accuracy"),
            "gradient": _of(rows, "gradient"),
            "laws": _of(rows, "law"),
            "others": _others(rows),
        }
        for (device, dtype, mode), rows in sorted(grouped.items(), key=_order)
    ]


def _order(entry: tuple[tuple[str, str, str], list[Result]]) -> tuple[str, int, bool]:
    device, dtype, mode = entry[0]
    return device, digest.dtype_order(dtype), mode != "eager"


def _of(rows: list[Result], check: str) -> Digest | None:
    return digest.digest(row for row in rows if row.check.partition(":")[0] == check)


def _others(rows: list[Result]) -> list[tuple[str, Digest]]:
    """The checks that have no column of their own."""
    names = dict.fromkeys(
        row.check for row in rows if row.check.partition(":")[0] not in ("accuracy", "gradient", "law")
    )
    found = ((name, digest.digest(row for row in rows if row.check == name)) for name in names)
    return [(name, entry) for name, entry in found if entry is not None]
