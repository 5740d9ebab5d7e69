"""`[tool.lossproof]` of pyproject.toml: what a repository holds its losses to."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lossproof.audit.results import FAIL_ON
from lossproof.errors import Place, UsageError, suggest, unknown
from lossproof.floats import DTYPES
from lossproof.frameworks import DEVICES, MODES, NAMES
from lossproof.gate.git import Reference
from lossproof.inputs import PROFILES

FILE = "pyproject.toml"
WAIVERS = "lossproof-waivers.yaml"
"""The waivers file, unless the configuration names another."""

TABLE = "[tool.lossproof]"

_WORDS: dict[str, Iterable[str]] = {
    "frameworks": NAMES,
    "devices": DEVICES,
    "dtypes": DTYPES,
    "modes": MODES,
    "profile": PROFILES,
    "fail-on": FAIL_ON,
}


@dataclass(frozen=True)
class Config:
    """What the table says; an empty tuple means all.

    path: of the pyproject.toml, whose folder paths are relative to. waivers: the file that it names, None for
    the usual one where there is any. waivers_place: where it is named.
    """

    path: Path
    targets: tuple[str, ...]
    losses: tuple[str, ...] = ()
    frameworks: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    regimes: tuple[str, ...] = ()
    profile: str = "quick"
    seed: int = 0
    jobs: int | None = None
    fail_on: str = "fail"
    waivers: str | None = None
    waivers_place: Place | None = field(default=None, compare=False)

    @property
    def root(self) -> Path:
        """The folder of the file."""
        return self.path.parent


KEYS = tuple(
    each.name.replace("_", "-") for each in fields(Config) if each.name not in ("path", "waivers_place")
)


def find(directory: Path, reference: Reference | None = None) -> Config:
    """The configuration of the nearest pyproject.toml with the table, from a directory upwards.

    reference: read each file as it is there, and not as it is in the working tree. Raises UsageError with the
    place in the file, and where there is none.
    """
    at = f" at {reference.name}" if reference is not None else ""
    met = False
    for folder in (directory.resolve(), *directory.resolve().parents):
        path = folder / FILE
        written = _text(path) if reference is None else reference.text(path)
        if written is None:
            continue
        met = True
        shown = str(path) if reference is None else f"{reference.name}:{_relative(path, reference.root)}"
        if (config := read(written, path, shown)) is not None:
            return config
    what = f"no {TABLE} in {FILE}" if met else f"no {FILE} with {TABLE}"
    raise UsageError(f"{what}{at}, from {directory} upwards; it names at least targets = ['my_losses.py']")


def read(text: str, path: Path, shown: str) -> Config | None:
    """The configuration in the text of a file, shown under a name in messages; None without the table."""
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _broken(error, text, shown) from None
    tool = content.get("tool", {})
    table = tool.get("lossproof") if isinstance(tool, dict) else None
    if table is None:
        return None
    places = _Places(text, shown)
    if not isinstance(table, dict):
        raise UsageError(f"tool.lossproof is a table, not {_told(table)}", places.table())
    for key in table:
        if key not in KEYS:
            raise UsageError(unknown("key", key, KEYS), places.key(key))
    if "targets" not in table:
        raise UsageError(f"{TABLE} needs the key 'targets': the adapters to check", places.table())
    values = {key.replace("-", "_"): _value(key, value, places) for key, value in table.items()}
    if not values["targets"]:
        raise UsageError("'targets' names no adapter", places.key("targets"))
    return Config(path, **values, waivers_place=places.key("waivers") if "waivers" in table else None)


def _value(key: str, value: Any, places: _Places) -> Any:
    kind = next(str(each.type) for each in fields(Config) if each.name == key.replace("-", "_"))
    if kind.startswith("tuple"):
        listed = [value] if isinstance(value, str) else value
        if not isinstance(listed, list) or not all(isinstance(word, str) for word in listed):
            raise UsageError(f"'{key}' is a list of words, not {_told(value)}", places.key(key))
        _check(key, listed, places)
        return tuple(dict.fromkeys(listed))
    if kind.startswith("int"):
        least = 1 if key == "jobs" else 0
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise UsageError(
                f"'{key}' is a whole number from {least} on, not {_told(value)}", places.key(key)
            )
        return value
    if not isinstance(value, str):
        raise UsageError(f"'{key}' is a word, not {_told(value)}", places.key(key))
    _check(key, [value], places)
    return value


def _check(key: str, words: Iterable[str], places: _Places) -> None:
    allowed = tuple(_WORDS.get(key, ()))
    for word in words:
        if allowed and word not in allowed:
            message = f"'{key}' has an unknown word '{word}'{suggest(word, allowed)}"
            raise UsageError(message, places.word(key, word))


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "a table" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)


def _broken(error: tomllib.TOMLDecodeError, text: str, shown: str) -> UsageError:
    message = str(error)
    if at := re.search(r" \(at line (\d+), column (\d+)\)$", message):
        return UsageError(f"not TOML: {message[: at.start()]}", Place(shown, int(at[1]), int(at[2])))
    last = text.count("\n") + 1
    return UsageError(f"not TOML: {message.removesuffix(' (at end of document)')}", Place(shown, last))


class _Places:
    """Where the table and its keys stand. tomllib tells no places, so their lines are looked for."""

    def __init__(self, text: str, shown: str) -> None:
        self.shown, self.lines = shown, text.splitlines()
        head = re.compile(r"""\s*\[\s*["']?tool["']?\s*\.\s*["']?lossproof["']?\s*\]""")
        self.first = next((i for i, line in enumerate(self.lines) if head.match(line)), 0)
        after = range(self.first + 1, len(self.lines))
        self.last = next((i for i in after if re.match(r"\s*\[[^\],]*\]\]?\s*(#.*)?$", self.lines[i])), None)

    def table(self) -> Place:
        return Place(self.shown, self.first + 1, 1)

    def key(self, key: str) -> Place:
        """The place of a key; of the table where it is written in another way."""
        found = self._search(rf"""^\s*(["']?){re.escape(key)}\1\s*[=.]""", self.first)
        return self._place(*found, skip=" \t\"'") if found else self.table()

    def word(self, key: str, word: str) -> Place:
        """The place of a word among the values of a key."""
        start = self.key(key)
        found = self._search(rf"""["']{re.escape(word)}["']""", (start.line or 1) - 1)
        return self._place(*found, skip="\"'") if found else start

    def _search(self, pattern: str, first: int) -> tuple[int, int] | None:
        for index in range(first, len(self.lines) if self.last is None else self.last):
            if match := re.search(pattern, self.lines[index]):
                return index, match.start()
        return None

    def _place(self, index: int, start: int, skip: str) -> Place:
        rest = self.lines[index][start:]
        return Place(self.shown, index + 1, start + len(rest) - len(rest.lstrip(skip)) + 1)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.is_file() else None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", Place(str(path))) from None


def _relative(path: Path, root: Path) -> str:
    return path.resolve().relative_to(root.resolve()).as_posix()
