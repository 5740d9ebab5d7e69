"""YAML with a place for every key and value.

Only what a spec needs is read: mappings, lists and scalars. Scalars are resolved by the core schema of YAML
1.2 (chapter 10.3, so `no`, `on` and `yes` are strings), with `1e-3`, `inf` and `nan` as numbers besides.
Anchors, aliases and tags are refused, which also bounds the size of what is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.error import MarkedYAMLError, YAMLError
from yaml.reader import ReaderError

from lossproof.errors import Place, SpecError

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20

FAST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, some ten times as fast, where PyYAML is built with it; of mistakes PyYAML's own parser says more."""

Keys = tuple[str | int, ...]

_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INF = re.compile(r"[-+]?\.?(inf|Inf|INF)")
_NAN = re.compile(r"\.?(nan|NaN|NAN)")


@dataclass(frozen=True)
class Value:
    """A value of the file. data: a scalar, a list or a dict of Values; text: a scalar as it is written."""

    data: Any
    text: str | None
    start: int
    end: int
    style: str | None = None

    @property
    def described(self) -> str:
        """What stands there, for a message."""
        if isinstance(self.data, dict):
            return "a mapping"
        if isinstance(self.data, list):
            return "a list"
        return "nothing" if self.text == "" else f"'{self.text}'"


@dataclass(frozen=True)
class Source:
    """The text of a file and where each path of keys stands in it."""

    file: str
    content: str
    keys: dict[Keys, int] = field(default_factory=dict)
    values: dict[Keys, Value] = field(default_factory=dict)

    def at(self, offset: int) -> Place:
        """The place of a character of the file."""
        before = self.content.rfind("\n", 0, offset)
        return Place(self.file, self.content.count("\n", 0, offset) + 1, offset - before)

    def key(self, *path: str | int) -> Place:
        """The place of a key; of the nearest key around it where the file has none of that path."""
        while path and path not in self.keys:
            path = path[:-1]
        return self.at(self.keys[path]) if path else Place(self.file, 1, 1)

    def value(self, *path: str | int) -> Place:
        """The place of a value; of the nearest one around it where the file has none of that path."""
        while path and path not in self.values:
            path = path[:-1]
        if (
            path in self.keys and self.values[path].text == ""
        ):  # the parser places what is absent further down
            return self.key(*path)
        return self.at(self.values[path].start) if path else Place(self.file, 1, 1)

    def inside(self, path: Keys, at: tuple[int, int]) -> Place:
        """The place of a line and column (from 1) of a scalar's text, however the file folds it."""
        value = self.values.get(path)
        if value is None or value.text is None:
            return self.value(*path)
        lines = value.text.split("\n")
        target = sum(len(line) + 1 for line in lines[: at[0] - 1]) + at[1] - 1
        offset = value.start
        if value.style in ("|", ">"):
            offset = self.content.find("\n", offset) + 1
        elif value.style in ("'", '"'):
            offset += 1
        found = offset
        # folding changes only white space, so the other characters are met in the same order
        for position, character in enumerate(value.text):
            if position > target:
                break
            if character.isspace():
                continue
            found = self.content.find(character, offset, value.end)
            if found < 0:
                return self.at(value.start)
            offset = found + 1
        return self.at(found)


def read(path: Path) -> tuple[Value, Source]:
    """The one document of a YAML file.

    Raises SpecError with a place: a file that cannot be read, is too large or too deep, is not UTF-8, has a
    duplicate key, an anchor, an alias, a tag or a second document, or is no YAML at all.
    """
    return parse(text(path), str(path))


