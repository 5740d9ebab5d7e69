"""A recipe: the few numbers from which a whole batch is expanded, and what it is chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lossproof.errors import UsageError, suggest
from lossproof.inputs.anatomy import Anatomy, anatomy
from lossproof.inputs.dice import mix
from lossproof.inputs.parameters import pool
from lossproof.inputs.profile import Profile
from lossproof.inputs.regimes import Regime, regime_of, regimes_of
from lossproof.spec.model import Spec

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

MOST_COMPARED = 11
"""The most rows of a loss that compares each with every other: what it costs to verify grows with their square, and
such a case is a call of its own, of which a nan or a tie sends all to Arb. A mistake that takes more rows than two
blocks of four, such as one at the border of a wider block, goes unseen."""

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


@dataclass(frozen=True)
class Menu:
    """What the recipes of a regime choose among, and how many bits a choice takes.

    dims: the shapes. pools: the values of choices and numbers, by parameter. arrays: the array parameters
    that are on or off; those of `always` are on.
    """

    loss: str
    regime: str
    seed: int
    dims: tuple[tuple[tuple[str, int], ...], ...]
    pools: tuple[tuple[str, tuple[Any, ...]], ...]
    arrays: tuple[str, ...]
    always: tuple[str, ...]

    @property
    def width(self) -> int:
        """The bits of a recipe."""
        return 32 + 6 + 6 + 3 + 6 * len(self.pools) + len(self.arrays)

    def recipe(self, bits: int) -> Recipe:
        """The recipe that a number of `width` bits stands for; almost all numbers give different ones."""
        reader = _Bits(bits)
        # The entries depend on the run's seed too: Hypothesis starts from all bits 0, whatever its seed.
        entries = mix(self.loss, self.regime, self.seed, reader.number(32))
        return Recipe(
            regime=self.regime,
            dims=reader.pick(self.dims),
            seed=entries,
            dial=reader.number(6),
            density=1 + reader.number(3),
            parameters=tuple((name, reader.pick(values)) for name, values in self.pools),
            arrays=tuple(name for name in self.arrays if reader.number(1) or name in self.always),
        )


def menu(spec: Spec, regime: str, profile: Profile, seed: int) -> Menu:
    """What the recipes of a regime choose among. Raises UsageError for a regime the spec cannot meet."""
    if regime not in regimes_of(spec):
        raise UsageError(f"{spec.loss} has no regime '{regime}'{suggest(regime, regimes_of(spec))}")
    arrays = tuple(name for name, p in spec.parameters.items() if p.kind == "array")
    return Menu(
        loss=spec.loss,
        regime=regime,
        seed=seed,
        dims=tuple(pool_of_dims(anatomy(spec), regime_of(spec, regime), profile)),
        pools=tuple(
            (name, tuple(pool(spec, name, seed))) for name, p in spec.parameters.items() if name not in arrays
        ),
        arrays=arrays,
        always=tuple(name for name in arrays if spec.parameters[name].default is not None),
    )


def recipes(spec: Spec, regime: str, profile: Profile, seed: int) -> SearchStrategy[Recipe]:
    """The recipes of a regime, as a Hypothesis strategy. Raises UsageError for a regime the spec cannot meet.

    Everything comes from booleans: for integers and bytes Hypothesis mixes in constants of the user's own
    modules (and caches them in a `.hypothesis` directory), so that a seed would not give the same cases
    everywhere.
    """
    from hypothesis import strategies as st

    choices = menu(spec, regime, profile, seed)
    return st.tuples(*(st.booleans() for _ in range(choices.width))).map(
        lambda bits: choices.recipe(sum(bit << place for place, bit in enumerate(bits)))
    )


def pool_of_dims(parts: Anatomy, regime: Regime, profile: Profile) -> list[tuple[tuple[str, int], ...]]:
    """The sizes of the spec's dimensions from which a regime's recipes choose."""
    found: dict[tuple[tuple[str, int], ...], None] = {}
    for rows, classes in profile.shapes:
        if regime.classes == "one":
            classes = 1
        elif regime.classes == "many":
            rows, classes = 1, profile.many_classes
        rows = max(rows, regime.rows, parts.least_rows)
        if parts.least_rows > 1:
            rows = min(rows, MOST_COMPARED)
        classes = max(classes, regime.least_classes)
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
    """Reads numbers off the bits of a number, the lowest first."""

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def number(self, count: int) -> int:
        found = self._bits & ((1 << count) - 1)
        self._bits >>= count
        return found

    def pick(self, values: Sequence[T]) -> T:
        return values[self.number(6) % len(values)]
