"""Drafts of waivers for what a run found, for a person to finish."""

from __future__ import annotations

import datetime
import io
import math
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from lossproof.audit.results import Result, Run, blamed
from lossproof.waivers import PLACEHOLDER

LASTING = datetime.timedelta(days=90)
HEAD = """\
# Findings of lossproof that are known and accepted. lossproof gate fails where one of these waivers matches nothing,
# has expired, is exceeded (bits: the most bits lost that are accepted), or has no reason.
"""


def draft(run: Run, fail_on: str, written: str = "") -> tuple[str, int]:
    """The text of a file of waivers with drafts for what the run found, and how many they are.

    A draft is about one implementation, loss and dtype; results that lost all bits (nan, inf, an exception) have
    one of their own, without `bits`. written: the file so far, which stays as it is.
    """
    groups: dict[tuple[str, str, str, bool], list[Result]] = {}
    for row in run.results:
        if row.verdict in blamed(fail_on):
            lost = row.bits_lost is None or math.isinf(row.bits_lost)
            groups.setdefault((row.implementation, row.loss, row.dtype, lost), []).append(row)
    drafts = [_draft(rows, bounded=not lost) for (*_, lost), rows in groups.items()]
    return _with(written, drafts) if drafts else written, len(drafts)


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


def _with(written: str, drafts: Sequence[CommentedMap]) -> str:
    """The drafts behind what is written, indented like it; no character of that changes, unless it is `[…]`."""
    yaml = YAML()
    yaml.width = 118
    known: Any = yaml.load(written)
    first = next((line for line in written.splitlines() if line.lstrip().startswith("- ")), "")
    offset = len(first) - len(first.lstrip())
    yaml.indent(mapping=2, sequence=2 + offset, offset=offset)
    if isinstance(known, CommentedSeq) and known.fa.flow_style():
        known.fa.set_block_style()
        known.extend(drafts)
        return _dump(yaml, known)
    above = written.rstrip("\n") if written.strip() else HEAD.rstrip("\n")
    return "\n\n".join([above, *(_dump(yaml, CommentedSeq([each])).rstrip("\n") for each in drafts)]) + "\n"


def _dump(yaml: YAML, value: Any) -> str:
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()
