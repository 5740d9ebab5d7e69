"""The report in a real browser: what a person does with it."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import report_samples as samples
from browser import chromium, launched, opened
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Run, Verdict
from lossproof.audit.run import run as run_plan
from lossproof.report import html

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(
        chromium() is None, reason="no Chromium: install Debian's package chromium, or set CHROMIUM"
    ),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="Playwright is not installed"),
]

SCHEMES = ["light", "dark"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def real() -> Run:
    """A run of right and of wrong code, in NumPy; a small one, since it is the page that is tested."""
    options = Options(
        targets=("textbook:epsilon_in_log", "portable"),
        losses=("cross_entropy", "mse"),
        frameworks=("numpy",),
        dtypes=("float32",),
        regimes=("ordinary", "confident", "common_offset"),
        jobs=1,
    )
    return run_plan(plan(options), lambda event: None)


@pytest.fixture(scope="module")
def report(real: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return html.write(real, tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with one of everything, charts among them."""
    return html.write(samples.full_run(), tmp_path_factory.mktemp("sample"))


def shown(found: Any, selector: str) -> list[str]:
    """The texts of the elements that are not hidden."""
    return [element.inner_text() for element in found.page.locator(selector).all() if element.is_visible()]


def test_it_loads_from_a_file_asks_for_nothing_and_complains_of_nothing(
    browser: Browser, report: Path
) -> None:
    found = opened(browser, report)
    found.draw()
    assert found.requests == [report.as_uri()]
    assert found.complaints == []
    assert "finding" in found.page.locator("h1").inner_text()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_charts_are_drawn_when_they_come_into_view_and_not_before(
    browser: Browser, sample: Path, scheme: str
) -> None:
    found = opened(browser, sample, scheme=scheme)
    charts = found.page.locator("figure.chart")
    assert charts.count() == 2
    assert found.page.evaluate("typeof vegaEmbed") == "undefined"
    assert not charts.first.is_visible()
    found.draw()
    assert [charts.nth(i).get_attribute("data-state") for i in range(2)] == ["drawn", "drawn"]
    for i in range(2):
        assert charts.nth(i).locator("canvas").bounding_box()["width"] > 100  # type: ignore[index]
    assert found.complaints == []
    assert found.requests == [sample.as_uri()]


def test_a_chart_shows_the_quantity_that_is_chosen_and_has_a_table_of_it(
    browser: Browser, sample: Path
) -> None:
    found = opened(browser, sample, tail="#loss-cross_entropy")
    found.draw()
    chart = found.page.locator("figure[data-chart=stability]")
    assert "the value in float32" in chart.locator("figcaption").inner_text()
    chart.locator(".as-table summary").click()
    row = chart.locator("table", has_text="textbook.cross_entropy_epsilon").locator("tbody tr").first
    row.wait_for()  # the table is made when it is opened
    assert row.locator("td").all_inner_texts() == ["0", "4.5", "nan", "inf"]
    chart.get_by_label("gradient").check(force=True)
    chart.locator("figcaption", has_text="the gradient in float32").wait_for()
    chart.locator("table", has_text="textbook").wait_for(state="detached")


def test_filters_leave_what_is_wanted_and_the_address_brings_it_back(browser: Browser, report: Path) -> None:
    found = opened(browser, report)
    rows = "table.matrix tbody tr"
    assert len(shown(found, rows)) == 2
    found.page.get_by_label("Loss", exact=True).fill("mse")
    assert [text.split()[0] for text in shown(found, rows)] == ["mse"]
    assert found.page.locator("#shown").inner_text() == "1 of 2 losses shown, 1 finding hidden"
    assert "loss=mse" in found.page.url
    again = opened(browser, report, tail="?" + found.page.url.partition("?")[2])
    assert [text.split()[0] for text in shown(again, rows)] == ["mse"]
    again.page.get_by_role("button", name="Show all").click()
    again.page.wait_for_function("document.getElementById('shown').textContent.startsWith('All 2')")
    assert len(shown(again, rows)) == 2


def test_a_cell_tells_the_worst_of_the_dtypes_and_verdicts_that_are_wanted(
    browser: Browser, sample: Path
) -> None:
    found = opened(browser, sample)
    cell = found.page.locator(".cell", has_text="cross_entropy_epsilon")
    assert "! 16.4" in cell.inner_text()
    found.page.locator("form.filters").get_by_label("float64").check(force=True)
    assert "✗ 16.4" in cell.inner_text()
    assert shown(found, "table.matrix tbody th") == ["cross_entropy"]
    found.page.get_by_role("button", name="Show all").click()
    found.page.locator("form.filters").get_by_label("waived").check(force=True)
    assert shown(found, "table.matrix tbody th") == ["kl_divergence"]
    assert len(shown(found, "details.finding")) == 1
    found.page.get_by_role("button", name="Show all").click()
    found.page.locator("form.filters").get_by_label("jax").check(force=True)
    assert shown(found, "table.matrix tbody th") == ["kl_divergence", "logsumexp"]
    assert "textbook" not in " ".join(shown(found, "table.matrix thead th"))
    assert found.page.locator("#skipped").is_visible()  # what was not checked is never filtered away


def test_a_finding_s_link_opens_at_it(browser: Browser, sample: Path) -> None:
    for name in ("f1a2", "f3", "f4"):  # open, among the others of a cause, and closed since it is waived
        found = opened(browser, sample, tail=f"#finding-{name}")
        target = found.page.locator(f"#finding-{name}")
        target.locator("code", has_text="torch.tensor").first.wait_for(state="visible")
        box = target.bounding_box()
        assert box is not None
        assert -10 <= box["y"] < 900


