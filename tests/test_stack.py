"""Cases that share calls: what fits together, what is cut out again, and that nothing is seen otherwise by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lossproof
from lossproof.audit.cases import Cases
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Run, Verdict
from lossproof.audit.run import run
from lossproof.checks import CASE_CHECKS, purity
from lossproof.checks.part import parts
from lossproof.checks.row_wise import row_wise
from lossproof.checks.trial import Cell, Trial
from lossproof.frameworks import framework
from lossproof.implementation import Implementation
from lossproof.inputs import PROFILES, Case, draw, expand, regimes_of
from lossproof.inputs.filling import Filling
from lossproof.inputs.regimes import POISONED
from lossproof.inputs.rows import rows_of
from lossproof.inputs.stack import SEVERAL, SHARED, Stack, stack
from lossproof.spec import graph, library
from lossproof.spec.load import loads
from lossproof.spec.model import Spec

POOL = (67,)
QUICK = PROFILES["quick"]
CROSS_ENTROPY = library.get("cross_entropy")


def cases_of(spec: Spec, dtype: str = "float32", law: str | None = None, **fixed: Any) -> list[Case]:
    """Two cases of every regime."""
    forall = {} if law is None else spec.laws[law].forall
    recipes = [recipe for regime in regimes_of(spec) for recipe in draw(spec, regime, QUICK, 3, 2)]
    return [expand(spec, recipe, dtype, forall, fixed) for recipe in recipes]


def squares(n: int, d: int, parameters: dict[str, Any] | None = None, **changes: Any) -> Case:
    numbers = np.arange(n * d, dtype=np.float32).reshape(n, d)
    case = Case("mse", "float32", "ordinary", {"prediction": numbers, "target": -numbers}, parameters or {})
    return replace(case, **changes)


def together(*cases: Case, spec: Spec | None = None) -> list[list[Case]]:
    stacks, alone = stack(spec or library.get("mse"), cases, POOL)
    assert not alone
    return [[member for member, _ in each.members] for each in stacks]


def cell_of(function: Callable[..., Any], loss: str, name: str = "numpy", **options: Any) -> Cell:
    made = plan(Options(("portable",), losses=(loss,), frameworks=(name,), dtypes=("float32",)))
    planned = made.cells[0].implementation
    implementation: Implementation = replace(planned, function=function, **options)
    return Cell(implementation, library.get(loss), framework(name), "cpu", "eager", "float32")


# ---- what fits together


def test_cases_of_one_shape_share_a_call_whatever_their_regime_and_their_number_of_rows() -> None:
    first, second = squares(2, 3), squares(5, 3, regime="huge")
    (found,), alone = stack(library.get("mse"), [first, second], POOL)
    assert not alone
    assert found.case.regime == SEVERAL
    assert [rows for _, rows in found.members] == [slice(0, 2), slice(2, 7)]
    for member, rows in found.members:
        for name, array in member.inputs.items():
            np.testing.assert_array_equal(found.case.inputs[name][rows], array)


@pytest.mark.parametrize(
    "other",
    [
        squares(2, 4),
        squares(2, 3, {"epsilon": 1.0}),
        squares(2, 3, dtype="float64"),
        squares(2, 3, regime=POISONED),
    ],
    ids=["classes", "parameters", "dtype", "poisoned"],
)
def test_cases_that_differ_in_more_than_rows_stay_apart(other: Case) -> None:
    assert len(together(squares(2, 3), other)) == 2


@pytest.mark.parametrize("other", [1.0, True, "1"], ids=repr)
def test_a_parameter_of_another_type_is_another_parameter(other: Any) -> None:
    assert len(together(squares(2, 3, {"k": 1}), squares(2, 3, {"k": other}))) == 2


def test_coupled_rows_and_rows_that_are_too_long_stand_alone() -> None:
    coupled = cases_of(CROSS_ENTROPY, reduction="mean")
    assert stack(CROSS_ENTROPY, coupled, POOL) == ([], coupled)
    long = squares(1, 70_000)
    assert stack(library.get("mse"), [long], POOL) == ([], [long])


def test_a_stack_has_no_more_rows_than_a_call() -> None:
    found, _ = stack(library.get("mse"), [squares(30, 2) for _ in range(5)], POOL)
    assert [len(each.case.inputs["target"]) for each in found] == [60, 60, 30]


def test_class_weights_are_the_first_ones_for_every_member() -> None:
    cases = [c for c in cases_of(CROSS_ENTROPY, reduction="none") if c.parameters["class_weight"] is not None]
    found, _ = stack(CROSS_ENTROPY, cases, POOL)
    assert any(len(each.members) > 1 for each in found)
    for each in found:
        for member, _ in each.members:
            assert member.parameters["class_weight"] is each.case.parameters["class_weight"]


def test_variables_with_rows_are_joined_and_a_permutation_serves_few() -> None:
    spec = library.get("softmax")
    for law, name in (("shift_invariance", "c"), ("class_permutation", "s")):
        cases = cases_of(spec, law=law)
        found, alone = stack(spec, cases, POOL, law)
        assert sum(len(each.members) for each in found) + len(alone) == len(cases)
        assert any(len(each.members) > 1 for each in found)
        for each in found:
            for member, rows in each.members:
                whole = each.case.variables[name]
                mine = whole[rows] if name == "c" else whole
                np.testing.assert_array_equal(member.variables[name], mine)
            assert name == "c" or len(each.members) <= SHARED


ODD = """\
loss: odd
title: A loss whose inputs stand in several ways
inputs:
  x: {{shape: {x}, domain: real}}
  y: {{shape: {y}, domain: real, differentiable: {differentiable}}}
