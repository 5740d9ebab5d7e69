"""`lossproof prove`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lossproof.cli import options as given
from lossproof.cli.exits import CLEAN, NOTHING, WRONG
from lossproof.errors import LossproofError

if TYPE_CHECKING:
    from lossproof.audit.prove import Proof


def prove(
    specs: Annotated[
        list[str] | None,
        typer.Argument(metavar="SPEC", help="Names of losses or YAML files; all unless given."),
    ] = None,
    profile: given.Profile = "quick",
    seed: given.Seed = 0,
) -> None:
    """Check specs alone, every law included.

    A spec's schema, its shapes, and each law against the definition in ball arithmetic.

    Exit code 2: a spec cannot be used, or a law is false.
    """
    from lossproof.audit.prove import prove as prove_specs
    from lossproof.report.text import one_line, plural
    from lossproof.spec import library

    shown = Shown()
    proofs: list[Proof] = []
    broken = 0
    for name in specs or library.names():
        try:
            proofs += prove_specs([name], profile=profile, seed=seed, on_proof=shown)
        except LossproofError as error:  # the others are proved all the same
            typer.echo(f"error: {one_line(str(error))}", err=True)
            broken += 1
        shown.finish()
    if broken and not proofs:
        raise typer.Exit(WRONG)
    counts = {
        verdict: sum(p.verdict == verdict for p in proofs) for verdict in ("proved", "undecided", "false")
    }
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    losses = len({proof.loss for proof in proofs})
    typer.echo(
        f"{plural(len(proofs), 'law')} of {plural(losses, 'loss', 'losses')}" + (f": {said}" if said else "")
    )
    if counts["false"] or broken:
        raise typer.Exit(WRONG)
    raise typer.Exit(CLEAN if counts["proved"] else NOTHING)


class Shown:
    """Prints a line for each loss as its laws are done, and every law that is not proved."""

    def __init__(self) -> None:
        self._loss: str | None = None
        self._proofs: list[Proof] = []

    def __call__(self, proof: Proof) -> None:
        if proof.loss != self._loss:
            self.finish()
            self._loss = proof.loss
        self._proofs.append(proof)

    def finish(self) -> None:
        """Print the last loss."""
        from rich.text import Text

        from lossproof.report.console import console
        from lossproof.report.text import one_line, plural

        if not self._proofs:
            return
        out, err = console(sys.stdout), console(sys.stderr)
        held = [proof for proof in self._proofs if proof.verdict == "proved"]
        whole = len(held) == len(self._proofs)
        false = any(proof.verdict == "false" for proof in self._proofs)
        symbol, style = ("✗", "bold red") if false else ("✓", "green") if whole else ("?", "yellow")
        laws = plural(len(held), "law") if whole else f"{len(held)} of {plural(len(self._proofs), 'law')}"
        cases = sum(proof.cases for proof in self._proofs)
        open_cases = sum(proof.undecided for proof in self._proofs)
        line = Text.assemble((f"{symbol} ", style), (one_line(str(self._loss)), "bold"))
        line.append(f"  {laws} proved  {plural(cases, 'case')}", "")
        line.append(f", {open_cases:,} undecided" if open_cases else "", "yellow")
        out.print(line, soft_wrap=True)
        for proof in self._proofs:
            where = f"{proof.place}: " if proof.place else ""
            if proof.verdict == "false":
                text = one_line(f"{where}{proof.falsehood}")
                err.print(Text.assemble(("error: ", "bold red"), text), soft_wrap=True)
            elif proof.verdict != "proved":
                told = f"{where}law '{proof.law}' of {proof.loss} is undecided in all its cases"
                out.print(Text(one_line(told), "yellow"), soft_wrap=True)
        self._proofs = []
