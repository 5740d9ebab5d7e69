"""Plans, kept from run to run: adapters are imported to plan a run, and their libraries take seconds to import.

A plan is kept with the sources of its adapters, and found again as long as all of them are as they were. A plan
with a problem is made anew each time.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NoReturn

import pydantic

from lossproof.audit.planned import Options, Plan, PlannedCell
from lossproof.audit.reuse.sources import Sources, content_of
from lossproof.audit.reuse.store import Store, digest, folder
from lossproof.audit.reuse.surroundings import Surroundings
from lossproof.audit.share import Share
from lossproof.errors import LossproofError
from lossproof.implementation import AdapterSkip, Implementation
from lossproof.spec import library

SCHEMA = 4
"""The version of an entry's form."""

LIMIT = 16 * 2**20
"""Bytes of the folder."""


@dataclass(frozen=True)
class _Known:
    """What a plan needs of an implementation; the rest of it is known where it is loaded."""

    loss: str
    framework: str
    name: str
    adapter: str
    dtypes: tuple[str, ...]
    devices: tuple[str, ...] | None
    path: str
    line: int
    target: str
    spec: str
    remarks: tuple[str, ...]
    fixed: dict[str, bool | int | float | str | None]
    takes: tuple[str, ...]


@dataclass(frozen=True)
class _Cell:
    """implementation: its place among the implementations."""

    implementation: int
    device: str
    mode: str
    dtype: str
    skip: str | None
    share: Share


@dataclass(frozen=True)
class _Entry:
    """sources: as JSON, by the adapter's target. specs: by path, the content of each spec of a user's own."""

    implementations: list[_Known]
    cells: list[_Cell]
    skipped_adapters: list[AdapterSkip]
    sources: dict[str, Any]
    specs: dict[str, str | None]


@functools.cache
def _entry() -> pydantic.TypeAdapter[_Entry]:
    return pydantic.TypeAdapter(_Entry)


def key(options: Options, targets: Sequence[str], around: Surroundings) -> str:
    """The key of a plan. targets: its adapters in order.

    Relative paths begin at the working directory, and modules are found in the order of sys.path.
    """
    asked = asdict(replace(options, seed=0, jobs=None, waivers=(), fail_on="fail", maps=False))
    specs = {path.name: content_of(str(path)) for path in library.files()}
    return digest([asked, list(targets), around.digest, specs, os.getcwd(), sys.path])


def read(key: str, options: Options, around: Surroundings) -> Plan | None:
    """The plan of a key, where its adapters and specs are as they were. Its implementations are not loaded."""
    try:
        entry = _entry().validate_python(_store().read(key))
        sources = {target: Sources.from_json(each) for target, each in entry.sources.items()}
        if any(content_of(path) != content for path, content in entry.specs.items()):
            return None
        if not all(each.unchanged for each in sources.values()):
            return None
        for path in entry.specs:
            library.find(path)  # from here on the library knows its loss
        implementations = [
            Implementation(_unloaded, **{**vars(known), "takes": frozenset(known.takes)})
            for known in entry.implementations
        ]
        cells = [
            PlannedCell(**{**vars(cell), "implementation": implementations[cell.implementation]})
            for cell in entry.cells
        ]
    except (pydantic.ValidationError, RecursionError, LossproofError):
        return None
    except (TypeError, KeyError, ValueError, AttributeError, IndexError):  # of a value that is no entry
        return None
    return Plan(
        options,
        cells,
        skipped_adapters=entry.skipped_adapters,
        sources=dict(sources),
        around=around,
        loaded=False,
    )


def write(key: str, plan: Plan) -> None:
    """Keep a plan, unless it has a problem, the sources of an adapter cannot be known, or an array is built in."""
    known = {target: each.to_json() for target, each in plan.sources.items() if each is not None}
    if plan.problems or len(known) < len(plan.sources):
        return
    places: dict[int, int] = {}
    implementations: list[_Known] = []
    cells: list[_Cell] = []
    for cell in plan.cells:
        i = cell.implementation
        if id(i) not in places:
            if not all(isinstance(value, bool | int | float | str | None) for value in i.fixed.values()):
                return
            places[id(i)] = len(implementations)
            known_of = {name: getattr(i, name) for name in _Known.__annotations__}
            implementations.append(
                _Known(**{**known_of, "fixed": dict(i.fixed), "takes": tuple(sorted(i.takes))})
            )
        words = (cell.device, cell.mode, cell.dtype, cell.skip, cell.share)
        cells.append(_Cell(places[id(i)], *words))
    specs = {i.spec: content_of(i.spec) for i in implementations if i.spec}
    store = _store()
    store.write(key, asdict(_Entry(implementations, cells, plan.skipped_adapters, known, specs)))
    store.prune()


def _store() -> Store:
    return Store(folder("plans", str(SCHEMA)), LIMIT)


def _unloaded(*_: Any, **__: Any) -> NoReturn:
    raise RuntimeError("the implementation of a kept plan is found by its target before it is called")
