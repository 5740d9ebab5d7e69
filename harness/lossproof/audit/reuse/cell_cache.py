"""The results of cells, kept from run to run under a key of everything that they depend on.

The key holds lossproof and the surroundings (surroundings.py), the spec with those that it calls, the adapter's
sources (sources.py), what is examined and how, and the waivers in force. A cell is not kept where that cannot be
known, where it raised an error, and where a file of all this was written while the cell was examined.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pydantic

from lossproof.audit.events import CellFinished
from lossproof.audit.planned import PlannedCell
from lossproof.audit.results import Finding, Result, StabilityMap, Tolerance, Verdict
from lossproof.audit.reuse import surroundings
from lossproof.audit.reuse.sources import Sources, content_of, installed
from lossproof.audit.reuse.store import Store, digest, folder
from lossproof.audit.reuse.surroundings import Surroundings
from lossproof.implementation import whole
from lossproof.implementation.binding import code_of
from lossproof.spec import library
from lossproof.waivers import Waiver

SCHEMA = 1
"""The version of an entry's form; what an entry says is in its key."""

LIMIT = 128 * 2**20
"""Bytes of the folder: some forty audits of five adapters."""


@dataclass
class CellCache:
    """The kept cells, as one run sees them.

    sources: of each adapter by its target, None where they cannot be known. settings: the profile, the seed and
    whatever else decides how a cell is examined. waivers: of which those in force for an implementation count.
    """

    around: Surroundings
    sources: Mapping[str, Sources | None]
    settings: Mapping[str, Any]
    waivers: Sequence[Waiver]
    _specs: dict[str, dict[str, str]] = field(default_factory=dict)

    def key(self, cell: PlannedCell) -> str | None:
        """The key of a cell; None for one that cannot be known again."""
        i, device = cell.implementation, cell.device
        sources = self.sources.get(whole(i.target)) if i.target else None
        if sources is None or (device != "cpu" and not self.around.gpus):
            return None
        if i.loss not in self._specs:
            self._specs[i.loss] = specs_of(i.loss)
        return digest(
            {
                "around": self.around.digest,
                "specs": self._specs[i.loss],
                "sources": sources.content,
                "cell": [
                    i.name,
                    i.loss,
                    i.framework,
                    device,
                    cell.mode,
                    cell.dtype,
                    i.target,
                    i.spec,
                    asdict(cell.share),
                ],
                "settings": dict(self.settings),
                "waivers": [
                    waiver.model_dump(mode="json")
                    for waiver in self.waivers
                    if (waiver.implementation, waiver.loss) == (i.name, i.loss) and waiver.in_force
                ],
            }
        )

    def read(self, key: str) -> Entry | None:
        """What was found in a cell, as it was written; None where there is nothing."""
        try:
            entry = _entry().validate_python(_store().read(key))
        except (pydantic.ValidationError, RecursionError):
            return None
        if any(content_of(path) != content for path, content in entry.later.items()):
            return None
        return entry

    def watch(self) -> Watch | None:
        """What keeps the cells whose keys were made here; None where a file has been written meanwhile."""
        specs = [library.get(name) for name in {name for each in self._specs.values() for name in each}]
        stamps = {str(path): _stamp(str(path)) for path in surroundings.files()}
        reread: set[str] = set()
        for target, each in self.sources.items():
            for module, (path, _) in each.files.items() if each is not None else ():
                stamps[path] = _stamp(path)
                if not module and target.endswith(".py"):
                    reread.add(path)
        # a module that this process read before its file was written is still the old one
        if any(time > surroundings.LOADED for path, (time, _) in stamps.items() if path not in reread):
            return None
        stamps |= {os.path.abspath(spec.path): _stamp(spec.path) for spec in specs if spec.path}
        # not the whole of the surroundings: a library may set variables of its own when it is imported
        same = surroundings.written() == self.around.written
        same = same and all(each.unchanged for each in self.sources.values() if each is not None)
        same = same and all(spec.unchanged for spec in specs)
        return Watch(stamps) if same else None

    def prune(self) -> None:
        """Drop the oldest cells of all runs while they take more than the limit."""
        _store().prune()


def specs_of(loss: str) -> dict[str, str]:
    """What a spec says, and every spec whose name stands in one of these: a law may call it."""
    known, found, unread = set(library.names()), dict[str, str](), [loss]
    while unread:
        name = unread.pop()
        found[name] = library.get(name).model_dump_json()
        words = set(re.findall(r"\w+", found[name])) & known
        unread += sorted(words - found.keys() - set(unread))
    return found


def _has_source(function: Any, sources: Sources) -> bool:
    """Whether a function was read from a file that is looked at, or comes with what is installed."""
    code = code_of(function)
    path = os.path.realpath(code.co_filename) if code is not None else ""
    return path in {each for each, _ in sources.files.values()} or (os.path.isfile(path) and installed(path))


@dataclass(frozen=True)
class Entry:
    """What was found in a cell. later: path and content of files that were imported only when it ran."""

    later: dict[str, str]
    results: list[Result]
    findings: list[Finding]
    tolerances: list[Tolerance]
    maps: list[StabilityMap]


@functools.cache
def _entry() -> pydantic.TypeAdapter[Entry]:
    return pydantic.TypeAdapter(Entry)


@dataclass(frozen=True)
class Watch:
    """The files of which the keys of a run were made, each with its time and size when it was read."""

    stamps: Mapping[str, tuple[int, int]]

    def keep(self, key: str, finished: CellFinished, function: Any, after: Sources | None) -> None:
        """Keep a cell of a function, unless it raised an error, or it cannot be told from what it came.

        after: the sources of the adapter when the function has run. What it has imported only then is written
        beside the results; a file of the key that was written meanwhile may have been read before or after.
        """
        if after is None or not _has_source(function, after):
            return
        if any(row.verdict is Verdict.ERROR for row in finished.results):
            return
        if any(_stamp(path) != stamp for path, stamp in self.stamps.items()):
            return
        later = {path: content for path, content in after.files.values() if path not in self.stamps}
        entry = Entry(
            later,
            list(finished.results),
            list(finished.findings),
            list(finished.tolerances),
            list(finished.maps),
        )
        _store().write(key, asdict(entry))


def _stamp(path: str) -> tuple[int, int]:
    try:
        stat = os.stat(path)
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


def _store() -> Store:
    return Store(folder("cells", str(SCHEMA)), LIMIT)
