"""The specs by name: those that come with lossproof, and those that a user's files add."""

from __future__ import annotations

import functools
from pathlib import Path

from lossproof.errors import SpecError, UsageError, suggest
from lossproof.spec.model import Spec

_added: dict[str, Spec] = {}
_found: dict[Path, tuple[tuple[int, int], Spec]] = {}


@functools.cache
def _bundled() -> dict[str, Path]:
    from lossproof import builtin

    return {path.stem: path for path in sorted(builtin.content("specs").glob("*.yaml"))}


def names() -> tuple[str, ...]:
    """Every loss that has a spec, sorted."""
    return tuple(sorted({*_bundled(), *_added}))


def files() -> tuple[Path, ...]:
    """The files of the bundled specs, sorted."""
    return tuple(_bundled().values())


def get(loss: str) -> Spec:
    """The spec of a loss; its file is read on first use, and no other.

    Raises UsageError for a loss without a spec, SpecError for a file that cannot be used.
    """
    if loss in _added:
        return _added[loss]
    if loss not in _bundled():
        raise UsageError(f"no spec of the name '{loss}'{suggest(loss, names())}")
    return _read(loss)


@functools.cache
def _read(loss: str) -> Spec:
    from lossproof.spec.load import load

    # expressions are checked when graphs are made of them: to check all of them here would read other specs
    spec = load(_bundled()[loss], expressions=False)
    if spec.loss != loss:
        raise SpecError(f"the file of '{loss}' names the loss '{spec.loss}'", spec.place("loss"))
    return spec


def find(word: str) -> Spec:
    """The spec of a loss, or the one in a YAML file, given by its path.

    Afterwards `get` knows the file's loss. Raises UsageError where there is no such loss or file, SpecError
    for a file that cannot be used, or whose loss has the name of another.
    """
    if not word.endswith((".yaml", ".yml")):
        return get(word)
    path = Path(word)
    if not path.is_file():
        near = sorted(each.name for each in path.parent.glob("*.y*ml"))
        raise UsageError(f"no file '{path.name}' in {path.parent}{suggest(path.name, near)}")
    key, stat = path.resolve(), path.stat()
    if key.is_relative_to(Path.cwd()):
        path = key.relative_to(Path.cwd())  # as a place is read best
    stamp = (stat.st_mtime_ns, stat.st_size)
    before = _found.get(key)
    if before is not None and before[0] == stamp:
        return before[1]
    from lossproof.spec.load import load

    spec = load(path, expressions=False)  # a wrong name is said before what follows from it in the laws
    if spec.loss in _bundled():
        raise SpecError(
            f"'{spec.loss}' is the name of a bundled loss; give yours another", spec.place("loss")
        )
    for other, (_, known) in _found.items():
        if known.loss == spec.loss and other != key:
            raise SpecError(f"'{spec.loss}' is the loss of {other} already", spec.place("loss"))
    spec = load_file(path)
    _found[key] = (stamp, spec)
    return spec


def load_file(path: Path) -> Spec:
    """The spec in a file, checked throughout; from then on `get` knows its loss, unless a bundled one has it.

    Raises SpecError with the place.
    """
    from lossproof.spec.load import check_expressions, load

    spec = load(Path(path), expressions=False)
    if spec.loss in _bundled():
        check_expressions(spec)
        return spec
    before = _added.get(spec.loss)
    _added[spec.loss] = spec
    try:
        check_expressions(spec)
    except SpecError:
        del _added[spec.loss]
        if before is not None:
            _added[spec.loss] = before
        raise
    return spec
