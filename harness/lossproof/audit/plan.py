"""What a run will do: which implementations, on which devices, in which modes and dtypes, and why not others."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace

from lossproof.audit import forks
from lossproof.audit.planned import Options, Plan, PlannedCell
from lossproof.audit.results import Problem
from lossproof.audit.reuse import plan_cache
from lossproof.audit.reuse.sources import sources_of
from lossproof.audit.reuse.surroundings import surroundings
from lossproof.audit.share import share
from lossproof.errors import LossproofError, UsageError, suggest, unknown
from lossproof.floats import DTYPES
from lossproof.frameworks import DEVICES, MODES, NAMES, framework
from lossproof.implementation import (
    AdapterSkip,
    Implementation,
    Undeclared,
    bind_target,
    bundled,
    discover,
    is_pattern,
    matches,
    registered,
    whole,
)
from lossproof.inputs import PROFILES, regimes_of
from lossproof.spec import library
from lossproof.waivers import require_conditions

__all__ = ["Options", "Plan", "PlannedCell", "cells_of", "plan", "require_known", "require_regimes"]


def plan(options: Options) -> Plan:
    """Find the implementations and cross them with devices, modes and dtypes.

    Raises UsageError for an unknown word among the options, and for a waiver's `where` that is no condition. What is
    wrong with an adapter becomes a problem of the plan, beside what can be checked.
    """
    require_known(options)
    targets = _expanded(options.targets) or (*bundled(demonstrations=False), *registered())
    made = _planned(options, targets)
    # a user's own spec is known once its adapter is read
    require_conditions(options.waivers)
    return made


def _planned(options: Options, targets: Sequence[str]) -> Plan:
    if not options.cache:
        return _made(options, targets)
    around = surroundings()
    key = plan_cache.key(options, targets, around)
    made = plan_cache.read(key, options, around)
    if made is None:
        made = _made(options, targets)
        made.around = around
        made.sources = {target: sources_of(target) for target in map(whole, targets)}
        plan_cache.write(key, made)
    return made


def _expanded(targets: Sequence[str]) -> tuple[str, ...]:
    """Targets with the files that match in the place of a pattern, each once; a pattern that nothing matches stays."""
    found = [file for each in targets for file in (matches(each) if is_pattern(each) else ()) or (each,)]
    return tuple(dict.fromkeys(found))


def _made(options: Options, targets: Sequence[str]) -> Plan:
    if _takes_processes(options):
        forks.begin(options.frameworks or NAMES)
    made = Plan(options)
    implementations = _implementations(options, targets, made)
    # a user's own spec is known once its adapter is read
    _known("loss", options.losses, library.names())
    if (
        implementations or not made.problems
    ):  # an adapter that does not import hides its losses, and so their regimes
        require_regimes(options, (i.loss for i in implementations))
    _require_losses(options, implementations, made)
    for implementation in implementations:
        if options.losses and implementation.loss not in options.losses:
            continue
        if options.frameworks and implementation.framework not in options.frameworks:
            continue
        made.cells += cells_of(implementation, options)
    return made


def _require_losses(options: Options, implementations: Sequence[Implementation], made: Plan) -> None:
    """Raise UsageError for a loss that no target has, where all that they have is known."""
    wanted = [each for each in implementations if each.framework in (options.frameworks or NAMES)]
    if not wanted or made.problems or made.skipped_adapters:
        return
    known = {each.loss for each in wanted}
    for loss in options.losses:
        if loss not in known:
            where = ", ".join(options.targets) or "the adapters"
            frameworks = f" for {' or '.join(options.frameworks)}" if options.frameworks else ""
            raise UsageError(f"no implementation of '{loss}' in {where}{frameworks}{suggest(loss, known)}")


def _takes_processes(options: Options) -> bool:
    """Whether a run is certain enough to take several processes that theirs is started before it is planned."""
    return options.jobs > 1 if options.jobs else not options.targets and (os.cpu_count() or 1) > 1


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
            raise UsageError(unknown(kind, word, allowed))


def _all_regimes(losses: Iterable[str]) -> list[str]:
    names: dict[str, None] = {}
    for loss in dict.fromkeys(losses):
        names.update(dict.fromkeys(regimes_of(library.get(loss))))
    return list(names)


def _implementations(options: Options, targets: Sequence[str], made: Plan) -> list[Implementation]:
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
    bare: set[str] = set()
    spared: list[Problem] = []
    for target in targets:
        if is_pattern(target):
            made.problems.append(Problem(target, f"no Python file matches '{target}'"))
            continue
        implementations, problems = discover(target)
        found += [each for each in implementations if not _taken(each, found, made)]
        made.declared += discover(whole(target))[0]
        for problem in problems:
            if isinstance(problem, Undeclared) and target not in options.targets:
                bare.add(target)
            elif isinstance(problem, Undeclared) and os.path.basename(target) == "__init__.py":
                # a shell has put the files of a package in the place of its own pattern
                spared.append(problem)
            elif isinstance(problem, AdapterSkip):
                made.skipped_adapters.append(problem)
            else:
                made.problems.append(problem)
    for pattern in filter(is_pattern, options.targets):
        files = matches(pattern)
        if files and bare.issuperset(files):
            made.problems.append(Problem(pattern, f"no function in {', '.join(files)} has @implements"))
    if not found and not made.problems and not made.skipped_adapters:
        made.problems += spared
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
    return _shared(cells, options)


def _shared(cells: list[PlannedCell], options: Options) -> list[PlannedCell]:
    """The cells of an implementation, each with its share."""
    asked = [word for word, named in (("mode", options.modes), ("dtype", options.dtypes)) if named]
    shared = []
    for cell in cells:
        compiled = [
            other.dtype
            for other in cells
            if (other.device, other.mode, other.skip) == (cell.device, "compiled", None)
        ]
        compiles = framework(cell.implementation.framework).compiles_operations
        its = share(options.profile, cell.mode, cell.dtype, asked=asked, compiles=compiles, compiled=compiled)
        shared.append(replace(cell, share=its, skip=cell.skip or its.whole))
    return shared


def _unwanted(implementation: Implementation, mode: str, options: Options) -> str | None:
    """torch.compile takes seconds for every shape and parameter, so it runs where it is asked for."""
    asked = options.modes or options.profile == "deep"
    if implementation.framework == "torch" and mode == "compiled" and not asked:
        return "torch.compile takes seconds a function: ask for it with --mode compiled or --profile deep"
    return None
