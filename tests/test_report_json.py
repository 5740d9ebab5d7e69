from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import report_samples as samples
from lossproof.audit.results import Run
from lossproof.errors import UsageError
from lossproof.report import json as report

CONTRACT = [
    *("loss", "implementation", "framework", "device", "mode", "dtype", "check", "regime", "verdict"),
    *("cases", "undecided", "bits_lost", "reason", "finding"),
]


@pytest.mark.parametrize(
    "run", [samples.run(), samples.clean_run(), samples.full_run(), samples.hostile_run()]
)
def test_what_is_written_fits_the_schema_and_reads_back_equal(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    report.write(run, path)
    document = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(report.schema())
    jsonschema.validate(document, report.schema(), cls=jsonschema.Draft202012Validator)
    assert report.read(path) == run


def test_keys_stand_in_the_order_of_the_contract() -> None:
    document = report.document(samples.full_run())
    top = ["schema", "lossproof", "seed", "profile", "environment", "results", "findings"]
    assert list(document)[: len(top)] == top
    assert list(document["results"][0]) == CONTRACT


def test_infinite_bits_are_a_string_and_unmeasured_ones_null() -> None:
    rows = samples.run(
        samples.result(bits_lost=math.inf), samples.result(bits_lost=None), samples.result(bits_lost=2)
    )
    assert [row["bits_lost"] for row in report.document(rows)["results"]] == ["inf", None, 2]


def test_the_text_is_strict_json_whatever_a_run_holds() -> None:
    run = samples.full_run()
    run.environment["odd"] = math.nan
    found = dataclasses.replace(run.findings[0], parameters={"temperature": math.inf})
    run.findings[0] = found

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    json.loads(report.text(run), parse_constant=refuse)


def test_equal_runs_differ_in_their_timing_alone() -> None:
    first, second = report.document(samples.full_run()), report.document(samples.full_run())
    slower = samples.full_run()
    slower.seconds = 99.0
    third = report.document(slower)
    assert first == second != third
    del first["timing"], third["timing"]
    assert json.dumps(first) == json.dumps(third)


def test_rows_of_a_skip_need_a_reason() -> None:
    document = report.document(samples.full_run())
    document["results"][4]["reason"] = None
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, report.schema(), cls=jsonschema.Draft202012Validator)


def _broken(change: Any) -> str:
    document = report.document(samples.full_run())
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("\x00", "is not JSON"),
        ('{"schema": 1, "results": [NaN]}', "NaN is no JSON number"),
        ("[]", "is no file of results"),
        ('{"a": 1}', "is no file of results"),
        (_broken(lambda d: d.update(schema=2)), "has schema 2; this version of lossproof reads schema 1"),
        (_broken(lambda d: d["results"][3].pop("loss")), r"results\[3\].loss: field required"),
        (_broken(lambda d: d["results"][0].update(verdict="good")), r"results\[0\].verdict: input should be"),
        (_broken(lambda d: d.update(findings=3)), "findings: input should be a valid list"),
        (_broken(lambda d: d.pop("seed")), "seed: field required"),
        (_broken(lambda d: d.update(timing=3, problems=[3])), r"problems\[0\]"),
        (_broken(lambda d: d["timing"].update(seconds="soon")), "seconds: "),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_a_file_that_is_no_run_is_one_line_with_its_place(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=message) as caught:
        report.read(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_file_of_before_tolerances_and_maps_reads_as_one_without_them(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(_broken(lambda d: [d.pop(key) for key in ("tolerances", "planes", "maps")]))
    found = report.read(path)
    assert (found.tolerances, found.planes, found.maps) == ([], [], [])
    assert found.results == samples.full_run().results


def test_what_there_is_much_of_has_a_line_for_each_entry() -> None:
    run = samples.full_run()
    lines = report.text(run).splitlines()
    entries = [json.loads(line.strip().rstrip(",")) for line in lines if line.startswith('  {"loss"')]
    kinds = (run.results, run.implementations, run.tolerances, run.planes, run.maps)
    assert len(entries) == sum(len(kind) for kind in kinds)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        report.read(tmp_path / "none.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="is not JSON"):
        report.read(tmp_path / "binary")


def test_unknown_keys_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(_broken(lambda d: (d.update(more=1), d["results"][0].update(more=1))))
    assert report.read(path) == samples.full_run()


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        report.write(samples.clean_run(), tmp_path / "file" / "x.json")
    with pytest.raises(UsageError, match="is a directory"):
        report.write(samples.clean_run(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
