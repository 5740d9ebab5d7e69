"""The oracle: truth is certified, right code is never blamed, and wrong code is decades away from it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from lossproof.checks.observation import from_judgement
from lossproof.expression import primitives as p
from lossproof.expression.derivative import vjp
from lossproof.expression.node import Kind, Node
from lossproof.expression.parse import parse
from lossproof.expression.scope import Scope
from lossproof.expression.size import Size
from lossproof.floats import FORMATS, Format, numpy_dtype, working_format
from lossproof.oracle.arb_tier import ArbArithmetic, balls, precision
from lossproof.oracle.certified import exact_bindings
from lossproof.oracle.evaluate import evaluate
from lossproof.oracle.reference import Point, Reference, references
from lossproof.oracle.rounding import Rounding
from lossproof.oracle.verdict import DEGRADED, FAIL, PASS, PASS_BITS, UNDECIDED, Ground, Judgement, judge

try:
    import mpmath
except ImportError:  # it comes with PyTorch
    mpmath = None

needs_mpmath = pytest.mark.skipif(mpmath is None, reason="mpmath is not installed")

INF, NAN = float("inf"), float("nan")
CROSS_ENTROPY = "-take(log_softmax(logits, V), labels)"
ROWS = 40


def point(storage: str, **arrays: Any) -> Point:
    fmt = FORMATS[storage]
    given = {}
    for name, array in arrays.items():
        array = np.asarray(array)
        given[name] = array if array.dtype.kind in "iub" and name == "labels" else array.astype(fmt.dtype)
    dimensions: dict[str, int] = {}
    for array in given.values():
        dimensions |= dict(zip(("N", "V"), array.shape, strict=False))
    return Point(given, {}, dimensions, fmt)


def leaf(name: str, axes: int, kind: Kind = "real") -> Node:
    return Node.make("input", (), (name,), tuple(map(Size.of, ("N", "V")[:axes])), kind)


def graph(text: str, at: Point) -> Node:
    leaves = {
        name: leaf(name, a.ndim, "integer" if a.dtype.kind == "i" else "real")
        for name, a in at.arrays.items()
    }  # fmt: skip
    return p.real(parse(text, Scope(leaves, {}, {"N": Size.of("N"), "V": Size.of("V")})))


def reference(
    text: str, storage: str = "float32", *, working: str | None = None, flush: bool = False,
    excuse: dict[str, str] | None = None, **arrays: Any,
) -> Reference:  # fmt: skip
    at = point(storage, **arrays)
    excuses = {name: graph(t, at) for name, t in (excuse or {}).items()}
    fmt = FORMATS[working] if working else working_format(at.storage)
    return references([graph(text, at)], at, fmt, flush, excuses)[0]


def truth(text: str, storage: str = "float32", **arrays: Any) -> Any:
    """The truth as balls of many digits."""
    at = point(storage, **arrays)
    with precision(3000):
        (found,) = evaluate([graph(text, at)], ArbArithmetic(), exact_bindings(at))
    return found


def defined(found: Reference) -> Any:
    return ~np.isnan(found.middle)


def gradient(text: str, wrt: str, cotangent: Any, storage: str = "float32", **arrays: Any) -> Reference:
    at = point(storage, cotangent=cotangent, **arrays)
    output = graph(text, at)
    node = Node.make("input", (), ("cotangent",), output.shape)
    return references(vjp(output, node, [leaf(wrt, at.arrays[wrt].ndim)]), at, working_format(at.storage))[0]


def judged(got: Any, found: Reference, working: str | None = None, slack: Any = 0.0) -> Judgement:
    return judge(
        np.asarray(got), found, FORMATS[working] if working else working_format(found.storage), slack
    )


def verdict(got: float, found: Reference, **how: Any) -> int:
    judgement = judged(got, found, **how)
    (only,) = judgement.verdicts.ravel().tolist()
    return int(only)


@functools.cache
def logits(scale: float, classes: int = 16, offset: float = 0.0, storage: str = "float32") -> tuple[Any, Any]:
    generator = np.random.default_rng(classes)
    z = generator.standard_normal((ROWS, classes)) * scale + offset
    return z.astype(numpy_dtype(storage)), generator.integers(0, classes, ROWS)


# truth


def _log_softmax(row: list[Any], y: int) -> Any:
    return -mpmath.log1p(sum(mpmath.exp(other - row[y]) for i, other in enumerate(row) if i != y))


def _distribution(seeds: list[float]) -> Any:
    weights = np.abs(np.array(seeds, dtype=np.float64)) + 1e-300
    return (weights / weights.sum()).astype(np.float32)


TRUTHS: list[tuple[str, Callable[[list[Any]], Any]]] = [
    ("logsumexp(x, V)", lambda z: max(z) + mpmath.log1p(mpmath.fsum(mpmath.exp(v - max(z)) for v in z) - 1)),
    ("log_softmax(x, V)[:, 0]", lambda z: _log_softmax(z, 0)),
    ("softmax(x, V)[:, 0]", lambda z: mpmath.exp(_log_softmax(z, 0))),
    ("norm(x, V)", lambda z: mpmath.sqrt(mpmath.fsum(v * v for v in z))),
    ("sum(softplus(x), V)", lambda z: mpmath.fsum(max(v, 0) + mpmath.log1p(mpmath.exp(-abs(v))) for v in z)),
    ("sum(log_sigmoid(x), V)", lambda z: -mpmath.fsum(max(-v, 0) + mpmath.log1p(mpmath.exp(-abs(v))) for v in z)),
    ("max(x, V) - min(x, V)", lambda z: max(z) - min(z)),
    ("mean(square(x), V)", lambda z: mpmath.fsum(v * v for v in z) / len(z)),
]  # fmt: skip

extreme = st.builds(
    lambda m, e: float(np.float32(m * 10.0**e)),
    st.floats(-1, 1, width=32),
    st.sampled_from([-30, -8, -1, 0, 0, 1, 2, 8, 18]),
)  # fmt: skip


@needs_mpmath
@pytest.mark.parametrize(("text", "formula"), TRUTHS, ids=[text for text, _ in TRUTHS])
@settings(max_examples=12, deadline=None, database=None, derandomize=True)
@given(row=st.lists(extreme, min_size=2, max_size=6))
def test_truth_holds_the_value_of_mpmath_at_60_digits(text: str, formula: Any, row: list[float]) -> None:
    found, balls_ = reference(text, x=[row]), truth(text, x=[row])
    with mpmath.workdps(400):  # so that 60 digits are left after what cancels
        expected = formula([mpmath.mpf(v) for v in row])
        digits = mpmath.nstr(expected, 60)
        size = mpmath.mpf(abs(expected))
    with precision(300):
        error = abs(balls_[0] - arb(digits))
        assert error.abs_lower() <= arb(mpmath.nstr(size, 10)) * arb(10) ** -55
    assert defined(found).all()
    assert found.in_truth.expected[0] == float(np.float64(float(expected)).astype(np.float32))


@needs_mpmath
@pytest.mark.parametrize("text", ["sum(xlogy(p, p) - xlogy(p, q), V)", "sum(rel_entr(p, q), V)"])
@settings(max_examples=15, deadline=None, database=None, derandomize=True)
@given(data=st.lists(st.tuples(extreme, extreme), min_size=2, max_size=6))
def test_truth_of_a_divergence_holds_the_value_of_mpmath(text: str, data: list[tuple[float, float]]) -> None:
    a, b = _distribution([v for v, _ in data]), _distribution([v for _, v in data])
    b = np.maximum(b, np.float32(1e-40))
    balls_ = truth(text, p=[a], q=[b])
    with mpmath.workdps(120):
        expected = mpmath.fsum(
            mpmath.mpf(u) * mpmath.log(mpmath.mpf(u) / v) for u, v in zip(a.tolist(), b.tolist(), strict=True) if u
        )  # fmt: skip
        digits = mpmath.nstr(expected, 60)
    with precision(300):
        error = abs(balls_[0] - arb(digits))
        assert error.abs_lower() <= abs(arb(digits)) * arb(10) ** -50 + arb(10) ** -80


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("a + b - a", (1e300, 1e-300), 1e-300),
        ("(a + b) - a - b", (1e300, 1e-300), 0.0),
        ("log1p(exp(b)) - log1p(exp(b * (1 + a)))", (0.0, 3.0), 0.0),
        ("sqrt(a * a + b * b) - a", (1.0, 1e-150), 5e-301),
        ("exp(a + b) / exp(a) - 1", (1.0, 1e-200), 1e-200),
    ],
)
def test_rising_precision_decides_what_cancels_over_the_whole_exponent_range(
    text: str, values: tuple[float, float], expected: float
) -> None:
    found = reference(text, "float64", a=values[0], b=values[1])
    if expected:
        assert defined(found).all()
        assert float(found.in_truth.expected) == pytest.approx(expected, rel=1e-15)
    elif not np.isnan(found.whole.middle):
        assert float(found.in_truth.expected) == 0


# the extended reals


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("logsumexp(x, V)", [[-INF, 1.0]], 1.0),
        ("logsumexp(x, V)", [[-INF, -INF]], -INF),
        ("-log_softmax(x, V)[:, 0]", [[-INF, 1.0]], INF),
        ("softmax(x, V)[:, 0]", [[-INF, 1.0]], 0.0),
        ("sum(times(softmax(x, V), log_softmax(x, V)), V)", [[-INF, 1.0, 1.0]], -np.log(2)),
        ("xlogy(sum(x, V), sum(x, V))", [[0.0, 0.0]], 0.0),
        ("sum(xlogy(x, x), V)", [[0.0, 1.0]], 0.0),
        ("sum(rel_entr(x, x), V)", [[0.0, 1.0]], 0.0),
        ("sum(rel_entr(x + 1, x), V)", [[0.0, 1.0]], INF),
        ("log(min(x, V))", [[0.0, 1.0]], -INF),
        ("exp(min(x, V))", [[-INF, 1.0]], 0.0),
        ("1 / (max(x, V) - min(x, V))", [[-INF, 1.0]], 0.0),
        ("where(x > 0, log(x), 0)[:, 0]", [[-1.0, 1.0]], 0.0),
    ],
)
def test_an_infinity_or_a_limit_with_a_value_is_compared(text: str, x: Any, expected: float) -> None:
    found = reference(text, x=x)
    assert defined(found).all()
    assert verdict(np.float32(expected), found) == PASS
    wrong = {INF: [-INF, NAN, 3e38], -INF: [INF, NAN, -3e38]}.get(expected, [NAN, INF, -INF, expected + 1])
    assert [verdict(got, found) for got in wrong] == [FAIL] * len(wrong)


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("x[:, 0] - x[:, 1]", [[-INF, -INF]]), ("softmax(x, V)[:, 0]", [[-INF, -INF]]),
        ("x[:, 0] * x[:, 1]", [[-INF, 0.0]]),
        ("x[:, 0] / x[:, 1]", [[0.0, 0.0]]), ("log(x[:, 0])", [[-1.0, 0.0]]),
        ("sqrt(x[:, 0])", [[-1.0, 0.0]]),
        ("sum(softmax(x, V) * log_softmax(x, V), V)", [[-INF, 1.0]]), ("x[:, 0] / x[:, 1]", [[1.0, 0.0]]),
        ("x[:, 0]", [[NAN, 0.0]]), ("max(x, V)", [[NAN, 0.0]]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("got", [0.0, 1.0, INF, -INF, NAN])
def test_an_undefined_value_is_compared_with_nothing(text: str, x: Any, got: float) -> None:
    found = reference(text, x=x)
    assert not defined(found).any()
    assert verdict(got, found) == UNDECIDED


@pytest.mark.parametrize("got", [0.0, 1.0, INF, NAN])
@pytest.mark.parametrize(
    ("text", "decided"),
    [
        ("sum(times(softmax(x, V), -y), V)", (False, True)),
        ("sum(xlogy(softmax(x, V), exp(y)), V)", (False, True)),
        ("sum(xdivy(softmax(x, V), exp(y)), V)", (False, True)),
        ("sum(rel_entr(softmax(x, V), exp(y)), V)", (False, True)),
    ],
)  # fmt: skip
def test_an_infinity_times_what_may_underflow_to_zero_is_undecided(
    text: str, decided: tuple[bool, bool], got: float
) -> None:
    # the first weight of a softmax is e^-110, which float32 does not hold, and e^-1
    for gap, known in zip((110.0, 1.0), decided, strict=True):
        found = reference(text, x=[[0.0, gap]], y=[[-INF, 0.0]])
        assert (verdict(got, found) == UNDECIDED) is not known


# attainable error: what good code reaches, and what bad code does not

SCALES = [1e-3, 1.0, 30.0, 1e4, 1e30]


@pytest.mark.parametrize("classes", [3, 128])
@pytest.mark.parametrize("scale", SCALES)
def test_torch_cross_entropy_stays_within_one_attainable_error_and_its_gradient_within_three(
    scale: float, classes: int
) -> None:
    torch = pytest.importorskip("torch")
    z, y = logits(scale, classes)
    z, y = z[: 1000 // classes + 4], y[: 1000 // classes + 4]
    native = torch.tensor(z, requires_grad=True)
    value = torch.nn.functional.cross_entropy(native, torch.tensor(y), reduction="none")
    cotangent = np.random.default_rng(5).uniform(-2, 2, len(z)).astype(np.float32)
    value.backward(torch.tensor(cotangent))
    found = judged(value.detach().numpy(), reference(CROSS_ENTROPY, logits=z, labels=y))
    assert set(found.verdicts.ravel().tolist()) == {PASS}
    assert found.bits.max() == 0
    slope = judged(native.grad.numpy(), gradient(CROSS_ENTROPY, "logits", cotangent, logits=z, labels=y))
    assert set(slope.verdicts.ravel().tolist()) == {PASS}
    assert slope.bits.max() <= np.log2(3)


def stable(z: Any, y: Any) -> Any:
    """The textbook's stable algorithm, each step in the dtype of z."""
    one = z.dtype.type
    shifted = z - z.max(-1, keepdims=True)
    total = np.log(np.add.reduce(np.exp(shifted), axis=-1, dtype=one))
    return -(np.take_along_axis(shifted, y[:, None], -1)[:, 0] - total)


