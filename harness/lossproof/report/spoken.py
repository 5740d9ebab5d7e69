"""What a spec says, in words: for `lossproof show` and for the report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lossproof.spec.model import Input, Law, Parameter, Spec, Variable


def parts(spec: Spec) -> Iterable[tuple[str, list[tuple[str, str]]]]:
    """The whole spec: titles, each with rows of a name and what is told of it."""
    yield "Inputs", [(name, input_text(entry)) for name, entry in spec.inputs.items()]
    yield "Parameters", [(name, _parameter(entry)) for name, entry in spec.parameters.items()]
    yield "Definition", [*spec.let.items(), (spec.loss, spec.definition)]
    yield "Slack (what shipped code may lose beyond that, and be degraded)", list(slack(spec))
    yield "Laws", [(name, _law(law)) for name, law in spec.laws.items()]


def slack(spec: Spec) -> Iterator[tuple[str, str]]:
    """What degraded is widened by: `("value", "8 roundoffs of abs(logits)")`."""
    if spec.slack.value is not None:
        yield "value", f"8 roundoffs of {spec.slack.value}"
    for name, declared in spec.inputs.items():
        gradient = spec.slack.of_gradient(name)
        if gradient is not None and declared.is_real and declared.differentiable:
            yield f"gradient in {name}", f"8 roundoffs of {gradient}"


def input_text(entry: Input) -> str:
    """`"[N, V] extended real"`."""
    return f"{_shape(entry.shape)} {_word(entry.domain)}" + (
        "" if entry.differentiable else ", takes no gradient"
    )


def allowed_text(entry: Parameter) -> str:
    """What a parameter may be: `"one of none, mean, sum"`, `"a number in [0, 1]"`."""
    if entry.kind == "choice":
        return f"one of {', '.join(value_text(choice) for choice in entry.choices or ())}"
    if entry.kind == "array":
        domain = _word(entry.domain) if entry.domain else ""
        return f"an array {_shape(entry.shape or ())} {domain}".rstrip()
    kind = "a whole number" if entry.integer else "a number"
    if entry.range is None:
        return kind
    low, high = entry.range
    return f"{kind} in [{low:g}, {high:g}]"


def variable_text(variable: Variable) -> str:
    """What a variable of a law is drawn from: `"[N, 1] real, on a common grid with logits"`."""
    if variable.like:
        return f"drawn like {variable.like}"
    told = f"{_shape(variable.shape or ())} {_word(variable.domain) if variable.domain else ''}".rstrip()
    return f"{told}, on a common grid with {variable.grid}" if variable.grid else told


def value_text(value: Any) -> str:
    """A parameter's value: null is "off"."""
    return "off" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _parameter(entry: Parameter) -> str:
    told = f"{allowed_text(entry)}; {value_text(entry.default)} unless given"
    return f"{told}. {entry.text.strip()}" if entry.text else told


def _law(law: Law) -> str:
    lines = [law.law]
    lines += [f"for all {name} {variable_text(variable)}" for name, variable in law.forall.items()]
    if law.when:
        lines.append(f"when {law.when}")
    if law.exists:
        lines.append("holds for some input: one witness is enough")
    if law.text:
        lines.append(law.text.strip())
    return "\n".join(lines)


def _shape(shape: Iterable[str | int]) -> str:
    return f"[{', '.join(str(extent) for extent in shape)}]"


def _word(domain: str) -> str:
    return domain.replace("_", " ")