def test_a_link_opens_again_what_was_closed_since(browser: Browser, sample: Path) -> None:
    found = opened(browser, sample, tail="#loss-cross_entropy")
    loss = found.page.locator("#loss-cross_entropy")
    loss.locator("summary").first.click()
    assert loss.get_attribute("open") is None
    found.page.locator(".of-losses a", has_text="cross_").click()
    assert loss.get_attribute("open") is not None


def test_the_copy_button_copies_the_snippet(browser: Browser, report: Path, real: Run) -> None:
    finding = next(
        each for each in real.findings if each.loss == "cross_entropy" and each.check == "accuracy"
    )
    found = opened(browser, report, tail=f"#finding-{finding.id}")
    target = found.page.locator(f"[id=finding-{finding.id}]")
    target.get_by_role("button", name="Copy").first.click()
    target.get_by_role("button", name="Copied").first.wait_for()
    assert found.page.evaluate("navigator.clipboard.readText()") == finding.snippet


@pytest.mark.parametrize(("which", "scheme"), [("report", "light"), ("sample", "light"), ("sample", "dark")])
def test_axe_finds_no_serious_violation(
    browser: Browser, which: str, scheme: str, request: pytest.FixtureRequest
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    found = opened(browser, request.getfixturevalue(which), scheme=scheme)
    found.draw()
    found.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    rules = {
        "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]}
    }
    violations = Axe().run(found.page, options=rules).response["violations"]
    told = [
        (each["id"], node["html"][:160], node["failureSummary"])
        for each in violations
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"][:3]
    ]
    assert told == []


@pytest.mark.parametrize("width", [380, 1600])
@pytest.mark.parametrize("which", ["report", "sample"])
def test_nothing_is_wider_than_the_window(
    browser: Browser, which: str, width: int, request: pytest.FixtureRequest
) -> None:
    found = opened(browser, request.getfixturevalue(which), width=width)
    found.draw()
    found.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert found.page.evaluate("document.documentElement.scrollWidth") == width


def test_the_maps_of_losses_with_long_names_fit_beside_each_other(browser: Browser, tmp_path: Path) -> None:
    run = samples.full_run()
    name = "adapter.cross_entropy_with_a_name_that_is_longer_than_its_panel"
    run.maps = [samples.stability_map(implementation=f"{name}_{i}") for i in range(6)]
    found = opened(browser, html.write(run, tmp_path), width=1280, tail="#loss-cross_entropy")
    found.draw()
    chart = found.page.locator("figure[data-chart=stability]").first
    drawn, room = chart.locator("canvas").bounding_box(), chart.bounding_box()
    assert drawn is not None
    assert room is not None
    assert room["width"] / 2 < drawn["width"] <= room["width"]


def test_the_page_reads_without_scripts(browser: Browser, sample: Path) -> None:
    found = opened(browser, sample, scripts=False)
    assert not found.page.locator("form.filters").is_visible()
    assert not found.page.locator("button.copy").first.is_visible()
    assert len(shown(found, "table.matrix tbody tr")) == 3
    found.page.locator("#loss-cross_entropy > summary").click()
    assert found.page.locator("#loss-cross_entropy table").first.is_visible()
    assert not found.page.locator("figure.chart").first.is_visible()


def test_what_hostile_texts_hold_is_shown_and_not_run(browser: Browser, tmp_path: Path) -> None:
    found = opened(browser, html.write(samples.hostile_run(), tmp_path))
    said: list[str] = []
    found.page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    found.draw()
    found.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    charts = found.page.locator("figure.chart")
    assert [charts.nth(i).get_attribute("data-state") for i in range(charts.count())] == ["drawn", "drawn"]
    assert samples.SCRIPT in found.page.locator("main").inner_text()
    charts.first.locator("canvas").scroll_into_view_if_needed()
    canvas = charts.first.locator("canvas").bounding_box()
    assert canvas is not None
    found.page.mouse.move(canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2)
    found.page.locator("#vg-tooltip-element.visible").wait_for()
    assert samples.SCRIPT in found.page.locator("#vg-tooltip-element").inner_text()
    assert said == []
    assert found.complaints == []
    assert found.page.locator("script").count() == 2  # ours and the chart library


def test_the_title_of_a_user_s_own_spec_stays_text(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "evil.yaml").write_text(
        f'loss: evil\ntitle: "{samples.SCRIPT}"\ntext: "{samples.SCRIPT}"\ninputs:\n'
        "  x: {shape: [N], domain: real}\ndefinition: square(x)\n"
        f'laws:\n  nonnegative: {{law: evil(x) >= 0, text: "{samples.SCRIPT}"}}\n',
        encoding="utf-8",
    )
    (tmp_path / "mine.py").write_text(
        "from lossproof import implements\n\n"
        '@implements("evil.yaml", framework="numpy", dtypes=["float32"])\ndef mine(x):\n    return x * x\n',
        encoding="utf-8",
    )
    run = run_plan(plan(Options(targets=(str(tmp_path / "mine.py"),), jobs=1)), lambda event: None)
    found = opened(browser, html.write(run, tmp_path), tail="#loss-evil")
    loss = found.page.locator("#loss-evil")
    assert loss.inner_text().count(samples.SCRIPT) == 3
    assert found.page.locator("main script").count() == 0
    assert found.complaints == []


def test_two_runs_stand_side_by_side(browser: Browser, tmp_path: Path) -> None:
    old = samples.run(samples.result())
    new = samples.run(samples.result(verdict=Verdict.FAIL, bits_lost=16.4, reason="broken since"))
    found = opened(browser, html.write(new, tmp_path, old), tail="#changes")
    row = found.page.locator("#changes tbody tr")
    assert re.sub(r"\s+", " ", row.inner_text()).endswith("accuracy ✓ pass 0.5 ✗ fail 16.4 broken since")
