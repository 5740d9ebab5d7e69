"""SARIF and JUnit XML fit their schemas, and point at the line of the implementation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import report_samples as samples
from lossproof.audit.results import Objection, Run
from lossproof.errors import Place
from lossproof.report import junit, markdown, sarif
from lossproof.report.sarif import Sources
from repository import YESTERDAY, call, repository

SCHEMAS = Path(__file__).parent / "schemas"
OBJECTION = Objection("expired", "lossproof-waivers.yaml:3:3", "the waiver for a.b expired")


def with_objection(run: Run) -> Run:
    run.objections = [OBJECTION]
    return run


RUNS = [samples.clean_run, samples.full_run, samples.hostile_run, lambda: with_objection(samples.full_run())]


def document(run: Run, root: Path = Path(), fail_on: str = "fail") -> dict[str, Any]:
    name = ("textbook.cross_entropy_epsilon", "cross_entropy", "torch")
    sources = Sources(root, {name: Place(str(root / "my losses.py"), 12)})
    return json.loads(json.dumps(sarif.document(run, sources, fail_on)))  # type: ignore[no-any-return]


def results(run: Run, **options: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document(run, **options)["runs"][0]["results"]
    return found


@pytest.mark.parametrize("make", RUNS)
@pytest.mark.parametrize("fail_on", ["fail", "degraded"])
def test_sarif_fits_the_schema(make: Any, fail_on: str) -> None:
    schema = json.loads((SCHEMAS / "sarif-2.1.0.json").read_text())
    jsonschema.Draft4Validator(schema).validate(document(make(), fail_on=fail_on))


@pytest.mark.parametrize("make", RUNS)
def test_junit_fits_the_schema(make: Any) -> None:
    xmlschema = pytest.importorskip("xmlschema")
    xmlschema.XMLSchema(SCHEMAS / "junit-10.xsd").validate(junit.text(make()))


def test_a_result_points_at_the_implementation(tmp_path: Path) -> None:
    first = results(samples.full_run(), root=tmp_path)[0]
    (location,) = first["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "my%20losses.py", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 12},
    }
    assert first["ruleId"] == "accuracy"
    assert first["level"] == "error"
    assert "logits: [[0, 30.5]]" in first["message"]["text"]


def test_findings_of_one_cause_are_one_result_and_waived_ones_suppressed() -> None:
    found = results(samples.full_run())
    assert [each["ruleId"] for each in found] == ["accuracy", "accuracy", "gradient"]
    (waived,) = [each for each in found if "suppressions" in each]
    assert waived["suppressions"][0]["justification"] == "nan for target 0, known upstream"


def test_fingerprints_are_unique_and_the_same_from_run_to_run() -> None:
    prints = [each["partialFingerprints"]["lossproof/v1"] for each in results(samples.full_run())]
    assert len(set(prints)) == len(prints)
    assert prints == [each["partialFingerprints"]["lossproof/v1"] for each in results(samples.full_run())]


def test_a_degraded_row_is_a_warning_on_request() -> None:
    assert {each["level"] for each in results(samples.full_run())} == {"error"}
    assert {each["level"] for each in results(samples.full_run(), fail_on="degraded")} == {"error", "warning"}


def test_the_gate_writes_paths_relative_to_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    top = repository(tmp_path)
    mine = repository(tmp_path / "packages" / "one")
    mine.waive(expires=YESTERDAY)
    top.commit()
    monkeypatch.chdir(mine.root)
    result = call("gate", "--no-cache", "--sarif", "found.sarif")
    assert result.exit_code == 1
    found = json.loads((mine.root / "found.sarif").read_text())["runs"][0]["results"]
    files = {
        (each["ruleId"] == "waiver", place["artifactLocation"]["uri"], place["region"]["startLine"])
        for each in found
        for place in [each["locations"][0]["physicalLocation"]]
    }
    assert files == {
        (False, "packages/one/my_losses.py", 10),
        (True, "packages/one/lossproof-waivers.yaml", 2),
    }


def test_markdown_shows_findings_and_nobody_elses_markup() -> None:
    text = markdown.text(with_objection(samples.full_run()))
    assert "logits" in text
    assert "[[0, 30.5]]" in text
    assert "lossproof-waivers.yaml:3:3: the waiver for a.b expired" in text
    outside = markdown.text(samples.hostile_run()).split("```")[::2]
    assert not any("<script>" in part.replace("\\<", "") for part in outside)
    assert markdown.text(samples.clean_run()).startswith("## ✅ lossproof")
