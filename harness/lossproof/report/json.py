"""A run as JSON (results.schema.json describes it) and back.

Equal runs give equal files, but for the top-level key "timing".
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from importlib import resources
from pathlib import Path
from typing import Any

from lossproof.audit.results import Result, Run
from lossproof.errors import Place, UsageError
from lossproof.report import embedded, files

SCHEMA = 1
"""The version of the file format."""

_DATA = ("implementations", "tolerances", "planes", "maps")
"""What reports tell and draw, beside the results."""


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    text = resources.files("lossproof.report").joinpath("results.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def document(run: Run) -> dict[str, Any]:
    """The run as JSON values; numbers that JSON lacks become the strings "inf", "-inf" and "nan"."""
    return {
        "schema": SCHEMA,
        "lossproof": run.lossproof,
        "seed": run.seed,
        "profile": run.profile,
        "environment": plain(run.environment),
        "results": [_row(result) for result in run.results],
        "findings": plain(run.findings),
        "problems": plain(run.problems),
        **({"objections": plain(run.objections)} if run.objections else {}),
        **{key: plain(getattr(run, key)) for key in _DATA},
        "timing": {"seconds": round(run.seconds, 3)},
    }


def _row(result: Result) -> dict[str, Any]:
    """A row; "worst" is left out where there is none, as in all but the deep profile."""
    row: dict[str, Any] = plain(result)
    if result.worst is None:
        del row["worst"]
    return row


def text(run: Run) -> str:
    """The run as the text of a JSON file: a line for each row, so that big runs stay small and diff well."""
    parts = []
    for key, value in document(run).items():
        if key in ("results", *_DATA) and value:
            rows = ",\n  ".join(_dump(row) for row in value)
            parts.append(f'"{key}": [\n  {rows}\n ]')
        else:
            parts.append(f'"{key}": ' + _dump(value, indent=1).replace("\n", "\n "))
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def _dump(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False)


def write(run: Run, path: Path) -> None:
    """Write the run to `path`. Raises UsageError where that cannot be."""
    files.write(path, text(run))


def read(path: Path) -> Run:
    """The run in a file that `write` wrote, or in the HTML report of one.

    UsageError, with the place in the file, where it is none.
    """
    try:
        found = path.read_text(encoding="utf-8")
        if embedded.is_page(found):
            found = embedded.unpack(found)
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", Place(str(path))) from error
    except ValueError as error:
        raise UsageError(f"is not JSON: {error}", Place(str(path))) from error
    return parse(found, str(path))


def parse(text: str, where: str) -> Run:
    """The run that a text of `text` holds; where: what to call the text. Raises UsageError where it is none."""
    try:
        content = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise UsageError(f"is not JSON: {error.msg}", Place(where, error.lineno, error.colno)) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"is not JSON: {str(error) or 'nested too deeply'}", Place(where)) from error
    if not isinstance(content, dict) or "schema" not in content or "results" not in content:
        raise UsageError("is no file of results: lossproof writes them with --json", Place(where))
    if content["schema"] != SCHEMA:
        message = f"has schema {content['schema']!r}; this version of lossproof reads schema {SCHEMA}"
        raise UsageError(message, Place(where))
    return _run(content, where)


def _run(content: dict[str, Any], where: str) -> Run:
    import pydantic

    timing = content.get("timing")
    seconds = timing.get("seconds", 0.0) if isinstance(timing, dict) else 0.0
    try:
        return pydantic.TypeAdapter(Run).validate_python({**content, "seconds": seconds})
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        raise UsageError(f"{key.lstrip('.')}: {first['msg'].lower()}", Place(where)) from error


def plain(value: Any) -> Any:
    if value is None or isinstance(value, int):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: plain(getattr(value, name)) for name in _fields(type(value))}
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return str(value) if isinstance(value, str) else value


@functools.cache
def _fields(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(kind))


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")
