"""The options of the plugin, each with a twin in the ini; their words are checked before anything is collected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

# The engine's own lists would bring the engine along; a test holds these equal to them.
PROFILES = ("quick", "standard", "deep")
DTYPES = ("float64", "float32", "float16", "bfloat16")
DEVICES = ("cpu", "cuda")
MODES = ("eager", "compiled")
FAIL_ON = ("fail", "degraded")

_MANY = "; repeatable, or separated by commas"
_WORDS = {
    "profile": ("PROFILE", "how long to search: quick (the default), standard or deep"),
    "dtype": ("DTYPE", f"these dtypes instead of the declared ones: {', '.join(DTYPES)}{_MANY}"),
    "device": ("DEVICE", f"on these devices: cpu (the default), cuda{_MANY}"),
    "mode": ("MODE", f"in these modes: eager (the default), compiled{_MANY}"),
    "seed": ("N", "the same seed gives the same cases on every machine; 0 unless given"),
    "fail-on": ("VERDICT", "from which verdict on a test fails: fail (the default) or degraded"),
    "report": ("DIR", "write the report as DIR/index.html and the results as DIR/results.json"),
    "json": ("FILE", "write the results as JSON"),
    "waivers": ("FILE", f"a file of waivers{_MANY}"),
}
_LISTS = ("dtype", "device", "mode", "waivers")


@dataclass(frozen=True)
class Asked:
    """What options and ini say; an empty tuple stands for the default of the implementation."""

    profile: str = "quick"
    dtypes: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    modes: tuple[str, ...] = ("eager",)
    seed: int = 0
    fail_on: str = "fail"
    report: Path | None = None
    json: tuple[Path, ...] = ()
    waivers: tuple[Path, ...] = ()


ASKED = pytest.StashKey[Asked]()


def add(parser: pytest.Parser) -> None:
    """Add the options and their ini twins."""
    group = parser.getgroup("lossproof", "lossproof: verification of loss functions")
    group.addoption(
        "--lossproof",
        action="append",
        metavar="PATH",
        dest="lossproof_paths",
        default=[],
        help="check the implementations in this adapter file, an item for each implementation, dtype and check; "
        "like any path, it stands in place of testpaths. Repeatable.",
    )
    parser.addini(
        "lossproof_files",
        "adapter files, as patterns relative to the rootdir (losses/*.py)",
        type="args",
        default=[],
    )
    for name, (metavar, said) in _WORDS.items():
        key = _key(name)
        action = "append" if name in _LISTS else "store"
        group.addoption(
            f"--lossproof-{name}", action=action, metavar=metavar, dest=key, default=None, help=f"{said}."
        )
        if name in _LISTS:
            parser.addini(key, f"--lossproof-{name}", type="args", default=None)
        else:
            parser.addini(key, f"--lossproof-{name}", type="string", default=None)


def read(config: pytest.Config) -> Asked:
    """What a run is asked for. Raises pytest.UsageError, with the nearest right word, for a word that is none."""
    report, json = _path(config, "report"), _path(config, "json")
    asked = Asked(
        profile=_word(config, "profile", PROFILES, "quick"),
        dtypes=_words(config, "dtype", DTYPES),
        devices=_words(config, "device", DEVICES),
        modes=_words(config, "mode", MODES) or ("eager",),
        seed=_seed(config),
        fail_on=_word(config, "fail-on", FAIL_ON, "fail"),
        report=report,
        json=tuple(path for path in (json, report and report / "results.json") if path is not None),
        waivers=tuple(_resolved(config, value, given) for value, given in _values(config, "waivers")),
    )
    for path in asked.waivers:
        if not path.is_file():
            raise pytest.UsageError(f"{_source(config, 'waivers')}: no file '{path}'")
    return asked


@dataclass(frozen=True)
class Files:
    """The adapter files of a run. matched: those that need not declare anything, since only a pattern names them, or a
    shell in the place of one, which brings the `__init__.py` of a package along."""

    every: frozenset[Path]
    matched: frozenset[Path]


def adapters(config: pytest.Config) -> Files | None:
    """The adapter files of a run, which are added to what pytest collects; None where there are none.

    Raises pytest.UsageError for a path that is no Python file, and for a pattern that nothing matches.
    """
    typed = [_file(config.invocation_params.dir / path, path) for path in config.option.lossproof_paths]
    known, matched = [], []
    for pattern in config.getini("lossproof_files"):
        found = sorted(path for path in config.rootpath.glob(pattern) if path.suffix == ".py")
        if not found:
            raise pytest.UsageError(
                f"lossproof_files: no Python file matches '{pattern}' in {config.rootpath}"
            )
        known += found
        if any(letter in pattern for letter in "*?["):
            matched += found
    if config.args_source is not config.ArgsSource.ARGS:
        # typed, a path is an argument like any other; in addopts it must not put the tests out of the run
        alone = any(word.startswith("--lossproof") for word in _typed(config)) and typed
        config.args = [*([] if alone else [*config.args, *_outside(config, known)]), *map(str, typed)]
    else:
        # a node that an argument names in a file is all that is wanted of it
        nodes = {_path_of(arg, config) for arg in config.args if "::" in arg}
        config.args = [*config.args, *(str(path) for path in typed if path.resolve() not in nodes)]
    if not (typed or known):
        return None
    every = frozenset(path.resolve() for path in (*typed, *known))
    named = {path.resolve() for path in (*typed, *(path for path in known if path not in matched))}
    if len(every) > 1:
        matched += [path for path in every if path.name == "__init__.py"]
        named = {path for path in named if path.name != "__init__.py"}
    return Files(every, frozenset(path.resolve() for path in matched) - named)


def unknown(kind: str, word: str, allowed: Iterable[str]) -> str:
    """As `errors.unknown`, which is imported where there is an error."""
    from lossproof import errors

    return errors.unknown(kind, word, allowed)


def split(values: Iterable[str]) -> list[str]:
    """Repeated and comma-separated words, in their order, each once."""
    words = (word.strip() for value in values for word in value.split(","))
    return list(dict.fromkeys(word for word in words if word))


def _typed(config: pytest.Config) -> list[str]:
    words = map(str, config.invocation_params.args)
    return [word for word in words if word == "--lossproof" or word.startswith("--lossproof=")]


def _outside(config: pytest.Config, files: Iterable[Path]) -> list[str]:
    """The files that lie in no directory which is collected anyway."""
    homes = [_path_of(arg, config) for arg in config.args]
    return [str(path) for path in files if not any(path.resolve().is_relative_to(home) for home in homes)]


def _path_of(argument: str, config: pytest.Config) -> Path:
    """The path of an argument, which may name a node in it."""
    return Path(config.invocation_params.dir, argument.partition("::")[0]).resolve()


def _file(path: Path, word: str) -> Path:
    if path.is_file() and path.suffix == ".py":
        return path
    from lossproof.errors import suggest

    if path.exists():
        raise pytest.UsageError(f"--lossproof: '{word}' is no Python file; name an adapter file")
    beside = [each.name for each in path.parent.glob("*.py")]
    raise pytest.UsageError(f"--lossproof: no file '{word}'{suggest(path.name, beside)}")


def _key(name: str) -> str:
    return "lossproof_" + name.replace("-", "_")


def _source(config: pytest.Config, name: str) -> str:
    """What a wrong value is blamed on: the option where it was given, and else its twin in the ini."""
    option = getattr(config.option, _key(name)) is not None
    return f"--lossproof-{name}" if option else _key(name)


def _values(config: pytest.Config, name: str) -> list[tuple[str, bool]]:
    """The words of an option, or else of its twin; with each, whether it was given as an option."""
    key = _key(name)
    given: Any = getattr(config.option, key)
    option = given is not None
    value: Any = given if option else config.getini(key)
    words = [value] if isinstance(value, str) else value or []
    return [(word, option) for word in (split(words) if name in _LISTS else words)]


def _words(config: pytest.Config, name: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    found = _values(config, name)
    for word, _ in found:
        if word not in allowed:
            raise pytest.UsageError(f"{_source(config, name)}: {unknown(name, word, allowed)}")
    return tuple(word for word, _ in found)


def _word(config: pytest.Config, name: str, allowed: tuple[str, ...], default: str) -> str:
    kind = "verdict" if name == "fail-on" else name
    (word, _) = next(iter(_values(config, name)), (default, False))
    if word not in allowed:
        raise pytest.UsageError(f"{_source(config, name)}: {unknown(kind, word, allowed)}")
    return word


def _seed(config: pytest.Config) -> int:
    (word, _) = next(iter(_values(config, "seed")), ("0", False))
    if not (word.isascii() and word.isdigit()):
        raise pytest.UsageError(f"{_source(config, 'seed')}: '{word}' is no whole number of 0 or more")
    return int(word)


def _path(config: pytest.Config, name: str) -> Path | None:
    found = _values(config, name)
    return _resolved(config, *found[0]) if found else None


def _resolved(config: pytest.Config, word: str, option: bool) -> Path:
    """A path relative to where one works, or, from the ini, to the rootdir."""
    return (config.invocation_params.dir if option else config.rootpath) / word
