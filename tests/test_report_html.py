from __future__ import annotations

import base64
import hashlib
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import report_samples as samples
from lossproof.audit.results import Bound, Run, Verdict
from lossproof.report import embedded, html, json
from lossproof.report.formula import Formula, LawText
from lossproof.report.html import losses
from lossproof.report.html.page import flat
from lossproof.report.html.rendering import breakable

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
    assert tree.tags.isdisjoint({"link", "iframe", "img", "object", "embed", "base"})
    assert "default-src 'none'" in page


@pytest.mark.parametrize("run", RUNS)
def test_the_only_script_is_the_page_s_own_and_the_policy_knows_it(run: Run) -> None:
    page = html.page(run)
    (script,) = re.findall(r"<script[^>]*>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert f"'sha256-{digest}'" in policy
    assert "unsafe-eval" not in policy
    assert not re.search(r"script-src[^;]*unsafe-inline", policy)
    assert not re.search(r"<[^>]+\son[a-z]+=", page)


def test_the_chart_library_comes_along_only_where_something_is_drawn() -> None:
    assert 'id="vega"' in html.page(samples.full_run())
    plain = html.page(samples.clean_run())
    assert 'id="vega"' not in plain
    assert len(plain) < 100_000


@pytest.mark.parametrize("run", RUNS)
def test_the_charts_find_in_the_page_what_the_run_holds(run: Run) -> None:
    assert json.parse(embedded.unpack(html.page(run)), "page") == run


def test_markup_and_terminal_codes_of_others_stay_text() -> None:
    page = html.page(samples.hostile_run())
    assert page.count("<script>") == 1
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "\x1b" not in page
    assert "\x07" not in page


def test_markup_in_a_spec_stays_text(monkeypatch: pytest.MonkeyPatch) -> None:
    evil = samples.SCRIPT
    law = LawText(evil, evil, forall=((evil, evil),))
    told = Formula(
        title=evil,
        text=evil,
        cite=evil,
        definition=evil,
        mathml="<math><mi>x</mi></math>",
        inputs=((evil, evil),),
        laws={"uniform": law},
    )
    monkeypatch.setattr(losses, "about", lambda loss, path: told)
    page = html.page(samples.full_run())
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert") >= 10
    assert "<math><mi>x</mi></math>" in page


def test_a_loss_without_a_known_spec_is_still_reported() -> None:
    page = html.page(samples.run(samples.result(loss="gone_since")))
    assert "gone_since" in page


def test_the_page_tells_all_that_the_run_found() -> None:
    page = html.page(samples.full_run())
    for part in (
        "1 finding in 1 of 4 implementations",
        "of 11 checks",
        '<a href="#undecided">27</a>',
        "[[0, 30.5]]",
        "no CUDA device",
        "RuntimeError: no grad",
        "cannot be imported",
        "no C compiler",
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
    clean = html.page(samples.clean_run())
    assert "Not everything was checked" not in clean
    assert "No finding." in clean
    assert '<h1 id="title">No finding</h1>' in clean
    skipped = samples.run(samples.result(), samples.result(verdict=Verdict.SKIP, reason="no CUDA device"))
    assert "No finding in what was checked." in html.page(skipped)
    assert '<h1 id="title">No finding in what was checked</h1>' in html.page(skipped)
    assert '<h1 id="title">Nothing was checked</h1>' in html.page(samples.run())


def test_a_column_in_which_nothing_ran_is_named_below_the_matrix() -> None:
    skip = samples.result(device="cuda", verdict=Verdict.SKIP, reason="no CUDA device")
    page = html.page(samples.run(samples.result(), skip))
    matrix = page.partition('id="matrix"')[2].partition("</section>")[0]
    assert matrix.count('<th scope="col"') == 2
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
    assert breakable("a_b.c_<i>") == "a_<wbr>b.<wbr>c_&lt;i&gt;"
    assert breakable("4.2 bits") == "4.2 bits"


def test_equal_runs_give_equal_pages() -> None:
    assert html.page(samples.full_run()) == html.page(samples.full_run())


def test_the_page_is_one_file_in_its_directory(tmp_path: Path) -> None:
    path = html.write(samples.full_run(), tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b" / "index.html"
    assert [entry.name for entry in path.parent.iterdir()] == ["index.html"]


def test_the_environment_is_told_flat() -> None:
    assert flat({"a": {"b": None, "c": [1, 2]}, "d": "x"}) == [
        ("a b", "none"),
        ("a c", "1, 2"),
        ("d", "x"),
    ]


def test_a_known_loss_is_shown_with_its_formula_and_its_laws_in_words_and_symbols() -> None:
    page = html.page(samples.run(samples.result(check="law:nonnegative")))
    section = page.partition('<details class="loss" id="loss-cross_entropy"')[2]
    assert "Softmax cross-entropy" in section
    assert '<math display="block">' in section
    laws = section.partition('class="laws"')[2]
    assert "The loss is at least 0." in laws
    assert '<math display="inline">' in laws
    assert "ℓ is cross_entropy" in laws
    assert "<mi>ℓ</mi>" in laws
    assert "<mi>cross_entropy</mi>" not in laws


def test_a_loss_without_its_mathml_keeps_its_definition_and_laws_as_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "lossproof.expression.mathml", None)
    page = html.page(samples.run(samples.result(loss="mse", check="law:nonnegative")))
    assert "Mean squared error" in page
    assert "mse(prediction, target) &gt;= 0" in page


def test_conventions_stand_side_by_side_with_who_has_them_built_in() -> None:
    loss = "label_smoothing_cross_entropy"
    run = samples.run(
        samples.result(loss=loss, implementation="torch_functional.smoothed"),
        samples.result(loss=loss, implementation="portable.smoothed"),
        samples.result(loss=loss, implementation="other.smoothed"),
    )
    run.implementations = [
        Bound(loss, "torch_functional.smoothed", "torch", {"smoothing": "all", "epsilon": 0.2}),
        Bound(loss, "portable.smoothed", "torch", {}, ("smoothing", "epsilon")),
        Bound(loss, "other.smoothed", "torch"),
    ]
    page = html.page(run)
    table = page.partition("<caption><code>smoothing</code>")[2].partition("</table>")[0]
    others, _, every = table.partition("<code>all</code>")
    assert "unless given" in others
    assert "other.smoothed (torch)" in others
    assert "torch_functional.smoothed (torch)" in every
    assert "torch_functional.smoothed" not in others
    assert others.count("portable.smoothed (torch)") == every.count("portable.smoothed (torch)") == 1
    assert "epsilon = 0.2 in torch_functional.smoothed (torch)" in page


def test_results_that_know_no_conventions_are_still_reported() -> None:
    page = html.page(samples.run(samples.result(loss="label_smoothing_cross_entropy")))
    assert "<caption><code>smoothing</code>" in page


def test_errors_and_stability_are_told_in_numbers_too() -> None:
    page = html.page(samples.full_run())
    row = re.search(
        r"textbook\.<wbr>cross_<wbr>entropy_<wbr>epsilon</th><td>torch float32 eager</td><td>value</td>.*?</tr>",
        page,
    )
    assert row is not None
    cells = re.findall(r'<td class="number[^"]*">([^<]*)</td>', row[0])
    # two points within 3 bits, five beyond, four nan or inf, one undecided
    assert cells == ["2", "5", "4", "1"]
    assert "from 1 to 1e+04 on" in row[0]
    assert "nan or inf" in page
    assert "torch: wrongly refused" in page


def test_what_two_runs_differ_in_stands_in_the_page_of_the_later_one() -> None:
    old = samples.run(
        samples.result(), samples.result(check="gradient", verdict=Verdict.FAIL, bits_lost=12.0)
    )
    new = samples.run(samples.result(verdict=Verdict.FAIL, bits_lost=16.4), samples.result(check="gradient"))
    page = html.page(new, old)
    changes = page.partition('id="changes"')[2].partition("</section>")[0]
    assert '<strong class="change new">1 new</strong>' in changes
    assert '<strong class="change fixed">1 fixed</strong>' in changes
    assert changes.index("New findings") < changes.index(">Fixed<")
    assert "1 new, 1 fixed" in page.partition('id="matrix"')[2]
    assert json.parse(embedded.unpack(page), "page") == new
    assert 'id="changes"' not in html.page(new)


def test_a_cell_names_the_check_that_fails_where_it_measures_no_bits() -> None:
    run = samples.run(
        samples.result(),
        samples.result(check="purity", verdict=Verdict.FAIL, bits_lost=None, reason="changed"),
    )
    page = html.page(run)
    assert '<span class="worst">✗ purity</span>' in page
    assert "torch: fail, purity" in page


def test_undecided_cases_are_told_by_loss() -> None:
    page = html.page(samples.run(samples.result(cases=90, undecided=10)))
    undecided = page.partition('id="undecided"')[2].partition("</section>")[0]
    assert "10.0 %" in undecided
    assert "accuracy (10)" in undecided


def test_where_a_mistake_sets_in_is_told_with_its_finding() -> None:
    breakdown = {"magnitude": "gap in logits", "value": 27.6, "text": "right up to a gap in logits of 27.6"}
    finding = samples.finding(breakdown=breakdown)
    page = html.page(samples.run(samples.result(verdict=Verdict.FAIL, finding="f1a2"), findings=(finding,)))
    assert (
        '<div class="breakdown"><dt>breakdown</dt><dd>right up to a gap in logits of 27.6</dd></div>' in page
    )
