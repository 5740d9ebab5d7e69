"""Run a plan: over processes or in this one, announcing each cell as it is done."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, as_completed
from dataclasses import replace

from pebble import ProcessExpired, ProcessPool

import lossproof
from lossproof.audit import worker
from lossproof.audit.environment import environment
from lossproof.audit.events import CellFinished, Listener, ProblemMet, RunFinished, RunStarted
from lossproof.audit.plan import Plan, PlannedCell
from lossproof.audit.results import Problem, Result, Run, Verdict
from lossproof.checks import NAMES, answers, laws
from lossproof.spec import library

RECYCLE = 12
"""Batches after which a worker process is replaced: compiled functions pile up in a framework's caches."""

FEW = 8
"""So many cells run in this process unless `jobs` says otherwise: a worker's start costs more than they do."""


def run(plan: Plan, listener: Listener) -> Run:
    """Examine every cell of a plan. The same plan gives the same results and findings, whatever `jobs` is."""
    begun = time.perf_counter()
    options = plan.options
    found = Run(
        lossproof.__version__, options.seed, options.profile, environment(), problems=list(plan.problems)
    )
    wanted = [cell for cell in plan.cells if cell.skip is None]
    listener(RunStarted(len(wanted)))
    for problem in plan.problems:
        listener(ProblemMet(problem))
    for skipped in plan.skipped_adapters:
        found.results.append(_adapter_row(skipped.adapter, skipped.framework, skipped.message))
    for cell in plan.cells:
        if cell.skip is not None:
            found.results += _skip_rows(cell, cell.skip)
    for item in _finished(plan, wanted):
        if isinstance(item, Problem):
            found.problems.append(item)
            listener(ProblemMet(item))
        else:
            found.results += item.results
            found.findings += item.findings
            listener(item)
    found.results.sort(key=_order)
    found.findings.sort(
        key=lambda f: (f.loss, f.implementation, f.framework, f.device, f.mode, f.dtype, f.check)
    )
    found.seconds = time.perf_counter() - begun
    listener(RunFinished(found))
    return found


def _finished(plan: Plan, wanted: list[PlannedCell]) -> Iterator[CellFinished | Problem]:
    options = plan.options
    jobs = options.jobs or (1 if len(wanted) <= FEW else os.cpu_count() or 1)
    batches: dict[tuple[str, str], list[PlannedCell]] = {}
    for cell in wanted:
        batches.setdefault((cell.implementation.loss, cell.dtype), []).append(cell)
    jobs = min(jobs, len(batches))
    if jobs <= 1 or any(not cell.implementation.target for cell in wanted):
        for batch in batches.values():
            for cell in batch:
                siblings = worker.siblings_of(cell.implementation, plan.declared)
                yield worker.examine(cell, siblings, worker.Settings.of(options))
            answers.forget()
        return
    yield from _in_processes(plan, list(batches.values()), jobs)


def _in_processes(
    plan: Plan, batches: list[list[PlannedCell]], jobs: int
) -> Iterator[CellFinished | Problem]:
    options = plan.options
    bound = options.spec is not None
    # a forked copy of a process in which torch or jax has threads may hang
    context = multiprocessing.get_context("spawn")
    with ProcessPool(max_workers=jobs, max_tasks=RECYCLE, initializer=worker.start, context=context) as pool:
        futures: dict[Future[list[CellFinished]], list[PlannedCell]] = {}
        for batch in sorted(batches, key=len, reverse=True):
            orders = tuple(worker.Order.of(cell, bound) for cell in batch)
            task = worker.Batch(orders, worker.Settings.of(options))
            futures[pool.schedule(worker.work, args=[task])] = batch
        try:
            for future in as_completed(futures):
                try:
                    yield from future.result()
                except ProcessExpired as error:
                    yield from map(_lost(f"the process died with code {error.exitcode}"), futures[future])
                except LookupError as error:
                    yield from map(_lost(str(error)), futures[future])
        except BaseException:
            pool.stop()  # type: ignore[no-untyped-call]
            raise


def _lost(reason: str) -> Callable[[PlannedCell], Problem]:
    def problem(cell: PlannedCell) -> Problem:
        return Problem(f"{cell.implementation.name} ({cell.device}, {cell.mode}, {cell.dtype})", reason)

    return problem


def _skip_rows(cell: PlannedCell, reason: str) -> list[Result]:
    """A row for each check of a cell that does not run."""
    i = cell.implementation
    checks = [*NAMES, *(laws.PREFIX + name for name in library.get(i.loss).laws)]
    row = Result(
        i.loss, i.name, i.framework, cell.device, cell.mode, cell.dtype, "", None, Verdict.SKIP, reason=reason
    )
    return [replace(row, check=check) for check in checks]


def _adapter_row(adapter: str, framework: str | None, reason: str) -> Result:
    """One row for an adapter whose library is missing; what it would have held is not known."""
    return Result("*", adapter, framework or "*", "*", "*", "*", "*", None, Verdict.SKIP, reason=reason)


def _order(row: Result) -> tuple[str, ...]:
    return (
        row.loss,
        row.implementation,
        row.framework,
        row.device,
        row.mode,
        row.dtype,
        row.check,
        row.regime or "",
    )
