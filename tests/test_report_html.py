from __future__ import annotations

import re
import sys
import types
from html.parser import HTMLParser
from pathlib import Path

import pytest

import report_samples as samples
from lossproof.audit.results import Run, Verdict
from lossproof.report import html
from lossproof.report.formula import Formula

VOID = {"meta", "br", "wbr", "link", "hr", "img", "input"}


class Tree(HTMLParser):
    """Checks nesting and gathers ids, links and tags."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            elif name in ("href", "src"):
                self.links.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


RUNS = [samples.run(), samples.clean_run(), samples.full_run(), samples.hostile_run()]


@pytest.mark.parametrize("run", RUNS)
def test_the_page_is_well_formed_and_asks_for_nothing_outside_itself(run: Run) -> None:
    page = html.page(run)
    tree = Tree(page)
    assert all(link.startswith("#") for link in tree.links)
    assert {link[1:] for link in tree.links} <= set(tree.ids)
    assert len(tree.ids) == len(set(tree.ids))
    assert not re.search(r"https?:|url\(|@import", page)
    assert tree.tags.isdisjoint({"script", "link", "iframe", "img"})
    assert "default-src 'none'" in page


def test_markup_and_terminal_codes_of_others_stay_text() -> None:
    page = html.page(samples.hostile_run())
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert "\x07" not in page


def test_markup_in_a_spec_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = samples.SCRIPT
    told = Formula(
        title=evil, cite=evil, definition=evil, mathml="<math><mi>x</mi></math>", laws={"uniform": evil}
    )
    monkeypatch.setattr(html, "about", lambda loss: told)
    page = html.page(samples.full_run())
    assert "<script>" not in page
    assert page.count("&lt;script&gt;") >= 4
    assert "<math><mi>x</mi></math>" in page


def test_a_loss_without_a_known_spec_is_still_reported() -> None:
    page = html.page(samples.run(samples.result(loss="gone_since")))
    assert "gone_since" in page


def test_the_page_tells_all_that_the_run_found() -> None:
    page = html.page(samples.full_run())
    for part in (
        "11 checks: 4 pass, 1 degraded, 2 fail, 1 error, 1 waived, 2 skip",
        "27 undecided",
        "[[0, 30.5]]",
        "no CUDA device",
        "RuntimeError: no grad",
        "cannot be imported",
        "nan for target 0, known upstream",
        "cancels under an offset",
        "nll is the definition",
        "2.13.0",
        "Not everything was checked",
        'id="finding-f3"',
        "gradient",
    ):
        assert part.replace("'", "&#39;") in page, part


def test_a_page_claims_completeness_only_where_nothing_was_left_out() -> None:
    assert "Not everything was checked" not in html.page(samples.clean_run())
    assert "No finding." in html.page(samples.clean_run())
    skipped = samples.run(samples.result(), samples.result(verdict=Verdict.SKIP, reason="no CUDA device"))
    assert "No finding in what was checked." in html.page(skipped)
    assert "no check ran" in html.page(samples.run())


def test_a_column_in_which_nothing_ran_is_named_below_the_matrix() -> None:
    skip = samples.result(device="cuda", verdict=Verdict.SKIP, reason="no CUDA device")
    page = html.page(samples.run(samples.result(), skip))
    matrix = page.partition('id="matrix"')[2].partition("</section>")[0]
    assert matrix.count('<th scope="col">') == 2
    assert "torch_functional torch cuda" in matrix
    assert "1 not checked: no CUDA device" in page
    assert "Without a column" not in html.page(samples.clean_run())


def test_waived_findings_stand_apart_from_those_to_act_on() -> None:
    findings, _, waived = html.page(samples.full_run()).partition('id="waived"')
    assert 'id="finding-f1a2"' in findings
    assert 'id="finding-f4"' in waived
    only = samples.run(samples.result(verdict=Verdict.WAIVED, bits_lost=9.0, reason="known"))
    assert 'No finding but those that are <a href="#waived">waived</a>.' in html.page(only)


def test_names_are_broken_where_a_reader_would_and_stay_escaped() -> None:
    assert html._breakable("a_b.c_<i>") == "a_<wbr>b.<wbr>c_&lt;i&gt;"
    assert html._breakable("4.2 bits") == "4.2 bits"


def test_equal_runs_give_equal_pages() -> None:
    assert html.page(samples.full_run()) == html.page(samples.full_run())


def test_the_page_is_one_file_in_its_directory(tmp_path: Path) -> None:
    path = html.write(samples.full_run(), tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b" / "index.html"
    assert [entry.name for entry in path.parent.iterdir()] == ["index.html"]


def test_the_environment_is_told_flat() -> None:
    assert html.flat({"a": {"b": None, "c": [1, 2]}, "d": "x"}) == [
        ("a b", "none"),
        ("a c", "1, 2"),
        ("d", "x"),
    ]


def test_a_known_loss_is_shown_with_its_formula_and_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("lossproof.expression.mathml")
    vars(module)["mathml"] = lambda spec: f"<math><mi>{spec.loss}</mi></math>"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    page = html.page(samples.run(samples.result(loss="mse", check="law:nonnegative")))
    assert "<math><mi>mse</mi></math>" in page
    assert "Mean squared error" in page
    assert "mse(prediction, target) &gt;= 0" in page


def test_a_loss_without_its_mathml_keeps_its_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lossproof.expression.mathml", None)
    assert "Mean squared error" in html.page(samples.run(samples.result(loss="mse")))
