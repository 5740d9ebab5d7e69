from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import report_samples as samples
from lossproof.audit.results import Verdict
from lossproof.cli import app
from lossproof.report import html, json


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


@pytest.mark.parametrize("form", ["json", "html"])
def test_a_report_is_rendered_again_from_json_or_html(tmp_path: Path, form: str) -> None:
    run = samples.full_run()
    json.write(run, tmp_path / "run.json")
    first = html.write(json.read(tmp_path / "run.json"), tmp_path / "first")
    done = call(first if form == "html" else tmp_path / "run.json", "--html", tmp_path / "again")
    assert done.exit_code == 0, done.output
    assert done.output == f"report: {tmp_path / 'again' / 'index.html'}\n"
    assert (tmp_path / "again" / "index.html").read_bytes() == first.read_bytes()


def test_two_results_stand_side_by_side(tmp_path: Path) -> None:
    json.write(samples.run(samples.result()), tmp_path / "old.json")
    json.write(samples.run(samples.result(verdict=Verdict.FAIL, bits_lost=16.4)), tmp_path / "new.json")
    done = call(tmp_path / "old.json", tmp_path / "new.json", "--html", tmp_path)
    assert done.exit_code == 0, done.output
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "New findings" in page
    assert json.read(tmp_path / "index.html") == json.read(tmp_path / "new.json")


@pytest.mark.parametrize("text", ["{}", "<html></html>", "nothing"])
def test_what_holds_no_results_is_told_in_a_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "other").write_text(text, encoding="utf-8")
    done = call(tmp_path / "other", "--html", tmp_path / "out")
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert not (tmp_path / "out" / "index.html").exists()
