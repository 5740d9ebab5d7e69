"""What a worker process does: find an implementation again by its target, and examine cells."""

from __future__ import annotations

import functools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from lossproof import waivers
from lossproof.audit.events import CellFinished
from lossproof.audit.examine import Examination
from lossproof.audit.plan import Options, PlannedCell
from lossproof.audit.prove import prove_law
from lossproof.checks import answers
from lossproof.checks.trial import Cell
from lossproof.frameworks import framework
from lossproof.implementation import Implementation, bind_target, discover, whole
from lossproof.inputs import PROFILES
from lossproof.spec import library


@dataclass(frozen=True)
class Order:
    """One cell, in words that travel between processes.

    bound: the target is to be bound to the loss, which may then be the path of a spec.
    """

    target: str
    name: str
    loss: str
    framework: str
    device: str
    mode: str
    dtype: str
    bound: bool

    @staticmethod
    def of(planned: PlannedCell, bound: bool) -> Order:
        i = planned.implementation
        loss = (i.spec or i.loss) if bound else i.loss
        return Order(i.target, i.name, loss, i.framework, planned.device, planned.mode, planned.dtype, bound)


@dataclass(frozen=True)
class Settings:
    """How cells are examined; laws_compiled: whether laws run in compiled mode, where each shape compiles."""

    profile: str
    seed: int
    regimes: tuple[str, ...]
    laws_compiled: bool

    @staticmethod
    def of(options: Options) -> Settings:
        compiled = "compiled" in options.modes or options.profile == "deep"
        return Settings(options.profile, options.seed, options.regimes, compiled)


@dataclass(frozen=True)
class Batch:
    """Cells of one loss and dtype, which share what the oracle answers; and how to run them."""

    orders: tuple[Order, ...]
    settings: Settings


def start() -> None:
    """Called once in each worker: one thread each, and no grab of a GPU's whole memory."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    # JAX compiles every operation for every shape, eager mode too: most of a run's time, and the same each time
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lossproof" / "xla"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")


def work(batch: Batch) -> list[CellFinished]:
    """Examine the cells of a batch; the oracle's answers are forgotten at its end."""
    found = []
    for order in batch.orders:
        implementation, siblings = _find(order.target, order.name, order.loss, order.framework, order.bound)
        planned = PlannedCell(implementation, order.device, order.mode, order.dtype)
        found.append(examine(planned, siblings, batch.settings))
    answers.forget()
    return found


def examine(
    planned: PlannedCell,
    siblings: dict[str, Implementation],
    settings: Settings,
) -> CellFinished:
    """Every check of one cell."""
    begun = time.perf_counter()
    i = planned.implementation
    cell = Cell(
        i, library.get(i.loss), framework(i.framework), planned.device, planned.mode, planned.dtype, siblings
    )
    profile = PROFILES[settings.profile]
    results, findings = Examination(
        cell, profile, settings.seed, settings.regimes, _waivers(), settings.laws_compiled, false_laws(i)
    ).run()
    return CellFinished(
        i.name, i.loss, i.framework, planned.device, planned.mode, planned.dtype, tuple(results), tuple(findings),
        time.perf_counter() - begun,
    )  # fmt: skip


@functools.cache
def _waivers() -> tuple[waivers.Waiver, ...]:
    return tuple(waivers.bundled())


def false_laws(implementation: Implementation) -> frozenset[str]:
    """The laws of a user's own spec that no implementation can be held to; bundled specs are proven."""
    return _proved_false(implementation.loss) if implementation.spec else frozenset()


@functools.cache
def _proved_false(loss: str) -> frozenset[str]:
    spec = library.get(loss)
    return frozenset(
        name for name in spec.laws if prove_law(spec, name, PROFILES["quick"], 0).verdict == "false"
    )


@functools.cache
def _find(
    target: str, name: str, loss: str, framework_name: str, bound: bool
) -> tuple[Implementation, dict[str, Implementation]]:
    if bound:
        return bind_target(target, loss, framework_name), {}
    everything, _ = _discovered(whole(target))
    for each in everything:
        if (each.name, each.loss, each.framework) == (name, loss, framework_name):
            return each, siblings_of(each, everything)
    raise LookupError(f"{target} is no longer there")


@functools.cache
def _discovered(adapter: str) -> tuple[list[Implementation], object]:
    return discover(adapter)


def siblings_of(implementation: Implementation, among: list[Implementation]) -> dict[str, Implementation]:
    """The same adapter's implementations of other losses in the same framework; the first of each loss."""
    found: dict[str, Implementation] = {}
    home = whole(implementation.target)
    for each in among:
        same = whole(each.target) == home and each.framework == implementation.framework
        if same and each.loss != implementation.loss:
            found.setdefault(each.loss, each)
    return found
