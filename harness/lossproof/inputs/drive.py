"""Recipes drawn, or driven by Hypothesis towards the worst case."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

from lossproof.inputs.dice import mix
from lossproof.inputs.profile import Profile
from lossproof.inputs.recipe import Recipe, menu, recipes
from lossproof.spec.model import Spec

MOST_BITS = 1e6
"""What an infinite number of lost bits counts as; Hypothesis maximises finite numbers."""


def draw(spec: Spec, regime: str, profile: Profile, seed: int, count: int) -> list[Recipe]:
    """`count` different recipes, the same for the same arguments; the first ones whatever the count.

    Straight from the bits of a hash: where nothing is observed there is nothing for a search to follow. The
    shapes take turns, so that a few recipes meet several. Raises UsageError for a regime the spec cannot meet.
    """
    choices = menu(spec, regime, profile, seed)
    size, first = -(-choices.width // 8), mix(spec.loss, regime, profile.name, seed)
    found: dict[Recipe, None] = {}
    for number in itertools.count():
        if len(found) == count:
            break
        bits = mix(spec.loss, regime, profile.name, seed, number, size=size)
        dims = choices.dims[(first + number) % len(choices.dims)]
        found[replace(choices.recipe(bits), dims=dims)] = None
    return list(found)


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
    given. What observe raises ends the search and is raised here. Neither the user's Hypothesis profile nor a
    database has a say, and nothing is written or printed.
    """
    import hypothesis
    from hypothesis import HealthCheck, Phase, Verbosity

    found: dict[Recipe, None] = {}
    raised: list[Exception] = []

    # Every setting is given: those left out would come from the user's Hypothesis profile.
    @hypothesis.seed(mix(spec.loss, regime, profile.name, seed))
    @hypothesis.settings(
        max_examples=profile.batches if count is None else count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate, Phase.target),
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
