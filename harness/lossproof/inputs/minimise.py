"""Cutting a failing case down: few rows, few classes, short numbers.

Greedy and deterministic: a candidate that still fails takes the place of the best, from the largest cuts
to the smallest. Each step keeps the case legal: labels exist, distributions sum to 1 up to rounding, sums
on a grid stay exact.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np

from lossproof.inputs.case import Case
from lossproof.inputs.cut import Layout, can_cut, cut, layout, sizes, used_classes
from lossproof.inputs.shorten import Search, shorten_distributions, shorten_indices, shorten_numbers
from lossproof.inputs.variables import is_exact
from lossproof.spec.model import Parameter, Spec


def minimise(
    case: Case,
    spec: Spec,
    fails: Callable[[Case], bool],
    budget: int = 400,
    *,
    law: str | None = None,
    keep: Collection[str] = (),
) -> Case:
    """A smaller case that still fails, by at most `budget` calls of `fails`; the case itself if none is
    found.

    fails: whether a case fails in the same way; one on which it raises counts as not failing. law: the one for
    which the case was drawn, whose variables it holds. keep: parameters that stay as they are, because the
    implementation fixes them.
    """
    plan = layout(case, spec, law)
    search = Search(case, fails, budget, lambda candidate: _legal(candidate, plan))
    for _ in range(3):
        before = search.best
        _rows(search, plan)
        _classes(search, plan)
        _parameters(search, spec, keep)
        plan = layout(search.best, spec, law)
        shorten_indices(search, plan)
        shorten_distributions(search, plan)
        shorten_numbers(search, plan)
        if search.best is before or search.spent:
            break
    return search.best


def _legal(case: Case, plan: Layout) -> bool:
    """Whether the sums that must be exact are."""
    for entries, offsets in plan.grids:
        a, b = entries.of(case), offsets.of(case)
        if a.ndim > b.ndim:
            b = b.reshape(b.shape + (1,) * (a.ndim - b.ndim)) if b.shape[:1] == a.shape[:1] else b
        if not is_exact(a, b, case.dtype):
            return False
    return True


def _rows(search: Search, plan: Layout) -> None:
    """Every dimension but the classes': one entry alone, else as few as chunk by chunk can go."""
    for dim, count in sizes(search.best, plan).items():
        least = plan.least.get(dim, 1)
        if dim == plan.classes or count <= least or not can_cut(plan, dim):
            continue
        if least == 1 and any(
            search.attempt(cut(search.best, plan, dim, [k])) for k in range(min(count, 16))
        ):
            continue
        _by_chunks(search, plan, dim, set())


def _classes(search: Search, plan: Layout) -> None:
    """The labels' classes and one more, else as few as chunk by chunk can go."""
    dim = plan.classes
    if dim is None or not can_cut(plan, dim):
        return
    count = sizes(search.best, plan)[dim]
    used = {k for k in used_classes(search.best, plan) if 0 <= k < count}
    room = max(2, len(used) + 1)
    if count > room:
        # The likeliest classes are the ones to keep: they make the value.
        order = _by_size(search.best, plan, dim)
        for extra in [k for k in order if k not in used][:4]:
            if search.attempt(
                cut(search.best, plan, dim, sorted({*used, extra, *(order[:2] if not used else ())}))
            ):
                break
    _by_chunks(search, plan, dim, used if sizes(search.best, plan)[dim] == count else None)


def _by_size(case: Case, plan: Layout, dim: str) -> list[int]:
    """The classes, the one with the largest entry first."""
    for slot, shape in plan.shapes.items():
        if slot.group == "inputs" and len(shape) > 1 and shape[-1] == dim:
            array = slot.of(case).astype(np.float64)
            top = np.nan_to_num(array, nan=-np.inf).reshape(-1, array.shape[-1]).max(axis=0)
            return [int(k) for k in np.argsort(-top, kind="stable")]
    return list(range(sizes(case, plan)[dim]))


def _by_chunks(search: Search, plan: Layout, dim: str, used: set[int] | None) -> None:
    """Drops chunks of a dimension, halves first, single entries last. used: entries that stay."""
    chunk = max(sizes(search.best, plan)[dim] // 2, 1)
    allowance = search.left // 3
    while chunk and allowance > 0:
        start = 0
        while start < (count := sizes(search.best, plan)[dim]) and count > 1 and allowance > 0:
            stay = used
            if stay is None or dim == plan.classes:
                stay = used_classes(search.best, plan)
            keep = [k for k in range(count) if not start <= k < start + chunk or k in stay]
            allowance -= 1
            if plan.least.get(dim, 1) <= len(keep) < count and search.attempt(
                cut(search.best, plan, dim, keep)
            ):
                continue
            start += chunk
        chunk //= 2


def _parameters(search: Search, spec: Spec, keep: Collection[str]) -> None:
    """Each parameter to its default, else a number to an end of its range or to fewer digits."""
    for name, parameter in spec.parameters.items():
        if name in keep or name not in search.best.parameters:
            continue
        for value in _simpler(parameter, search.best.parameters[name]):
            if search.attempt(replace(search.best, parameters={**search.best.parameters, name: value})):
                break


def _simpler(parameter: Parameter, value: object) -> list[object]:
    if isinstance(value, np.ndarray):
        return [None] if parameter.default is None else []
    candidates: list[object] = [parameter.default]
    if parameter.kind == "number" and isinstance(value, float) and parameter.range is not None:
        low, high = parameter.range
        short = (float(f"{value:.1g}"), float(f"{value:.2g}"))
        candidates += [v for v in (*parameter.ends, 1.0, 0.5, *short) if low <= v <= high]
    if value in candidates:
        candidates = candidates[: candidates.index(value)]
    return candidates
