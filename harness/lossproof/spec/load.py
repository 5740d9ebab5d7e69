"""From a YAML file to a Spec, with errors that name the place and the nearest right word."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lossproof.errors import ExpressionError, SpecError, suggest
from lossproof.spec.model import Input, Law, Parameter, Part, Plane, PlaneAxis, Slack, Spec, Variable
from lossproof.spec.rules import Rules
from lossproof.spec.source import Keys, Source, Value, parse, read

# What stands under a key: a mapping of names to parts, one part, a mapping of names to expressions, or text
# as it was written (an expression that looks like a number is still an expression).
_NAMED: dict[str, type[Part]] = {"inputs": Input, "parameters": Parameter, "laws": Law, "forall": Variable}
_PART: dict[str, type[Part]] = {"slack": Slack, "plane": Plane, "x": PlaneAxis, "y": PlaneAxis}
_EXPRESSIONS = ("let", "excuse")
_TEXT = frozenset(
    {"loss", "title", "cite", "text", "independent", "definition", "law", "when", "like", "grid", "name"}
)
_ENTRIES = frozenset({("plane", "inputs"), ("plane", "parameters")})


def load(path: Path, *, expressions: bool = True) -> Spec:
    """The spec in a file.

    expressions: also check every expression for syntax, names, shapes and kinds, which reads the specs that
    its laws name. Raises SpecError (ExpressionError for an expression) with the place.
    """
    return _spec(*read(path), expressions=expressions)


def loads(content: str, file: str = "<text>", *, expressions: bool = True) -> Spec:
    """As `load`, for the text of a file."""
    return _spec(*parse(content, file), expressions=expressions)


def _spec(root: Value, source: Source, *, expressions: bool) -> Spec:
    data = _Shape(source).part(root, (), Spec)
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        raise _invalid(error, source) from None
    spec._source = source
    Rules(spec, source).check()
    if expressions:
        check_expressions(spec)
    return spec


def check_expressions(spec: Spec) -> None:
    """Raise the first problem of the spec's expressions, with its place."""
    from lossproof.spec import graph, validate  # they read other specs, through this module

    for name in spec.let:  # before what uses them, so that an error is shown where it is made
        for statics in graph.all_statics(spec):
            try:
                graph.aside(spec, statics, name)
            except ExpressionError as error:
                raise spec.locate(("let", name), error) from None
    for path, problem in validate.problems(spec):
        raise spec.locate(_blamed(spec, path), problem) from None


def _blamed(spec: Spec, path: Keys) -> Keys:
    """The scalar that an error is about: a law's text, or its `when` where the law is right without that."""
    if path[0] != "laws":
        return path
    from lossproof.spec import validate

    name = str(path[1])
    law = spec.laws[name]
    if law.when is not None:
        alone = spec.model_copy(update={"laws": {name: law.model_copy(update={"when": None})}})
        if not any(found[0] == "laws" for found, _ in validate.problems(alone)):
            return (*path, "when")
    return (*path, "law") if spec._source and (*path, "law") in spec._source.values else path


