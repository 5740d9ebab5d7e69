"""Hypothesis at work: recipes drawn, or driven towards the worst case."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity

from lossproof.inputs.dice import mix
from lossproof.inputs.profile import Profile
from lossproof.inputs.recipe import Recipe, recipes
from lossproof.spec.model import Spec

MOST_BITS = 1e6
"""What an infinite number of lost bits counts as; Hypothesis maximises finite numbers."""


def draw(spec: Spec, regime: str, profile: Profile, seed: int, count: int) -> list[Recipe]:
    """`count` different recipes, the same for the same arguments.

    Neither the user's Hypothesis profile nor a database has a say, and nothing is written or printed.
    """
    # Hypothesis tries its simplest example first, whatever the seed: one more, and that one is left out.
    found = _drive(spec, regime, profile, seed, count + 1, None)[1:]
    for number in range(count - len(found)):
        base = found[number % len(found)] if found else _drive(spec, regime, profile, seed, 1, None)[0]
        found.append(replace(base, seed=mix(base.seed, "more", number)))
    return found[:count]


def explore(
    spec: Spec,
    regime: str,
    profile: Profile,
    seed: int,
    observe: Callable[[Recipe], float],
    count: int | None = None,
) -> list[Recipe]:
    """Runs Hypothesis towards recipes for which `observe` returns more; gives those tried, in order.

    observe: the bits lost on a recipe; nan counts as 0. count: most calls, the profile's batches unless
    given. What observe raises ends the search and is raised here.
    """
    return _drive(spec, regime, profile, seed, profile.batches if count is None else count, observe)


def _drive(
    spec: Spec,
    regime: str,
    profile: Profile,
    seed: int,
    count: int,
    observe: Callable[[Recipe], float] | None,
) -> list[Recipe]:
    """The distinct recipes of one run of Hypothesis."""
    found: dict[Recipe, None] = {}
    raised: list[Exception] = []

    # Every setting is given: those left out would come from the user's Hypothesis profile.
    @hypothesis.seed(mix(spec.loss, regime, profile.name, seed))
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate,) if observe is None else (Phase.generate, Phase.target),
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        backend="hypothesis",
    )
    @hypothesis.given(recipes(spec, regime, profile, seed))
    def body(recipe: Recipe) -> None:
        if raised or recipe in found:
            return
        found[recipe] = None
        if observe is not None:
            try:
                bits = float(observe(recipe))
            except Exception as error:
                raised.append(error)
                return
            bits = 0.0 if math.isnan(bits) else min(max(bits, -MOST_BITS), MOST_BITS)
            hypothesis.target(bits, label="bits lost")

    body()
    if raised:
        raise raised[0]
    return list(found)
