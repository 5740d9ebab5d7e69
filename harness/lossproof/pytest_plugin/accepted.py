"""The waivers of a run of pytest: each file is read once, for collecting, for tests and for the summary."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lossproof.waivers import Waiver


class Accepted:
    """Reads files of waivers, and keeps what they say."""

    def __init__(self) -> None:
        self._known: dict[Path, list[Waiver]] = {}

    def of(self, paths: Iterable[Path]) -> list[Waiver]:
        """The waivers of files, in their order. Raises UsageError where one cannot be used."""
        found: list[Waiver] = []
        for path in paths:
            if path not in self._known:
                from lossproof.waivers import load  # to read them takes the engine along

                self._known[path] = load(path)
            found += self._known[path]
        return found


ACCEPTED = pytest.StashKey[Accepted]()