class _Shape:
    """Keys and kinds of values, before pydantic: unknown and missing keys, text as written."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def part(self, value: Value, path: Keys, model: type[Part]) -> dict[str, Any]:
        """A mapping with the keys of a model."""
        entries = self._entries(value, path, "a mapping")
        for key in entries:
            if key not in model.model_fields:
                self._whole(key, (*path, key))
                where = f" in {'.'.join(map(str, path))}" if path else ""
                message = f"unknown key '{key}'{where}{suggest(key, model.model_fields)}"
                raise SpecError(message, self.source.key(*path, key))
        for key, field in model.model_fields.items():
            if field.is_required() and key not in entries:
                whose = f"'{'.'.join(map(str, path))}'" if path else "the spec"
                raise SpecError(f"{whose} needs the key '{key}'", self.source.key(*path))
        return {key: self._value(entry, (*path, key), key) for key, entry in entries.items()}

    def _whole(self, key: str, path: Keys) -> None:
        """Refuse a key that is the end of an expression, cut off at a comma."""
        if set(key) & set(")]=<>"):
            message = f"'{key}' is no key; inside {{ }} an expression with a comma needs quotes"
            raise SpecError(message, self.source.key(*path))

    def _entries(self, value: Value, path: Keys, expected: str) -> dict[str, Value]:
        if not isinstance(value.data, dict):
            what = f"'{path[-1]}'" if path else "a spec"
            raise SpecError(f"{what} is {expected}, not {value.described}", self.source.value(*path))
        return value.data

    def _value(self, value: Value, path: Keys, key: str) -> Any:
        if path in _ENTRIES:
            entries = self._entries(value, path, "a mapping of names")
            return {name: self._nested(entry, (*path, name)) for name, entry in entries.items()}
        if key in _NAMED:
            entries = self._entries(value, path, "a mapping of names")
            return {
                name: self._text(entry, (*path, name), "an expression")
                if key == "laws" and not isinstance(entry.data, dict)
                else self.part(entry, (*path, name), _NAMED[key])
                for name, entry in entries.items()
            }
        if key in _PART:
            return self.part(value, path, _PART[key])
        if key in _EXPRESSIONS:
            entries = self._entries(value, path, "a mapping of names to expressions")
            for name in entries:
                self._whole(name, (*path, name))
            return {
                name: self._text(entry, (*path, name), "an expression") for name, entry in entries.items()
            }
        if path[0] == "slack" and key == "gradient" and isinstance(value.data, dict):
            return {
                name: self._text(entry, (*path, name), "an expression") for name, entry in value.data.items()
            }
        if key in _TEXT or path[0] == "slack":
            expected = "text" if key not in ("definition", "law", "when") else "an expression"
            return self._text(value, path, expected)
        return _plain(value)

    def _nested(self, value: Value, path: Keys) -> Any:
        """Expressions as they were written, in lists of lists."""
        if isinstance(value.data, list):
            return tuple(self._nested(entry, (*path, place)) for place, entry in enumerate(value.data))
        if value.text is None or not value.text.strip():
            message = f"an entry of '{path[2]}' is an expression of x and y, not {value.described}"
            raise SpecError(message, self.source.value(*path))
        return value.text

    def _text(self, value: Value, path: Keys, expected: str) -> str:
        if value.text is None or not value.text.strip():
            raise SpecError(f"'{path[-1]}' is {expected}, not {value.described}", self.source.value(*path))
        return value.text


def _plain(value: Value) -> Any:
    if isinstance(value.data, dict):
        return {key: _plain(entry) for key, entry in value.data.items()}
    return [_plain(entry) for entry in value.data] if isinstance(value.data, list) else value.data


def _invalid(error: ValidationError, source: Source) -> SpecError:
    """The first of pydantic's complaints in our words."""
    first = error.errors(include_url=False)[0]
    path: Keys = ()
    for step in first["loc"]:  # steps that name a member of a union stand nowhere in the file
        if (*path, step) in source.values:
            path = (*path, step)
    found, name = source.values[path], path[-1] if path else "the spec"
    kind = first["type"]
    if kind == "enum":
        allowed = re.findall(r"'(\w+)'", str(first.get("ctx", {}).get("expected")))
        message = f"unknown {name} {found.described}{suggest(str(found.text), allowed)}"
    elif kind in ("tuple_type", "missing") and name == "shape":
        message = f"'shape' is a list of dimensions such as [N, V], not {found.described}"
    elif kind in ("tuple_type", "too_long", "missing"):
        message = f"'{name}' is a list{' of two numbers' if name == 'range' else ''}, not {found.described}"
    elif kind.startswith("bool"):
        message = f"'{name}' is true or false, not {found.described}"
    elif kind == "string_pattern_mismatch":
        message = f"'{name}' is {found.described}; it takes small letters, digits and _, a letter first"
    elif kind.startswith(("float", "int")):
        message = f"'{name}' is a number, not {found.described}"
    else:
        message = f"'{name}' is {found.described}: {first['msg'][:1].lower()}{first['msg'][1:]}"
    return SpecError(message, source.value(*path))
