"""The exceptions of lossproof, one tree.

LossproofError
├── UsageError           a command or call was used wrongly (unknown loss, bad option)
├── SpecError            a spec cannot be used
│   └── ExpressionError  an expression in a spec cannot be parsed or does not fit its shapes
├── AdapterError         an adapter cannot be imported, or a declaration in it is wrong
└── ImplementationError  an implementation raised, or returned what is no array
    └── NoForwardModeError   it has a backward pass of its own and no forward mode

Each message is one line for a person: what was wrong (name and value), what is allowed, the nearest
right word. `str(error)` puts the place, `file:line:column`, in front of it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A position in a text file; lines and columns count from 1."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


def shown(path: str) -> str:
    """A path as it is printed: relative where it lies below the working directory."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # on another drive
        return path
    return path if relative.startswith(os.pardir) else relative


class LossproofError(Exception):
    """Base of every error that lossproof raises on purpose."""

    def __init__(self, message: str, place: Place | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class UsageError(LossproofError):
    """A command or a call was used wrongly."""


class SpecError(LossproofError):
    """A spec cannot be used as it stands."""


class ExpressionError(SpecError):
    """An expression cannot be parsed, or its shapes or kinds do not fit.

    at: line and column inside the text of the expression, both from 1; the loader of specs turns it into a
    place in the file.
    """

    def __init__(self, message: str, place: Place | None = None, at: tuple[int, int] | None = None) -> None:
        super().__init__(message, place)
        self.at = at


class AdapterError(LossproofError):
    """An adapter cannot be imported, or declares something impossible."""


class ImplementationError(LossproofError):
    """An implementation raised, or returned something that is not an array."""


class NoForwardModeError(ImplementationError):
    """An implementation has reverse mode alone, as a function with a backward pass written by hand has."""


def unknown(kind: str, word: str, allowed: Iterable[str]) -> str:
    """The message about a word that is none of those allowed: `unknown device 'cdua'; did you mean 'cuda'?`."""
    allowed = tuple(allowed)
    if word == "gpu" and "cuda" in allowed:  # JAX's word, nearer to "cpu" by its letters
        return f"unknown {kind} 'gpu'; did you mean 'cuda'? (known: {', '.join(allowed)})"
    return f"unknown {kind} '{word}'{suggest(word, allowed)}"


MOST_NAMED = 24
"""More choices than that are not listed beside a near word."""


def suggest(word: str, allowed: Iterable[str]) -> str:
    """`"; did you mean 'nearest'?"` followed by what is allowed, to append to an error message."""
    choices = sorted(set(allowed))
    close = nearest(word, choices)
    hint = f"; did you mean '{close}'?" if close else ""
    if hint and len(choices) > MOST_NAMED:
        return hint
    return f"{hint} (known: {', '.join(choices)})" if choices else hint


def nearest(word: str, allowed: Iterable[str], near: float = 0.5, shortest: int | None = 2) -> str | None:
    """The choice that a word is nearly, else one that it begins; None where there is none.

    near: how like they are, of 1 (difflib's ratio). shortest: letters from which on a word may be one cut short, which
    is far from the whole by its letters; None where it may not.
    """
    choices = sorted(set(allowed))
    begun = [each for each in choices if shortest and len(word) >= shortest and each.startswith(word)]
    return next(iter(difflib.get_close_matches(word, choices, n=1, cutoff=near) or begun), None)
