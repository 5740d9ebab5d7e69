"""A plan as data: what was asked for, and the cells that it comes to."""

from __future__ import annotations

from dataclasses import dataclass, field

from lossproof.audit.results import Problem
from lossproof.audit.reuse.sources import Sources
from lossproof.audit.reuse.surroundings import Surroundings
from lossproof.audit.share import ALL, Share
from lossproof.implementation import AdapterSkip, Implementation
from lossproof.waivers import Waiver


@dataclass(frozen=True)
class Options:
    """What a user asked for; an empty tuple means all, or the default of the implementation.

    targets: adapters; none for every bundled one that is no demonstration. spec with framework: bind the
    function that the one target names, decorated or not. cache: whether cells that an earlier run has examined
    are taken from there, and those of this one kept. waivers: the user's own, beside the bundled ones. fail_on: from
    which verdict on a row gets a finding, one of results.FAIL_ON. maps: whether stability maps are made, for reports.
    """

    targets: tuple[str, ...] = ()
    spec: str | None = None
    framework: str | None = None
    losses: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    regimes: tuple[str, ...] = ()
    profile: str = "quick"
    seed: int = 0
    jobs: int | None = None
    cache: bool = False
    waivers: tuple[Waiver, ...] = ()
    fail_on: str = "fail"
    maps: bool = False


@dataclass(frozen=True)
class PlannedCell:
    """One implementation at one device, mode and dtype; skip says why it will not run.

    share: what of the profile it takes. maps: whether its stability maps are made.
    """

    implementation: Implementation
    device: str
    mode: str
    dtype: str
    skip: str | None = None
    share: Share = ALL
    maps: bool = False


@dataclass
class Plan:
    """declared: all that the adapters declare, also what the options leave out: laws call it.

    sources, around: with `cache`, from what each target came, and in which surroundings. loaded: whether the
    implementations can be called; those of a plan that was kept are found again by their targets.
    """

    options: Options
    cells: list[PlannedCell] = field(default_factory=list)
    declared: list[Implementation] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped_adapters: list[AdapterSkip] = field(default_factory=list)
    sources: dict[str, Sources | None] = field(default_factory=dict)
    around: Surroundings | None = None
    loaded: bool = True
