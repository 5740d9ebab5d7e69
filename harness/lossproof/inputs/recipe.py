"""A recipe: the few numbers from which a whole batch is expanded, and the strategy that draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from lossproof.errors import UsageError, suggest
from lossproof.inputs.anatomy import Anatomy, anatomy
from lossproof.inputs.dice import mix
from lossproof.inputs.parameters import pool
from lossproof.inputs.profile import Profile
from lossproof.inputs.regimes import Regime, regime_of, regimes_of
from lossproof.spec.model import Spec

T = TypeVar("T")

DIAL = 64
"""A recipe's dial lies in range(DIAL); each regime maps it to its own range of magnitudes."""


@dataclass(frozen=True)
class Recipe:
    """One batch in short form; equal recipes expand to equal cases on every machine.

    dims: the size of each named dimension. seed: 64 bits from which the entries come. dial: where in the
    regime's range of magnitudes the first row lies, in range(64). density: how many special entries there
    are, in eighths, 1 to 8. parameters: the values of choices and numbers. arrays: the array parameters
    that are on.
    """

    regime: str
    dims: tuple[tuple[str, int], ...]
    seed: int
    dial: int = 0
    density: int = 4
    parameters: tuple[tuple[str, Any], ...] = ()
    arrays: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        return dict(self.dims)


def recipes(spec: Spec, regime: str, profile: Profile, seed: int) -> SearchStrategy[Recipe]:
    """The recipes of a regime, as a Hypothesis strategy. Raises UsageError for a regime the spec cannot meet.

    Everything comes from booleans: for integers Hypothesis mixes in constants of the user's own modules (and
    caches them in a `.hypothesis` directory), so that a seed would not give the same cases everywhere.
    """
    if regime not in regimes_of(spec):
        raise UsageError(f"{spec.loss} has no regime '{regime}'{suggest(regime, regimes_of(spec))}")
    parts = anatomy(spec)
    shape = regime_of(spec, regime)
    dims = pool_of_dims(parts, shape, profile)
    pools = {name: pool(spec, name, seed) for name, p in spec.parameters.items() if p.kind != "array"}
    arrays = [name for name, p in spec.parameters.items() if p.kind == "array"]
    width = 32 + 6 + 6 + 3 + 6 * len(pools) + len(arrays)

    def build(bits: tuple[bool, ...]) -> Recipe:
        reader = _Bits(bits)
        # The entries depend on the run's seed too: Hypothesis starts from all bits 0, whatever its seed.
        entries = mix(spec.loss, regime, seed, reader.number(32))
        return Recipe(
            regime=regime,
            dims=reader.pick(dims),
            seed=entries,
            dial=reader.number(6),
            density=1 + reader.number(3),
            parameters=tuple((name, reader.pick(values)) for name, values in pools.items()),
            arrays=tuple(
                name for name in arrays if spec.parameters[name].default is not None or reader.number(1)
            ),
        )

    return st.tuples(*(st.booleans() for _ in range(width))).map(build)


def pool_of_dims(parts: Anatomy, regime: Regime, profile: Profile) -> list[tuple[tuple[str, int], ...]]:
    """The sizes of the spec's dimensions from which a regime's recipes choose."""
    found: dict[tuple[tuple[str, int], ...], None] = {}
    for rows, classes in profile.shapes:
        if regime.classes == "one":
            classes = 1
        elif regime.classes == "many":
            rows, classes = 1, profile.many_classes
        rows, classes = max(rows, regime.rows), max(classes, regime.least_classes)
        others = [name for name in parts.dims if name != parts.classes]
        lead = parts.independent if parts.independent in others else next(iter(others), None)
        sizes, extra = {}, 0
        for name in parts.dims:
            if name == parts.classes:
                sizes[name] = classes
            elif name == lead:
                sizes[name] = rows
            else:
                sizes[name] = profile.extra[extra % len(profile.extra)]
                extra += 1
        found[tuple(sizes.items())] = None
    return list(found)


class _Bits:
    """Reads numbers off a sequence of bits."""

    def __init__(self, bits: Sequence[bool]) -> None:
        self._bits = iter(bits)

    def number(self, count: int) -> int:
        total = 0
        for _ in range(count):
            total = 2 * total + next(self._bits)
        return total

    def pick(self, values: Sequence[T]) -> T:
        return values[self.number(6) % len(values)]
