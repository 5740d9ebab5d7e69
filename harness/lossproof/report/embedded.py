"""The results inside an HTML report, for `lossproof compare`: compressed, in an element that no browser shows."""

from __future__ import annotations

import base64
import re
import zlib

_ELEMENT = re.compile(r'<template id="lossproof-results">([A-Za-z0-9+/=\s]*)</template>')


def is_page(text: str) -> bool:
    """Whether a file's text is HTML rather than JSON."""
    return text.lstrip()[:1] == "<"


def pack(text: str) -> str:
    """The element that holds the JSON `text`."""
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return f'<template id="lossproof-results">{packed}</template>'


def unpack(page: str) -> str:
    """The JSON in a page. Raises ValueError where there is none."""
    found = _ELEMENT.search(page)
    if found is None:
        raise ValueError("it is an HTML page without the results of lossproof in it")
    try:
        return zlib.decompress(base64.b64decode(found[1])).decode()
    except zlib.error as error:
        raise ValueError(f"the results in the page are damaged: {error}") from None
