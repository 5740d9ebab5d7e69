"""Prove specs: every law true of the definition, in ball arithmetic, over many cases of every regime."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lossproof.checks.answers import point_of
from lossproof.errors import UsageError
from lossproof.inputs import PROFILES, Case, Profile, draw, expand, minimise, regimes_of
from lossproof.oracle.certified import truth_precisions
from lossproof.oracle.law import Array, ClauseValue, by_definition, evaluate_law
from lossproof.spec import graph, library
from lossproof.spec.law_graph import applies
from lossproof.spec.load import check_expressions
from lossproof.spec.model import Law, Spec

TIGHT = 2.0**-30
"""Two sides whose balls overlap are equal as far as can be told when they are this narrow beside their size."""


@dataclass(frozen=True)
class Proof:
    """A law of a definition. verdict: proved, undecided (never told), or false (with a counterexample)."""

    loss: str
    law: str
    verdict: str
    cases: int
    undecided: int
    counterexample: str | None
    place: str | None

    @property
    def falsehood(self) -> str:
        """What is said of a law that is false."""
        example = f": {self.counterexample}" if self.counterexample else ""
        return f"law '{self.law}' of {self.loss} is false for its definition{example}"


def prove(
    specs: Sequence[str],
    *,
    profile: str = "quick",
    seed: int = 0,
    on_proof: Callable[[Proof], None] | None = None,
) -> list[Proof]:
    """Prove every law of specs given by name or by path; all the bundled ones for none.

    Raises UsageError for an unknown name, SpecError for a spec that cannot be used.
    """
    found = []
    for spec in [_spec(name) for name in specs or library.names()]:
        for name in spec.laws:
            proof = prove_law(spec, name, PROFILES[profile], seed)
            found.append(proof)
            if on_proof is not None:
                on_proof(proof)
    return found


def _spec(name: str) -> Spec:
    if name.endswith((".yaml", ".yml")) or "/" in name:
        path = Path(name)
        if not path.is_file():
            raise UsageError(f"no such file '{name}'")
        return library.load_file(path)
    spec = library.get(name)
    check_expressions(spec)
    return spec


def prove_law(spec: Spec, name: str, profile: Profile, seed: int) -> Proof:
    """One law over cases of every regime, in float32 and float64, over every convention."""
    law = spec.laws[name]
    cases = undecided = witnesses = 0
    place = spec.place("laws", name)
    for case in _cases(spec, law, profile, seed):
        values = _evaluate(spec, name, case)
        if values is None:
            continue
        told = [_told(value, case.dtype) for value in values]
        cases += sum(int(t.sum()) for t in told)
        undecided += sum(int((np.asarray(v.claimed) & ~t).sum()) for v, t in zip(values, told, strict=True))
        if law.exists:
            witnesses += sum(int((np.equal(v.holds, True) & v.claimed).sum()) for v in values)
        elif any(value.violated.any() for value in values):
            smallest = minimise(case, spec, lambda c: _violated(spec, name, c), law=name)
            return Proof(spec.loss, name, "false", cases, undecided, describe(smallest), _text(place))
    if law.exists:
        verdict = "proved" if witnesses else "undecided"
    else:
        verdict = "proved" if cases else "undecided"
    return Proof(spec.loss, name, verdict, cases, undecided, None, _text(place))


def _text(place: object) -> str | None:
    return None if place is None else str(place)


def _cases(spec: Spec, law: Law, profile: Profile, seed: int) -> Iterator[Case]:
    # a row that holds nan or inf proves nothing, and 1,000 classes nothing that 5 do not
    regimes = [r for r in regimes_of(spec) if r not in ("many_classes", "poisoned_row")]
    dtypes = itertools.cycle(("float32", "float64"))
    for regime in regimes:
        for recipe in draw(spec, regime, profile, seed, max(2, profile.laws // 2)):
            yield expand(spec, recipe, next(dtypes), law.forall)


def _evaluate(spec: Spec, name: str, case: Case) -> list[ClauseValue] | None:
    statics = graph.statics_of(spec, case.parameters)
    if not applies(spec.laws[name], statics):
        return None

    point = point_of(spec, case)
    values: list[ClauseValue] = []
    for bits in truth_precisions(point.storage):
        values = evaluate_law(spec, name, statics, point, by_definition(spec), bits)
        if all((_told(v, case.dtype) | ~np.asarray(v.claimed)).all() for v in values):
            break
    return values


def _told(value: ClauseValue, dtype: str) -> Array:
    """Elements that hold or do not, and those whose sides agree to many digits."""
    told = np.array(value.told & value.decided).reshape(value.holds.shape)
    if value.left is None or value.right is None:
        return np.asarray(told)
    left, right = np.broadcast_arrays(value.left, value.right)
    floor = 2.0**-200 if dtype == "float32" else 2.0**-1070
    for index in np.argwhere(value.told & ~told):
        a, b = left[tuple(index)], right[tuple(index)]
        size = a.abs_upper() + b.abs_upper()
        if a.rad() + b.rad() <= size * TIGHT + floor:
            told[tuple(index)] = True
    return np.asarray(told)


def _violated(spec: Spec, name: str, case: Case) -> bool:
    values = _evaluate(spec, name, case)
    return values is not None and any(value.violated.any() for value in values)


def describe(case: Case) -> str:
    """The arrays and parameters of a case on one line."""
    arrays = {**case.inputs, **case.variables}
    parts = [
        f"{name} = {np.asarray(a).astype(float).tolist() if a.dtype.kind in 'fV' else a.tolist()}"
        for name, a in arrays.items()
    ]
    parts += [f"{name} = {value!r}" for name, value in case.parameters.items()]
    return ", ".join(parts)
