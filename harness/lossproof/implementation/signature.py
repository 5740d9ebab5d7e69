"""A function's signature held against the inputs and parameters of a spec."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lossproof.errors import suggest
from lossproof.implementation.unmet import near_keyword

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Fit:
    """takes: parameters of the spec that the function takes by keyword. bound: those that a functools.partial
    has bound. left: other keywords with a default, which nothing gives. problems: one line each."""

    takes: frozenset[str]
    bound: Mapping[str, Any] = field(default_factory=dict)
    left: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def fit(
    function: Callable[..., Any], name: str, loss: str, inputs: Sequence[str], parameters: Sequence[str]
) -> Fit:
    """How a function fits a loss with these inputs and parameters.

    A callable without a signature is taken to have the right inputs and no parameter.
    """
    bound = {}
    if isinstance(function, functools.partial):
        bound = {key: value for key, value in function.keywords.items() if key in parameters}
    signature = _signature(function)
    if signature is None:
        return Fit(frozenset(), bound)
    own = list(signature.parameters.values())
    if bound:
        own = [each for each in own if each.name not in bound]
    # A parameter of the spec that can be given by position is still no input.
    options = frozenset(parameters) - frozenset(inputs)
    slots = []
    for each in own:
        if each.kind not in _POSITIONAL or (each.name in options and each.kind is not _POSITIONAL[0]):
            break
        slots.append(each)
    problems = []
    required = [each for each in slots if each.default is each.empty]
    rest = any(each.kind is each.VAR_POSITIONAL for each in own)
    if len(required) > len(inputs) or (len(slots) < len(inputs) and not rest):
        seen = required if len(required) > len(inputs) else slots
        listed = f" ({', '.join(each.name for each in seen)})" if seen else ""
        problems.append(
            f"{name} takes {len(seen)} positional input{'s' * (len(seen) != 1)}{listed}, "
            f"but {loss} has {len(inputs)}: {', '.join(inputs)}{_meant(required[len(inputs) :], options)}"
        )
    keywords = [each for each in own if each not in slots[: len(inputs)]]
    takes = {each.name for each in keywords if each.kind in (_POSITIONAL[1], each.KEYWORD_ONLY)} & options
    for each in keywords:
        needed = each.default is each.empty and each.kind is each.KEYWORD_ONLY
        if needed and each.name not in options:
            known = suggest(each.name, options) if options else f" ({loss} has no parameters)"
            problems.append(f"{name} needs the keyword '{each.name}', which is no parameter of {loss}{known}")
    if any(each.kind is each.VAR_KEYWORD for each in own):
        takes |= options - {each.name for each in slots[: len(inputs)]} - bound.keys()
    left = {
        each.name: each.default
        for each in keywords
        if each.kind in (_POSITIONAL[1], each.KEYWORD_ONLY)
        and each.default is not each.empty
        and each.name not in options
    }
    return Fit(frozenset(takes), bound, left, tuple(problems))


def _meant(more: Sequence[inspect.Parameter], options: Collection[str]) -> str:
    """What to say of the first name that is no input and is nearly one of a parameter."""
    for each in more:
        if near := near_keyword(each.name, options):
            return f"; did you mean '{near}' by '{each.name}'?"
    return ""


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        signature = inspect.signature(function)
        forward = getattr(function, "forward", None)
        kinds = [each.kind for each in signature.parameters.values()]
        if callable(forward) and kinds == [inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD]:
            return inspect.signature(forward)  # a torch.nn.Module passes everything on to it
    except (ValueError, TypeError):
        return None
    return signature
