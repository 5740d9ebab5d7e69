"""What a run will do: which implementations, on which devices, in which modes and dtypes, and why not others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from lossproof.audit.results import Problem
from lossproof.errors import LossproofError, UsageError, suggest
from lossproof.floats import DTYPES
from lossproof.frameworks import DEVICES, MODES, NAMES, framework
from lossproof.implementation import (
    AdapterSkip,
    Implementation,
    bind_target,
    bundled,
    discover,
    registered,
    whole,
)
from lossproof.inputs import PROFILES, regimes_of
from lossproof.spec import library


@dataclass(frozen=True)
class Options:
    """What a user asked for; an empty tuple means all, or the default of the implementation.

    targets: adapters; none for every bundled one that is no demonstration. spec with framework: bind the
    function that the one target names, decorated or not.
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


@dataclass(frozen=True)
class PlannedCell:
    """One implementation at one device, mode and dtype; skip says why it will not run."""

    implementation: Implementation
    device: str
    mode: str
    dtype: str
    skip: str | None = None


@dataclass
class Plan:
    """declared: all that the adapters declare, also what the options leave out: laws call it."""

    options: Options
    cells: list[PlannedCell] = field(default_factory=list)
    declared: list[Implementation] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    skipped_adapters: list[AdapterSkip] = field(default_factory=list)


def plan(options: Options) -> Plan:
    """Find the implementations and cross them with devices, modes and dtypes.

    Raises UsageError for an unknown word among the options. What is wrong with an adapter becomes a problem of
    the plan, beside what can be checked.
    """
    require_known(options)
    made = Plan(options)
    implementations = _implementations(options, made)
    # a user's own spec is known once its adapter is read
    _known("loss", options.losses, library.names())
    require_regimes(options, (i.loss for i in implementations))
    for implementation in implementations:
        if options.losses and implementation.loss not in options.losses:
            continue
        if options.frameworks and implementation.framework not in options.frameworks:
            continue
        made.cells += cells_of(implementation, options)
    return made


def require_known(options: Options) -> None:
    """Raise UsageError for a word among the options that is none."""
    _known("profile", [options.profile], PROFILES)
    _known("framework", options.frameworks, NAMES)
    _known("device", options.devices, DEVICES)
    _known("dtype", options.dtypes, DTYPES)
    _known("mode", options.modes, MODES)


def require_regimes(options: Options, losses: Iterable[str]) -> None:
    """Raise UsageError for a regime that none of the losses can meet."""
    if options.regimes:
        _known("regime", options.regimes, _all_regimes(losses))


def _known(kind: str, words: Sequence[str], allowed: Iterable[str]) -> None:
    allowed = tuple(allowed)
    for word in words:
        if word not in allowed:
            raise UsageError(f"unknown {kind} '{word}'{suggest(word, allowed)}")


def _all_regimes(losses: Iterable[str]) -> list[str]:
    names: dict[str, None] = {}
    for loss in dict.fromkeys(losses):
        names.update(dict.fromkeys(regimes_of(library.get(loss))))
    return list(names)


def _implementations(options: Options, made: Plan) -> list[Implementation]:
    if options.spec is not None:
        if len(options.targets) != 1 or options.framework is None:
            raise UsageError("--spec binds one function: give one target FILE.py:FUNCTION and --framework")
        try:
            return [bind_target(options.targets[0], options.spec, options.framework)]
        except UsageError:
            raise
        except LossproofError as error:
            made.problems.append(Problem(str(error.place or options.targets[0]), error.message))
            return []
    found: list[Implementation] = []
    targets = options.targets or (*bundled(demonstrations=False), *registered())
    for target in targets:
        implementations, problems = discover(target)
        found += [each for each in implementations if not _taken(each, found, made)]
        made.declared += discover(whole(target))[0]
        for problem in problems:
            if isinstance(problem, AdapterSkip):
                made.skipped_adapters.append(problem)
            else:
                made.problems.append(problem)
    return found


def _taken(implementation: Implementation, found: Sequence[Implementation], made: Plan) -> bool:
    """Whether another adapter has the name already; then it is a problem, since results are told by name."""
    for other in found:
        same = (other.name, other.loss, other.framework) == (
            implementation.name,
            implementation.loss,
            implementation.framework,
        )
        if same and other.target != implementation.target:
            made.problems.append(
                Problem(
                    implementation.target,
                    f"'{implementation.name}' is in {other.target.rpartition(':')[0]} too; rename one of the files, "
                    "or say name=",
                )
            )
            return True
    return False


def cells_of(implementation: Implementation, options: Options) -> list[PlannedCell]:
    """The cells of an implementation, those that cannot run among them with the reason."""
    engine = framework(implementation.framework)
    numpy = implementation.framework == "numpy"
    devices = options.devices or implementation.devices or (("cpu",) if numpy else DEVICES)
    modes = options.modes or (("eager",) if numpy else MODES)
    dtypes = options.dtypes or implementation.dtypes
    cells = []
    for device in devices:
        for mode in modes:
            for dtype in dtypes:
                skip = (
                    engine.missing() or engine.missing_device(device) or engine.missing_dtype(dtype, device)
                )
                if (
                    skip is None
                    and implementation.devices is not None
                    and device not in implementation.devices
                ):
                    skip = f"declared for {', '.join(implementation.devices)} only"
                if skip is None:
                    skip = _unwanted(implementation, mode, options) or engine.missing_mode(mode, device)
                cells.append(PlannedCell(implementation, device, mode, dtype, skip))
    return cells


def _unwanted(implementation: Implementation, mode: str, options: Options) -> str | None:
    """torch.compile takes seconds for every shape and parameter, so it runs where it is asked for."""
    asked = options.modes or options.profile == "deep"
    if implementation.framework == "torch" and mode == "compiled" and not asked:
        return "torch.compile takes seconds a function: ask for it with --mode compiled or --profile deep"
    return None
