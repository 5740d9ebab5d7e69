"""Waivers in a YAML file: a list, each with the place at which it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lossproof import builtin
from lossproof.errors import ExpressionError, LossproofError, Place, UsageError, suggest, unknown
from lossproof.expression.syntax import syntax
from lossproof.floats import DTYPES
from lossproof.spec import source
from lossproof.spec.source import Keys, Source, Value
from lossproof.waivers.model import Waiver

PLACEHOLDER = "TODO say why this is accepted"
"""The reason of a drafted waiver, which a person has to replace."""


def load(path: Path) -> list[Waiver]:
    """The waivers of a YAML file (a list). Raises UsageError with the place."""
    try:
        content = source.text(path)
    except LossproofError as error:
        raise UsageError(error.message, error.place) from None
    return parse(content, str(path))


def parse(content: str, file: str) -> list[Waiver]:
    """As `load`, for the text of a file."""
    if says_nothing(content):
        return []
    try:
        root, places = source.parse(content, file)
    except LossproofError as error:
        raise UsageError(error.message, error.place) from None
    if not isinstance(root.data, list):
        raise UsageError(f"a file of waivers is a list, not {root.described}", Place(file, 1, 1))
    return [_waiver(entry, places, (index,)) for index, entry in enumerate(root.data)]


def says_nothing(content: str) -> bool:
    """Whether a text holds nothing but comments and the marks at which a document begins and ends."""
    lines = (line.partition("#")[0].strip() for line in content.splitlines())
    return "".join(lines) in ("", "---", "...", "---...")


def bundled() -> list[Waiver]:
    """The waivers of the bundled adapters: real defects of the libraries that they bind."""
    path = builtin.content("adapters") / "waivers.yaml"
    return load(path) if path.is_file() else []


def _waiver(entry: Value, places: Source, path: Keys) -> Waiver:
    if not isinstance(entry.data, dict):
        raise UsageError(f"a waiver is a mapping, not {entry.described}", places.value(*path))
    for key in entry.data:
        if key not in Waiver.model_fields:
            raise UsageError(unknown("key", key, Waiver.model_fields), places.key(*path, key))
    for key, field in Waiver.model_fields.items():
        if field.is_required() and key not in entry.data:
            raise UsageError(f"the waiver needs the key '{key}'", places.value(*path))
    for index, each in enumerate(_list(entry.data.get("dtypes"))):
        if each.data not in DTYPES:
            raise UsageError(
                f"unknown dtype {each.described}{suggest(str(each.text), DTYPES)}",
                places.value(*path, "dtypes", index),
            )
    try:
        waiver = Waiver.model_validate(_plain(entry))
    except ValidationError as error:
        raise _invalid(error, places, path) from None
    if not waiver.checks:
        raise UsageError(
            "'checks' names no check: a waiver without one is about nothing", places.value(*path, "checks")
        )
    waiver._place, waiver._source = places.value(*path), (places, path)
    if waiver.where is not None:
        if not waiver.where.strip():
            raise UsageError("'where' is an expression, not nothing", places.value(*path, "where"))
        try:
            syntax(waiver.where)
        except ExpressionError as error:
            raise waiver.misread(error) from None
    return waiver


def _invalid(error: ValidationError, places: Source, path: Keys) -> UsageError:
    """The first of pydantic's complaints in our words."""
    first = error.errors(include_url=False)[0]
    for step in first["loc"]:
        if (*path, step) in places.values:
            path = (*path, step)
    found, name, kind = places.values[path], path[-1], first["type"]
    if kind.startswith("date"):
        message = f"'{name}' is a date such as 2027-01-31, not {found.described}"
    elif kind == "tuple_type":
        message = f"'{name}' is a list such as [accuracy, gradient], not {found.described}"
    elif kind.startswith("float"):
        message = f"'{name}' is a number of bits, not {found.described}"
    elif kind.startswith("string"):
        message = f"'{name}' is text, not {found.described}"
    else:
        message = f"'{name}' is {found.described}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return UsageError(message, places.value(*path))


def _list(value: Value | None) -> list[Value]:
    return value.data if value is not None and isinstance(value.data, list) else []


def _plain(value: Value) -> Any:
    if isinstance(value.data, dict):
        return {key: _plain(entry) for key, entry in value.data.items()}
    return [_plain(entry) for entry in value.data] if isinstance(value.data, list) else value.data
