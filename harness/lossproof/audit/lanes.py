"""Worker processes, each in a lane of its own, so that it can be said which of them does what.

A lane keeps to the framework that it has imported as long as there is work for that, and the longest batches come
first. A process that dies loses its own batch, of which each cell is then tried by itself, and the lane goes on with
another.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from pebble import ProcessExpired, ProcessPool

from lossproof.audit import forks, worker
from lossproof.audit.cost import IMPORT, seconds
from lossproof.audit.events import CellFinished


@dataclass(frozen=True)
class Lost:
    """Why a batch has no results."""

    reason: str


class _Lane:
    """One worker process, started with its first batch. frameworks: those of the run. batch: at which it works."""

    def __init__(self, frameworks: Collection[str]) -> None:
        self._frameworks = frameworks
        self.imported: set[str] = set()
        self.batch: worker.Batch | None = None
        self._pool: ProcessPool | None = None

    def begin(self, batch: worker.Batch) -> Future[list[CellFinished]]:
        if self._pool is not None and not self._pool.active:
            self.stop()  # the process died between two batches
        self.batch = batch
        self.imported.add(batch.framework)
        if self._pool is None:
            self._pool = ProcessPool(
                max_workers=1,
                initializer=worker.begin,
                initargs=[dict(os.environ)],
                context=forks.context(self._frameworks),
            )
        return self._pool.schedule(worker.work, args=[batch])

    def end(self, future: Future[list[CellFinished]]) -> list[CellFinished] | Lost:
        self.batch = None
        try:
            return future.result()
        except ProcessExpired as error:  # the pool starts another
            self.imported.clear()
            return Lost(f"the process died with code {error.exitcode}")
        except BrokenProcessPool as error:
            self.stop()
            return Lost(f"no process could be started: {error}")
        except LookupError as error:
            return Lost(str(error))

    def close(self) -> None:
        """Take no more batches."""
        if self._pool is not None:
            self._pool.close()  # type: ignore[no-untyped-call]
            self._pool.join()
        self._pool = None

    def stop(self) -> None:
        """End the process, whatever it does."""
        if self._pool is not None:
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()
        self._pool = None
        self.imported.clear()


def examine(
    batches: Sequence[worker.Batch], jobs: int
) -> Iterator[tuple[worker.Batch, list[CellFinished] | Lost]]:
    """Each batch, of one framework, with what came of it, in the order in which they are done."""
    waiting: dict[str, list[worker.Batch]] = defaultdict(list)
    for batch in sorted(batches, key=_cost):
        waiting[batch.framework].append(batch)
    lanes = [_Lane(tuple(waiting)) for _ in range(min(jobs, len(batches)))]
    running: dict[Future[list[CellFinished]], tuple[_Lane, worker.Batch]] = {}
    idle = list(lanes)
    try:
        while True:
            for lane in idle:
                name = _next(waiting, lane, lanes)
                if name is not None:
                    batch = waiting[name].pop()
                    running[lane.begin(batch)] = lane, batch
            if not running:
                break
            idle = []
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                lane, batch = running.pop(future)
                idle.append(lane)
                found = lane.end(future)
                if isinstance(found, Lost) and len(batch.orders) > 1:
                    # one of them ended the process; the others are not to be lost with it
                    waiting[batch.framework] += batch.apart()
                else:
                    yield batch, found
    except BaseException:
        for lane in lanes:
            lane.stop()
        raise
    for lane in lanes:
        lane.close()


def _next(waiting: dict[str, list[worker.Batch]], lane: _Lane, lanes: Sequence[_Lane]) -> str | None:
    """The framework that a lane works at next; None where nothing is left that is worth its while."""
    left = {name: sum(map(_cost, batches)) for name, batches in waiting.items() if batches}
    if own := lane.imported & left.keys():
        return max(own, key=lambda name: left[name])
    others = {name: sum(name in each.imported and each.batch is not None for each in lanes) for name in left}
    share = {
        name: work / (1 + others[name])
        for name, work in left.items()
        if not others[name] or work > IMPORT.get(name, 0.0)
    }
    return max(share, key=lambda name: share[name]) if share else None


def _cost(batch: worker.Batch) -> float:
    return sum(seconds(order.framework, order.mode) for order in batch.orders)
