"""`lossproof list` and `lossproof show`: what there is. Neither imports a framework or an adapter."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


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
    from lossproof.report.spoken import parts
    from lossproof.spec import library

    spec = library.find(loss)
    out = console(sys.stdout)
    out.print(Text.assemble((spec.loss, "bold"), f"  {spec.title}"))
    for text in (spec.cite, spec.text):
        if text:
            out.print(Text(text.strip(), "dim"))
    for title, rows in parts(spec):
        if rows:
            out.print()
            out.print(Text(title, "bold"))
            table = Table.grid(padding=(0, 2, 0, 0))
            table.add_column(no_wrap=True)
            table.add_column(overflow="fold")
            for name, told in rows:
                table.add_row(Text(name), Text(told))
            out.print(Padding(table, (0, 0, 0, 2), expand=False))
