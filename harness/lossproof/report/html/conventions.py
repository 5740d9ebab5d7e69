"""The conventions of a loss side by side: what each choice means, and which implementation has it built in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from lossproof.audit.results import Bound
from lossproof.report.formula import Formula
from lossproof.report.spoken import value_text


def conventions(known: Formula, bound: Sequence[Bound]) -> list[dict[str, Any]]:
    """The choices of a spec in which formulas or implementations differ; one that nobody fixes or takes is left out.

    An implementation that neither fixes nor takes a parameter has the spec's default, and stands there as built in.
    """
    found = []
    for convention in known.conventions:
        name = convention.parameter
        if bound and not any(name in each.fixed or name in each.takes for each in bound):
            continue
        default = next((choice.value for choice in convention.choices if choice.is_default), None)
        choices = [
            {
                "value": choice.value,
                "is_default": choice.is_default,
                "equations": [Markup(equation) for equation in choice.equations],
                "fixed_by": [_who(each) for each in bound if _built_in(each, name, default) == choice.value],
                "taken_by": [_who(each) for each in bound if name in each.takes],
            }
            for choice in convention.choices
        ]
        found.append(
            {
                "parameter": name,
                "text": convention.text,
                "choices": choices,
                "has_equations": any(choice["equations"] for choice in choices),
            }
        )
    return found


def fixed(known: Formula, bound: Sequence[Bound]) -> list[str]:
    """What else is built in, numbers above all: `"epsilon = 1e-06 in textbook.kl (numpy)"`."""
    choices = {convention.parameter for convention in known.conventions}
    who: dict[str, list[str]] = {}
    for each in bound:
        for name, value in each.fixed.items():
            if name not in choices:
                who.setdefault(f"{name} = {value_text(value)}", []).append(_who(each))
    return [f"{what} in {', '.join(names)}" for what, names in who.items()]


def _built_in(each: Bound, name: str, default: str | None) -> str | None:
    if name in each.takes:
        return None
    return value_text(each.fixed[name]) if name in each.fixed else default


def _who(each: Bound) -> str:
    return f"{each.implementation} ({each.framework})"
