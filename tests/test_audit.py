"""The engine: what a plan holds, and how a run judges, repeats, survives and counts."""

from __future__ import annotations

import datetime
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lossproof.audit import worker
from lossproof.audit.events import CellFinished, Event, ProblemMet, RunFinished, RunStarted
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Result, Run, Verdict
from lossproof.audit.run import run
from lossproof.errors import UsageError
from lossproof.inputs import PROFILES, draw, expand
from lossproof.spec import library
from lossproof.waivers import Waiver, without

Write = Callable[[str], str]

PREAMBLE = """
import os
import ml_dtypes
import numpy as np
from lossproof import implements

def log_softmax(z):
    d = z - z.max(axis=-1, keepdims=True)
    return d - np.log(np.exp(d).sum(axis=-1, keepdims=True))

def at(x, labels):
    return np.take_along_axis(x, labels[:, None], axis=-1)[:, 0]

def keep(x, bits):
    mask = np.uint32((0xFFFFFFFF << (24 - bits)) & 0xFFFFFFFF)
    return ((x.view(np.uint32) + np.uint32(1 << (23 - bits))) & mask).view(np.float32)
"""

RIGHT = """
@implements("cross_entropy", framework="numpy")
def right(logits, labels):
    return -at(log_softmax(logits), labels)
"""

WRONG = """
@implements("cross_entropy", framework="numpy")
def wrong(logits, labels):
    return -np.log(np.exp(at(log_softmax(logits), labels)) + logits.dtype.type(1e-12))
"""

