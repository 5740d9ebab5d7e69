"""Jinja as the page uses it: everything is escaped, and the filters that the templates need."""

from __future__ import annotations

import json
import re
from typing import Any

import jinja2
from markupsafe import Markup

from lossproof.builtin import content
from lossproof.report import digest, text


def rendering() -> jinja2.Environment:
    """The environment of the templates. A name that a template misspells is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(content("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(
        bits=text.bits,
        check=digest.check_text,
        duration=text.duration,
        headline=digest.headline,
        anchor=anchor,
        exact=json.dumps,  # for a script, control characters and all, where it has to find the name in the results
        breakable=breakable,
        symbol=lambda verdict: digest.SYMBOLS[verdict],
    )
    return environment


def breakable(name: str) -> Markup:
    """A name that may be broken after `_` and `.`, where a reader would break it."""
    pieces = re.split(r"(?<=[_.])(?=[^\W\d])", text.clean(name))
    return Markup("<wbr>").join(pieces)


def anchor(name: str) -> str:
    """A name as a fragment: letters, digits, hyphens; others by their code."""
    return "".join(
        character
        if character.isascii() and (character.isalnum() or character in "-_")
        else f".{ord(character):x}"
        for character in name
    )


def _finalize(value: Any) -> Any:
    """Control and bidirectional characters in texts of others are shown, not obeyed."""
    return text.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
