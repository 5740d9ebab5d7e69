"""A run as SARIF 2.1.0 (OASIS, 2020), which code hosts show beside the lines that it is about."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lossproof.audit.results import Finding, Objection, Result, Run, Verdict, blamed
from lossproof.errors import Place
from lossproof.report import digest, files
from lossproof.report.digest import Cause
from lossproof.report.facts import facts
from lossproof.report.sentences import row_text
from lossproof.report.text import clean, one_line

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "SRCROOT"
RULES = {
    "accuracy": "The value is as near to the truth as the format allows.",
    "gradient": "The vector-Jacobian product is as near to the truth as the format allows.",
    "finiteness": "The result is nan or inf only where the truth is.",
    "shape_and_dtype": "The result has the shape of the definition and the dtype of the inputs.",
    "batch_independence": "A row does not change when other rows do.",
    "purity": "The inputs are left as they were.",
    "determinism": "Two calls give the same bits.",
    "waiver": "A waiver matches a finding, has not expired, is not exceeded and gives a reason.",
}

Name = tuple[str, str, str]
"""implementation, loss, framework."""


@dataclass(frozen=True)
class Sources:
    """Where implementations stand: file and line of each. root: of the repository, to which paths are relative."""

    root: Path = field(default_factory=Path.cwd)
    places: Mapping[Name, Place] = field(default_factory=dict)


def document(run: Run, sources: Sources, fail_on: str = "fail") -> dict[str, Any]:
    """The log as JSON values: a result for each cause of findings; a waived one is there and suppressed."""
    wrong = blamed(fail_on)
    told = [f for f in run.findings if f.verdict in wrong or f.verdict is Verdict.WAIVED]
    results = [_of_cause(cause, sources) for cause in digest.causes(told)]
    results += [_of_row(row, sources) for row in digest.bare(run, wrong)]
    results += [_of_objection(each, sources) for each in run.objections]
    _number(results)
    rules = list(dict.fromkeys(str(result["ruleId"]) for result in results))
    notes = [{"level": "error", "message": {"text": _text(f"{p.where}: {p.message}")}} for p in run.problems]
    driver = {
        "name": "lossproof",
        "semanticVersion": run.lossproof,
        "rules": [{"id": rule, "shortDescription": {"text": _about(rule)}} for rule in rules],
    }
    invocation = {
        "executionSuccessful": not run.problems,
        "toolExecutionNotifications": notes,
        "properties": {"profile": run.profile, "seed": run.seed},
    }
    root = sources.root.resolve().as_uri().rstrip("/") + "/"
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "invocations": [invocation],
                "originalUriBaseIds": {ROOT: {"uri": root}},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }


def write(run: Run, path: Path, sources: Sources, fail_on: str = "fail") -> None:
    """Write the log to `path`. Raises UsageError where that cannot be."""
    files.write(path, json.dumps(document(run, sources, fail_on), indent=1, ensure_ascii=False) + "\n")


def _of_cause(cause: Cause, sources: Sources) -> dict[str, Any]:
    finding = cause.shown
    told = "\n".join(f"{label}: {text}" for label, text in facts(finding))
    also = f"\nalso: {cause.also}" if cause.others else ""
    level = "warning" if finding.verdict is Verdict.DEGRADED else "error"
    result = _result(finding, level, f"{digest.headline(finding)}\n{told}{also}", sources)
    if finding.waiver is not None:
        suppression = {"kind": "external", "status": "accepted", "justification": _text(finding.waiver)}
        result["suppressions"] = [suppression]
    return result


def _of_row(row: Result, sources: Sources) -> dict[str, Any]:
    return _result(row, "warning" if row.verdict is Verdict.DEGRADED else "error", row_text(row), sources)


def _of_objection(objection: Objection, sources: Sources) -> dict[str, Any]:
    file, *at = objection.where.rsplit(":", 2)
    where = Place(file, *map(int, at)) if len(at) == 2 and all(map(str.isdigit, at)) else Place(file)
    return {
        "ruleId": "waiver",
        "level": "error",
        "message": {"text": _text(f"{objection.kind}: {objection.message}")},
        "locations": [_location(where, sources)],
        "partialFingerprints": {"lossproof/v1": _digest("waiver", objection.kind, objection.message)},
    }


def _result(of: Finding | Result, level: str, text: str, sources: Sources) -> dict[str, Any]:
    name = (of.implementation, of.loss, of.framework)
    result: dict[str, Any] = {
        "ruleId": of.check,
        "level": level,
        "message": {"text": _text(text)},
        "partialFingerprints": {"lossproof/v1": _digest(*name, of.check)},
    }
    if (place := sources.places.get(name)) is not None:
        result["locations"] = [_location(place, sources)]
        result["locations"][0]["logicalLocations"] = [
            {"fullyQualifiedName": of.implementation, "kind": "function"}
        ]
    return result


def _location(place: Place, sources: Sources) -> dict[str, Any]:
    """A place; one outside the repository is an absolute file: URI."""
    path = Path(place.file).resolve()
    root = sources.root.resolve()
    if path.is_relative_to(root):
        # as in a URI: blanks and the like are escaped, and the slashes are slashes
        relative = path.as_uri().removeprefix(root.as_uri().rstrip("/") + "/")
        artifact = {"uri": relative, "uriBaseId": ROOT}
    else:
        artifact = {"uri": path.as_uri()}
    physical: dict[str, Any] = {"artifactLocation": artifact}
    if place.line:
        column = {"startColumn": place.column} if place.column else {}
        physical["region"] = {"startLine": place.line, **column}
    return {"physicalLocation": physical}


def _number(results: list[dict[str, Any]]) -> None:
    """Fingerprints are of name and check, so that a result keeps its own from run to run; equal ones are counted."""
    seen: dict[str, int] = {}
    for result in results:
        prints = result["partialFingerprints"]
        first = prints["lossproof/v1"]
        seen[first] = seen.get(first, 0) + 1
        prints["lossproof/v1"] = f"{first}:{seen[first]}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _about(rule: str) -> str:
    if rule.startswith("law:"):
        return f"The law {one_line(rule.removeprefix('law:'))} of the loss holds."
    return RULES.get(rule, one_line(rule))


def _text(text: str) -> str:
    return clean(text)
