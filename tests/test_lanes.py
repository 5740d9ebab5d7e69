"""Which worker process takes which batch."""

from __future__ import annotations

import sys
from concurrent.futures import Future
from typing import Any

import pytest

from lossproof.audit import forks, lanes
from lossproof.audit.cost import seconds
from lossproof.audit.run import _together
from lossproof.audit.share import ALL
from lossproof.audit.worker import Batch, Order, Settings

SETTINGS = Settings("quick", 0, ())


def batch(framework: str, count: int, mode: str = "eager") -> Batch:
    """A batch of `count` cells."""
    order = Order("mine.py:f", "mine.f", "mse", framework, "cpu", mode, "float32", ALL, False)
    return Batch((order,) * count, SETTINGS)


class Fake(lanes._Lane):
    """A lane whose batches take the time that they are said to take, and no time at all."""

    def __init__(self, log: list[Fake]) -> None:
        super().__init__(())
        self.did: list[tuple[str, int]] = []
        self.busy = 0.0
        log.append(self)

    def begin(self, batch: Batch) -> Future[Any]:
        self.batch = batch
        name = batch.orders[0].framework
        self.imported.add(name)
        self.did.append((name, len(batch.orders)))
        self.busy += sum(seconds(order.framework, order.mode) for order in batch.orders)
        return Future()

    def end(self, future: Future[Any]) -> list[Any]:
        self.batch = None
        return future.result()

    def frameworks(self) -> list[str]:
        """The frameworks that it worked at, in order."""
        names = [name for name, _ in self.did]
        return [name for number, name in enumerate(names) if number == 0 or names[number - 1] != name]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Fake]:
    """The lanes of a run; the one that has been busy for the shortest time is done first."""
    log: list[Fake] = []

    def first_done(running: dict[Future[Any], tuple[Fake, Batch]], return_when: str) -> Any:
        future = min(running, key=lambda each: running[each][0].busy)
        future.set_result([])
        return type("Done", (), {"done": {future}})

    monkeypatch.setattr(lanes, "_Lane", lambda frameworks: Fake(log))
    monkeypatch.setattr(lanes, "wait", first_done)
    return log


def test_a_lane_keeps_to_the_framework_that_it_has_imported(made: list[Fake]) -> None:
    batches = [batch(name, 4) for name in ("numpy", "torch", "jax") * 8]
    assert len(list(lanes.examine(batches, 2))) == len(batches)
    for lane in made:
        assert len(lane.frameworks()) == len(set(lane.frameworks()))
    assert [lane.frameworks()[0] for lane in made] == ["jax", "jax"]  # nearly all of the work


def test_each_batch_is_given_out_once_and_the_long_ones_first(made: list[Fake]) -> None:
    batches = [batch("jax", count) for count in (1, 7, 3, 5)]
    given = [each for each, _ in lanes.examine(batches, 1)]
    assert [len(each.orders) for each in given] == [7, 5, 3, 1]


def test_lanes_share_what_is_left_of_a_framework_if_that_is_worth_an_import(made: list[Fake]) -> None:
    list(lanes.examine([batch("torch", 20) for _ in range(4)], 2))
    assert [len(lane.did) for lane in made] == [2, 2]
    made.clear()
    list(lanes.examine([batch("torch", 1) for _ in range(4)], 2))
    assert [len(lane.did) for lane in made] == [4, 0]


def test_there_are_no_more_lanes_than_batches(made: list[Fake]) -> None:
    list(lanes.examine([batch("numpy", 1)], 8))
    assert len(made) == 1


def test_numpy_goes_along_with_a_framework_that_takes_time_to_import() -> None:
    orders = [
        Order("mine.py:f", "mine.f", loss, framework, "cpu", "eager", "float32", ALL, False)
        for loss, framework in (("mse", "numpy"), ("mse", "torch"), ("mse", "jax"), ("hinge", "numpy"))
    ]
    together = [Batch(each, SETTINGS) for each in _together(orders)]
    assert [(each.framework, len(each.orders)) for each in together] == [
        ("torch", 2),
        ("jax", 1),
        ("numpy", 1),
    ]


def test_the_cells_of_a_batch_that_ended_the_process_are_tried_one_by_one(
    made: list[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(lane: Fake, future: Future[Any]) -> Any:
        size = len(lane.batch.orders) if lane.batch is not None else 0
        lane.batch = None
        return lanes.Lost("the process died") if size > 1 else []

    monkeypatch.setattr(Fake, "end", end)
    found = list(lanes.examine([batch("torch", 3), batch("jax", 1)], 2))
    assert [(len(each.orders), results) for each, results in found] == [(1, [])] * 4


def _modules_and_threads(to: Any) -> None:
    import os
    import sys

    to.send(("torch" in sys.modules, len(os.listdir(f"/proc/{os.getppid()}/task"))))


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_workers_are_forked_from_one_process_of_one_thread_that_has_imported_pytorch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    for name in forks.THREADS:
        monkeypatch.delenv(name, raising=False)
    context = forks.context(["torch"])
    assert context.get_start_method() == "forkserver"
    here, there = context.Pipe()
    process = context.Process(target=_modules_and_threads, args=[there])
    process.start()
    assert here.recv() == (True, 1)
    process.join()


def test_workers_are_started_anew_where_libraries_are_told_to_use_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert forks.context(["torch"]).get_start_method() == "spawn"