def difference(z: Any, y: Any) -> Any:
    """logsumexp(z) − z_y, which cancels."""
    top = z.max(-1, keepdims=True)
    return top[:, 0] + np.log(np.exp(z - top).sum(-1)) - np.take_along_axis(z, y[:, None], -1)[:, 0]


def saturating(z: Any, y: Any) -> Any:
    weights = np.exp(z - z.max(-1, keepdims=True))
    chosen = np.take_along_axis(weights / weights.sum(-1, keepdims=True), y[:, None], -1)[:, 0]
    return -np.log(chosen + z.dtype.type(1e-12))


def cross_entropy_of(z: Any, y: Any, storage: str = "float32", **how: Any) -> Reference:
    return reference(
        CROSS_ENTROPY, storage, logits=z, labels=y, excuse={"logits": "logits - max(logits, V)"}, **how
    )


@pytest.mark.parametrize("storage", ["float32", "float64"])
@pytest.mark.parametrize("scale", SCALES)
def test_the_stable_algorithm_passes_at_every_magnitude(scale: float, storage: str) -> None:
    z, y = logits(scale, storage=storage)
    found = judged(stable(z, y), cross_entropy_of(z, y, storage))
    assert set(found.verdicts.tolist()) == {PASS}


@settings(max_examples=25, deadline=None, database=None, derandomize=True)
@given(rows=st.lists(st.lists(extreme, min_size=4, max_size=4), min_size=1, max_size=5))
def test_the_stable_algorithm_is_never_blamed_on_mixed_magnitudes(rows: list[list[float]]) -> None:
    z = np.array(rows, dtype=np.float32)
    y = np.arange(len(rows)) % 4
    found = judged(stable(z, y), cross_entropy_of(z, y))
    assert not (found.verdicts == FAIL).any()
    assert not (found.verdicts == DEGRADED).any()


