"""What all tests of a run have examined, as one run: its report, its JSON, its line in the summary of pytest.

Rows travel with the reports of tests, so it is the same with the worker processes of pytest-xdist as without, and what
a worker found before it crashed is kept.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from lossproof.pytest_plugin.accepted import ACCEPTED
from lossproof.pytest_plugin.options import Asked, Files

if TYPE_CHECKING:
    from lossproof.audit.results import Run

RUNS = pytest.StashKey["list[Run]"]()
"""On an item: what it has examined and not reported yet."""

ROWS = "lossproof"
"""The attribute of a report that brings what its test has examined: texts, which travel between processes."""


class Recorder:
    """Collects what reports bring, and writes it once, at the end of the session.

    Raises pytest.UsageError where the report or the JSON cannot be written, before anything runs.
    """

    def __init__(self, config: pytest.Config, asked: Asked, adapters: Files | None) -> None:
        self._config, self._asked, self._adapters = config, asked, adapters
        self._texts: list[str] = []
        self._run: Run | None = None
        self._written: list[str] = []
        if (asked.report or asked.json) and not config.option.collectonly:
            from lossproof.errors import UsageError
            from lossproof.report import files

            try:
                if asked.report is not None:
                    files.prepare(asked.report, directory=True)
                for path in asked.json:
                    files.prepare(path)
            except UsageError as error:
                raise pytest.UsageError(str(error)) from None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._texts += getattr(report, ROWS, ())

    def pytest_sessionfinish(self) -> None:
        asked = self._asked
        wanted = asked.report is not None or asked.json
        if self._config.option.collectonly or not (self._texts or wanted):
            return
        from lossproof.audit.merge import merged
        from lossproof.report import html, json

        runs = [json.parse(text, "report of a test") for text in self._texts]
        self._run = merged(runs, asked.seed, asked.profile)
        for path in asked.json:
            json.write(self._run, path)
            self._written.append(f"results: {path}")
        if asked.report is not None:
            self._written.append(f"report: {html.write(self._run, asked.report)}")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for reports in terminalreporter.stats.values():
            for report in reports:
                _spell(report)
        if self._run is None:
            return
        from lossproof.report import digest

        terminalreporter.section("lossproof")
        told = digest.totals_text(self._run) if digest.checked(self._run) else "nothing was checked"
        terminalreporter.line(f"{told}; profile {self._run.profile}, seed {self._run.seed}")
        if said := self._remarks(self._run):
            from lossproof.report.terminal import UNHELD

            terminalreporter.line(f"{UNHELD}:")
            for line in said:
                terminalreporter.line(f"  {line}")
        for line in self._written:
            terminalreporter.line(line)

    def _remarks(self, run: Run) -> list[str]:
        """What is to be said against the waivers of the options; those of markers are for single tests."""
        if not self._asked.waivers:
            return []
        from lossproof.errors import LossproofError
        from lossproof.gate.verdict import remarks
        from lossproof.report.text import one_line

        sources = {path.stem: [path] for path in (self._adapters.every if self._adapters is not None else ())}
        try:
            accepted = self._config.stash[ACCEPTED].of(self._asked.waivers)
            said = remarks(run, accepted, self._asked.fail_on, narrowed=True, sources=sources)
        except LossproofError:  # told where the waivers were read
            return []
        return [one_line(line) for line in said]


def _spell(report: object) -> None:
    """Have a node id of ours printed as it is.

    pytest 9.2 takes apart what stands behind the first bracket, and prints it with one more at its end; what is
    printed in the summary is there to be copied.
    """
    identity = getattr(report, "_id", None)
    if "]::" in (getattr(identity, "params", None) or ""):
        names = (str(identity).partition("::")[2],)
        report._id = dataclasses.replace(identity, names=names, params=None)  # type: ignore[attr-defined,type-var]
