"""The pytest plugin: a fixture, a marker, and items for the implementations in adapter files.

pytest loads it in every run of an environment that has lossproof, so nothing here imports more than pytest has
imported already: the engine comes with the first fixture, adapter file or report that needs it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from lossproof.pytest_plugin import options
from lossproof.pytest_plugin.accepted import ACCEPTED, Accepted
from lossproof.pytest_plugin.record import ROWS, RUNS, Recorder

if TYPE_CHECKING:
    from lossproof.pytest_plugin.fixture import Lossproof

MARKER = (
    "lossproof(profile=…, dtypes=…, waivers=…): how the fixture lossproof checks in this test; "
    "waivers is a file, relative to the rootdir."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    asked = config.stash[options.ASKED] = options.read(config)
    config.stash[ACCEPTED] = Accepted()
    files = options.adapters(config)
    if not hasattr(config, "workerinput"):  # a worker of pytest-xdist; what it found goes with its reports
        config.pluginmanager.register(Recorder(config, asked, files), "lossproof-recorder")
    if files is not None:
        from lossproof.pytest_plugin.collect import Collecting

        config.pluginmanager.register(
            Collecting(files, asked, config.stash[ACCEPTED]), "lossproof-collecting"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test has examined travels with its report, from a worker process too."""
    report = yield
    if runs := item.stash.get(RUNS, None):
        from lossproof.report import json

        report.__dict__[ROWS] = [json.text(run) for run in runs]
        runs.clear()
    return report


@pytest.fixture
def lossproof(request: pytest.FixtureRequest) -> Lossproof:
    """Checks loss functions: lossproof.verify(function, "loss", **options) raises AssertionError with the minimal case,
    lossproof.check(...) returns the findings. Options as for lossproof.check."""
    from lossproof.pytest_plugin.fixture import of_test

    return of_test(request.node)
