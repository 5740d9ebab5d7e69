"""Cutting rows and classes out of a case: every array that has the dimension loses the same entries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from lossproof.inputs.anatomy import Family, anatomy
from lossproof.inputs.case import Array, Case
from lossproof.inputs.dice import to_dtype
from lossproof.inputs.sizes import dimension_names
from lossproof.inputs.variables import grid_peers
from lossproof.spec.model import Domain, Shape, Spec


@dataclass(frozen=True, order=True)
class Slot:
    """The place of an array in a case: group is "inputs", "variables" or "parameters"."""

    group: str
    name: str

    def of(self, case: Case) -> Array:
        array: Array = getattr(case, self.group)[self.name]
        return array


@dataclass(frozen=True)
class Layout:
    """The shapes in named dimensions and the domains of every array of a case.

    least: the smallest size of a dimension, where it is more than 1.
    """

    shapes: Mapping[Slot, Shape]
    domains: Mapping[Slot, Domain]
    classes: str | None
    grids: tuple[tuple[Slot, Slot], ...]
    least: Mapping[str, int] = field(default_factory=dict)

    def slots(self, *domains: Domain) -> list[Slot]:
        return [slot for slot, domain in self.domains.items() if domain in domains]


def layout(case: Case, spec: Spec, law: str | None = None) -> Layout:
    """The layout of a case. law: the one for which it was drawn, whose variables it holds; other laws may have
    variables of these names and of other shapes.

    Raises KeyError for variables that the law has not, and where there is no law.
    """
    variables = spec.laws[law].forall if law is not None else {}
    strangers = [name for name in case.variables if name not in variables]
    if strangers:
        raise KeyError(f"{strangers[0]} is no variable of {law or 'a case without a law'}")
    shapes: dict[Slot, Shape] = {}
    domains: dict[Slot, Domain] = {}
    for name, part in spec.inputs.items():
        shapes[Slot("inputs", name)], domains[Slot("inputs", name)] = part.shape, part.domain
    for name, variable in variables.items():
        like = spec.inputs.get(variable.like or "")
        shape, domain = (like.shape, like.domain) if like else (variable.shape, variable.domain)
        if shape is not None and domain is not None and name in case.variables:
            shapes[Slot("variables", name)], domains[Slot("variables", name)] = shape, domain
    for name, parameter in spec.parameters.items():
        if parameter.shape is not None and case.parameters.get(name) is not None:
            slot = Slot("parameters", name)
            shapes[slot], domains[slot] = parameter.shape, parameter.domain or Domain.REAL
    parts = anatomy(spec)
    indexed = parts.family not in (Family.REALS, Family.PLAIN)
    grids = [
        (Slot("inputs", peer), Slot("variables", name))
        for name, variable in variables.items()
        if variable.grid is not None and name in case.variables
        for peer in grid_peers(spec, variable.grid)
    ]
    rows = parts.main and spec.inputs[parts.main[0]].shape[0]
    least = {rows: parts.least_rows} if isinstance(rows, str) else {}
    return Layout(shapes, domains, parts.labelled if indexed else None, tuple(grids), least)


def with_arrays(case: Case, arrays: Mapping[Slot, Array]) -> Case:
    """The case with some of its arrays replaced, real ones rounded to its dtype."""
    groups: dict[str, dict[str, Any]] = {
        "inputs": dict(case.inputs),
        "variables": dict(case.variables),
        "parameters": dict(case.parameters),
    }
    for slot, array in arrays.items():
        kind = slot.of(case).dtype
        groups[slot.group][slot.name] = (
            array.astype(kind) if kind.kind in "iub" else to_dtype(np.asarray(array, np.float64), case.dtype)
        )
    return replace(
        case, inputs=groups["inputs"], variables=groups["variables"], parameters=groups["parameters"]
    )


def sizes(case: Case, plan: Layout) -> dict[str, int]:
    """The size of each dimension that stands alone in a shape."""
    found: dict[str, int] = {}
    for slot, shape in plan.shapes.items():
        for dim, count in zip(shape, slot.of(case).shape, strict=False):
            if isinstance(dim, str) and dim.isidentifier():
                found.setdefault(dim, count)
    return found


def can_cut(plan: Layout, dim: str) -> bool:
    """Whether the dimension stands alone wherever it occurs (`V + 1` would need a rule of its own)."""
    dims = {d for shape in plan.shapes.values() for d in shape if isinstance(d, str)}
    return all(d == dim or dim not in dimension_names([(d,)]) for d in dims)


def used_classes(case: Case, plan: Layout) -> set[int]:
    """The classes that labels and class indices name."""
    used: set[int] = set()
    for slot in plan.slots(Domain.CLASS_INDEX):
        used |= {int(index) for index in slot.of(case).reshape(-1)}
    return used


def cut(case: Case, plan: Layout, dim: str, keep: list[int]) -> Case:
    """The case with only the entries `keep` (in order) along a dimension; labels must be among them.

    Class indices and permutations are renumbered; a distribution gives the mass of the classes that go to its
    likeliest class.
    """
    arrays: dict[Slot, Array] = {}
    for slot, shape in plan.shapes.items():
        array, domain = slot.of(case), plan.domains[slot]
        axes = [axis for axis, name in enumerate(shape) if name == dim]
        for axis in axes:
            whole = array
            array = np.take(whole, keep, axis=axis)
            if axis == len(shape) - 1:
                array = _refit(whole, array, keep, domain)
        if domain == Domain.CLASS_INDEX and dim == plan.classes:
            new = {old: k for k, old in enumerate(keep)}
            array = np.asarray([new.get(int(i), int(i)) for i in array.reshape(-1)], np.int64).reshape(
                array.shape
            )
        if array is not slot.of(case):
            arrays[slot] = array
    return with_arrays(case, arrays)


def _refit(whole: Array, array: Array, keep: list[int], domain: Domain) -> Array:
    if domain == Domain.PERMUTATION:
        # The values of the dropped places leave the permutation, and the others close the gaps.
        lines = [[v for v in line if v in set(keep)] for line in whole.reshape(-1, whole.shape[-1]).tolist()]
        ranks = {value: k for k, value in enumerate(sorted(keep))}
        return np.asarray([[ranks[v] for v in line] for line in lines], np.int64).reshape(array.shape)
    if domain in (Domain.PROBABILITY, Domain.LOG_PROBABILITY):
        before = whole.astype(np.float64).reshape(-1, whole.shape[-1])
        after = array.astype(np.float64).reshape(-1, array.shape[-1])
        gone = np.delete(before, keep, axis=-1)
        dropped = np.any(gone > (0 if domain == Domain.PROBABILITY else -np.inf), axis=-1)
        for row in np.flatnonzero(dropped):
            line = after[row]
            if not np.isnan(line).any():
                balance(line, domain, int(line.argmax()))
        return after.reshape(array.shape)
    return array


def balance(line: Array, domain: Domain, at: int) -> bool:
    """Sets one entry of a distribution so that it sums to 1, in place; False where the others exceed that."""
    others = np.delete(line, at)
    with np.errstate(all="ignore"):
        if domain == Domain.PROBABILITY:
            rest = 1.0 - float(others.sum())
            # 1 − 0.1 − 0.2 is meant to be 0.7.
            line[at] = float(f"{rest:.12g}")
        else:
            rest = 1.0 - float(np.exp(others).sum())
            line[at] = np.log1p(-float(np.exp(others).sum())) if rest > 0 else -np.inf
    return rest >= 0
