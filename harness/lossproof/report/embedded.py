"""The results inside an HTML report: compressed, in an element that no browser shows.

`lossproof compare` and `lossproof report` read them there, and the page draws its charts from them. Lists of like
objects are turned into objects of lists before they are compressed, which takes a quarter of the room.
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

_ELEMENT = re.compile(r'<template id="lossproof-results">([A-Za-z0-9+/=\s]*)</template>')
_COLUMNS = "columns"


def is_page(text: str) -> bool:
    """Whether a file's text is HTML rather than JSON."""
    return text.lstrip()[:1] == "<"


def pack(document: dict[str, Any]) -> str:
    """The element that holds an object of JSON values."""
    content = {key: _columns(value) for key, value in document.items()}
    written = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    packed = base64.b64encode(zlib.compress(written.encode("utf-8", "surrogatepass"), 9)).decode()
    return f'<template id="lossproof-results">{packed}</template>'


def unpack(page: str) -> str:
    """The JSON in a page. Raises ValueError where there is none."""
    found = _ELEMENT.search(page)
    if found is None:
        raise ValueError("it is an HTML page without the results of lossproof in it")
    try:
        content = json.loads(zlib.decompress(base64.b64decode(found[1])).decode("utf-8", "surrogatepass"))
    except (zlib.error, ValueError) as error:
        raise ValueError(f"the results in the page are damaged: {error}") from None
    if not isinstance(content, dict):
        raise ValueError("the results in the page are no results of lossproof")
    return json.dumps({key: _rows(value) for key, value in content.items()}, ensure_ascii=False)


def _columns(value: Any) -> Any:
    """A list of objects with the same keys as `{"columns": {key: list}}`; anything else as it is."""
    if not (isinstance(value, list) and value and all(isinstance(each, dict) for each in value)):
        return value
    keys = value[0].keys()
    if not keys or any(each.keys() != keys for each in value):
        return value
    return {_COLUMNS: {key: [each[key] for each in value] for key in keys}}


def _rows(value: Any) -> Any:
    columns = value.get(_COLUMNS) if isinstance(value, dict) and value.keys() == {_COLUMNS} else None
    if not isinstance(columns, dict) or not all(isinstance(each, list) for each in columns.values()):
        return value
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
