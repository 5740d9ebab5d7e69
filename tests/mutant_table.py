"""`python mutant_table.py [FILE…] [--jobs N]`, in tests/: of each spec, the broken losses that are caught, those whose
kind of mistake is told, and the right ones that are blamed. `make mutants` calls it; exit code 1 where one is missed,
blamed or told by a wrong kind.

FILE: names of files in tests/mutants, without the ending; all of them unless given.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from lossproof.spec import library
from mutant_runs import FAST_IN_JAX, FILES, blamed, caught, in_jax, losses_of


@dataclass
class Tally:
    """By spec: broken versions, those caught, those told by their kind, right versions, those blamed; what is wrong."""

    broken: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    blamed: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        for name in ("broken", "caught", "told", "right", "blamed"):
            getattr(self, name).update(getattr(other, name))
        self.wrong += other.wrong


def tally(file: Path) -> Tally:
    """What one file of tests/mutants gives."""
    found, losses = Tally(), losses_of(file)
    if file.stem.startswith("right_"):
        told = blamed(file)
        checked = FAST_IN_JAX.get(file.stem, tuple(losses))
        found.right.update(losses[name] for name in checked)
        found.blamed.update(losses[name] for name in told)
        found.wrong += [f"blamed: {line}" for lines in told.values() for line in lines]
    else:
        seen = caught(file)
        found.broken.update(losses.values())
        found.caught.update(loss for name, loss in losses.items() if name not in seen.missed)
        found.told.update(losses[name] for name in seen.told)
        for name, kind in seen.told_wrong.items():
            found.wrong.append(f"told wrong: {file.stem}.{name} of {losses[name]} as {kind}")
        for name in seen.missed:
            needed = ", ".join(sorted({*seen.expected[name]} - seen.failed[name]))
            found.wrong.append(f"missed: {file.stem}.{name} of {losses[name]} passes {needed}")
    return found


def table(found: Tally) -> Table:
    out = Table(box=None, pad_edge=False)
    out.add_column("spec")
    for name in ("broken", "caught", "missed", "kind told", "right", "blamed"):
        out.add_column(name, justify="right")
    for spec in (*library.names(), "total"):
        broken, caught_, missed, told, right, blamed_ = (
            each.total() if spec == "total" else each[spec]
            for each in (
                found.broken, found.caught, found.broken - found.caught, found.told, found.right, found.blamed,
            )
        )  # fmt: skip
        share = f"{told} ({told / broken:.0%})" if broken else "0"
        numbers = (str(broken), str(caught_), str(missed), share, str(right), str(blamed_))
        out.add_row(spec, *numbers, style="bold" if spec == "total" else "")
    return out


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    known = {file.stem: file for file in FILES}
    parser.add_argument("files", nargs="*", metavar="FILE", help="only these files of tests/mutants")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="worker processes (2 unless given)")
    given = parser.parse_args()
    if unknown := set(given.files) - set(known):
        parser.error(f"no file {', '.join(sorted(unknown))} (there are: {', '.join(known)})")
    files = [known[name] for name in given.files or known]
    jax = importlib.util.find_spec("jax") is not None
    console = Console(soft_wrap=True)
    if left_out := [file.stem for file in files if in_jax(file) and not jax]:
        console.print(f"JAX is not installed: {', '.join(left_out)} left out")
    files = [file for file in files if file.stem not in left_out]
    total = Tally()
    with ProcessPoolExecutor(given.jobs, multiprocessing.get_context("spawn")) as pool:
        for file, found in zip(files, pool.map(tally, files), strict=True):
            total.add(found)
            if console.is_terminal:
                console.print(Text(f"{file.stem}: {len(found.wrong)} wrong", "dim"))
    console.print(table(total))
    for line in total.wrong:
        console.print(Text(line))
    return 1 if total.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