SQUARES = """
@implements("mse", framework="numpy")
def squares(prediction, target):
    return np.square(prediction - target).mean(axis=-1)
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """An adapter of the given code in a file of its own; gives its path."""
    count = iter(range(100))

    def written(code: str) -> str:
        path = tmp_path / f"mine{next(count)}.py"
        path.write_text(PREAMBLE + textwrap.dedent(code), encoding="utf-8")
        return str(path)

    return written


def check(target: str, **options: Any) -> Run:
    options = {"jobs": 1, "dtypes": ("float32",)} | options
    return run(plan(Options((target,), **options)), lambda event: None)


def rows(found: Run, function: str, check: str = "") -> list[Result]:
    return [
        r
        for r in found.results
        if r.implementation.endswith(f".{function}") and (not check or r.check == check)
    ]


def verdicts(found: Run, function: str, check: str) -> set[Verdict]:
    return {row.verdict for row in rows(found, function, check)}


def what(found: Run) -> tuple[str, ...]:
    """Everything that a run found; as text, in which a nan equals itself."""
    rows = repr(found.results), repr(found.findings), repr(found.problems)
    return *rows, repr(found.tolerances), repr(found.planes), repr(found.maps)


# ---- the same again


def test_the_same_seed_gives_the_same_results_and_findings(write: Write) -> None:
    target = write(RIGHT + WRONG)
    first, second = check(target, seed=3), check(target, seed=3)
    assert first.findings
    assert what(first) == what(second)


def test_any_number_of_processes_gives_the_same_results_and_findings(write: Write) -> None:
    target = write(WRONG + SQUARES)
    alone, together = check(target, maps=True), check(target, maps=True, jobs=2)
    assert alone.findings
    assert alone.tolerances
    assert alone.maps
    assert what(alone) == what(together)


def test_a_single_function_has_the_same_siblings_in_any_number_of_processes(write: Write) -> None:
    nll = """
    @implements("nll", framework="numpy")
    def nll(log_probs, labels):
        return -at(log_probs, labels)
    """
    target = write(RIGHT + textwrap.dedent(nll)) + ":right"
    dtypes = ("float32", "float64")
    assert what(check(target, dtypes=dtypes)) == what(check(target, dtypes=dtypes, jobs=2))


def test_another_seed_gives_other_cases(write: Write) -> None:
    target = write(
        """
        SEEN = []

        @implements("mse", framework="numpy")
        def records(prediction, target):
            SEEN.append(prediction.tobytes())
            return np.square(prediction - target).mean(axis=-1)
        """
    )
    seen = []
    for seed in (0, 0, 1):
        planned = plan(Options((target,), dtypes=("float32",), seed=seed, jobs=1))
        record = planned.cells[0].implementation.function.__globals__["SEEN"]
        record.clear()
        run(planned, lambda event: None)
        seen.append(list(record))
    assert seen[0] == seen[1]
    shared = set(seen[0]) & set(seen[2])
    assert len(shared) < len(set(seen[0])) / 2


def test_a_run_announces_each_cell_once_and_ends(write: Write) -> None:
    events: list[Event] = []
    found = run(plan(Options((write(RIGHT + SQUARES),), jobs=1)), events.append)
    assert isinstance(events[0], RunStarted)
    assert events[0].cells == 4
    finished = [e for e in events if isinstance(e, CellFinished)]
    assert len({(e.implementation, e.dtype) for e in finished}) == len(finished) == 4
    assert isinstance(events[-1], RunFinished)
    assert events[-1].run is found
    assert sum(len(e.results) for e in finished) == len(found.results)


# ---- what breaks


def test_an_exception_is_an_error_of_its_implementation_alone(write: Write) -> None:
    raises = """
    @implements("cross_entropy", framework="numpy")
    def raises(logits, labels):
        raise ZeroDivisionError("by design")
    """
    found = check(write(textwrap.dedent(raises) + WRONG + RIGHT))
    assert Verdict.ERROR in verdicts(found, "raises", "accuracy")
    assert any("ZeroDivisionError: by design" in (r.reason or "") for r in rows(found, "raises"))
    assert Verdict.FAIL in verdicts(found, "wrong", "accuracy")
    assert verdicts(found, "right", "accuracy") == {Verdict.PASS}
    assert not found.problems


def test_an_exception_in_some_cases_leaves_the_others_judged(write: Write) -> None:
    fickle = """
    @implements("cross_entropy", framework="numpy")
    def fickle(logits, labels):
        if logits.shape[-1] == 1:
            raise ValueError("one class")
        return -at(log_softmax(logits), labels)
    """
    found = check(write(fickle))
    assert verdicts(found, "fickle", "accuracy") == {Verdict.PASS, Verdict.ERROR}


def test_a_process_that_dies_loses_its_own_batch_alone(write: Write) -> None:
    dies = """
    @implements("mse", framework="numpy")
    def dies(prediction, target):
        os._exit(7)
    """
    target = write(textwrap.dedent(dies) + WRONG)
    problems: list[Event] = []
    found = run(plan(Options((target,), dtypes=("float32",), jobs=2)), problems.append)
    assert Verdict.FAIL in verdicts(found, "wrong", "accuracy")
    assert [p.message for p in found.problems] == ["the process died with code 7"]
    assert "dies" in found.problems[0].where
    assert [e.problem for e in problems if isinstance(e, ProblemMet)] == found.problems


def test_a_bad_declaration_is_a_problem_beside_what_can_be_checked(write: Write) -> None:
    misspelt = '@implements("cross_entropi", framework="numpy")\ndef misspelt(logits, labels): ...\n'
    found = check(write(misspelt + RIGHT))
    assert len(found.problems) == 1
    assert "cross_entropy" in found.problems[0].message
    assert verdicts(found, "right", "accuracy") == {Verdict.PASS}


# ---- what is skipped, and why


def test_each_check_and_law_has_a_row(write: Write) -> None:
    found = check(write(RIGHT))
    expected = {"accuracy", "gradient", "finiteness", "shape_and_dtype", "purity", "determinism"}
    checks = {row.check for row in found.results}
    assert expected | {"batch_independence", "law:shift_invariance", "law:nonnegative"} <= checks
    assert all(row.reason for row in found.results if row.verdict is Verdict.SKIP)


def test_a_law_that_varies_what_is_fixed_is_skipped_with_the_reason(write: Write) -> None:
    found = check(
        write(
            """
            @implements("cross_entropy", framework="numpy", reduction="mean")
            def mean(logits, labels):
                return -at(log_softmax(logits), labels).mean()
            """
        )
    )
    (law,) = rows(found, "mean", "law:mean_divides_by_weights_or_count")
    assert law.verdict is Verdict.SKIP
    assert law.reason == "the law varies reduction, which the implementation fixes to 'mean'"
    (law,) = rows(found, "mean", "law:log_classes_at_equal_logits")
    assert law.verdict is Verdict.SKIP
    assert law.reason == 'the law is about reduction == "none", which the implementation fixes'
    (law,) = rows(found, "mean", "law:ignored_rows_have_no_influence")
    assert (law.reason or "").endswith("the implementation does not take ignore_index (None unless given)")


NO_SUM = """
@implements("cross_entropy", framework="numpy")
def no_sum(logits, labels, *, reduction="none"):
    if reduction == "sum":
        raise NotImplementedError("no sum here")
    rows = -at(log_softmax(logits), labels)
    return rows if reduction == "none" else rows.mean()