def test_logsumexp_minus_logit_is_degraded_by_a_few_bits_at_logits_around_100() -> None:
    z, _ = logits(3.0, classes=3, offset=100.0)
    y = z.argmax(-1)
    found = judged(difference(z, y), cross_entropy_of(z, y))
    assert FAIL not in found.verdicts
    assert DEGRADED in found.verdicts
    assert 3 < found.bits.max() < 5


def test_logsumexp_minus_logit_fails_by_eleven_bits_or_more_under_a_common_offset() -> None:
    z, _ = logits(3.0, classes=2, offset=1e4)
    y = z.argmax(-1)
    found = judged(difference(z, y), cross_entropy_of(z, y))
    assert found.verdicts[found.worst] == FAIL
    assert round(found.bits.max()) >= 11
    assert judged(stable(z, y), cross_entropy_of(z, y)).bits.max() <= 3


@pytest.mark.parametrize("storage", ["float32", "float64"])
def test_a_small_number_added_inside_the_logarithm_fails(storage: str) -> None:
    z, y = logits(30.0, storage=storage)
    found = judged(saturating(z, y), cross_entropy_of(z, y, storage))
    assert found.verdicts[found.worst] == FAIL
    assert found.bits.max() > 15


def test_an_error_of_1e_6_is_degraded_in_float32_and_fails_in_float64() -> None:
    for storage, expected in (("float32", DEGRADED), ("float64", FAIL)):
        z, y = logits(1.0, storage=storage)
        found = judged(stable(z, y) * (1 + 5e-6), cross_entropy_of(z, y, storage))
        assert found.verdicts.max() == expected


