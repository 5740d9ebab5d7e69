"""Entries put into a file of waivers as it is written: its comments, its style and its line ends stay."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from lossproof.spec import source
from lossproof.waivers import says_nothing

_END = re.compile(r"^\.\.\.(?=\s|$)", re.MULTILINE)
_MARK = "\ufeff"


def with_entries(written: str, entries: Sequence[CommentedMap], head: str) -> str:
    """The text of a file of waivers with entries behind those that it has. head: what a file begins with that is empty.

    The text is one that `waivers.parse` reads.
    """
    text = written.removeprefix(_MARK)
    windows = text.count("\r\n") * 2 > text.count("\n")
    made = _inserted(text.replace("\r\n", "\n"), entries, head)
    return written[: len(written) - len(text)] + (made.replace("\n", "\r\n") if windows else made)


def _inserted(text: str, entries: Sequence[CommentedMap], head: str) -> str:
    if says_nothing(text):
        return _behind(text, entries, head, offset=0)
    root, places = source.parse(text, "")
    if text[root.start] != "[":
        return _behind(text, entries, head, offset=(places.at(root.start).column or 1) - 1)
    if not root.data:
        return _behind(_without_brackets(text, root.start, root.end), entries, head, offset=0)
    last = root.data[-1].end
    return text[:last] + "".join(f",\n {_flow(entry)}" for entry in entries) + text[last:]


def _behind(text: str, entries: Sequence[CommentedMap], head: str, offset: int) -> str:
    """The entries at the end of the document, which a line `...` may mark."""
    end = _END.search(text)
    above, below = (text[: end.start()], text[end.start() :]) if end else (text, "")
    blocks = [_block(entry, offset) for entry in entries]
    return "\n\n".join([(above if above.strip() else head).rstrip("\n"), *blocks]) + "\n" + below


def _without_brackets(text: str, start: int, end: int) -> str:
    """The text without the list `[]` that stands there, with the comments that are in it."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    last = len(text) if last < 0 else last + 1
    kept = text[first:start] + text[start + 1 : end - 1] + text[end:last]
    lines = [line.strip() for line in kept.splitlines() if line.strip()]
    return text[:first] + "".join(f"{line}\n" for line in lines) + text[last:]


def _block(entry: CommentedMap, offset: int) -> str:
    yaml = _yaml()
    yaml.indent(mapping=2, sequence=2 + offset, offset=offset)
    return _dump(yaml, CommentedSeq([entry]))


def _flow(entry: CommentedMap) -> str:
    flowing = CommentedMap(entry)
    flowing.fa.set_flow_style()
    return _dump(_yaml(), flowing)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 118
    return yaml


def _dump(yaml: YAML, value: Any) -> str:
    stream = io.StringIO()
    yaml.dump(value, stream)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())