def text(path: Path) -> str:
    """The text of a file. Raises SpecError where it cannot be read, is too large or not UTF-8."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SpecError(f"the file has more than {MAX_BYTES // 1024} KiB", Place(str(path)))
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except OSError as error:
        raise SpecError(f"cannot be read: {error.strerror or error}", Place(str(path))) from None
    except UnicodeDecodeError as error:
        raise SpecError(f"is not UTF-8 (byte {error.start})", Place(str(path))) from None


def parse(content: str, file: str) -> tuple[Value, Source]:
    """As `read`, for the text of a file."""
    content = content.replace("\r\n", "\n")
    try:
        return _parsed(Source(file, content), FAST)
    except YAMLError:
        source = Source(file, content)
    try:
        return _parsed(source, yaml.SafeLoader)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
        raise SpecError(f"not YAML: {_problem(error)}", place) from None
    except ReaderError as error:
        code = error.character if isinstance(error.character, int) else ord(str(error.character))
        message = f"not YAML: the character U+{code:04X} is not allowed"
        raise SpecError(message, source.at(error.position)) from None
    except YAMLError as error:
        raise SpecError(f"not YAML: {' '.join(str(error).split())}", Place(file)) from None


def _parsed(source: Source, loader: Any) -> tuple[Value, Source]:
    return _Reader(source, loader).document(), source


def _problem(error: MarkedYAMLError) -> str:
    problem = " ".join(str(error.problem or error.context or "").split())
    if "\\t" in problem or "\t" in str(error.problem):
        return "a tab cannot indent; use spaces"
    if "mapping values are not allowed" in problem:
        return f"{problem} (a value that contains ': ' needs quotes)"
    return problem


class _Reader:
    """Builds the tree of Values from the parser's events, and the table of places beside it."""

    def __init__(self, source: Source, loader: Any) -> None:
        self.source = source
        self.events: Iterator[Any] = yaml.parse(source.content, Loader=loader)

    def document(self) -> Value:
        root: Value | None = None
        for event in self.events:
            name = type(event).__name__
            if name == "DocumentStartEvent":
                if root is not None:
                    self._refuse("a second document in one file", event)
                root = self._value(next(self.events), ())
        if root is None:
            raise SpecError("the file is empty", Place(self.source.file))
        return root

    def _refuse(self, what: str, event: Any) -> None:
        mark = event.start_mark
        raise SpecError(f"{what} is not allowed", Place(self.source.file, mark.line + 1, mark.column + 1))

    def _value(self, event: Any, path: Keys) -> Value:
        name = type(event).__name__
        if name == "AliasEvent":
            self._refuse(f"the alias *{event.anchor}", event)
        if event.anchor is not None:
            self._refuse(f"the anchor &{event.anchor}", event)
        if event.tag is not None and not (name == "ScalarEvent" and event.tag == "!"):
            self._refuse(f"the tag {event.tag}", event)
        if len(path) > MAX_DEPTH:
            self._refuse(f"nesting deeper than {MAX_DEPTH}", event)
        start = event.start_mark.index
        if name == "ScalarEvent":
            plain = event.style is None or event.style == ""
            data = _resolve(event.value) if plain else event.value
            value = Value(data, event.value, start, event.end_mark.index, None if plain else event.style)
        elif name == "SequenceStartEvent":
            items: list[Value] = []
            while type(inner := next(self.events)).__name__ != "SequenceEndEvent":
                items.append(self._value(inner, (*path, len(items))))
            value = Value(items, None, start, inner.end_mark.index)
        else:
            value = self._mapping(start, path)
        self.source.values[path] = value
        return value

    def _mapping(self, start: int, path: Keys) -> Value:
        entries: dict[str, Value] = {}
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            if type(event).__name__ != "ScalarEvent":
                self._refuse("a key that is no word", event)
            key = str(event.value)
            if event.anchor is not None:
                self._refuse(f"the anchor &{event.anchor}", event)
            inner = (*path, key)
            if key in entries:
                first = self.source.key(*inner).line
                raise SpecError(
                    f"the key '{key}' stands here twice (first in line {first})",
                    self.source.at(event.start_mark.index),
                )
            self.source.keys[inner] = event.start_mark.index
            entries[key] = self._value(next(self.events), inner)
        return Value(entries, None, start, event.end_mark.index)


def _resolve(text: str) -> Any:
    if _NULL.fullmatch(text):
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INF.fullmatch(text):
        return float("-inf" if text.startswith("-") else "inf")
    return float("nan") if _NAN.fullmatch(text) else text