def test_the_radius_of_a_sum_grows_with_the_logarithm_of_its_length() -> None:
    def steps(n: int) -> float:
        found = reference("sum(x, V)", x=np.ones((1, n)))
        return float(found.attainable[0]) / (n * 2 * found.storage.unit_roundoff)

    assert steps(16) == pytest.approx(4, rel=0.3)
    assert steps(4096) == pytest.approx(12, rel=0.3)


SOUND = [
    "sum(exp(x) * y, V)", "log_softmax(x, V)[:, 0] - log_softmax(y, V)[:, 0]", "norm(x - y, V)",
    "mean(square(x - y), V)",
    "max(x * y, V)", "sum(softplus(x) - x * sigmoid(y), V)", "sum(tanh(x) + sin(y), V)",
    "dot(x, y) / (norm(x, V) * norm(y, V))",
    "sum(where(x > y, x, y), V)", "sum(sort(x)[:, 1:] - y[:, 1:], -1)", "sum(xlogy(square(x), square(y)), V)",
    "logsumexp(x + y, V)", "logsumexp(log_softmax(x * y, V) + y, V)",
    "sum(expm1(x) * log1p(square(y)), V)", "min(abs(x), V) ** 3", "sum(maximum(x, 0) - minimum(y, 1), V)",
]  # fmt: skip


@pytest.mark.parametrize("text", SOUND)
@settings(max_examples=12, deadline=None, database=None, derandomize=True)
@given(rows=st.lists(st.tuples(extreme, extreme), min_size=2, max_size=5))
def test_the_ball_of_the_vector_tier_holds_the_truth(text: str, rows: list[tuple[float, float]]) -> None:
    arrays = {"x": [[v for v, _ in rows]], "y": [[v for _, v in rows]]}
    found, exact = reference(text, **arrays), truth(text, **arrays)
    with precision(3000):
        for middle, radius, ball in zip(
            np.ravel(found.middle), np.ravel(found.attainable), np.ravel(exact), strict=True
        ):
            if not np.isfinite(middle) or abs(middle) > found.storage.largest:
                continue
            assert not np.isfinite(radius) or not ball.is_finite() or arb(middle, radius / 512).overlaps(ball)


