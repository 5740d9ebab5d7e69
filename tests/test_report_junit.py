from __future__ import annotations

import xml.etree.ElementTree as ET

import report_samples as samples
from lossproof.report import junit


def parse(run: samples.Run, fail_on: str = "fail") -> ET.Element:
    return ET.fromstring(junit.text(run, fail_on))


def test_every_row_and_every_problem_is_a_case() -> None:
    run = samples.full_run()
    root = parse(run)
    assert len(root.findall("*/testcase")) == len(run.results) + len(run.problems)
    assert root.attrib["tests"] == "12"
    assert root.attrib["failures"] == "2"
    assert root.attrib["errors"] == "2"
    assert sum(int(suite.attrib["skipped"]) for suite in root) == 3


def test_a_failure_carries_its_minimal_case() -> None:
    failure = parse(samples.full_run()).find("*/testcase/failure")
    assert failure is not None
    assert failure.attrib["message"] == "16.4 bits lost: 27.631 instead of 30.5"
    assert "logits: [[0, 30.5]]" in (failure.text or "")


def test_degraded_rows_fail_only_on_request() -> None:
    assert len(parse(samples.full_run()).findall("*/testcase/failure")) == 2
    assert len(parse(samples.full_run(), "degraded").findall("*/testcase/failure")) == 3


def test_a_waived_row_is_skipped_with_its_reason() -> None:
    messages = [e.attrib["message"] for e in parse(samples.full_run()).findall("*/testcase/skipped")]
    assert "waived: nan for target 0, known upstream" in messages
    assert "no CUDA device" in messages


def test_markup_and_control_characters_stay_text() -> None:
    text = junit.text(samples.hostile_run())
    assert "<script>" not in text
    assert "\x1b" not in text
    assert any(samples.SCRIPT in case.attrib["name"] for case in ET.fromstring(text).iter("testcase"))


def test_a_run_without_rows_is_still_xml() -> None:
    assert parse(samples.run()).attrib["tests"] == "0"
