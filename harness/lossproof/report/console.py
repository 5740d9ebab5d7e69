"""Consoles: with colour on a terminal, plain text elsewhere and where NO_COLOR is set."""

from __future__ import annotations

import os
import re
from typing import TextIO, cast

from rich.console import Console

PLAIN_WIDTH = 120


class Trimmed:
    """A text stream without the blanks at the ends of lines with which tables are filled up."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        self._stream.write(re.sub("[ \t]+(?=\n)", "", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


def is_plain(stream: TextIO) -> bool:
    """Whether `stream` gets no bar and no colours: it is no terminal, or the user asks for none."""
    return not stream.isatty() or bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def console(stream: TextIO) -> Console:
    """A console that prints text as it stands: no markup, no emoji codes, no guessed highlights."""
    plain = is_plain(stream)
    return Console(
        file=cast(TextIO, Trimmed(stream)) if plain else stream,
        force_terminal=not plain,
        no_color=plain,
        color_system=None if plain else "auto",
        width=None if stream.isatty() else PLAIN_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )
