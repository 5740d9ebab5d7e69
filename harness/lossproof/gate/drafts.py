"""Drafts of waivers for what a run found, for a person to finish."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence

from ruamel.yaml.comments import CommentedMap, CommentedSeq

from lossproof.audit.results import Result, Run, blamed
from lossproof.gate.insertion import with_entries
from lossproof.waivers import PLACEHOLDER

LASTING = datetime.timedelta(days=90)
HEAD = """\
# Findings of lossproof that are known and accepted. lossproof gate fails where one of these waivers matches nothing,
# has expired, is exceeded (bits: the most bits lost that are accepted), or has no reason.
"""


def draft(run: Run, fail_on: str, written: str = "") -> tuple[str, int]:
    """The text of a file of waivers with drafts for what the run found, and how many they are.

    A draft is about one implementation, loss and dtype. Checks with a finding that has no number of bits (nan, inf, an
    exception) are in one of their own, without `bits`. written: the file so far, to which the drafts are added.
    """
    found: dict[tuple[str, str, str], dict[str, list[Result]]] = {}
    for row in run.results:
        if row.verdict in blamed(fail_on):
            of = (row.implementation, row.loss, row.dtype)
            found.setdefault(of, {}).setdefault(row.check, []).append(row)
    drafts = []
    for checks in found.values():
        for numbered in (False, True):
            rows = [row for rows in checks.values() if all(map(_numbered, rows)) is numbered for row in rows]
            if rows:
                drafts.append(_draft(rows, bounded=numbered))
    return with_entries(written, drafts, HEAD) if drafts else written, len(drafts)


def _numbered(row: Result) -> bool:
    return row.bits_lost is not None and math.isfinite(row.bits_lost)


def _draft(rows: Sequence[Result], *, bounded: bool) -> CommentedMap:
    first, today = rows[0], datetime.date.today()
    entry = CommentedMap(implementation=first.implementation, loss=first.loss)
    entry["checks"] = _flow(sorted({row.check for row in rows}))
    entry["dtypes"] = _flow([first.dtype])
    if bounded:
        # whole bits, so that another machine's last digit does not exceed it
        entry["bits"] = math.ceil(max(row.bits_lost or 0.0 for row in rows))
    entry["reason"] = PLACEHOLDER
    entry["since"] = today
    entry["expires"] = today + LASTING
    return entry


def _flow(words: list[str]) -> CommentedSeq:
    listed = CommentedSeq(words)
    listed.fa.set_flow_style()
    return listed
