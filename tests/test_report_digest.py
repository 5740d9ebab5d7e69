from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import report_samples as samples
from lossproof.audit.results import Diagnosis, Finding, Verdict, blamed
from lossproof.report import digest, sentences


def test_totals_count_every_row_once() -> None:
    assert digest.totals_text(samples.full_run()) == (
        "11 checks: 4 pass, 1 degraded, 2 fail, 1 error, 1 waived, 2 skip"
    )
    assert digest.totals_text(samples.run()) == "0 checks"
    assert digest.totals_text(samples.run(samples.result())) == "1 check: 1 pass"


def test_the_worst_verdict_and_the_most_bits_stand_for_the_rows() -> None:
    rows = [
        samples.result(bits_lost=1.0),
        samples.result(verdict=Verdict.FAIL, bits_lost=9.0, reason="wrong"),
        samples.result(verdict=Verdict.SKIP, bits_lost=None, reason="no CUDA device", cases=0, undecided=0),
        samples.result(verdict=Verdict.DEGRADED, bits_lost=math.inf, reason="short"),
    ]
    found = digest.digest(rows)
    assert found is not None
    assert (found.verdict, found.bits_lost, found.cases, found.undecided) == (Verdict.FAIL, math.inf, 3600, 9)
    assert found.reason == "wrong"
    assert digest.digest([]) is None


def test_bits_that_a_waiver_accepts_are_not_told_beside_another_verdict() -> None:
    waived = samples.result(verdict=Verdict.WAIVED, bits_lost=math.inf)
    degraded = samples.result(verdict=Verdict.DEGRADED, bits_lost=4.2)
    both, alone = digest.digest([waived, degraded]), digest.digest([waived, samples.result()])
    assert both is not None
    assert alone is not None
    assert (both.verdict, both.bits_lost) == (Verdict.DEGRADED, 4.2)
    assert (alone.verdict, alone.bits_lost) == (Verdict.WAIVED, math.inf)


def test_bits_lost_are_told_once() -> None:
    row = samples.result(verdict=Verdict.DEGRADED, bits_lost=4.2, reason="4.2 of 24 bits lost")
    (line,) = sentences.by_reason(samples.run(row), Verdict.DEGRADED)
    assert line.count("bits lost") == 1
    (line,) = sentences.by_reason(samples.run(replace(row, reason="cancels")), Verdict.DEGRADED)
    assert line.endswith(", up to 4.2 bits lost: cancels")


def test_a_skip_never_hides_behind_a_pass_nor_a_pass_behind_a_skip() -> None:
    skip = samples.result(verdict=Verdict.SKIP, mode="compiled", reason="no C compiler")
    line = digest.lines(samples.run(samples.result(), skip))[0]
    assert line.whole.verdict is Verdict.PASS
    assert line.modes == ("eager",)
    assert digest.lines(samples.run(skip))[0].whole.verdict is Verdict.SKIP
    assert [entry.reason for entry in digest.skipped(samples.run(samples.result(), skip))] == [
        "no C compiler"
    ]


def test_findings_of_one_cause_are_one_with_the_clearest_in_front() -> None:
    found = [
        samples.finding(id="a", check="law:uniform"),
        samples.finding(id="b", dtype="float64"),
        samples.finding(id="c"),
        samples.finding(id="d", mode="compiled"),
    ]
    (cause,) = digest.causes(found)
    assert cause.shown.id == "c"
    assert cause.also == "accuracy in float32 compiled, float64 eager; law uniform in float32 eager"


def test_unexplained_findings_are_grouped_by_check_alone() -> None:
    unexplained = Diagnosis("unexplained", "")
    found = [
        samples.finding(id="a", check="gradient", diagnosis=unexplained),
        samples.finding(id="b", diagnosis=unexplained),
        samples.finding(id="c", dtype="float64", diagnosis=unexplained),
    ]
    assert [[c.shown.id, *(o.id for o in c.others)] for c in digest.causes(found)] == [["b", "c"], ["a"]]


def test_findings_of_other_implementations_or_frameworks_stay_apart() -> None:
    found = [samples.finding(), samples.finding(framework="numpy"), samples.finding(implementation="a.b")]
    assert len(digest.causes(found)) == 3


def test_a_headline_names_who_where_and_what() -> None:
    assert digest.headline(samples.finding()) == (
        "textbook.cross_entropy_epsilon · torch float32 eager · accuracy FAILS: 16.4 bits lost"
    )
    on_cuda = samples.finding(device="cuda", check="law:uniform", bits_lost=None)
    assert digest.headline(on_cuda).endswith("torch cuda float32 eager · law uniform FAILS")


def test_a_failed_row_without_a_finding_is_not_lost() -> None:
    rows = digest.bare(samples.full_run(), blamed("fail"))
    assert [row.reason for row in rows] == ["RuntimeError: no grad"]


def test_laws_broken_by_a_wrong_value_go_with_it_and_stand_alone_where_values_are_right() -> None:
    def unexplained(name: str, check: str, **changes: Any) -> Finding:
        return samples.finding(id=name, check=check, diagnosis=Diagnosis("unexplained", ""), **changes)

    value, law, infinite = (
        unexplained(*each) for each in (("a", "accuracy"), ("b", "law:x"), ("c", "finiteness"))
    )
    elsewhere = unexplained("d", "law:x", implementation="other.f")
    waived = unexplained("e", "law:y", waiver="known")
    found = {
        cause.shown.id: [finding.id for finding in cause.others]
        for cause in digest.causes([law, value, infinite, elsewhere, waived])
    }
    assert found == {"a": ["c", "b"], "d": [], "e": []}
    alone = digest.causes([law, value, infinite])
    assert alone[0].also == "finiteness, law x in float32 eager"