"""


def test_a_value_of_a_parameter_that_is_refused_is_skipped_with_the_reason(write: Write) -> None:
    found = check(write(NO_SUM))
    assert not {Verdict.FAIL, Verdict.ERROR} & verdicts(found, "no_sum", "accuracy")
    reasons = [r.reason or "" for r in rows(found, "no_sum") if r.verdict is Verdict.SKIP]
    assert any("reduction=sum" in reason and "no sum here" in reason for reason in reasons)


def test_a_refused_value_of_a_parameter_is_no_error_of_a_law(write: Write) -> None:
    found = check(write(NO_SUM))
    assert not [r for r in found.results if r.verdict in (Verdict.FAIL, Verdict.ERROR)]
    (law,) = rows(found, "no_sum", "law:sum_adds_rows")
    assert law.verdict is Verdict.SKIP
    (law,) = rows(found, "no_sum", "law:shift_invariance")
    assert law.verdict is Verdict.PASS


def test_a_device_that_is_not_there_is_skipped_in_every_check(write: Write) -> None:
    found, there = check(write(RIGHT), devices=("cuda",)), check(write(RIGHT))
    assert {row.verdict for row in found.results} == {Verdict.SKIP}
    assert {row.check for row in found.results} == {row.check for row in there.results}
    assert all(row.reason for row in found.results)


def test_undecided_elements_are_counted(write: Write) -> None:
    # differences whose square leaves the range of float32
    found = check(write(SQUARES))
    huge = [row for row in rows(found, "squares", "accuracy") if row.undecided]
    assert huge
    assert all(row.cases >= 0 and row.verdict is Verdict.PASS for row in huge)


# ---- waivers


def _waiver(**changes: Any) -> Waiver:
    today = datetime.date.today()
    made = Waiver(
        implementation="mine0.wrong",
        loss="cross_entropy",
        checks=("accuracy", "law:*"),
        reason="known",
        since=today,
        expires=today + datetime.timedelta(days=1),
    )
    return made.model_copy(update=changes)


def _waived(monkeypatch: pytest.MonkeyPatch, *waivers: Waiver) -> None:
    monkeypatch.setattr(worker, "_waivers", lambda: waivers)


def test_a_waiver_may_name_the_parameters_for_which_a_defect_shows() -> None:
    spec = library.get("label_smoothing_cross_entropy")
    recipe = draw(spec, "ordinary", PROFILES["quick"], 0, 1)[0]
    waiver = _waiver(where="epsilon > 0.3")
    for epsilon, left in ((0.5, False), (0.1, True)):
        case = expand(spec, recipe, "float32", parameters={"epsilon": epsilon})
        assert (without(case, spec, [waiver]) is not None) == left


def test_a_finding_that_a_waiver_covers_is_waived(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    _waived(monkeypatch, _waiver())
    found = check(write(WRONG))
    assert Verdict.WAIVED in verdicts(found, "wrong", "accuracy")
    assert Verdict.FAIL not in {row.verdict for row in found.results}
    assert found.findings
    for finding in found.findings:
        assert finding.verdict is Verdict.WAIVED
        assert finding.waiver == "known"


@pytest.mark.parametrize(
    "changes",
    [
        {"expires": datetime.date.today() - datetime.timedelta(days=1)},
        {"implementation": "mine0.other"},
        {"checks": ("gradient",)},
        {"dtypes": ("float64",)},
        {"bits": 1.0},
    ],
    ids=["expired", "other function", "other check", "other dtype", "more bits lost"],
)
def test_a_waiver_that_does_not_cover_a_finding_does_not_count(
    write: Write, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    target = write(WRONG)
    without = check(target)
    _waived(monkeypatch, _waiver(**changes))
    assert what(check(target)) == what(without)


def test_a_waiver_may_tell_its_rows_by_a_parameter(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    target = write(
        """
        @implements("hinge", framework="numpy")
        def wrong(scores, targets, *, margin=1.0):
            return np.maximum(margin - targets * scores, 0) + (margin == 0)
        """
    )
    assert Verdict.FAIL in verdicts(check(target), "wrong", "accuracy")
    _waived(monkeypatch, _waiver(loss="hinge", where="margin == 0 and scores == scores"))
    assert Verdict.FAIL not in verdicts(check(target), "wrong", "accuracy")


def test_rows_that_a_waiver_does_not_cover_still_fail(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    target = write(
        """
        @implements("cross_entropy", framework="numpy")
        def wrong(logits, labels):
            rows = -at(log_softmax(logits), labels)
            return np.where(labels == 0, rows + 1, np.where(labels == 1, rows + 2, rows))
        """
    )
    _waived(monkeypatch, _waiver(where="labels == 0"))
    found = check(target)
    assert Verdict.FAIL in verdicts(found, "wrong", "accuracy")
    (finding,) = [f for f in found.findings if f.check == "accuracy"]
    assert finding.verdict is Verdict.FAIL
    assert 0 not in finding.inputs["labels"]
    _waived(monkeypatch, _waiver(where="labels == 0"), _waiver(where="labels == 1"))
    both = verdicts(check(target), "wrong", "accuracy")
    assert Verdict.FAIL not in both
    assert Verdict.WAIVED in both


def test_a_waiver_about_the_number_of_rows_speaks_of_the_call(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = write(
        """
        @implements("hinge", framework="numpy")
        def wrong(scores, targets):
            return np.maximum(1 - targets * scores, 0) + (len(scores) > 25)
        """
    )
    assert Verdict.FAIL in verdicts(check(target), "wrong", "accuracy")
    # cases of 5 rows, in calls of 67
    _waived(monkeypatch, _waiver(loss="hinge", where="N > 25"))
    assert {Verdict.FAIL, Verdict.ERROR}.isdisjoint(row.verdict for row in check(target).results)


# ---- formats


HALVES = """
@implements("logsumexp", framework="numpy", dtypes=["float16", "bfloat16"])
def rounded_once(logits):
    z = logits.astype(np.float32)
    m = z.max(axis=-1)
    return (m + np.log(np.exp(z - m[:, None]).sum(axis=-1))).astype(logits.dtype)

