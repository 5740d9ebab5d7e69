"""What a run announces while it goes on. Reporters listen; the engine knows no screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lossproof.audit.results import Finding, Problem, Result, Run, StabilityMap, Tolerance


@dataclass(frozen=True)
class RunStarted:
    cells: int


@dataclass(frozen=True)
class CellFinished:
    """One implementation at one dtype, device and mode is done; cached: an earlier run has examined it."""

    implementation: str
    loss: str
    framework: str
    device: str
    mode: str
    dtype: str
    results: tuple[Result, ...]
    findings: tuple[Finding, ...]
    seconds: float
    cached: bool = False
    tolerances: tuple[Tolerance, ...] = ()
    maps: tuple[StabilityMap, ...] = ()


@dataclass(frozen=True)
class ProblemMet:
    problem: Problem


@dataclass(frozen=True)
class RunFinished:
    run: Run


Event = RunStarted | CellFinished | ProblemMet | RunFinished
Listener = Callable[[Event], None]
