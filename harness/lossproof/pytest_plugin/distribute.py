"""How pytest-xdist hands out tests: the checks of a cell, which are examined together, go to one worker.

The worker is told by the node id alone, so that it holds for `--dist load` (the default) and `loadgroup`, and with
pytest 9.2, under which the mark `xdist_group` does nothing (pytest-xdist issue 1386).
"""

from __future__ import annotations

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling


class CellScheduling(LoadGroupScheduling):  # type: ignore[misc]
    """Groups as the marks say, and an adapter file's checks by what stands before the last `::`."""

    def __init__(self, config: pytest.Config, log: Producer, files: frozenset[Path]) -> None:
        super().__init__(config, log)
        self._files = files

    def _split_scope(self, nodeid: str) -> str:
        if (self.config.rootpath / nodeid.partition("::")[0]).resolve() in self._files:
            return nodeid.rpartition("::")[0]
        return str(super()._split_scope(nodeid))
