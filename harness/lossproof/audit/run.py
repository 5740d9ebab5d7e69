"""Run a plan: over processes or in this one, announcing each cell as it is done."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import lossproof
from lossproof.audit import cost, memory, worker
from lossproof.audit.environment import environment
from lossproof.audit.events import CellFinished, Listener, ProblemMet, RunFinished, RunStarted
from lossproof.audit.merge import ordered
from lossproof.audit.planned import Plan, PlannedCell
from lossproof.audit.results import Bound, Problem, Result, Run, Verdict
from lossproof.audit.reuse.cell_cache import CellCache, Watch
from lossproof.audit.reuse.own_laws import false_laws
from lossproof.checks import NAMES, answers, laws
from lossproof.spec import library

_Ordered = tuple[PlannedCell, worker.Order]


def run(plan: Plan, listener: Listener) -> Run:
    """Examine every cell of a plan. The same plan gives the same results and findings, whatever `jobs` is."""
    begun = time.perf_counter()
    options = plan.options
    found = Run(lossproof.__version__, options.seed, options.profile, environment())
    wanted = [cell for cell in plan.cells if cell.skip is None]
    found.cells = len(wanted)
    found.implementations = _bound(plan)
    listener(RunStarted(len(wanted)))
    for problem in plan.problems:
        _meet(problem, found, listener)
    for skipped in plan.skipped_adapters:
        found.results.append(_adapter_row(skipped.adapter, skipped.framework, skipped.message))
    for cell in plan.cells:
        if cell.skip is not None:
            found.results += _skip_rows(cell, cell.skip)
    for item in _finished(plan, wanted):
        if isinstance(item, Problem):
            _meet(item, found, listener)
        else:
            found.results += item.results
            found.findings += item.findings
            found.tolerances += item.tolerances
            found.maps += item.maps
            found.cached += item.cached
            listener(item)
    ordered(found)
    found.seconds = time.perf_counter() - begun
    listener(RunFinished(found))
    return found


def _bound(plan: Plan) -> list[Bound]:
    """What each implementation of a plan does with its loss's parameters."""
    every = {(i.loss, i.name, i.framework): i for i in (cell.implementation for cell in plan.cells)}
    return [Bound(*of, dict(i.fixed), tuple(sorted(i.free)), i.spec) for of, i in every.items()]


def _meet(problem: Problem, found: Run, listener: Listener) -> None:
    found.problems.append(problem)
    listener(ProblemMet(problem))


def _finished(plan: Plan, wanted: list[PlannedCell]) -> Iterator[CellFinished | Problem]:
    """The kept cells first, then the others as they are done; before them what is wrong with a user's own spec."""
    false: dict[str, frozenset[str]] = {}
    of_loss = {cell.implementation.loss: cell.implementation for cell in plan.cells}
    for loss, implementation in of_loss.items():
        proofs = false_laws(implementation, plan.around)
        false[loss] = frozenset(proof.law for proof in proofs)
        yield from (Problem(proof.place or loss, proof.falsehood) for proof in proofs)
    settings = worker.Settings.of(plan.options)
    cache = None
    if plan.around is not None:
        cache = CellCache(plan.around, plan.sources, settings.asked(), settings.every_waiver())
    new: list[_Ordered] = []
    for cell in wanted:
        i = cell.implementation
        order = _order_of(cell, plan, false[i.loss], cache)
        kept = cache.read(order.key) if cache is not None and order.key is not None else None
        if kept is None:
            new.append((cell, order))
        else:
            where = (i.name, i.loss, i.framework, cell.device, cell.mode, cell.dtype)
            yield CellFinished(
                *where,
                tuple(kept.results),
                tuple(kept.findings),
                0.0,
                True,
                tuple(kept.tolerances),
                tuple(kept.maps),
            )
    if not new:
        return
    watch = cache.watch() if cache is not None else None
    work = sum(cost.seconds(order.framework, order.mode) for _, order in new)
    jobs = plan.options.jobs or (1 if work <= cost.FEW else os.cpu_count() or 1)
    apart = {(order.loss, order.dtype, order.framework) for _, order in new}
    if jobs > 1 and len(apart) > 1 and all(order.target for _, order in new):
        yield from _in_processes([order for _, order in new], settings, watch, jobs)
    else:
        yield from _in_this_process(plan, new, settings, watch)
    if cache is not None:
        cache.prune()


def _order_of(cell: PlannedCell, plan: Plan, false: frozenset[str], cache: CellCache | None) -> worker.Order:
    i, bound = cell.implementation, plan.options.spec is not None
    loss = (i.spec or i.loss) if bound else i.loss
    key = cache.key(cell) if cache is not None else None
    return worker.Order(
        i.target, i.name, loss, i.framework, cell.device, cell.mode, cell.dtype, cell.share, bound, false, key
    )


def _in_processes(
    orders: list[worker.Order], settings: worker.Settings, watch: Watch | None, jobs: int
) -> Iterator[CellFinished | Problem]:
    from lossproof.audit import lanes  # and with it what starts processes

    batches = [worker.Batch(each, settings, watch) for each in _together(orders)]
    for batch, results in lanes.examine(batches, jobs):
        if isinstance(results, lanes.Lost):
            yield from (_lost(order, results.reason) for order in batch.orders)
        else:
            yield from results


def _together(orders: Sequence[worker.Order]) -> list[tuple[worker.Order, ...]]:
    """Orders that share what the oracle answers, those of one framework to import in each; NumPy's go along."""
    heavy: dict[tuple[str, str], str] = {}
    for order in orders:
        if order.framework != "numpy":
            heavy.setdefault((order.loss, order.dtype), order.framework)
    together: dict[tuple[str, str, str], list[worker.Order]] = {}
    for order in orders:
        numpy, asked = order.framework == "numpy", (order.loss, order.dtype)
        framework = heavy.get(asked, order.framework) if numpy else order.framework
        together.setdefault((*asked, framework), []).append(order)
    return [tuple(each) for each in together.values()]


def _in_this_process(
    plan: Plan, new: list[_Ordered], settings: worker.Settings, watch: Watch | None
) -> Iterator[CellFinished | Problem]:
    find = worker.Finder()
    together: dict[tuple[str, str], list[_Ordered]] = {}
    for cell, order in new:
        together.setdefault((order.loss, order.dtype), []).append((cell, order))
    for each in together.values():
        for cell, order in each:
            i = cell.implementation
            try:
                found = (i, worker.siblings_of(i, plan.declared)) if plan.loaded else find(order)
            except LookupError as error:
                yield _lost(order, str(error))
            else:
                yield worker.done(order, settings, watch, *found)
        answers.forget()
        memory.free({order.framework for _, order in each})


def _lost(order: worker.Order, reason: str) -> Problem:
    return Problem(f"{order.name} ({order.device}, {order.mode}, {order.dtype})", reason)


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