# kinks and ties


@pytest.mark.parametrize(
    ("text", "x", "decided"),
    [
        ("max(x, V)", [[1.0, 2.0, 3.0]], True), ("max(x, V)", [[1.0, 3.0, 3.0]], False),
        ("max(exp(x), V)", [[1.0, 2.0, 3.0]], True),
        ("min(x / 3, V)", [[1.0, 2.0, 3.0]], True), ("max(abs(x / 3 - 1), V)", [[-1.0, 2.0, 4.0]], True),
        ("max(exp(x), V)", [[1.0, 3.0, 3.0]], False),
        ("sum(abs(x), V)", [[-1.0, 2.0, 4.0]], True), ("sum(abs(x), V)", [[0.0, 2.0, 4.0]], False),
        ("norm(x, V)", [[0.0, 0.0, 0.0]], False),
        ("norm(x, V)", [[0.0, 1e-30, 0.0]], True), ("sum(maximum(exp(x), 1), V)", [[-1.0, 2.0, 4.0]], True),
        ("sum(where(x > 0, x, 0), V)", [[-1.0, 2.0, 4.0]], True),
    ],
)  # fmt: skip
def test_a_gradient_is_undecided_at_a_kink_and_decided_beside_it(text: str, x: Any, decided: bool) -> None:
    found = gradient(text, "x", [1.5], x=x)
    assert bool(defined(found).all() and np.isfinite(found.attainable).all()) is decided


def test_no_rows_have_no_greatest_entry() -> None:
    with precision(64):
        assert ArbArithmetic().argmax_weight(balls(np.zeros((0, 3))), (1,)).shape == (0, 3)


def test_away_from_a_tie_a_wrong_gradient_of_a_maximum_of_computed_entries_fails() -> None:
    found = gradient("max(exp(x), V)", "x", [1.5], x=[[1.0, 2.0, 3.0]])
    assert judged([[0.0, 0.0, 1.5 * np.exp(3)]], found).verdicts.tolist() == [[PASS] * 3]
    assert judged([[0.0, 1.5 * np.exp(2), 0.0]], found).verdicts.tolist() == [[PASS, FAIL, FAIL]]


def test_a_logsumexp_of_uncertain_entries_is_as_certain_as_they_are() -> None:
    found = reference(
        "logsumexp(where(x > 0, -inf, log_softmax(x, V)), V)", x=np.float32([[3e30, -1e30, -2e30]])
    )
    assert found.attainable.item() < 1e25
    assert verdict(-4e30, found) == PASS
    assert verdict(-4.0001e30, found) == DEGRADED
    assert verdict(-5e30, found) == FAIL


# the ends of the exponent range


@pytest.mark.parametrize("storage", ["float16", "bfloat16", "float32", "float64"])
def test_an_infinite_result_is_expected_exactly_where_the_truth_rounds_to_one(storage: str) -> None:
    fmt = FORMATS[storage]
    over = reference("x * 2", storage, x=2.0 ** (fmt.emax) * 1.0)
    assert [verdict(got, over) for got in (INF, -INF, NAN, fmt.largest / 2)] == [PASS, FAIL, FAIL, FAIL]
    under = reference("x * 2", storage, x=2.0 ** (fmt.emax - 1) * 1.5)
    assert [verdict(got, under) for got in (2.0 ** (fmt.emax) * 1.5, INF, NAN)] == [PASS, FAIL, FAIL]
    below = reference("-x * 2", storage, x=2.0 ** (fmt.emax) * 1.0)
    assert [verdict(got, below) for got in (-INF, INF)] == [PASS, FAIL]


@pytest.mark.parametrize("storage", ["float16", "bfloat16", "float32", "float64"])
def test_beside_the_limit_both_the_largest_number_and_inf_are_right(storage: str) -> None:
    fmt = FORMATS[storage]
    at = reference("x + y", storage, x=fmt.largest, y=2.0 ** (fmt.emax - fmt.precision))
    assert {verdict(got, at) for got in (INF, fmt.largest)} <= {PASS, UNDECIDED}


