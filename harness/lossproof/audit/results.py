"""What a run found: rows, findings, and the run that holds them. Data alone; report/ renders it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """The verdict on one row, in the order in which a reader wants to see them."""

    ERROR = "error"
    FAIL = "fail"
    DEGRADED = "degraded"
    WAIVED = "waived"
    PASS = "pass"
    SKIP = "skip"


FAIL_ON = ("fail", "degraded")
"""From which verdict on a row is a finding."""


def blamed(fail_on: str) -> frozenset[Verdict]:
    """The verdicts that make a run fail; fail_on is one of FAIL_ON."""
    degraded = {Verdict.DEGRADED} if fail_on == "degraded" else set()
    return frozenset({Verdict.FAIL, Verdict.ERROR} | degraded)


@dataclass(frozen=True)
class Worst:
    """The worst inputs that a deep search found, encoded as in a finding.

    error: how far from the truth, in attainable errors; up to 8 pass.
    """

    error: float
    inputs: dict[str, Any]
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Result:
    """One row: one check of one implementation at one dtype, device and mode.

    check: accuracy, gradient, finiteness, shape_and_dtype, batch_independence, purity, determinism or law:<name>.
    regime: the regime that the row is about; None where the check spans them all.
    cases: how many elements were compared; undecided: how many could not be decided.
    bits_lost: the worst over the cases; inf for a nan or inf where the truth has none; None where not measured.
    worst: in the deep profile, at the row of accuracy and of gradient in whose regime the worst inputs lie.
    """

    loss: str
    implementation: str
    framework: str
    device: str
    mode: str
    dtype: str
    check: str
    regime: str | None
    verdict: Verdict
    cases: int = 0
    undecided: int = 0
    bits_lost: float | None = None
    reason: str | None = None
    finding: str | None = None
    worst: Worst | None = None


@dataclass(frozen=True)
class Diagnosis:
    """What kind of mistake a finding is; kind is "unexplained" where the evidence is weak."""

    kind: str
    text: str


@dataclass(frozen=True)
class Finding:
    """A failed check with its minimal case.

    spec: the path of the spec, where it is a user's own. breakdown: where the mistake sets in: the "magnitude"'s name,
    the "value" up to which (or down to which) results are right, and both as a "text"; None where that was not found.

    inputs, expected, attainable and got hold encoded arrays (audit/encoding.py): floats are exact
    hexadecimal strings, integers and booleans plain, nesting is the shape.
    """

    id: str
    loss: str
    implementation: str
    framework: str
    device: str
    mode: str
    check: str
    dtype: str
    regime: str
    verdict: Verdict
    inputs: dict[str, Any]
    parameters: dict[str, Any]
    variables: dict[str, Any]
    cotangent: Any
    quantity: str
    expected: Any
    attainable: Any
    got: Any
    bits_lost: float | None
    reason: str
    diagnosis: Diagnosis
    snippet: str
    target: str
    spec: str = ""
    waiver: str | None = None
    breakdown: dict[str, Any] | None = None


@dataclass(frozen=True)
class Problem:
    """Something that could not be checked at all: an adapter that does not import, a bad spec."""

    where: str
    message: str


@dataclass(frozen=True)
class Objection:
    """Why a gate does not accept a waiver.

    kind: expired, exceeded, matches nothing or no reason. where: its place, "lossproof-waivers.yaml:3:3".
    """

    kind: str
    where: str
    message: str


@dataclass(frozen=True)
class Bound:
    """What an implementation does with the parameters of its loss: its conventions.

    fixed: those that it has built in, by name, at their values. takes: those that it is called with. The others have
    the spec's default. spec: the path of the spec, where it is a user's own.
    """

    loss: str
    implementation: str
    framework: str
    fixed: dict[str, Any] = field(default_factory=dict)
    takes: tuple[str, ...] = ()
    spec: str = ""


@dataclass(frozen=True)
class Tolerance:
    """How far from the truth one cell was in one regime: a distribution over all elements that were compared.

    quantity: "value" or "gradient". counts: elements by the bits of their error, ceil(log2(error / attainable error))
    clipped to [-6, 60] as the key; "exact" for no error, "inf" for a nan or inf where the truth has none, or the
    reverse. fixed: what a fixed tolerance would have said, by its name: "torch" is that of torch.testing.assert_close
    for the dtype, "numpy" that of np.testing.assert_allclose; "refused" counts passing elements that it refuses,
    "accepted" failing ones that it accepts.
    """

    loss: str
    implementation: str
    framework: str
    device: str
    mode: str
    dtype: str
    quantity: str
    regime: str
    counts: dict[str, int] = field(default_factory=dict)
    fixed: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Axis:
    """One of the two magnitudes of a plane; scale is "log", "linear" or "symlog"."""

    name: str
    scale: str
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Plane:
    """The plane of the stability maps of a loss: two magnitudes; text says in a sentence what the inputs are."""

    loss: str
    x: Axis
    y: Axis
    text: str


@dataclass(frozen=True)
class StabilityMap:
    """The bits that one cell loses over the plane of its loss, in its value or its gradient.

    bits: a row for each value of y, in it a column for each value of x. A number is the bits lost, rounded to 0.1;
    "nan", "inf" and "-inf" are what it returned where the truth is finite; None is undecided, undefined, or outside
    of the format. breakdown: for each y the first x from which on it fails for good, None where it never does.
    """

    loss: str
    implementation: str
    framework: str
    device: str
    mode: str
    dtype: str
    quantity: str
    bits: list[list[float | str | None]] = field(default_factory=list)
    breakdown: list[float | None] = field(default_factory=list)


@dataclass
class Run:
    """Everything a run found; results and findings are sorted, so that equal runs are equal files.

    cells: how many were examined; cached: how many of them by an earlier run. objections: what a gate holds
    against waivers. implementations: each that was planned, skipped ones too. planes, maps: empty where no report asked
    for them.
    """

    lossproof: str
    seed: int
    profile: str
    environment: dict[str, Any]
    results: list[Result] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seconds: float = 0.0
    cells: int = 0
    cached: int = 0
    objections: list[Objection] = field(default_factory=list)
    implementations: list[Bound] = field(default_factory=list)
    tolerances: list[Tolerance] = field(default_factory=list)
    planes: list[Plane] = field(default_factory=list)
    maps: list[StabilityMap] = field(default_factory=list)
