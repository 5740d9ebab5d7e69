"""A finding's minimal case and what came of it, in the order in which a reader wants it."""

from __future__ import annotations

from lossproof.audit.results import Finding
from lossproof.report.text import array, number, one_line, rough


def facts(finding: Finding) -> list[tuple[str, str]]:
    """All of it: the minimal case, what came of it, what is told of it, as labels and texts for a reader."""
    return [*case(finding), *outcome(finding), *told(finding)]


def case(finding: Finding) -> list[tuple[str, str]]:
    """The minimal case."""
    dtype = finding.dtype
    found = [(one_line(name), array(value, dtype)) for name, value in finding.inputs.items()]
    found += [(one_line(name), array(value, dtype)) for name, value in finding.variables.items()]
    given = {name: value for name, value in finding.parameters.items() if value is not None}
    if given:
        said = (f"{one_line(name)} = {parameter(value, dtype)}" for name, value in given.items())
        found.append(("parameters", ", ".join(said)))
    if finding.cotangent is not None:
        found.append(("cotangent", array(finding.cotangent, dtype)))
    return found


def outcome(finding: Finding) -> list[tuple[str, str]]:
    """What was compared, what was expected and what came out."""
    dtype = finding.dtype
    found = [("quantity", one_line(finding.quantity))] if finding.quantity else []
    for label, value in (("expected", finding.expected), ("got", finding.got)):
        if value is not None:
            found.append((label, array(value, dtype)))
    if finding.attainable is not None:
        found.append(("attainable error", rough(finding.attainable)))
    return found


def told(finding: Finding) -> list[tuple[str, str]]:
    """The reason of the verdict, the kind of mistake, the waiver."""
    found = [("reason", one_line(finding.reason))]
    if finding.diagnosis.kind != "unexplained" and finding.diagnosis.text != finding.reason:
        found.append(("diagnosis", one_line(f"{finding.diagnosis.kind}: {finding.diagnosis.text}")))
    if finding.breakdown:
        found.append(("breakdown", one_line(finding.breakdown["text"])))
    if finding.waiver:
        found.append(("waived", one_line(finding.waiver)))
    return found


def parameter(value: object, dtype: str) -> str:
    """A parameter's value: a number, a convention, or an array."""
    return array(value, dtype) if isinstance(value, list | dict) else number(value, dtype)