@pytest.mark.parametrize("storage", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("part", [0.9, 0.5, 0.01])
def test_subnormal_results_pass_rounded_gradually_and_flushed_to_zero(storage: str, part: float) -> None:
    fmt = FORMATS[storage]
    x = float(np.asarray(fmt.smallest_normal * 2 * part).astype(fmt.dtype))
    found = reference("x / 2", storage, x=x)
    assert verdict(float(np.asarray(x / 2).astype(fmt.dtype)), found) == PASS
    assert verdict(0.0, found) == PASS
    assert verdict(fmt.smallest_normal * 64, found) in (DEGRADED, FAIL)


@pytest.mark.parametrize(
    ("text", "x"),
    [("log(exp(x))", 100.0), ("sqrt(x * x)", 1e30), ("x * x / x", 1e25), ("exp(x) - exp(x)", 200.0)],
)
@pytest.mark.parametrize("got", [1.0, INF, NAN])
def test_a_step_past_the_largest_number_leaves_a_finite_result_undecided(
    text: str, x: float, got: float
) -> None:
    assert verdict(got, reference(text, x=x)) == UNDECIDED


@pytest.mark.parametrize("storage", ["float32", "float64"])
@pytest.mark.parametrize(
    "text",
    [
        "x * x - y * y",
        "sum(x * x) - sum(y * y)",
        "sum(concat(x * x, -y * y))",
        "sin(x * x) * x * x",
    ],
)
def test_infinities_on_the_way_that_may_cancel_leave_a_result_past_the_limit_undecided(
    text: str, storage: str
) -> None:
    far = 2.0 ** (FORMATS[storage].emax // 2 + 3)
    found = reference(text, storage, x=[far], y=[far / 2])
    assert {verdict(got, found) for got in (INF, NAN, 1.0)} == {UNDECIDED}


@pytest.mark.parametrize("storage", ["float32", "float64"])
@pytest.mark.parametrize(
    "text", ["x * x + y", "sum(concat(x * x, y * y)) / 4", "-2 * norm(x * x)", "abs(y - x * x)"]
)
def test_an_infinity_on_the_way_to_a_result_past_the_limit_stays_one(text: str, storage: str) -> None:
    far = 2.0 ** (FORMATS[storage].emax // 2 + 3)
    found = reference(text, storage, x=[far], y=[far / 2])
    sign = -1.0 if text.startswith("-") else 1.0
    assert [verdict(got, found) for got in (sign * INF, NAN, -sign * INF)] == [PASS, FAIL, FAIL]


@pytest.mark.parametrize(
    ("text", "x"),
    [("logsumexp(x, V)", [[1e3, 1e3]]), ("norm(x, V)", [[1e30, 1e30]]), ("norm(x, V)", [[1e-30, 1e-30]])],
)
def test_what_leaves_the_exponent_range_inside_one_primitive_is_decided(text: str, x: Any) -> None:
    found = reference(text, x=x)
    assert verdict(float(found.expected[0]), found) == PASS
    assert verdict(INF, found) == FAIL


def test_a_length_that_may_be_zero_is_decided() -> None:
    """x/3 − (x + x)/6 is 0, which no ball of finite precision tells."""
    found = reference("1 + norm(x / 3 - (x + x) / 6)", x=[1.0, 2.0])
    assert [verdict(got, found) for got in (1.0, 1.1, NAN)] == [PASS, FAIL, FAIL]


def test_a_subnormal_input_taken_for_zero_is_forgiven_only_where_the_framework_flushes() -> None:
    x = np.float32(1e-40)
    for flush, expected in ((True, PASS), (False, FAIL)):
        found = reference("x * 1e38", x=x, flush=flush)
        assert verdict(0.0, found) == expected
        assert verdict(float(np.float32(np.float64(x) * 1e38)), found) == PASS
        assert verdict(10.0, found) == FAIL


# working precision

HALVES = ["float16", "bfloat16"]


@pytest.mark.parametrize("storage", HALVES)
def test_half_formats_pass_when_computed_in_float32_and_rounded_once(storage: str) -> None:
    z, y = logits(3.0, storage=storage)
    got = stable(z.astype(np.float32), y).astype(numpy_dtype(storage))
    found = judged(got, cross_entropy_of(z, y, storage))
    assert set(found.verdicts.tolist()) == {PASS}
    assert found.grounds is None or not (found.grounds == Ground.LOW_PRECISION).any()


def lowered(z: Any, y: Any, dtype: Any) -> Any:
    """The stable algorithm with every step rounded to a dtype."""

    def cut(a: Any) -> Any:
        return np.asarray(a).astype(dtype).astype(np.float64)

    z = cut(z)
    shifted = cut(z - z.max(-1, keepdims=True))
    weights = cut(np.exp(shifted))
    while weights.shape[-1] > 1:
        weights = cut(weights[:, ::2] + weights[:, 1::2])
    return -cut(np.take_along_axis(shifted, y[:, None], -1)[:, 0] - cut(np.log(weights[:, 0])))


@pytest.mark.parametrize("storage", HALVES)
def test_half_formats_throughout_are_degraded_and_said_to_be_of_low_precision(storage: str) -> None:
    z, y = logits(0.3, storage=storage)
    found = judged(lowered(z, y, numpy_dtype(storage)), cross_entropy_of(z, y, storage))
    assert FAIL not in found.verdicts
    z, y = logits(30.0, storage=storage)
    found = judged(lowered(z, y, numpy_dtype(storage)), cross_entropy_of(z, y, storage))
    assert FAIL not in found.verdicts
    assert DEGRADED in found.verdicts
    low = found.grounds == Ground.LOW_PRECISION
    assert (found.verdicts[low] == DEGRADED).any()


@pytest.mark.parametrize(("lost", "slack", "ground"), [(4, 0.0, Ground.FEW_BITS), (12, np.inf, Ground.SLACK)])
def test_a_degraded_result_says_on_what_ground_it_has_not_failed(
    lost: int, slack: float, ground: Ground
) -> None:
    z, y = logits(3.0)
    reference = cross_entropy_of(z, y)
    got = (reference.expected + reference.attainable * 2.0**lost).astype(np.float32)
    found = judge(got, reference, FORMATS["float32"], slack)
    assert set(found.verdicts.tolist()) == {DEGRADED}
    assert found.grounds is not None
    assert set(found.grounds.tolist()) == {ground}
    told = from_judgement(found, reference, got, "value").reason or ""
    assert ("slack of the spec" in told) == (ground is Ground.SLACK)


def test_what_has_no_bit_right_is_said_to_have_lost_all() -> None:
    z, y = logits(3.0)
    reference = cross_entropy_of(z, y)
    got = np.full(reference.shape, 1e30, np.float32)
    found = from_judgement(judge(got, reference, FORMATS["float32"]), reference, got, "value")
    assert found.reason == "all 24 bits lost"


def test_bfloat16_inside_float32_fails() -> None:
    z, y = logits(3.0)
    found = judged(lowered(z, y, numpy_dtype("bfloat16")), cross_entropy_of(z, y))
    assert found.verdicts[found.worst] == FAIL
    assert found.grounds is None or not (found.grounds == Ground.LOW_PRECISION).any()


def test_a_declared_working_precision_is_what_an_implementation_is_held_to() -> None:
    def tf32(a: Any) -> Any:
        bits = np.asarray(a, dtype=np.float32).view(np.uint32)
        return ((bits + 0x1000) & np.uint32(0xFFFFE000)).view(np.float32)

    x = np.random.default_rng(0).uniform(1, 2, (4, 32)).astype(np.float32)
    y = np.random.default_rng(1).uniform(1, 2, (4, 32)).astype(np.float32)
    got = (tf32(x).astype(np.float64) * tf32(y)).sum(-1).astype(np.float32)
    undeclared = reference("dot(x, y)", x=x, y=y)
    declared = reference("dot(x, y)", x=x, y=y, working="tf32")
    assert (judged(got, undeclared).bits > 3).any()
    assert set(judged(got, declared, working="tf32").verdicts.tolist()) == {PASS}
    assert judged(got * 1.5, declared, working="tf32").verdicts.tolist() == [FAIL] * 4


# slack and excuse


def test_slack_widens_degraded_and_never_pass() -> None:
    found = reference("exp(x)", x=np.float32(-9.0))
    u, truth = found.storage.unit_roundoff, float(found.expected)
    assert verdict(truth + 6 * 9 * u, found) == FAIL
    assert verdict(truth + 6 * 9 * u, found, slack=8 * 9 * u) == DEGRADED
    assert verdict(truth + 9 * 9 * u, found, slack=8 * 9 * u) == FAIL
    assert verdict(truth, found, slack=8 * 9 * u) == PASS
    assert verdict(NAN, found, slack=INF) in (FAIL, DEGRADED)


def test_a_slack_of_each_row_holds_for_all_its_elements() -> None:
    z, y = logits(3.0)
    found = gradient(CROSS_ENTROPY, "logits", np.ones(ROWS, np.float32), logits=z, labels=y)
    got = found.expected + 2.0**12 * found.attainable
    slack = np.where(np.arange(ROWS) % 2, np.inf, 0.0)[:, None]
    verdicts = judged(got, found, slack=slack).verdicts
    assert set(verdicts[1::2].ravel().tolist()) == {DEGRADED}
    assert set(verdicts[::2].ravel().tolist()) == {FAIL}


GUARDED = "where(all(x == y, V), 0, sqrt(sum(square(where(all(x == y, V)[:, None], 1, x - y)), V)))"


@pytest.mark.parametrize("rows", [2, 400])
@pytest.mark.parametrize("storage", ["float32", "float64"])
def test_a_guard_that_only_a_derivative_needs_excuses_nothing(storage: str, rows: int) -> None:
    x = np.random.default_rng(rows).normal(size=(rows, 3)).astype(storage)
    found = reference(f"square(1 - {GUARDED})", storage, x=x, y=x)
    assert set(judged(np.zeros(rows), found).verdicts.tolist()) == {FAIL}
    ulps = np.full(rows, 1 - 8 * 2.0 ** -(24 if storage == "float32" else 53))
    assert FAIL not in judged(ulps, found).verdicts


@pytest.mark.parametrize(("worst", "asked"), [(0.0, 1), (6.0, 0)])
def test_elements_at_the_limit_go_up_only_where_a_verdict_hangs_on_them(
    worst: float, asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    z, y = logits(3.0)
    found = cross_entropy_of(z, y)
    got = found.middle.copy()
    got[0] += 2.0**PASS_BITS * found.attainable[0]
    got[1] += 2.0**worst * found.attainable[1]
    masks: list[Any] = []
    certified = Reference.certified
    monkeypatch.setattr(
        Reference, "certified", lambda self, mask: masks.append(mask) or certified(self, mask)
    )
    judged(got, found)
    assert sum(int(mask.sum()) for mask in masks) == asked


@pytest.mark.parametrize("got", [NAN, INF, -INF])
def test_no_finite_slack_or_excuse_forgives_a_wrong_nan_or_inf(got: float) -> None:
    assert verdict(got, reference("sin(x)", x=np.float32(1e5)), slack=1e30) == FAIL


def test_an_error_that_a_rounding_of_the_input_explains_is_degraded_and_a_greater_one_fails() -> None:
    x = np.float32(123456.0)
    found = reference("sin(x)", x=x)
    u = found.storage.unit_roundoff
    assert verdict(np.sin(float(x)), found) == PASS
    assert verdict(np.sin(float(x) * (1 + 2 * u)), found) == DEGRADED
    assert verdict(np.sin(float(x) * (1 + 30 * u)), found) == FAIL


def test_a_common_offset_excuses_unless_the_spec_says_that_differences_count() -> None:
    z, y = logits(3.0, offset=1e4)
    got = difference(z, y)
    assert FAIL not in judged(got, reference(CROSS_ENTROPY, logits=z, labels=y)).verdicts
    assert FAIL in judged(got, cross_entropy_of(z, y)).verdicts


def test_a_rounding_of_the_differences_is_excused_where_differences_count() -> None:
    z, y = logits(30.0, offset=1e4)
    top = z.max(-1, keepdims=True).astype(np.float64)
    moved = (z - top) * (1 + 2.0**-23)
    found = judged(-np.take_along_axis(moved - np.log(np.exp(moved).sum(-1, keepdims=True)), y[:, None], -1)[:, 0],
                   cross_entropy_of(z, y))  # fmt: skip
    assert FAIL not in found.verdicts


def test_bits_lost_are_the_logarithm_of_the_error_in_attainable_errors() -> None:
    found = reference("exp(x)", x=np.float32(1.0))
    attainable, truth = float(found.attainable), float(found.middle)
    for bits, expected in ((0.5, PASS), (2.9, PASS), (3.1, DEGRADED), (7.9, DEGRADED), (9.0, FAIL)):
        got = truth + attainable * 2**bits
        judgement = judged(got, found)
        assert judgement.bits.item() == pytest.approx(bits, abs=0.01)
        assert judgement.verdicts.item() == expected


def test_the_worst_element_is_a_failed_one_before_a_degraded_one_before_the_most_bits() -> None:
    found = reference("exp(x)", x=[0.0, 1.0, 2.0, 3.0])
    truth = found.expected * 1.0
    assert judged(truth * [1, 1 + 2e-6, 1, NAN], found).worst == 3
    assert judged(truth * [1, 1, 1.1, 1 + 2e-6], found).worst == 2
    undecided = reference("x - x", x=[-INF, -INF])
    assert judged([0.0, 0.0], undecided).worst is None


@pytest.mark.parametrize(
    "fmt", [FORMATS[name] for name in ("float16", "bfloat16", "float32", "float64")], ids=str
)
def test_attainable_error_is_never_below_what_the_storage_format_can_tell(fmt: Format) -> None:
    found = reference("x + y", fmt.name, x=1.0, y=2.0 ** -(fmt.precision // 2))
    assert float(found.attainable) >= fmt.unit_roundoff


def test_an_index_outside_the_classes_is_an_error_and_no_value() -> None:
    for label in (-1, 3):
        with pytest.raises(IndexError, match="class index"):
            reference(CROSS_ENTROPY, logits=[[1.0, 2.0, 3.0]], labels=[label])


def test_balls_of_every_dtype_are_exact() -> None:
    for storage in (*HALVES, "float32", "float64"):
        x = np.array([0.1, 3.0, 1e-6]).astype(numpy_dtype(storage))
        assert [float(b) for b in balls(x)] == x.astype(np.float64).tolist()
        assert all(b.is_exact() for b in balls(x))


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("radius", [0.0, 1e-9, np.inf])
def test_a_step_writes_to_no_array_that_it_is_given(positive: bool, radius: float) -> None:
    """Radii are worked out in place, and a node's are read by every node after it."""
    out = np.array([0.0, 1e-40, 1.0, 3e38])
    radii = np.full(4, radius)
    for array in (out, radii):
        array.setflags(write=False)
    found = Rounding.of(FORMATS["float32"]).finish(out, radii, positive=positive)
    assert found is not radii
    assert np.all(np.asarray(found) >= radii)