independent: N
definition: {definition}
"""


@pytest.mark.parametrize(
    ("y", "differentiable", "definition", "expected"),
    [
        ("[N, D]", "true", "sum(x * y, D)", True),
        ("[D]", "false", "sum(x * y, D)", True),
        ("[D]", "true", "sum(x * y, D)", False),
        ("[N, D]", "true", "sum(x * y)", False),
        ("[N, N]", "true", "sum(x, D) + sum(y, 1)", False),
    ],
    ids=["rows", "shared", "a gradient over all rows", "one result", "rows twice"],
)
def test_rows_are_told_apart_where_every_array_can_be_cut(
    y: str, differentiable: str, definition: str, expected: bool
) -> None:
    text = ODD.format(x="[N, D]", y=y, differentiable=differentiable, definition=definition)
    spec = loads(text)
    assert (rows_of(spec, graph.statics_of(spec, {})) is not None) is expected


def test_an_input_without_rows_must_be_the_same() -> None:
    spec = loads(ODD.format(x="[N, D]", y="[D]", differentiable="false", definition="sum(x * y, D)"))
    x, y = np.ones((2, 3), np.float32), np.ones(3, np.float32)

    def case(weights: Any) -> Case:
        return Case("odd", "float32", "ordinary", {"x": x, "y": weights}, {})

    assert len(together(case(y), case(y), spec=spec)) == 1
    assert len(together(case(y), case(2 * y), spec=spec)) == 2


# ---- filled up, cut again


def test_a_call_has_a_number_of_rows_of_the_pool() -> None:
    case, spec = squares(5, 3), library.get("mse")
    rows = rows_of(spec, ())
    assert rows is not None
    for pool, expected in (((67,), 67), ((1031, 67), 67), ((3,), 5), ((), 5)):
        filling = Filling(case, rows, pool)
        assert filling.case.inputs["target"].shape == (expected, 3)
        result = filling.case.inputs["target"].sum(axis=1)
        np.testing.assert_array_equal(filling.cut(result, 0), case.inputs["target"].sum(axis=1))
        assert filling.cut(np.ones(4), 0).shape == (4,)


def test_a_mistake_in_a_copy_of_a_row_shows() -> None:
    rows = rows_of(library.get("mse"), ())
    assert rows is not None
    filling = Filling(squares(5, 3), rows, POOL)
    result = np.arange(67.0) % 5
    result[64] = -1
    np.testing.assert_array_equal(filling.cut(result, 0), [0, 1, 2, 3, -1])


# ---- parts


@pytest.mark.parametrize(
    ("name", "loss"),
    [("numpy", "softmax"), ("numpy", "cross_entropy"), ("torch", "cross_entropy"), ("jax", "nll")],
)
def test_a_part_shows_what_its_case_shows_by_itself_without_a_call(name: str, loss: str) -> None:
    pytest.importorskip(name)
    made = plan(Options(("portable",), losses=(loss,), frameworks=(name,), dtypes=("float32",)))
    calls: Counter[str] = Counter()

    def counted(*args: Any, **keywords: Any) -> Any:
        calls["all"] += 1
        return made.cells[0].implementation.function(*args, **keywords)

    cell = replace(cell_of(counted, loss, name), pool=POOL)
    regimes = ("ordinary", "masked", "huge")
    cases = [c for c in cases_of(cell.spec, reduction="none") if c.regime in regimes]
    found, _ = stack(cell.spec, cases[:4], POOL)
    for stacked in found:
        members = parts(Trial(cell, stacked.case), stacked.members)
        assert members is not None
        before = calls["all"]
        for member in members:
            seen = {check.NAME: check.observe(member) for check in (*CASE_CHECKS, purity)}
            assert {o.verdict for o in seen.values() if o is not None} <= {Verdict.PASS, Verdict.SKIP}
            assert calls["all"] == before
            alone = Trial(replace(cell, pool=()), member.case)
            np.testing.assert_array_equal(member.reference.expected, alone.reference.expected)
            assert member.outcome.value.shape == alone.outcome.value.shape
            for check in (*CASE_CHECKS, purity):
                expected, got = check.observe(alone), seen[check.NAME]
                assert (expected is None) is (got is None)
                if expected is not None and got is not None:
                    assert (got.verdict, got.cases) == (expected.verdict, expected.cases), check.NAME
            before = calls["all"]


def test_no_parts_are_made_of_a_result_of_another_shape() -> None:
    cell = cell_of(lambda logits: logits.sum(-1), "softmax")
    cases = [c for c in cases_of(cell.spec) if c.regime == "ordinary"]
    (stacked, *_), _ = stack(cell.spec, cases, POOL)
    assert parts(Trial(replace(cell, pool=POOL), stacked.case), stacked.members) is None


# ---- laws


def test_a_law_that_sums_over_rows_is_not_by_rows() -> None:
    none = graph.statics_of(CROSS_ENTROPY, {"reduction": "none"})
    mean = graph.statics_of(CROSS_ENTROPY, {"reduction": "mean"})
    assert row_wise(CROSS_ENTROPY, "shift_invariance", none)
    assert not row_wise(CROSS_ENTROPY, "shift_invariance", mean)
    assert not row_wise(CROSS_ENTROPY, "gradient_signs", mean)
    assert not row_wise(CROSS_ENTROPY, "sum_adds_rows", none)


# ---- a whole cell


def check(function: Callable[..., Any], loss: str, gradient: Any = None, **options: Any) -> Run:
    """A function under NumPy in float32."""
    implementation = cell_of(function, loss, gradient=gradient).implementation
    made = plan(
        Options(("portable",), losses=(loss,), frameworks=("numpy",), dtypes=("float32",), jobs=1, **options)
    )
    made.cells = [replace(cell, implementation=implementation) for cell in made.cells]
    made.declared = [implementation]
    return run(made, lambda event: None)


def right_lse(logits: Any) -> Any:
    top = logits.max(-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return (top + np.log(np.exp(logits - np.where(np.isfinite(top), top, 0)).sum(-1, keepdims=True)))[
            :, 0
        ]


def right_softmax(logits: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return np.exp(logits - right_lse(logits)[:, None])


def test_a_regime_costs_no_calls_of_its_own() -> None:
    shapes: Counter[tuple[int, ...]] = Counter()

    def counted(logits: Any) -> Any:
        shapes[logits.shape] += 1
        return right_lse(logits)

    found = check(counted, "logsumexp", gradient=right_softmax)
    assert {r.regime for r in found.results if r.check == "accuracy"} == set(
        regimes_of(library.get("logsumexp"))
    )
    assert not found.findings
    # of the cases: in three, two and one class, and in many; of the laws: one class more, and all classes twice
    assert {rows for rows, _ in shapes} == {67, 1}
    assert {classes for rows, classes in shapes if rows == 1} == {QUICK.many_classes}
    assert sum(shapes.values()) < 100


def test_a_mistake_that_shows_in_a_large_batch_alone_is_found_with_the_batch() -> None:
    def wrong(logits: Any) -> Any:
        rows = right_lse(logits)
        rows[32:] += 1
        return rows

    found = check(wrong, "logsumexp", regimes=("ordinary",))
    (finding,) = [f for f in found.findings if f.check == "accuracy"]
    assert finding.regime == "ordinary"
    assert len(finding.inputs["logits"]) > 32
    assert any(r.verdict is Verdict.FAIL and r.check.startswith("law:") for r in found.results)


def test_an_exception_in_a_large_batch_alone_is_an_error() -> None:
    def wrong(logits: Any) -> Any:
        if len(logits) > 32:
            raise ValueError("too many rows")
        return right_lse(logits)

    found = check(wrong, "logsumexp", regimes=("ordinary",))
    rows = {r.check: r for r in found.results}
    assert rows["accuracy"].verdict is Verdict.ERROR
    assert "too many rows" in (rows["accuracy"].reason or "")


def test_a_batch_of_another_length_than_it_should_have_fails() -> None:
    found = check(lambda logits: right_lse(logits)[:32], "logsumexp", regimes=("ordinary",))
    assert {r.verdict for r in found.results if r.check == "shape_and_dtype"} == {Verdict.FAIL}


def test_nan_in_some_rows_is_no_failure_of_other_regimes() -> None:
    def spreads_nan(logits: Any) -> Any:
        rows = right_lse(logits)
        return rows + 0 * logits.max() if np.isnan(logits).any() else rows

    found = check(spreads_nan, "logsumexp")
    failed = {(r.check, r.regime) for r in found.results if r.verdict is Verdict.FAIL}
    assert {regime for name, regime in failed if name == "accuracy"} == {POISONED}
    assert ("batch_independence", None) in failed


def test_a_failure_is_told_with_the_small_case_that_shows_it() -> None:
    found = check(lambda logits: np.log(np.exp(logits).sum(-1)), "logsumexp")
    (finding,) = [f for f in found.findings if f.check == "accuracy"]
    assert len(finding.inputs["logits"]) == 1
    assert finding.regime in regimes_of(library.get("logsumexp"))


def test_a_law_is_not_blamed_for_nan_in_rows_of_which_it_says_nothing() -> None:
    def surprise(p: Any, q: Any) -> Any:
        return -np.where(p > 0, p * np.log(np.where(p > 0, q, 1)), 0).sum(-1)

    # 0 / 0 where a class is impossible under both; the law speaks of q > 0
    found = check(surprise, "distribution_cross_entropy", gradient=lambda p, q: -p / q)
    assert any(r.check == "gradient" and r.verdict is Verdict.FAIL for r in found.results)
    assert {r.verdict for r in found.results if r.check == "law:gradient_is_minus_ratio"} == {Verdict.PASS}


def test_what_answers_by_chance_is_not_deterministic() -> None:
    dice = np.random.default_rng(0)

    def noisy(logits: Any) -> Any:
        return right_lse(logits) + np.asarray(dice.integers(0, 2, len(logits)), logits.dtype) * 1e-6

    found = check(noisy, "logsumexp")
    assert {r.verdict for r in found.results if r.check == "determinism"} == {Verdict.FAIL}


def test_the_quick_profile_looks_at_forward_mode_in_one_number_of_classes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("jax")
    engine, seen = framework("jax"), set()
    jvp = type(engine).jvp

    def spy(self: Any, call: Any, tangents: Any) -> Any:
        seen.add((call.mode, call.inputs[0].shape))
        return jvp(self, call, tangents)

    monkeypatch.setattr(type(engine), "jvp", spy)
    regimes = ("ordinary", "one_class", "many_classes")
    made = plan(
        Options(("portable",), losses=("nll",), frameworks=("jax",), dtypes=("float32",), regimes=regimes)
    )
    assert not run(made, lambda event: None).findings
    assert seen == {("compiled", (67, 3))}


# ---- parameters that take turns


def conventions(loss: str, mode: str = "eager", seed: int = 0) -> tuple[list[Case], Cases]:
    made = plan(Options(("portable",), losses=(loss,), frameworks=("numpy",), dtypes=("float32",)))
    implementation = made.cells[0].implementation
    cell = Cell(implementation, library.get(loss), framework("numpy"), "cpu", mode, "float32")
    cases = Cases(cell, QUICK, seed, (), lambda case: 0.0)
    return [case for regime in cases.regimes for case in cases.of_regime(regime)], cases


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("loss", ["cross_entropy", "kl_divergence", "label_smoothing_cross_entropy"])
def test_every_value_of_every_parameter_comes_round(loss: str, seed: int) -> None:
    found, cases = conventions(loss, seed=seed)
    spec = library.get(loss)
    for name, parameter in spec.parameters.items():
        seen = {str(type(v)) if isinstance(v, np.ndarray) else v for v in (c.parameters[name] for c in found)}
        assert seen >= set(parameter.choices or (parameter.default, *parameter.ends))
        assert parameter.shape is None or len(seen) == 2
    by_regime = {regime: [c for c in found if c.regime == regime] for regime in cases.regimes}
    for regime, drawn in by_regime.items():
        coupled = [c for c in drawn if rows_of(spec, graph.statics_of(spec, c.parameters)) is None]
        assert len(coupled) in ((0, 1) if regime == "many_classes" else (len(drawn) // 2,))


def test_few_combinations_are_compiled() -> None:
    found, _ = conventions("cross_entropy", "compiled")
    assert (
        len({tuple((k, str(v)) for k, v in c.parameters.items() if k != "class_weight") for c in found}) == 2
    )


def test_the_cases_of_a_law_are_few_calls() -> None:
    _, cases = conventions("cross_entropy")
    for name in CROSS_ENTROPY.laws:
        if cases.law_refused(name) is not None:
            continue
        drawn = list(cases.of_law(name))[: QUICK.laws]
        own = [
            c for c in drawn if row_wise(CROSS_ENTROPY, name, graph.statics_of(CROSS_ENTROPY, c.parameters))
        ]
        found: list[Stack] = stack(CROSS_ENTROPY, own, POOL, name)[0]
        assert len(found) <= 4
        assert len(own) in (0, 4, 6)


@pytest.mark.parametrize("loss", library.names())
def test_right_code_is_not_blamed_for_company(loss: str) -> None:
    options = Options(("portable",), losses=(loss,), frameworks=("numpy",), seed=11, jobs=1)
    assert run(plan(options), lambda event: None).findings == []


def test_a_single_function_is_checked_in_company_too() -> None:
    assert lossproof.check(right_lse, "logsumexp", framework="numpy", dtypes=["float32"]) == []
