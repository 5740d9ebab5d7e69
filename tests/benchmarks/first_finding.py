"""(d) Seconds from the start of the process to the first finding, for each mistake of adapters/textbook.py.

`lossproof check FILE:FUNCTION` as a person types it, imports included, no cache. The clock stops when the
command reports the first cell that failed: its failures are minimised and diagnosed then. The mistakes of each
framework stand in a file of their own, as they do in a project that uses one of them. Functions of NumPy and
PyTorch come in turns; where the budget ends early, the rest is left out, and `of` says of how many.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from lossproof.implementation import discover

from .process import ROOT, cold
from .scale import FULL, Scale, median, shown

LETTER, TITLE = "d", "seconds from start to the first finding"
LIMIT = 60.0
_FAILED = re.compile(r"^\[ *\d+/\d+\] \S+ (fail|error) ")
"""The line of progress of a cell that did not pass, where there is no terminal."""


def measure(scale: Scale = FULL, adapter: str = "textbook") -> dict[str, Any]:
    """The median and every single time, by framework. A mistake without a finding has None."""
    found: dict[str, dict[str, float | None]] = {}
    targets, source = targets_of(adapter)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        files = {framework: Path(folder, f"mistakes_{framework}.py") for framework in targets}
        for framework, file in files.items():
            file.write_text(alone(source, framework, set(targets)))
        for framework, function in _in_turns(targets):
            if found.get(framework) and time.perf_counter() - begun > scale.seconds * 8:
                continue
            took = seconds_to_finding(f"{files[framework]}:{function}", framework)
            found.setdefault(framework, {})[function] = took
    return {
        framework: {
            "median": median(known) if (known := [t for t in times.values() if t is not None]) else None,
            "worst": max(known, default=None),
            "of": len(targets[framework]),
            "functions": times,
        }
        for framework, times in found.items()
    }


def targets_of(adapter: str) -> tuple[dict[str, list[str]], str]:
    """The name of every implementation, by framework; and the source of the adapter."""
    targets: dict[str, list[str]] = {}
    functions = [(each.framework, each.function) for each in discover(adapter)[0]]
    for framework, function in functions:
        targets.setdefault(framework, []).append(function.__name__)
    return targets, Path(inspect.getfile(functions[0][1])).read_text()


def alone(source: str, framework: str, frameworks: set[str]) -> str:
    """The source of an adapter without what names another framework, or what was imported from it."""
    tree = ast.parse(source)
    others = frameworks - {framework}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            of_module = isinstance(node, ast.ImportFrom) and str(node.module).partition(".")[0] in others
            others |= {
                alias.asname or alias.name
                for alias in node.names
                if of_module or alias.name.partition(".")[0] in others
            }

    def kept(node: ast.stmt) -> bool:
        used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        used |= {str(each.value) for each in ast.walk(node) if isinstance(each, ast.Constant)}
        used |= {each.asname or each.name for each in ast.walk(node) if isinstance(each, ast.alias)}
        return not used & others

    tree.body = [node for node in tree.body if kept(node)]
    return ast.unparse(tree)


def _in_turns(targets: dict[str, list[str]]) -> list[tuple[str, str]]:
    columns = [[(framework, target) for target in each] for framework, each in targets.items()]
    return [pair for line in itertools.zip_longest(*columns) for pair in line if pair is not None]


def seconds_to_finding(target: str, framework: str) -> float | None:
    """None where the command ends without a finding."""
    arguments: Sequence[str] = ["check", target, "--framework", framework]
    with cold(arguments) as (command, environment):
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if _FAILED.match(line):
                    return time.perf_counter() - begun
            return None
        finally:
            process.kill()
            process.communicate()


def table(found: dict[str, Any]) -> Table:
    made = Table(title=f"({LETTER}) {TITLE}, each mistake of textbook")
    for head in ("framework", "mistakes", "median", "worst"):
        made.add_column(head, justify="right")
    for framework, each in found.items():
        made.add_row(
            framework,
            f"{len(each['functions'])} of {each['of']}",
            shown(each["median"]),
            shown(each["worst"]),
        )
    return made
