"""What a worker process does: find an implementation again by its target, and examine cells."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

from lossproof.audit import maps, memory
from lossproof.audit.events import CellFinished
from lossproof.audit.examine import Examination
from lossproof.audit.planned import Options, PlannedCell
from lossproof.audit.results import Finding, Result, Tolerance, blamed
from lossproof.audit.reuse.cell_cache import Watch
from lossproof.audit.reuse.sources import Sources, sources_of
from lossproof.audit.reuse.store import folder
from lossproof.audit.share import Share
from lossproof.checks import answers
from lossproof.checks.trial import Cell
from lossproof.frameworks import framework
from lossproof.implementation import Implementation, bind_target, discover, importable, whole
from lossproof.implementation import bundled as bundled_targets
from lossproof.inputs import PROFILES
from lossproof.oracle.verdict import DEGRADED, FAIL
from lossproof.spec import library
from lossproof.waivers import Waiver, bundled


@dataclass(frozen=True)
class Order:
    """One cell, in words that travel between processes.

    share: what of the profile it takes. bound: the target is to be bound to the loss, which may then be the path
    of a spec. false_laws: laws to which nothing is held. key: under which the results are kept, None where they
    are not. maps: whether its stability maps are made.
    """

    target: str
    name: str
    loss: str
    framework: str
    device: str
    mode: str
    dtype: str
    share: Share
    bound: bool
    false_laws: frozenset[str] = frozenset()
    key: str | None = None
    maps: bool = False


@dataclass(frozen=True)
class Settings:
    """How cells are examined. waivers: the user's own."""

    profile: str
    seed: int
    regimes: tuple[str, ...]
    fail_on: str = "fail"
    waivers: tuple[Waiver, ...] = ()

    @staticmethod
    def of(options: Options) -> Settings:
        return Settings(options.profile, options.seed, options.regimes, options.fail_on, options.waivers)

    def every_waiver(self) -> tuple[Waiver, ...]:
        """The bundled waivers and the user's own."""
        return (*_waivers(), *self.waivers)

    def asked(self) -> dict[str, Any]:
        """What decides how a cell is examined, but for the waivers, of which not all are about it."""
        return asdict(replace(self, waivers=()))


@dataclass(frozen=True)
class Batch:
    """Cells of one loss and dtype, which share what the oracle answers; and how to run them.

    They are of one framework, or of NumPy and another.
    """

    orders: tuple[Order, ...]
    settings: Settings
    watch: Watch | None = None

    @property
    def framework(self) -> str:
        """What takes time to import."""
        return next((o.framework for o in self.orders if o.framework != "numpy"), "numpy")

    def apart(self) -> Iterator[Batch]:
        """Each of the cells by itself."""
        return (replace(self, orders=(order,)) for order in self.orders)


def begin(environment: Mapping[str, str]) -> None:
    """Called once in each worker process. environment: that of the process that wants it; it may be forked from one
    with another."""
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
    start()


def start() -> None:
    """Called once in each process of lossproof's own, before it imports a framework.

    One thread each, and no grab of a GPU's whole memory.
    """
    memory.own, memory.inherited = True, memory.resident()
    memory.keep_freed()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # JAX compiles every operation for every shape, eager mode too: most of a run's time, and the same each time
    if cache := folder("xla"):
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


class Finder:
    """Finds implementations by their targets; each adapter is looked through once."""

    def __init__(self) -> None:
        self._adapters: dict[str, list[Implementation]] = {}

    def __call__(self, order: Order) -> tuple[Implementation, dict[str, Implementation]]:
        """The implementation of an order and its siblings. Raises LookupError where it is gone."""
        if order.bound:
            return bind_target(order.target, order.loss, order.framework), {}
        home = whole(order.target)
        if home not in self._adapters:
            self._adapters[home] = discover(home)[0]
        for each in self._adapters[home]:
            if (each.name, each.loss, each.framework) == (order.name, order.loss, order.framework):
                return each, siblings_of(each, self._adapters[home])
        raise LookupError(f"{order.target} is no longer there")


