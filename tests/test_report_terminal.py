from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

import report_samples as samples
from lossproof.audit.events import CellFinished, ProblemMet, RunFinished, RunStarted
from lossproof.audit.results import Problem, Run, Verdict
from lossproof.report.console import console
from lossproof.report.progress import Bar, Lines, listener
from lossproof.report.terminal import summary


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def shown(run: Run, **options: Any) -> str:
    stream = io.StringIO()
    summary(run, console(stream), **options)
    return stream.getvalue()


def test_a_finding_shows_its_case_what_was_expected_and_how_to_see_it_again() -> None:
    text = shown(samples.full_run(), replay="x.json")
    for part in (
        "textbook.cross_entropy_epsilon · torch float32 eager · accuracy FAILS: 16.4 bits lost  [f1a2]",
        "[[0, 30.5]]",
        "reduction = none, epsilon = 0.1",
        "[27.631021]",
        "3.6e-06",
        "epsilon in the logarithm: saturates at -log(1e-12)",
        "accuracy in float64 eager",
        "lossproof replay x.json f1a2",
        "│ import torch",
        "gradient (ordinary) error: RuntimeError: no grad",
    ):
        assert part in text


def test_the_last_line_says_where_the_report_lies_and_the_one_before_counts() -> None:
    lines = shown(samples.full_run(), written=["report: out/index.html"]).splitlines()
    assert lines[-1] == "report: out/index.html"
    assert lines[-2].startswith("11 checks: 4 pass, 1 degraded, 2 fail, 1 error, 1 waived, 2 skip")


def test_a_run_with_skips_or_problems_says_that_it_is_not_everything() -> None:
    text = shown(samples.full_run())
    assert "Not everything was checked: 2 checks skipped, 1 problem." in text
    assert "no CUDA device: 1 check of torch_functional.cross_entropy" in text
    assert "mine.py:3: cannot be imported" in text
    assert "Not everything" not in shown(samples.clean_run())
    assert "Nothing was checked." in shown(samples.run())
    assert "Nothing was checked." in shown(
        samples.run(samples.result(verdict=Verdict.SKIP, reason="no CUDA device"))
    )


def test_waived_and_degraded_rows_are_told_but_are_no_findings() -> None:
    text = shown(samples.run(*samples.full_run().results[-2:], findings=(samples.full_run().findings[-1],)))
    assert "Findings" not in text
    assert "optax_losses.kl · jax · accuracy (float32 eager), up to ∞ bits lost: nan for target 0" in text
    assert "cancels under an offset" in text


def test_degraded_findings_are_shown_in_full_on_request() -> None:
    run = samples.run(
        samples.result(verdict=Verdict.DEGRADED, finding="f1a2"),
        findings=(samples.finding(verdict=Verdict.DEGRADED),),
    )
    assert "[[0, 30.5]]" not in shown(run)
    assert "[[0, 30.5]]" in shown(run, fail_on="degraded")


def test_plain_output_has_no_terminal_codes_even_from_others() -> None:
    text = shown(samples.hostile_run())
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "[bold]" in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_narrow_terminal_is_no_error(width: int) -> None:
    stream = io.StringIO()
    summary(samples.full_run(), Console(file=stream, width=width, markup=False))
    assert "16.4" in stream.getvalue()


def test_a_terminal_gets_colours_and_a_bar_unless_the_user_wants_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    summary(samples.full_run(), console(stream))
    assert "\x1b[" in stream.getvalue()
    assert isinstance(listener(console(stream)), Bar)
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    summary(samples.full_run(), console(stream))
    assert "\x1b[" not in stream.getvalue()
    assert isinstance(listener(console(stream)), Lines)
    assert isinstance(listener(console(io.StringIO())), Lines)


def events(run: Run) -> list[Any]:
    row = run.results[0]
    where = (row.implementation, row.loss, row.framework, row.device, row.mode, row.dtype)
    return [
        RunStarted(2),
        CellFinished(*where, tuple(run.results), tuple(run.findings), 1.5),
        ProblemMet(Problem("mine.py", "broken\x1b[0m")),
        CellFinished(*where, (samples.result(verdict=Verdict.SKIP, reason="no CUDA device"),), (), 0.0),
        CellFinished(*where, (), (), 0.0),
        RunFinished(run),
    ]


def test_without_a_terminal_progress_is_a_line_per_cell() -> None:
    stream = io.StringIO()
    with listener(console(stream)) as progress:
        for event in events(samples.clean_run()):
            progress(event)
    lines = stream.getvalue().splitlines()
    assert (
        lines[0]
        == "[1/2] ✓ pass     torch_functional.cross_entropy torch float32 eager  1.2 bits lost  1.5 s"
    )
    assert lines[1] == "error: mine.py: broken\\x1b[0m"
    assert lines[2].endswith("no CUDA device  0.0 s")


def test_on_a_terminal_the_bar_prints_what_failed_above_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    with listener(console(stream)) as progress:
        for event in events(samples.full_run()):
            progress(event)
    assert "mine.py" in stream.getvalue()
    assert "! error" in stream.getvalue()
