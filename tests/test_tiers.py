"""Both tiers of the oracle give the same verdicts: on every spec, regime and dtype, on right and wrong results."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossproof.checks import answers
from lossproof.errors import ExpressionError
from lossproof.expression import primitives as p
from lossproof.expression.derivative import vjp
from lossproof.expression.node import Node
from lossproof.expression.parse import parse
from lossproof.expression.scope import Scope
from lossproof.expression.size import Size
from lossproof.floats import DTYPES, FORMATS, Format, working_format
from lossproof.inputs import PROFILES, Case, draw, expand, regimes_of
from lossproof.inputs.anatomy import Family, anatomy
from lossproof.oracle import reference, structure, vector_tier, wide
from lossproof.oracle.certified import Certified
from lossproof.oracle.fused import fused
from lossproof.oracle.point import Point
from lossproof.oracle.radius import Radii, Term, spread
from lossproof.oracle.reference import Evaluation, Reference
from lossproof.oracle.rounding import Rounding
from lossproof.oracle.running_error import Families
from lossproof.oracle.softmax_family import SoftmaxFamily
from lossproof.oracle.vector_tier import VectorTier
from lossproof.oracle.verdict import DEGRADED, FAIL, LIMIT, PASS, PASS_BITS, UNDECIDED, judge
from lossproof.spec import graph, library
from lossproof.spec.model import Spec

EDGES = {
    "masked",
    "forbidden_label",
    "poisoned_row",
    "tie",
    "uniform",
    "one_class",
    "subnormal",
    "huge",
    "equal",
    "one_hot",
    "zeros_in_q",
    "zeros_in_both",
    "zero_vector",
    "axes",
    "tiny",
    "antipodal",
    "one_feature",
    "drowned",
}
"""Regimes of infinities, nan, exact ties and angles, and the ends of the exponent range and of the domain."""

DROWNED = {"common_offset", "scales"}
"""Regimes of vectors in which the products of two have a rounding error far above 1: which class a softmax of them
chooses is for Arb to tell."""

COTANGENTS = (2.0, -0.5, 0.0, -4.0, 0.25, 1.0, -1.0)


def questions(spec: Spec, case: Case, flush: bool) -> dict[str, tuple[Evaluation, Any, dict[str, Any]]]:
    """The graphs of value and gradients at a case: each with its evaluation and further leaves."""
    statics = graph.statics_of(spec, case.parameters)
    value = graph.definition(spec, statics)
    point = answers.point_of(spec, case)
    excuses = {name: graph.aside(spec, statics, text) for name, text in spec.excuse.items()}
    evaluation = Evaluation(point, working_format(point.storage), flush, excuses)
    shape = tuple(size.at(point.dimensions) for size in value.shape)
    cotangent = np.resize(np.array(COTANGENTS), shape).astype(point.storage.dtype)
    found: dict[str, tuple[Evaluation, Any, dict[str, Any]]] = {"value": (evaluation, value, {})}
    for name, node in graph.gradient(spec, statics).items():
        found[name] = (evaluation, node, {graph.COTANGENT: cotangent})
    return found


def results(reference: Reference, rng: np.random.Generator) -> Any:
    """Results at every distance from the truth, from right to absurd, in the storage format; some nan and inf."""
    fmt: Format = reference.storage
    with np.errstate(all="ignore"):
        size = np.where(np.isfinite(reference.attainable), reference.attainable, fmt.smallest_normal)
        off = (
            size * 2.0 ** rng.uniform(-3, 30, reference.shape) * rng.choice([-1.0, 0.0, 1.0], reference.shape)
        )
        got = (np.nan_to_num(reference.expected) + off).astype(fmt.dtype).astype(np.float64)
    strange = rng.uniform(size=reference.shape) < 0.05
    return np.where(strange, rng.choice([np.nan, np.inf, -np.inf, 0.0], reference.shape), got)


def worst(verdicts: np.ndarray) -> int:
    """The verdict of a whole array."""
    return int(np.where(verdicts == UNDECIDED, PASS, verdicts).max(initial=PASS))


def compare(elements: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """Verdicts of both tiers on so many elements; the elements met and those handed up, by regime."""
    met: Counter[str] = Counter()
    up: Counter[str] = Counter()
    specs = [library.get(name) for name in library.names()]
    profile = replace(PROFILES["quick"], shapes=((5, 3), (7, 2), (3, 9)), many_classes=33)
    drowned = {spec.loss for spec in specs if anatomy(spec).family == Family.EMBEDDINGS}
    cells = [(spec, regime, dtype) for spec in specs for regime in regimes_of(spec) for dtype in DTYPES]
    if elements < 100_000:
        # every spec and every dtype, and a share of the regimes of each
        cells = cells[seed % 5 :: 5]
    round_ = 0
    while sum(met.values()) < elements:
        rng = np.random.default_rng([seed, round_])
        for spec, regime, dtype in cells:
            kind = "drowned" if spec.loss in drowned and regime in DROWNED else regime
            for recipe in draw(spec, regime, profile, seed + round_, 1):
                case = expand(spec, recipe, dtype)
                for what, (evaluation, node, extra) in questions(spec, case, bool(round_ % 2)).items():
                    tier = VectorTier(evaluation.point, evaluation.working, evaluation.flush)
                    (told,) = tier.evaluate([node], extra)
                    (found,) = evaluation.references([node], extra)
                    met[kind] += told.middle.size
                    up[kind] += int(np.isnan(told.middle).sum())
                    if told.undecidable is not None:
                        up[kind] -= int(told.undecidable.sum())
                        sure = found._ask(told.undecidable, None)
                        assert np.isinf(sure.attainable[told.undecidable]).all(), case
                    got = results(found, rng)
                    quick = judge(got, found, evaluation.working, certify=None)
                    fast, slow = quick.verdicts, judge(got, found.in_truth, evaluation.working).verdicts
                    differ = fast != slow
                    if worst(fast) == worst(slow) >= DEGRADED:
                        # Arb is not asked on which side of the limit they are: the array's verdict is known
                        differ &= (np.abs(quick.ratio - 2.0**PASS_BITS) > LIMIT) | (
                            np.maximum(fast, slow) > DEGRADED
                        )
                    where = np.argwhere(differ)
                    assert not where.size, (spec.loss, regime, dtype, what, case, got, where[0], fast, slow)
        round_ += 1
    return met, up


def shares(met: Counter[str], up: Counter[str]) -> float:
    ordinary = [regime for regime in met if regime not in EDGES]
    return sum(up[regime] for regime in ordinary) / sum(met[regime] for regime in ordinary)


def test_both_tiers_give_the_same_verdict_on_a_thousand_elements() -> None:
    met, up = compare(1000, 0)
    # another fifth of the specs' regimes: one scalar that goes up takes all entries of its gradient with it
    more, more_up = compare(1000, 1)
    assert min(sum(met.values()), sum(more.values())) >= 1000
    assert shares(met + more, up + more_up) < 0.01


@pytest.mark.slow
def test_both_tiers_give_the_same_verdict_on_a_million_elements() -> None:
    met, up = compare(1_000_000, 7)
    assert sum(met.values()) >= 1_000_000
    assert shares(met, up) < 0.01


def test_a_maximum_beside_a_nan_has_no_derivative() -> None:
    weights = wide.WideArithmetic(np.dtype(np.float64), Families()).argmax_weight(
        np.array([[np.nan, 1.0]]), (1,)
    )
    assert np.isnan(weights).all()


def test_what_float64_cannot_hold_is_seen_as_its_largest_number() -> None:
    with np.errstate(all="ignore"):
        past = np.array([1e300, 1.0, np.inf]).astype(wide.wide_dtype(FORMATS["float64"])) * 1e300
        seen = wide.view(past)
    np.testing.assert_array_equal(seen, [wide.MOST, 1e300, np.inf])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "text", ["matmul(x, transpose(y))", "matmul(transpose(x), y)", "sum(transpose(x * y), 0)"]
)
def test_transposed_arrays_are_read_in_their_own_order(text: str, dtype: str) -> None:
    shape = (Size.of("N"), Size.of("D"))
    leaves = {name: Node.make("input", (), (name,), shape) for name in ("x", "y")}
    node = p.real(parse(text, Scope(leaves, {}, {"N": shape[0], "D": shape[1]})))
    x, y = (np.arange(start, start + 6).reshape(2, 3).astype(FORMATS[dtype].dtype) for start in (1, 5))
    point = Point({"x": x, "y": y}, {}, {"N": 2, "D": 3}, FORMATS[dtype])
    (told,) = VectorTier(point, working_format(FORMATS[dtype]), False).evaluate([node], {})
    a, b = x.astype(float), y.astype(float)
    expected = (
        {"m": a @ b.T, "s": (a * b).sum(axis=1)}[text[0]] if "(transpose(x), y" not in text else a.T @ b
    )
    assert np.array_equal(told.middle.astype(float), expected)


def test_a_kink_that_the_tiers_own_error_hides_goes_up() -> None:
    shape = (Size.of("N"),)
    leaves = {name: Node.make("input", (), (name,), shape) for name in ("x", "y")}
    output = p.real(parse("maximum(x / 3 * 3, y)", Scope(leaves, {}, {"N": shape[0]})))
    x = np.array([1.0, 1.0, 2.0], dtype=np.float32)
    y = np.array([1.0, 0.5, 1.0], dtype=np.float32)
    point = Point({"x": x, "y": y}, {}, {"N": 3}, FORMATS["float32"])
    cotangent = Node.make("input", (), ("cotangent",), shape)
    (node,) = vjp(output, cotangent, [leaves["x"]])
    (told,) = VectorTier(point, FORMATS["float32"], False).evaluate(
        [node], {"cotangent": np.ones(3, np.float32)}
    )
    assert np.isnan(told.middle).tolist() == [True, False, False]
    assert told.undecidable is None or not told.undecidable.any()


def test_what_divides_by_zero_is_undecidable_and_what_stands_at_a_kink_goes_up() -> None:
    shape = (Size.of("N"),)
    leaves = {name: Node.make("input", (), (name,), shape) for name in ("x", "y", "z")}
    scope = Scope(leaves, {}, {"N": shape[0]})
    arrays = {"x": [1, 1, 0, 2], "y": [1, 0, 0, 1], "z": [0, 0, 1, 1]}
    point = Point({k: np.array(v, np.float32) for k, v in arrays.items()}, {}, {"N": 4}, FORMATS["float32"])
    tier = VectorTier(point, FORMATS["float32"], False)
    quotient = p.real(parse("where(z == 1, z, x / y) + 1", scope))
    (told,) = tier.evaluate([quotient], {})
    assert told.undecidable is not None
    assert told.undecidable.tolist() == [False, True, False, False]
    cotangent = Node.make("input", (), ("cotangent",), shape)
    (slope,) = vjp(p.real(parse("abs(x - y) * z", scope)), cotangent, [leaves["x"]])
    ones = {"cotangent": np.ones(4, np.float32)}
    (told,) = tier.evaluate([slope], ones)
    assert told.undecidable is None or not told.undecidable.any()
    (found,) = Evaluation(point, FORMATS["float32"]).references([slope], ones)
    # at a kink the derivative is a ball, and nothing where it is multiplied by 0
    assert found.middle[[0, 3]].tolist() == [0.0, 1.0]
    assert np.isnan(found.middle[2])


def asked(
    text: str, arrays: dict[str, Any], gradient_in: str | None = None
) -> tuple[vector_tier.Told, Certified]:
    """What the vector tier and Arb tell of an expression in float32 arrays of shape [N, D], or of a gradient."""
    first = np.asarray(next(iter(arrays.values())))
    shape = (Size.of("N"), Size.of("D"))
    leaves = {name: Node.make("input", (), (name,), shape) for name in arrays}
    output = p.real(parse(text, Scope(leaves, {}, dict(zip("ND", shape, strict=True)))))
    nodes, extra = [output], {}
    if gradient_in is not None:
        nodes = vjp(output, Node.make("input", (), ("cotangent",), output.shape), [leaves[gradient_in]])
        extra = {"cotangent": np.ones(first.shape[: len(output.shape)], np.float32)}
    single = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    point = Point(single, {}, dict(zip("ND", first.shape, strict=True)), FORMATS["float32"])
    (told,) = VectorTier(point, FORMATS["float32"], False).evaluate(nodes, extra)
    (found,) = Evaluation(point, FORMATS["float32"]).references(nodes, extra)
    sure = found._ask(None, None)
    if told.undecidable is not None:
        assert np.isinf(sure.attainable[told.undecidable]).all()
    return told, sure


def test_an_open_choice_between_equal_numbers_is_told() -> None:
    x = {"x": [[1.0, 3.0, 2.0]]}
    told, _ = asked("where(x / 3 * 3 >= x, x / 7, x / 7)", x)
    np.testing.assert_allclose(told.middle.astype(float), [[1 / 7, 3 / 7, 2 / 7]])
    told, _ = asked("where(x / 3 * 3 >= x, x / 7, x)", x)
    assert np.isnan(told.middle).any()
    assert told.undecidable is None or not told.undecidable.any()


@pytest.mark.parametrize(
    ("text", "gradient_in", "undecidable"),
    [
        # code may come to anything, whatever is chosen
        ("softmax(square(x) * y / 1e70, D)", None, True),
        ("softmax(square(x) * y / 1e70, D) * square(x) / 1e60", None, True),
        ("where(square(x) / 1e60 >= y, x, y) * square(x) / 1e60", None, True),
        ("where(not (square(x) / 1e60 >= y), x, square(x) / 1e60)", None, True),
        ("where(all(square(x) / 1e60 >= y, D)[:, None] or y == 2, square(x) / 1e60, y)", None, True),
        ("maximum(square(x) / 1e60 - y, 0) * square(x) / 1e60", "y", True),
        ("abs(square(x) / 1e60 - y) * square(x) / 1e60", "y", True),
        # to one of two numbers, to none above 1, or to a number that is known for all that
        ("where(square(x) / 1e60 >= y, x, y)", None, False),
        ("square(x) / 1e60 >= y", None, False),
        ("maximum(where(square(x) >= 1e70, y, 2 * y), 100)", None, False),
        ("minimum(where(square(x) >= 1e70, y, 2 * y), -100)", None, False),
        ("y * 0 * where(square(x) >= 1e70, y, 2 * y)", None, False),
        ("maximum(1 - sum(square(x - y), D), 0)", "x", False),
        ("max(square(x), D)", "x", False),
        ("where(isfinite(1 / ((x + 1e-30) - x)), x, y)", None, False),
    ],
)
def test_what_is_not_asked_of_arb_hangs_on_an_overflow_whatever_is_chosen(
    text: str, gradient_in: str | None, undecidable: bool
) -> None:
    told, sure = asked(text, {"x": [[1e30, 2e30], [1.0, 2.0]], "y": [[1.0, 3.0], [1.0, 3.0]]}, gradient_in)
    untold = np.isnan(told.middle[0])
    if undecidable:
        assert untold.any()
        assert told.undecidable is not None
        assert (told.undecidable[0] == untold).all()
    else:
        assert np.isfinite(sure.attainable[0]).any()
        assert told.undecidable is None or not told.undecidable[0].any()


def test_the_weight_of_a_masked_class_is_told_beside_any_other() -> None:
    told, sure = asked(
        "softmax(where(y == 3, -inf, square(x) / 1e38), D)", {"x": [[1e30] * 3], "y": [[1, 2, 3]]}
    )
    assert np.isnan(told.middle).tolist() == [[True, True, False]]
    assert told.middle[0, 2] == 0
    assert told.undecidable is not None
    assert told.undecidable.tolist() == [[True, True, False]]
    assert np.isfinite(sure.attainable).tolist() == [[False, False, True]]


@pytest.mark.parametrize(
    ("text", "true"),
    [
        ("where((x + 1e-30) - x > 0, 1, 2) * y", [1, 2, 3]),
        ("where((x + 1e-30) - x > 0, 0, 1)", [0, 0, 0]),
        ("where(x > 1, 0, 1)", [1, 0, 0]),
        ("where(concat((x + 1e-30) - x > 0, y > 1), 1, 2)[:, 1:-2]", [1, 1, 2]),
        ("sum(where((x + 1e-30) - x > 0, 1, 2), D)", [3]),
    ],
)
def test_an_open_choice_between_whole_numbers_is_open(text: str, true: list[float]) -> None:
    told, sure = asked(text, {"x": [[1.0, 3.0, 5.0]], "y": [[1.0, 2.0, 3.0]]})
    assert sure.middle.ravel().tolist() == true
    known = ~np.isnan(told.middle)
    assert (told.middle[known] == sure.middle[known]).all()
    # either may be chosen by code
    assert text.startswith("where(x") or (sure.attainable > 0.9).ravel()[0]


def test_whole_numbers_that_integers_choose_are_indices_still() -> None:
    shape = (Size.of("N"), Size.of("D"))
    leaves = {
        "x": Node.make("input", (), ("x",), shape),
        "k": Node.make("input", (), ("k",), shape[:1], "integer"),
        "m": Node.make("input", (), ("m",), shape[:1], "boolean"),
    }
    scope = Scope(leaves, {}, dict(zip("ND", shape, strict=True)))
    for text in ("k == 1", "onehot(k, D)[:, 0] == 1", "m and not (k > 0)"):
        parse(f"take(x, where({text}, 0, k))", scope)
    with pytest.raises(ExpressionError, match="take needs class indices, not a real"):
        parse("take(x, where(sum(x, D) > 0, 0, k))", scope)


def test_a_direction_without_digits_is_not_asked_of_arb_and_that_of_the_zero_vector_is() -> None:
    x, y = [[3.0, 5.0], [0.0, 0.0], [1.0, 2.0]], [[3.0, 5.0], [0.0, 0.0], [2.0, 1.0]]
    told, _ = asked("norm(x / 3 - y / 3, D)", {"x": x, "y": y}, "x")
    assert np.isnan(told.middle).any(axis=1).tolist() == [True, True, False]
    assert told.undecidable is not None
    assert told.undecidable.any(axis=1).tolist() == [True, False, False]


def test_what_is_divided_by_a_number_without_digits_is_not_asked_of_arb() -> None:
    told, _ = asked("(x / 3 - y / 3) / (x / 3 - y / 3)", {"x": [[1.0, 5.0]], "y": [[1.0, 4.0]]})
    assert np.isnan(told.middle).tolist() == [[True, False]]
    assert told.undecidable is not None
    assert told.undecidable.tolist() == [[True, False]]


@pytest.mark.parametrize("text", ["minimum(x / 3, y)", "maximum(-x / 3, -y)"])
def test_the_radius_of_the_smaller_of_two_numbers_is_its_own(text: str) -> None:
    told, sure = asked(text, {"x": [[1.0, 9.0, 3.0]], "y": [[1.0, 1.0, 1.0]]})
    assert (np.asarray(told.radius)[0] > 1e-8).tolist() == [True, False, True]
    assert (sure.attainable[0] > 1e-8).tolist() == [True, False, True]


@pytest.mark.parametrize(("loss", "shape"), [("clip", ()), ("mse", (4,))])
def test_what_is_blamed_is_certified_whatever_the_shape(
    loss: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, asked = library.get(loss), []
    profile = replace(PROFILES["quick"], shapes=((4, 3),))
    evaluation, node, extra = questions(
        spec, expand(spec, draw(spec, "ordinary", profile, 0, 1)[0], "float32"), False
    )["value"]
    (found,) = evaluation.references([node], extra)
    assert found.shape == shape
    monkeypatch.setattr(reference, "SMALL", 0)
    certify = reference.remembered.certify
    monkeypatch.setattr(reference.remembered, "certify", lambda it: asked.append(it) or certify(it))
    for level, count in ((None, 0), (FAIL, 1)):
        asked.clear()
        got = np.asarray(1.5 * found.expected)
        assert (judge(got, found, evaluation.working, certify=level).verdicts == FAIL).all()
        assert len(asked) == count


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["cross_entropy", "z_loss", "kl_divergence_from_logits", "info_nce"])
def test_steps_that_are_put_together_come_out_the_same(
    loss: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, seen = library.get(loss), 0
    for regime in regimes_of(spec):
        for recipe in draw(spec, regime, PROFILES["quick"], 3, 2):
            for evaluation, node, extra in questions(spec, expand(spec, recipe, dtype), False).values():
                tiers = [VectorTier(evaluation.point, evaluation.working, False) for _ in range(2)]
                together = tiers[0].evaluate([node], extra)
                with monkeypatch.context() as patched:
                    patched.setattr(vector_tier, "fused", list)
                    apart = tiers[1].evaluate([node], extra)
                for a, b in zip(together, apart, strict=True):
                    assert np.array_equal(np.isnan(a.middle), np.isnan(b.middle))
                    assert np.all((a.middle == b.middle) | np.isnan(a.middle))
                    with np.errstate(over="ignore"):
                        signs = (np.signbit(wide.view(each.middle)) for each in (a, b))
                        assert np.all(np.equal(*signs) | np.isnan(a.middle))
                    np.testing.assert_allclose(a.radius, b.radius, rtol=1e-6)
                    assert np.array_equal(np.asarray(a.undecidable), np.asarray(b.undecidable))
                seen += fused([node]) != [node]
    assert seen


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("uncertain", [0.0, 1e-6, 1e-3])
def test_the_radius_of_a_scaled_softmax_is_that_of_its_steps(dtype: str, uncertain: float) -> None:
    """Weights and factors on both sides of the smallest normal number, and factors that are 0."""
    rng, fmt = np.random.default_rng(2), FORMATS[dtype]
    rules = Radii(Rounding.of(fmt), Families())
    logits = rng.normal(size=(200, 5)) * 10.0 ** rng.uniform(-1, 2.3, (200, 1))
    size = 2.0 ** rng.uniform(-min(1.5 * fmt.emax, 900), min(fmt.emax / 2, 60), (200, 1))
    factor = np.where(rng.uniform(size=(200, 1)) < 0.2, 0.0, size * rng.choice([-1.0, 1.0], (200, 1)))
    put, index = rng.normal(size=200), rng.integers(0, 5, 200)
    x = Term(logits, logits, uncertain * np.abs(logits) if uncertain else 0.0, False)
    s = Term(factor, factor, uncertain * np.abs(factor) if uncertain else 0.0, False)
    g = Term(put, put, uncertain * np.abs(put) if uncertain else 0.0, False)
    with np.errstate(all="ignore"):
        weights = SoftmaxFamily.of(logits, 1).shares
        products, numbers = weights * factor, structure.scatter(put, index, 5)
        by_steps = rules.rule("mul")(
            products, Term(weights, weights, rules.rule("softmax")(weights, x, 1), False), s
        )
        np.testing.assert_allclose(rules.rule("scaled_softmax")(products, x, s, 1), by_steps, rtol=1e-6)
        width = structure.scatter(spread(g.radius, put.shape), index, 5)
        by_steps = rules.rule("sub")(
            numbers - products,
            Term(numbers, numbers, width, False),
            Term(products, products, by_steps, False),
        )
        at_once = rules.rule("less_scaled_softmax")(
            numbers - products, x, s, g, Term(index, index, 0.0, False), 1
        )
        np.testing.assert_allclose(at_once, by_steps, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_sum_of_nothing_is_zero(dtype: str) -> None:
    fmt = FORMATS[dtype]
    empty = np.zeros((0, 3)).astype(wide.wide_dtype(fmt))
    found = wide.WideArithmetic(wide.wide_dtype(fmt), Families()).sum(empty, (0,), False)
    assert found.astype(np.float64).tolist() == [0, 0, 0]


@pytest.mark.parametrize("spread", [0.01, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("uncertain", [1e-6, 0.1, 1.0, 20.0, 1e6, 1e20])
def test_a_softmax_of_uncertain_logits_stays_in_its_ball(spread: float, uncertain: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(40, 4)) * spread
    radius = uncertain * rng.uniform(size=logits.shape)
    logits[:, 3] = np.where(rng.uniform(size=40) < 0.3, -np.inf, logits[:, 3])
    radius[np.isneginf(logits)] = 0.0
    rule = Radii(Rounding.of(FORMATS["float32"]), SoftmaxFamily.of).rule("softmax")

    def softmax(x: Any) -> Any:
        weights = np.exp(x - x.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    with np.errstate(all="ignore"):
        found = rule(softmax(logits), Term(logits, logits, radius, False), 1)
        for _ in range(50):
            moved = softmax(logits + radius * rng.choice([-1.0, 1.0, 0.5], logits.shape))
            assert (np.abs(moved - softmax(logits)) <= found).all()
    assert (found <= 1.001).all(), "a weight is 1 at most"


def test_weights_of_logits_that_may_be_infinite_are_undecided() -> None:
    logits, radius = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[0.0, np.inf], [0.0, np.nan]])
    rule = Radii(Rounding.of(FORMATS["float32"]), SoftmaxFamily.of).rule("softmax")
    with np.errstate(all="ignore"):
        assert np.isnan(rule(logits, Term(logits, logits, radius, False), 1)).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_nan_among_the_weights_of_drowned_logits_is_wrong(dtype: str) -> None:
    """Of products of vectors that are uncertain by more than 1 no more is known than that weights lie in [0, 1]."""
    shape = (Size.of("N"), Size.of("D"))
    leaves = {name: Node.make("input", (), (name,), shape) for name in ("x", "y")}
    scope = Scope(leaves, {}, {"N": shape[0], "D": shape[1]})
    node = p.real(parse("softmax(matmul(x, transpose(y)))", scope))
    big = 2.0 ** (FORMATS[dtype].emax // 2 - 4)
    x = (np.array([[1, 1.25], [1.5, 1.375]]) * big).astype(FORMATS[dtype].dtype)
    y = np.array([[1.125, -1], [-1.625, 1]]).astype(FORMATS[dtype].dtype) * FORMATS[dtype].dtype.type(big)
    point = Point({"x": x, "y": y}, {}, {"N": 2, "D": 2}, FORMATS[dtype])
    (found,) = Evaluation(point, working_format(FORMATS[dtype])).references([node])
    assert (found.attainable <= 1.01).all()
    for wrong in (np.nan, np.inf, 1e6):
        assert (judge(np.full((2, 2), wrong), found, working_format(FORMATS[dtype])).verdicts == FAIL).all()
    assert (judge(found.expected, found, working_format(FORMATS[dtype])).verdicts == PASS).all()