_finder = functools.cache(Finder)
"""The one of a worker process; another process has one for each run, in which an adapter may be another."""


def work(batch: Batch) -> list[CellFinished]:
    """Examine the cells of a batch in a worker process."""
    found = [done(order, batch.settings, batch.watch, *_finder()(order)) for order in batch.orders]
    answers.forget()
    memory.free({order.framework for order in batch.orders})
    return found


def done(
    order: Order,
    settings: Settings,
    watch: Watch | None,
    implementation: Implementation,
    siblings: dict[str, Implementation],
) -> CellFinished:
    """Examine the cell of an order; watch: keeps it where it has a key."""
    planned = PlannedCell(
        implementation, order.device, order.mode, order.dtype, share=order.share, maps=order.maps
    )
    finished = examine(planned, siblings, settings, order.false_laws)
    if order.key is not None and watch is not None:
        after = _sources(whole(order.target), len(sys.modules))
        watch.keep(order.key, finished, implementation.function, after)
    return finished


@functools.lru_cache(maxsize=64)
def _sources(target: str, modules: int) -> Sources | None:
    """As `sources_of`, looked up anew where modules have been imported since; it looks through all of them."""
    return sources_of(target)


def examine(
    planned: PlannedCell,
    siblings: dict[str, Implementation],
    settings: Settings,
    false_laws: frozenset[str] = frozenset(),
) -> CellFinished:
    """Every check of one cell, and its maps where they are wanted."""
    begun = time.perf_counter()
    i = planned.implementation
    cell = Cell(
        i,
        library.get(i.loss),
        framework(i.framework),
        planned.device,
        planned.mode,
        planned.dtype,
        siblings,
        certify=DEGRADED if settings.fail_on == "degraded" else FAIL,
        differentiates_first=planned.share.follows,
    )
    profile = PROFILES[settings.profile]

    def examined() -> tuple[list[Result], list[Finding], list[Tolerance]]:
        return Examination(
            cell, profile, settings.seed, settings.regimes, settings.every_waiver(), planned.share, false_laws,
            settings.fail_on,
        ).run()  # fmt: skip

    light = _lightly(planned) and not profile.optimised
    with importable(i.target), cell.framework.one_thread():
        with cell.framework.lightly_optimised() if light else nullcontext(False) as changed:
            results, findings, tolerances = examined()
        if changed and any(each.verdict in blamed(settings.fail_on) for each in results):
            # nobody is blamed for what their compiler does not do to their code
            results, findings, tolerances = examined()
        drawn = maps.draw(cell, profile) if planned.maps else ()
    return CellFinished(
        i.name, i.loss, i.framework, planned.device, planned.mode, planned.dtype, tuple(results), tuple(findings),
        time.perf_counter() - begun, tolerances=tuple(tolerances), maps=drawn,
    )  # fmt: skip


def _lightly(planned: PlannedCell) -> bool:
    """Whether compilers may optimise little: what is bundled, in a process of lossproof's own.

    Code of a user is compiled as they compile it, or what a compiler does to it would go unseen, such as the
    contraction of a product and a sum, after which `x * x - y * y` need not be 0 for equal numbers; and in a user's
    process what was compiled stays.
    """
    return memory.own and planned.mode == "compiled" and whole(planned.implementation.target) in _bundled()


@functools.cache
def _bundled() -> frozenset[str]:
    return frozenset(bundled_targets())


@functools.cache
def _waivers() -> tuple[Waiver, ...]:
    return tuple(bundled())


def siblings_of(implementation: Implementation, among: list[Implementation]) -> dict[str, Implementation]:
    """The same adapter's implementations of other losses in the same framework; the first of each loss."""
    found: dict[str, Implementation] = {}
    home = whole(implementation.target)
    for each in among:
        same = whole(each.target) == home and each.framework == implementation.framework
        if same and each.loss != implementation.loss:
            found.setdefault(each.loss, each)
    return found