@implements("logsumexp", framework="numpy", dtypes=["float16", "bfloat16"])
def unshifted(logits):
    return np.log(np.exp(logits.astype(np.float32)).sum(axis=-1)).astype(logits.dtype)

@implements("entropy", framework="numpy", dtypes=["float16", "bfloat16"])
def half_throughout(p):
    terms = p * np.log(np.where(p > 0, p, np.ones_like(p)))
    total = np.zeros_like(p[:, 0])
    for column in terms.T:
        total = total - column
    return total
"""


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_formats_are_expected_to_be_rounded_once(write: Write, dtype: str) -> None:
    found = check(write(HALVES), dtypes=(dtype,))
    assert {r.verdict for r in rows(found, "rounded_once")} <= {Verdict.PASS, Verdict.SKIP}
    assert Verdict.FAIL in verdicts(found, "unshifted", "accuracy")
    throughout = rows(found, "half_throughout", "accuracy")
    assert {r.verdict for r in throughout} == {Verdict.PASS, Verdict.DEGRADED}
    assert any("throughout" in (r.reason or "") for r in throughout)


TF32 = """
@implements("cross_entropy", framework="numpy", precision="tf32")
def eleven_bits(logits, labels):
    return -at(log_softmax(keep(logits - logits.max(axis=-1, keepdims=True), 10)), labels)

@implements("cross_entropy", framework="numpy", precision="tf32")
def four_bits(logits, labels):
    d = logits - logits.max(axis=-1, keepdims=True)
    return -at(log_softmax(d.astype(ml_dtypes.float8_e4m3fn).astype(np.float32)), labels)

@implements("cross_entropy", framework="numpy", precision="tf32")
def logits_in_bfloat16(logits, labels):
    return -at(log_softmax(logits.astype(ml_dtypes.bfloat16).astype(np.float32)), labels)

@implements("cross_entropy", framework="numpy")
def undeclared(logits, labels):
    return -at(log_softmax(keep(logits - logits.max(axis=-1, keepdims=True), 10)), labels)
