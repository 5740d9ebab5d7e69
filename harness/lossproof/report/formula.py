"""What a report says about a loss itself: title, formula, parameters and laws, where its spec can be found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lossproof.errors import LossproofError
from lossproof.report import spoken

if TYPE_CHECKING:
    from lossproof.spec.model import Parameter, Spec


@dataclass(frozen=True)
class LawText:
    """A law for a reader. math, when: markup of our own making; source is the law in the spec's language."""

    source: str
    text: str | None = None
    math: str | None = None
    when: str | None = None
    forall: tuple[tuple[str, str], ...] = ()
    exists: bool = False


@dataclass(frozen=True)
class ParameterText:
    name: str
    allowed: str
    default: str
    text: str | None = None


@dataclass(frozen=True)
class Choice:
    """One way of a convention. equations: markup of the lines of the spec that differ from the other ways."""

    value: str
    is_default: bool
    equations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Convention:
    """A parameter that is a choice between formulas."""

    parameter: str
    text: str | None
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Formula:
    """A loss for a reader. mathml is markup of our own making; everything else is text to be escaped."""

    title: str | None = None
    text: str | None = None
    cite: str | None = None
    definition: str | None = None
    mathml: str | None = None
    inputs: tuple[tuple[str, str], ...] = ()
    parameters: tuple[ParameterText, ...] = ()
    conventions: tuple[Convention, ...] = ()
    slack: tuple[tuple[str, str], ...] = ()
    laws: Mapping[str, LawText] = field(default_factory=dict)


def about(loss: str, path: str = "") -> Formula:
    """What the spec of a loss says; an empty Formula for one that cannot be found or read.

    A report of an older run may name a loss that has gone since. path: the file of a user's own spec.
    """
    try:
        from lossproof.spec import library

        spec = library.find(path) if path else library.get(loss)
        if spec.loss != loss:
            return Formula()
    except (ImportError, OSError, LossproofError):
        return Formula()
    equations = [*spec.let.items(), (spec.loss, spec.definition)]
    return Formula(
        title=spec.title,
        text=spec.text,
        cite=spec.cite,
        definition="\n".join(f"{name} = {text.strip()}" for name, text in equations),
        mathml=_definition(spec),
        inputs=tuple((name, spoken.input_text(entry)) for name, entry in spec.inputs.items()),
        parameters=tuple(_parameter(name, entry) for name, entry in spec.parameters.items()),
        conventions=_conventions(spec),
        slack=tuple(spoken.slack(spec)),
        laws=_laws(spec),
    )


def _definition(spec: Spec) -> str | None:
    try:
        from lossproof.expression.mathml import mathml
    except ImportError:
        return None
    return mathml(spec)


def _parameter(name: str, entry: Parameter) -> ParameterText:
    return ParameterText(
        name, spoken.allowed_text(entry), spoken.value_text(entry.default), entry.text and entry.text.strip()
    )


def _laws(spec: Spec) -> dict[str, LawText]:
    try:
        from lossproof.expression.mathml import mathml_expression
    except ImportError:
        return {name: LawText(law.law, law.text) for name, law in spec.laws.items()}
    return {
        name: LawText(
            law.law,
            law.text and law.text.strip(),
            mathml_expression(law.law),
            mathml_expression(law.when) if law.when else None,
            tuple((of, spoken.variable_text(variable)) for of, variable in law.forall.items()),
            law.exists,
        )
        for name, law in spec.laws.items()
    }


def _conventions(spec: Spec) -> tuple[Convention, ...]:
    """The choices of a spec, each with the lines in which they differ, where every other choice has its default."""
    try:
        from lossproof.expression.choose import choose
        from lossproof.expression.mathml import mathml_equation
        from lossproof.expression.syntax import syntax

        lines = [(name, syntax(text)) for name, text in (*spec.let.items(), (spec.loss, spec.definition))]
    except (ImportError, LossproofError):
        return ()
    settled = {name: entry.default for name, entry in spec.parameters.items() if entry.kind != "number"}
    settled = {name: value for name, value in settled.items() if not isinstance(value, list | dict)}
    found = []
    for parameter, entry in spec.parameters.items():
        if not entry.choices:
            continue
        ways = [
            [(name, choose(tree, {**settled, parameter: choice})) for name, tree in lines]
            for choice in entry.choices
        ]
        markup = [[mathml_equation(name, tree) for name, tree in way] for way in ways]
        differ = [i for i in range(len(lines)) if len({way[i] for way in markup}) > 1]
        choices = tuple(
            Choice(spoken.value_text(choice), choice == entry.default, tuple(way[i] for i in differ))
            for choice, way in zip(entry.choices, markup, strict=True)
        )
        found.append(Convention(parameter, entry.text and entry.text.strip(), choices))
    return tuple(found)
