"""Two runs side by side: new, fixed, worse, better, gone."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

import report_samples as samples
from lossproof.audit.results import Run, Verdict
from lossproof.gate.compare import compare
from lossproof.report import html
from lossproof.report.json import read, write
from repository import call


def one(**changes: Any) -> Run:
    return samples.run(samples.result(**changes))


def kinds(old: Run, new: Run, fail_on: str = "fail") -> set[str]:
    found = compare(old, new, fail_on)
    return {kind for kind in ("new", "fixed", "worse", "better", "gone") if getattr(found, kind)}


PASS: dict[str, Any] = {"verdict": Verdict.PASS, "bits_lost": 1.0}
DEGRADED: dict[str, Any] = {"verdict": Verdict.DEGRADED, "bits_lost": 4.0}
FAIL: dict[str, Any] = {"verdict": Verdict.FAIL, "bits_lost": 12.0}
WAIVED: dict[str, Any] = {"verdict": Verdict.WAIVED, "bits_lost": 12.0}
SKIP: dict[str, Any] = {"verdict": Verdict.SKIP, "bits_lost": None}


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (PASS, PASS, set()),
        (PASS, PASS | {"bits_lost": 1.9}, set()),
        (PASS, PASS | {"bits_lost": 2.1}, {"worse"}),
        (PASS, FAIL, {"new"}),
        (SKIP, FAIL, {"new"}),
        (WAIVED, FAIL, {"new"}),
        (FAIL, PASS, {"fixed"}),
        (FAIL, WAIVED, set()),
        (WAIVED, PASS, {"fixed"}),
        (WAIVED, WAIVED | {"bits_lost": 14.0}, {"worse"}),
        (FAIL, FAIL | {"bits_lost": 13.5}, {"worse"}),
        (FAIL, FAIL | {"bits_lost": math.inf}, {"worse"}),
        (FAIL | {"bits_lost": math.inf}, FAIL | {"bits_lost": math.inf}, set()),
        (FAIL, FAIL | {"bits_lost": 9.0}, {"better"}),
        (PASS, DEGRADED, {"worse"}),
        (DEGRADED, PASS, {"better"}),
        (PASS, SKIP, {"gone"}),
        (SKIP, PASS, set()),
    ],
)
def test_what_became_of_a_check(old: dict[str, Any], new: dict[str, Any], kind: set[str]) -> None:
    assert kinds(one(**old), one(**new)) == kind


def test_a_degraded_row_is_a_finding_on_request() -> None:
    assert kinds(one(**PASS), one(**DEGRADED), "degraded") == {"new"}
    assert kinds(one(**FAIL), one(**DEGRADED), "degraded") == {"better"}


def test_regimes_are_one_check() -> None:
    old = samples.run(samples.result(regime="huge", **FAIL), samples.result(regime="tie", **PASS))
    new = samples.run(samples.result(regime="huge", **PASS), samples.result(regime="tie", **FAIL))
    assert kinds(old, new) == set()


@pytest.mark.parametrize("form", ["json", "html"])
def test_the_command_reads_json_and_html(tmp_path: Path, form: str) -> None:
    def put(name: str, run: Run) -> Path:
        if form == "html":
            return html.write(run, tmp_path / name)
        write(run, tmp_path / f"{name}.json")
        return tmp_path / f"{name}.json"

    old, new = put("old", one(**PASS)), put("new", one(**FAIL))
    result = call("compare", old, new, "--json", tmp_path / "changes.json")
    assert result.exit_code == 1
    assert "New findings (1)" in result.output
    assert "pass 1.0 → fail 12.0" in result.output
    changes = json.loads((tmp_path / "changes.json").read_text())
    assert changes["regressed"]
    assert changes["new"][0]["check"] == "accuracy"
    assert call("compare", new, old).exit_code == 0
    assert call("compare", old, old).exit_code == 0
    assert json.loads(call("compare", new, old, "--json", "-").stdout)["fixed"]


def test_an_html_report_holds_the_whole_run(tmp_path: Path) -> None:
    run = samples.full_run()
    assert read(html.write(run, tmp_path)) == run
    hostile = samples.hostile_run()
    assert read(html.write(hostile, tmp_path)) == hostile


@pytest.mark.parametrize(
    "text", ["<html></html>", "{}", "nothing", '<template id="lossproof-results">AAAA</template>']
)
def test_what_holds_no_results_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "other.html"
    path.write_text(text)
    result = call("compare", path, path)
    assert result.exit_code == 2
    assert str(path) in result.output.replace("\n", "")


def test_runs_with_nothing_in_common_are_no_success(tmp_path: Path) -> None:
    write(one(**PASS), tmp_path / "old.json")
    write(one(**SKIP), tmp_path / "new.json")
    assert call("compare", tmp_path / "old.json", tmp_path / "new.json").exit_code == 3


def test_other_cases_are_said_to_be_others() -> None:
    notes = compare(one(), dataclasses.replace(one(), seed=8)).notes
    assert notes == ["the seeds differ (7, 8): the cases are not the same ones"]