"""


def test_a_declared_precision_is_what_an_implementation_is_held_to(write: Write) -> None:
    found = check(write(TF32))
    assert not {Verdict.FAIL, Verdict.ERROR} & {r.verdict for r in rows(found, "eleven_bits")}
    assert Verdict.FAIL in verdicts(found, "four_bits", "accuracy")
    assert Verdict.FAIL in verdicts(found, "undeclared", "accuracy")


def test_bfloat16_does_not_pass_for_tf32_under_a_common_offset(write: Write) -> None:
    found = check(write(TF32), regimes=("common_offset",))
    assert Verdict.FAIL in verdicts(found, "logits_in_bfloat16", "accuracy")


def test_a_function_may_import_what_lies_beside_its_file_in_any_number_of_processes(
    write: Write, tmp_path: Path
) -> None:
    (tmp_path / "imported_when_called.py").write_text("from numpy import square\n", encoding="utf-8")
    late = """
        @implements("mse", framework="numpy")
        def late(prediction, target):
            import imported_when_called
            return imported_when_called.square(prediction - target).mean(axis=-1)
        """
    target = write(late)
    for jobs in (1, 2):
        found = check(target, jobs=jobs, dtypes=("float32", "float64"))
        assert not {Verdict.FAIL, Verdict.ERROR} & {row.verdict for row in found.results}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"losses": ("soft_cross_entropy",)},
            r"of 'soft_cross_entropy' in .*mine0\.py; did you mean 'cross_entropy'\? \(known: cross",
        ),
        ({"losses": ("mse", "triplet")}, r"no implementation of 'triplet' in .*mine0\.py \(known: cross"),
    ],
)
def test_a_loss_that_no_target_has_is_a_mistake_and_told_with_those_that_it_has(
    write: Write, options: dict[str, Any], said: str
) -> None:
    target = write(RIGHT + SQUARES)
    with pytest.raises(UsageError, match=said):
        plan(Options((target,), **options))


def test_an_exception_is_told_with_its_place_in_the_adapter(write: Write) -> None:
    code = """
        def inner(prediction, target):
            raise ValueError("not today")

        @implements("mse", framework="numpy")
        def raises(prediction, target):
            return inner(prediction, target)
        """
    target = write(code)
    line = (
        Path(target).read_text(encoding="utf-8").splitlines().index('    raise ValueError("not today")') + 1
    )
    found = check(target)
    said = f"{target}:{line}: ValueError: not today"
    assert found.findings
    assert all(said in each.reason for each in found.findings)
    assert said in next(row.reason or "" for row in found.results if row.verdict is Verdict.ERROR)


# ---- derivatives written by hand


def test_a_snippet_imports_a_written_gradient_from_the_module_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package_with_gradients"
    package.mkdir()
    (package / "__init__.py").write_text("from .inner import squares\n")
    (package / "inner.py").write_text(
        "from lossproof import implements\n"
        "def _half(prediction, target):\n    return (prediction - target) / prediction.shape[-1]\n"
        '@implements("mse", framework="numpy", gradient=_half)\n'
        "def squares(prediction, target):\n    return ((prediction - target) ** 2).mean(axis=-1)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = check("package_with_gradients", dtypes=("float32",), regimes=("ordinary",))
    snippet = next(finding.snippet for finding in found.findings if finding.check == "gradient")
    assert "from package_with_gradients.inner import _half" in snippet
    exec(compile(snippet, "snippet", "exec"), {})


def test_a_written_gradient_is_checked(write: Write) -> None:
    gradients = """
    def right_gradient(prediction, target):
        return 2 * (prediction - target) / prediction.shape[-1]

    def half_gradient(prediction, target):
        return (prediction - target) / prediction.shape[-1]

    def flat_gradient(prediction, target):
        return (2 * (prediction - target) / prediction.shape[-1]).ravel()

    def raising_gradient(prediction, target):
        raise ValueError("no derivative today")

    def squares(prediction, target):
        return np.square(prediction - target).mean(axis=-1)

    for word in ("right", "half", "flat", "raising"):
        implements("mse", framework="numpy", name=word, gradient=globals()[f"{word}_gradient"])(squares)
    """
    found = check(write(gradients))
    assert Verdict.PASS in verdicts(found, "right", "gradient") <= {Verdict.PASS, Verdict.SKIP}
    assert verdicts(found, "right", "law:gradient") == {Verdict.PASS}
    assert Verdict.FAIL in verdicts(found, "half", "gradient")
    assert Verdict.FAIL in verdicts(found, "half", "law:gradient")
    assert any(
        "shape" in (r.reason or "") for r in rows(found, "flat", "gradient") if r.verdict is Verdict.FAIL
    )
    assert Verdict.ERROR in verdicts(found, "raising", "gradient")
    for word in ("half", "flat", "raising"):
        assert verdicts(found, word, "accuracy") == {Verdict.PASS}


def test_a_function_without_derivatives_says_so(write: Write) -> None:
    found = check(write(SQUARES))
    assert verdicts(found, "squares", "gradient") == {Verdict.SKIP}
    assert all("gradient=" in (row.reason or "") for row in rows(found, "squares", "gradient"))


# ---- the words of a plan


def test_a_name_stands_in_place_of_the_functions(write: Write) -> None:
    target = write(
        """
        @implements("mse", framework="numpy", name="first")
        @implements("mse", framework="numpy", name="second", dtypes="float64")
        def squares(prediction, target):
            return np.square(prediction - target).mean(axis=-1)
        """
    )
    planned = plan(Options((target,)))
    assert sorted({cell.implementation.name for cell in planned.cells}) == ["mine0.first", "mine0.second"]
    found = run(replace(planned, options=Options((target,), jobs=2)), lambda event: None)
    assert {row.implementation for row in found.results} == {"mine0.first", "mine0.second"}
    assert not found.problems


@pytest.mark.parametrize(
    ("options", "nearest"),
    [
        ({"dtypes": ("flaot32",)}, "float32"),
        ({"losses": ("cross_entrpy",)}, "cross_entropy"),
        ({"frameworks": ("nmpy",)}, "numpy"),
        ({"devices": ("cdua",)}, "cuda"),
        ({"modes": ("compield",)}, "compiled"),
        ({"profile": "quik"}, "quick"),
        ({"regimes": ("ordinry",)}, "ordinary"),
    ],
)
def test_an_unknown_word_names_the_nearest(write: Write, options: dict[str, Any], nearest: str) -> None:
    with pytest.raises(UsageError, match=nearest) as raised:
        plan(Options((write(RIGHT),), **options))
    assert "\n" not in str(raised.value)


def test_a_plan_holds_what_was_asked_for(write: Write) -> None:
    target = write(RIGHT + SQUARES)
    planned = plan(Options((target,), losses=("mse",), dtypes=("float64",)))
    assert [(c.implementation.loss, c.dtype, c.device, c.mode) for c in planned.cells] == [
        ("mse", "float64", "cpu", "eager")
    ]
    assert plan(Options((target,), frameworks=("torch",))).cells == []


def test_an_undecorated_function_is_bound_to_a_loss(write: Write) -> None:
    target = write("def plain(prediction, target): return np.abs(prediction - target).mean(axis=-1)\n")
    found = check(f"{target}:plain", spec="mse", framework="numpy")
    assert Verdict.FAIL in verdicts(found, "plain", "accuracy")
    with pytest.raises(UsageError):
        plan(Options((f"{target}:plain",), spec="mse"))


def test_regimes_limit_what_is_drawn(write: Write) -> None:
    found = check(write(RIGHT), regimes=("masked", "huge"))
    assert {row.regime for row in rows(found, "right", "accuracy")} == {"masked", "huge"}


def test_a_cell_is_examined_in_one_thread_and_the_callers_number_comes_back(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    adapter = tmp_path / "threads.py"
    adapter.write_text(
        textwrap.dedent(
            """
            import torch
            from lossproof import implements

            seen = set()

            @implements("mse", framework="torch", dtypes=["float32"])
            def mine(prediction, target):
                seen.add(torch.get_num_threads())
                assert seen == {1}, seen
                return ((prediction - target) ** 2).mean(-1)
            """
        )
    )
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        options = Options((str(adapter),), devices=("cpu",), modes=("eager",), regimes=("ordinary",), jobs=1)
        found = run(plan(options), lambda event: None)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert {row.verdict for row in found.results if row.check == "accuracy"} == {Verdict.PASS}
