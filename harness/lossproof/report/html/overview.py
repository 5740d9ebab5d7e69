"""The verdict at a glance: a sentence, the counts, what it was checked with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lossproof.audit.results import Run, Verdict, blamed
from lossproof.report import digest
from lossproof.report.digest import Line
from lossproof.report.html.findings import CauseCards
from lossproof.report.text import plural

_FRAMEWORKS = {"numpy": "NumPy", "torch": "PyTorch", "jax": "JAX", "python": "Python", "scipy": "SciPy"}
_OF = {"torch": "torch", "jax": "jax", "optax": "jax"}
"""Libraries that had no part in a run without their framework."""
_LIBRARIES = ("python", "numpy", "scipy", "torch", "jax", "optax")


@dataclass(frozen=True)
class Glance:
    """title and lede: what came out, and of what. kind: a class of the page; symbol: its sign."""

    title: str
    lede: str
    kind: str
    symbol: str


def verdict(run: Run, lines: Sequence[Line], causes: Sequence[CauseCards]) -> Glance:
    """What the run comes to, in a sentence."""
    ran = [line for line in lines if line.whole.verdict is not Verdict.SKIP]
    wrong = {
        (row.implementation, row.framework, row.loss) for row in run.results if row.verdict in blamed("fail")
    }
    frameworks = [_FRAMEWORKS.get(name, name) for name in sorted({line.framework for line in ran})]
    losses = plural(len({line.loss for line in ran}), "loss", "losses")
    lede = (
        f"{plural(len(ran), 'implementation')} of {losses} in {_and(frameworks)} held to what the mathematics says, "
        "in value, gradient and laws, on inputs that are meant to hurt; each error is measured against the one that "
        "the stable algorithm makes on the same input."
    )
    if not ran:
        return Glance(
            "Nothing was checked", "No implementation ran, so nothing is known of any.", "skip", "–"
        )
    complete = not (run.problems or any(row.verdict is Verdict.SKIP for row in run.results))
    if wrong:
        found = plural(len(causes), "finding") if causes else plural(len(wrong), "failure")
        return Glance(f"{found} in {len(wrong)} of {plural(len(ran), 'implementation')}", lede, "fail", "✗")
    if causes:
        return Glance(f"{plural(len(causes), 'finding')}, and nothing fails", lede, "degraded", "≈")
    if run.problems or run.objections:
        return Glance("No finding, but problems", lede, "degraded", "!")
    return Glance("No finding" if complete else "No finding in what was checked", lede, "pass", "✓")


def counts(run: Run) -> list[dict[str, Any]]:
    """How many rows got each verdict. step: its share of the bar, in whole parts of 200 of which each has one."""
    found = digest.totals(run)
    whole = sum(found.values()) or 1
    return [
        {"verdict": verdict, "count": count, "step": max(1, round(200 * count / whole))}
        for verdict, count in found.items()
    ]


def figures(run: Run, lines: Sequence[Line]) -> dict[str, Any]:
    """The numbers and versions below the verdict."""
    ran = [line for line in lines if line.whole.verdict is not Verdict.SKIP]
    libraries = run.environment.get("libraries")
    told = {**run.environment, **(libraries if isinstance(libraries, dict) else {})}
    idle = {name for name, of in _OF.items() if of not in {line.framework for line in ran}}
    return {
        "losses": len({line.loss for line in ran}),
        "implementations": len(ran),
        "cases": sum(row.cases for row in run.results),
        "undecided": sum(row.undecided for row in run.results),
        "skipped": sum(row.verdict is Verdict.SKIP for row in run.results),
        "versions": [
            f"{_FRAMEWORKS.get(name, name)} {told[name]}"
            for name in _LIBRARIES
            if told.get(name) and name not in idle
        ],
    }


def _and(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
