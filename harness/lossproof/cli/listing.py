"""`lossproof list` and `lossproof show`: what there is. Neither imports a framework or an adapter."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from lossproof.spec.model import Input, Law, Parameter, Spec, Variable


def list_() -> None:
    """List the losses and the bundled adapters."""
    from rich.table import Table
    from rich.text import Text

    from lossproof.cli.adapters import bundled_adapters
    from lossproof.implementation.targets import registered
    from lossproof.report.console import console
    from lossproof.report.text import plural
    from lossproof.spec import library

    out = console(sys.stdout)
    names = library.names()
    specs = [library.get(name) for name in names]
    table = Table.grid(padding=(0, 2, 0, 0))
    for spec in specs:
        table.add_row(
            Text(f"  {spec.loss}"),
            Text(plural(len(spec.laws), "law"), "dim", justify="right"),
            Text(spec.title),
        )
    out.print(Text(plural(len(names), "loss", "losses"), "bold"))
    out.print(table)
    adapters = bundled_adapters(names)
    out.print()
    out.print(Text(plural(len(adapters), "bundled adapter"), "bold"))
    wide = max((len(adapter.name) for adapter in adapters), default=0)
    for adapter in adapters:
        told = f"{plural(len(adapter.losses), 'loss', 'losses')} in {', '.join(adapter.frameworks)}"
        left_out = "" if adapter.audited else "; a demonstration, not part of an audit"
        out.print(Text(f"  {adapter.name:<{wide}}  {told}{left_out}"), soft_wrap=True)
        out.print(Text(f"  {'':<{wide}}  {adapter.summary}", "dim"), soft_wrap=True)
    if others := registered():
        out.print()
        out.print(Text("Registered by installed packages", "bold"))
        for name, module in sorted(others.items()):
            out.print(Text(f"  {name}  {module}"))
    out.print()
    out.print(Text("lossproof show LOSS tells more of a loss.", "dim"))


def show(
    loss: Annotated[
        str, typer.Argument(metavar="LOSS", help="A loss that lossproof list names, or a YAML file.")
    ],
) -> None:
    """Show a loss: inputs, formula, laws, parameters."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from lossproof.report.console import console
    from lossproof.spec import library

    spec = library.find(loss)
    out = console(sys.stdout)
    out.print(Text.assemble((spec.loss, "bold"), f"  {spec.title}"))
    for text in (spec.cite, spec.text):
        if text:
            out.print(Text(text.strip(), "dim"))
    for title, rows in _parts(spec):
        if rows:
            out.print()
            out.print(Text(title, "bold"))
            table = Table.grid(padding=(0, 2, 0, 0))
            table.add_column(no_wrap=True)
            table.add_column(overflow="fold")
            for name, told in rows:
                table.add_row(Text(name), Text(told))
            out.print(Padding(table, (0, 0, 0, 2), expand=False))


def _parts(spec: Spec) -> Iterable[tuple[str, list[tuple[str, str]]]]:
    yield "Inputs", [(name, _input(entry)) for name, entry in spec.inputs.items()]
    yield "Parameters", [(name, _parameter(entry)) for name, entry in spec.parameters.items()]
    yield "Definition", [*spec.let.items(), (spec.loss, spec.definition)]
    yield "Slack (what shipped code may lose beyond that, and be degraded)", list(_slack(spec))
    yield "Laws", [(name, _law(law)) for name, law in spec.laws.items()]


def _slack(spec: Spec) -> Iterator[tuple[str, str]]:
    if spec.slack.value is not None:
        yield "value", f"8 roundoffs of {spec.slack.value}"
    for name, declared in spec.inputs.items():
        gradient = spec.slack.of_gradient(name)
        if gradient is not None and declared.is_real and declared.differentiable:
            yield f"gradient in {name}", f"8 roundoffs of {gradient}"


def _input(entry: Input) -> str:
    return f"{_shape(entry.shape)} {_word(entry.domain)}" + (
        "" if entry.differentiable else ", takes no gradient"
    )


def _parameter(entry: Parameter) -> str:
    if entry.kind == "choice":
        allowed = f"one of {', '.join(_value(choice) for choice in entry.choices or ())}"
    elif entry.kind == "array":
        allowed = (
            f"an array {_shape(entry.shape or ())} {_word(entry.domain) if entry.domain else ''}".rstrip()
        )
    elif entry.range is not None:
        low, high = entry.range
        allowed = f"{'a whole number' if entry.integer else 'a number'} in [{low:g}, {high:g}]"
    else:
        allowed = "a whole number" if entry.integer else "a number"
    told = f"{allowed}; {_value(entry.default)} unless given"
    return f"{told}. {entry.text.strip()}" if entry.text else told


def _law(law: Law) -> str:
    lines = [law.law]
    lines += [f"for all {name} {_variable(variable)}" for name, variable in law.forall.items()]
    if law.when:
        lines.append(f"when {law.when}")
    if law.exists:
        lines.append("holds for some input: one witness is enough")
    if law.text:
        lines.append(law.text.strip())
    return "\n".join(lines)


def _variable(variable: Variable) -> str:
    if variable.like:
        return f"drawn like {variable.like}"
    told = f"{_shape(variable.shape or ())} {_word(variable.domain) if variable.domain else ''}".rstrip()
    return f"{told}, on a common grid with {variable.grid}" if variable.grid else told


def _shape(shape: Iterable[str | int]) -> str:
    return f"[{', '.join(str(extent) for extent in shape)}]"


def _value(value: Any) -> str:
    return "off" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _word(domain: str) -> str:
    return domain.replace("_", " ")
