"""The reverse-mode derivative agrees with a central difference; at a kink it holds every subgradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from lossproof.errors import ExpressionError
from lossproof.expression import primitives as p
from lossproof.expression.derivative import vjp
from lossproof.expression.node import Node
from lossproof.expression.parse import parse
from lossproof.expression.scope import NUMBER, Scope
from lossproof.expression.size import Size
from lossproof.oracle.arb_tier import ArbArithmetic, balls, precision
from lossproof.oracle.evaluate import Bindings, evaluate

SIZES = {"N": 2, "V": 3, "D": 2}
STEP = arb(2) ** -60
CLOSE = 2.0**-90  # the step's square, 2^-120, times a third derivative of up to 2^30

SHAPES: dict[str, tuple[str | int, ...]] = {
    "x": ("N", "V"), "y": ("N", "V"), "w": ("V",), "v": ("N",), "s": (), "c": ("N", 1), "m": ("V", "D"),
    "q": ("N", "V", "D"), "labels": ("N",), "one": ("D",), "perm": ("V",), "mask": ("N", "V"),
}  # fmt: skip
DISCRETE = {
    "labels": np.array([2, 0]),
    "one": np.array([1, 1]),
    "perm": np.array([2, 0, 1]),
    "mask": np.array([[True, False, True], [False, False, True]]),
}
KINDS: dict[str, Any] = {"labels": "integer", "one": "integer", "perm": "integer", "mask": "boolean"}


def leaf(name: str) -> Node:
    shape = tuple(Size.of(axis) for axis in SHAPES[name])
    return Node.make("input", (), (name,), shape, KINDS.get(name, "real"))


SCOPE_LEAVES = {name: leaf(name) for name in SHAPES}


def graph(text: str) -> Node:
    dimensions = {name: Size.of(name) for name in SIZES}
    return p.real(parse(text, Scope(SCOPE_LEAVES, {"epsilon": NUMBER}, dimensions)))


def values(seed: int, low: float, high: float) -> dict[str, Any]:
    """Distinct floats in [low, high] for every real leaf, far from every tie."""
    generator = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    for name, shape in SHAPES.items():
        if name not in DISCRETE:
            sizes = [axis if isinstance(axis, int) else SIZES[axis] for axis in shape]
            found[name] = balls(generator.uniform(low, high, sizes))
    return found | DISCRETE


def evaluated(nodes: list[Node], leaves: dict[str, Any]) -> list[Any]:
    bindings = Bindings(leaves, {"epsilon": np.asarray(arb(0.25), dtype=object)}, SIZES)
    return [np.asarray(value, dtype=object) for value in evaluate(nodes, ArbArithmetic(), bindings)]


def derivative(text: str, leaves: dict[str, Any], names: list[str], seed: int = 0) -> tuple[list[Any], Any]:
    """The vector–Jacobian products for the leaves named, and the cotangent that was drawn."""
    output = graph(text)
    shape = tuple(size.at(SIZES) for size in output.shape)
    cotangent = balls(np.random.default_rng(seed + 99).uniform(-2, 2, shape))
    node = Node.make("input", (), ("cotangent",), output.shape)
    found = vjp(output, node, [SCOPE_LEAVES[name] for name in names])
    for name, result in zip(names, found, strict=True):
        assert result.shape == SCOPE_LEAVES[name].shape
    return evaluated(found, leaves | {"cotangent": cotangent}), cotangent


def central_difference(
    text: str, leaves: dict[str, Any], name: str, index: tuple[int, ...], cotangent: Any
) -> arb:
    def total(step: arb) -> arb:
        moved = leaves[name].copy()
        moved[index] = moved[index] + step
        (value,) = evaluated([graph(text)], leaves | {name: moved})
        return sum(np.asarray(value * cotangent, dtype=object).ravel(), arb(0))

    return (total(STEP) - total(-STEP)) / (2 * STEP)


def check(text: str, names: str, seed: int = 0, low: float = 0.25, high: float = 0.75) -> None:
    with precision(400):
        leaves = values(seed, low, high)
        found, cotangent = derivative(text, leaves, names.split(), seed)
        for name, result in zip(names.split(), found, strict=True):
            for index in np.ndindex(result.shape):
                expected = central_difference(text, leaves, name, index, cotangent)
                error = abs(result[index] - expected)
                assert error <= CLOSE, f"d/d{name}{list(index)}: {result[index]} is not {expected}"
                assert result[index].rad() < CLOSE


ELEMENTWISE = [
    f"{f}(x)"
    for f in (
        *("exp", "log", "log1p", "expm1", "sqrt", "abs", "square", "softplus", "sigmoid", "log_sigmoid"),
        *("sin", "cos", "acos", "tanh"),
    )
]
BINARY = [
    "x + y", "x - y", "x * y", "x / y", "-x * y", "x**3", "x**-2", "x**0.5", "x**epsilon", "maximum(x, y)",
    "minimum(x, y)",
    "xlogy(x, y)", "rel_entr(x, y)", "xdivy(x, y)", "times(x, y)", "where(x > y, x * y, exp(y))",
    "where(mask, x / y, y)",
    "where(mask, x, 1) - y", "epsilon * x + mask * y",
]  # fmt: skip
BROADCAST = [
    ("x * w", "x w"), ("w * x", "x w"), ("x / v", "x v"), ("x * s", "x s"), ("c * x", "c x"),
    ("c - w[None, :]", "c w"),
    ("maximum(x, v)", "x v"), ("minimum(w, x)", "x w"), ("where(mask, v, w)", "v w"), ("xlogy(v, x)", "v x"),
    ("rel_entr(x, w)", "x w"), ("times(s, x)", "s x"), ("x[:, :, None] * (q + v[:, None, None])", "x q v"),
    ("q * x[:, :, None]", "q x"),
    ("q + v[:, None, None] * w[None, :, None]", "q v w"), ("x * V + N", "x"),
]  # fmt: skip
REDUCED = [
    f"{f}(x{axis})"
    for f in ("sum", "mean", "max", "min", "norm")
    for axis in ("", ", V", ", N", ", 0", ", -1")
] + [
    f"{f}({x}, {axis})"
    for f in ("logsumexp", "softmax", "log_softmax")
    for x, axis in (("x", "V"), ("x", "N"), ("q", 1), ("q", "D"), ("w", 0))
]  # fmt: skip
STRUCTURE = [
    ("take(x, labels)", "x"), ("take(w, labels)", "w"), ("take(w * s, one)", "w s"),
    ("permute(x, perm)", "x"),
    ("permute(w, perm)", "w"), ("concat(x, y)", "x y"), ("concat(x, c)", "x c"), ("concat(c, x)", "x c"),
    ("concat(exp(x), x * w)", "x w"), ("x[:, 1:]", "x"), ("x[:, :-1] - x[:, 1:]", "x"),
    ("x[:, 0]", "x"), ("x[0]", "x"),
    ("exp(x[:, -1]) * v", "x v"), ("q[:, 1:, 0]", "q"), ("x[:, None, :-1]", "x"), ("q[..., 1]", "q"),
    ("flatten(q)", "q"), ("flatten(x * v)", "x v"), ("square(flatten(x))", "x"), ("square(join_rows(q))", "q"),
    ("full(s, N, V) * x", "s x"),
    ("full(s * s, N)", "s"), ("matmul(x, m)", "x m"), ("matmul(transpose(m), transpose(x))", "x m"),
    ("matmul(x, transpose(x))", "x"), ("transpose(q) * 2", "q"), ("dot(x, y)", "x y"), ("dot(x, w)", "x w"),
    ("x * onehot(labels, V)", "x"), ("x * arange(V)", "x"), ("sum(x * sum(x, V), N)", "x"),
    ("norm(x - c, V) / norm(w)", "x c w"), ("-take(log_softmax(x / s, V), labels)", "x s"),
    ("exp(x) + exp(x) * log(sum(exp(x), V))", "x"), ("v", "v w"), ("x if epsilon is None else x * x", "x"),
]  # fmt: skip


@pytest.mark.parametrize("text", ELEMENTWISE)
def test_an_elementwise_function_agrees_with_a_central_difference(text: str) -> None:
    check(text, "x")


@pytest.mark.parametrize("text", BINARY)
def test_an_operator_of_two_operands_agrees_in_both(text: str) -> None:
    check(text, "x y")


@pytest.mark.parametrize(
    "text", [t for t in ELEMENTWISE if not any(f in t for f in ("log(", "log1p", "sqrt", "acos"))]
)
def test_an_elementwise_function_agrees_where_its_argument_is_negative_or_large(text: str) -> None:
    check(text, "x", low=-9, high=-1)
    check(text, "x", low=3, high=12)


@pytest.mark.parametrize(("text", "names"), BROADCAST)
def test_a_stretched_operand_gets_the_sum_over_where_it_was_stretched(text: str, names: str) -> None:
    check(text, names)


@pytest.mark.parametrize("text", REDUCED)
def test_a_reduction_agrees_over_every_axis(text: str) -> None:
    check(text, "w" if "(w" in text else "q" if "(q" in text else "x")


@pytest.mark.parametrize(("text", "names"), STRUCTURE)
def test_moving_and_joining_entries_agrees(text: str, names: str) -> None:
    check(text, names)


@settings(max_examples=15, deadline=None, database=None, derandomize=True)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_compositions_of_primitives_agree(data: st.DataObject, seed: int) -> None:
    one = st.sampled_from(
        ["exp({})", "sigmoid({})", "softplus({})", "tanh({})", "log_softmax({}, V)", "square({})"]
    )
    two = st.sampled_from(["({} + {})", "({} * {})", "({} - {})", "({} / (2 + square({})))"])
    text = data.draw(st.sampled_from(["x", "y", "x * w"]))
    for _ in range(data.draw(st.integers(1, 3))):
        text = data.draw(one).format(text)
        text = data.draw(two).format(text, data.draw(st.sampled_from(["x", "y", "c"])))
    check(f"sum({text}, V)", "x y", seed)


@pytest.mark.parametrize(
    "text", ["x[:, 0]", "exp(x[:, 0])", "take(x, labels)", "x[0]", "q[:, 1:, 0]", "concat(x[:, 1:], c)"]
)
@pytest.mark.parametrize("bits", [24, 400])
def test_an_entry_without_influence_has_a_derivative_of_exactly_0(text: str, bits: int) -> None:
    name = "q" if "q" in text else "x"
    with precision(400):
        leaves = values(1, 0.25, 0.75)
        (result,), cotangent = derivative(text, leaves, [name])
        differences = {
            index: central_difference(text, leaves, name, index, cotangent)
            for index in np.ndindex(result.shape)
        }
        idle = [index for index, difference in differences.items() if abs(difference) < CLOSE]
    assert idle
    with precision(bits):
        (result,), _ = derivative(text, leaves, [name])
    assert all(result[index].is_zero() for index in idle)


def test_an_undefined_cotangent_of_one_entry_says_nothing_about_the_others() -> None:
    output = graph("x[:, 0]")
    node = Node.make("input", (), ("cotangent",), output.shape)
    (result,) = vjp(output, node, [SCOPE_LEAVES["x"]])
    cotangent = np.array([arb("nan"), arb(1)], dtype=object)
    (found,) = evaluated([result], values(1, 0.25, 0.75) | {"cotangent": cotangent})
    assert found[0, 0].is_nan()
    assert found[1, 0] == 1
    assert all(entry.is_zero() for entry in found[:, 1:].ravel())


def test_an_input_without_influence_has_zeros_of_its_shape() -> None:
    (found,), _ = derivative("w", values(0, 0.1, 1), ["x"])
    assert found.shape == (2, 3)
    assert all(entry.is_zero() for entry in found.ravel())


def test_integers_and_conditions_pass_no_derivative_on() -> None:
    check("count(x > y) + sum(x) * any(x > 0.5)", "x")
    check("where(isfinite(x), x, y)", "x")


def weights(text: str, name: str, **given: Any) -> Any:
    """The derivative with cotangent 1 at given values of leaves."""
    output = graph(text)
    leaves = values(0, 0.25, 0.75) | {
        key: balls(np.asarray(value, dtype=float)) for key, value in given.items()
    }
    shape = tuple(size.at(SIZES) for size in output.shape)
    node = Node.make("input", (), ("cotangent",), output.shape)
    with precision(300):
        found = vjp(output, node, [SCOPE_LEAVES[name]])
        return evaluated(found, leaves | {"cotangent": balls(np.ones(shape))})[0]


KINKS = [
    ("abs(s)", "s", {"s": 0.0}, (), (-1.0, 1.0)),
    ("maximum(s, 2)", "s", {"s": 2.0}, (), (0.0, 1.0)),
    ("maximum(2, s)", "s", {"s": 2.0}, (), (0.0, 1.0)),
    ("minimum(s, 2)", "s", {"s": 2.0}, (), (0.0, 1.0)),
    ("3 * abs(s - 1) + s", "s", {"s": 1.0}, (), (-2.0, 4.0)),
    ("max(w)", "w", {"w": [1.0, 2.0, 2.0]}, (1,), (0.0, 1.0)),
    ("max(w)", "w", {"w": [1.0, 2.0, 2.0]}, (2,), (0.0, 1.0)),
    ("min(w)", "w", {"w": [1.0, 1.0, 2.0]}, (0,), (0.0, 1.0)),
    ("norm(w)", "w", {"w": [0.0, 0.0, 0.0]}, (1,), (-1.0, 1.0)),
    ("sqrt(s * s)", "s", {"s": 0.0}, (), (-1.0, 1.0)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "given", "index", "ends"), KINKS)
def test_at_a_kink_the_ball_holds_every_one_sided_derivative(
    text: str, name: str, given: dict[str, Any], index: tuple[int, ...], ends: tuple[float, float]
) -> None:
    found = weights(text, name, **given)[index]
    if not found.is_nan():  # undefined is undecided too
        assert found.contains(ends[0])
        assert found.contains(ends[1])
        assert found.rad() >= (ends[1] - ends[0]) / 2


@pytest.mark.parametrize(
    ("text", "given", "expected"),
    [
        ("max(w)", [1.0, 2.0, 3.0], [0, 0, 1]),
        ("max(w)", [3.0, 3.0, 4.0], [0, 0, 1]),
        ("min(w)", [1.0, 4.0, 4.0], [1, 0, 0]),
        ("max(w)", [float("-inf"), 1.0, float("-inf")], [0, 1, 0]),
        ("max(exp(w))", [0.0, -1.0, float("-inf")], [1, 0, 0]),
    ],
)
def test_a_tie_elsewhere_leaves_the_derivative_exact(
    text: str, given: list[float], expected: list[int]
) -> None:
    assert [float(entry) for entry in weights(text, "w", w=given)] == expected


def test_the_only_entry_of_an_axis_is_its_maximum_even_at_minus_infinity() -> None:
    found = weights("max(c, -1)", "c", c=[[float("-inf")], [2.0]])
    assert [float(entry) for entry in found.ravel()] == [1, 1]


def test_a_masked_class_gets_no_gradient_and_the_others_theirs() -> None:
    found = weights("logsumexp(w, V)", "w", w=[float("-inf"), 1.0, 1.0])
    assert found[0].is_zero()
    assert all(abs(entry - 0.5) < 1e-80 for entry in found[1:])


@pytest.mark.parametrize("text", ["2**x", "x**y", "x**(x + 1)"])
def test_a_variable_exponent_is_refused_with_its_reason(text: str) -> None:
    with pytest.raises(ExpressionError, match="exponent"):
        derivative(text, values(0, 0.25, 0.75), ["x", "y"])


def test_every_function_of_the_language_has_a_derivative_or_says_that_it_has_none() -> None:
    without = {"sort", "sign", "isfinite", "any", "all", "count", "onehot", "relabel", "arange"}
    tried = " ".join(ELEMENTWISE + BINARY + REDUCED + [text for text, _ in BROADCAST + STRUCTURE])
    for function in p.PUBLIC:
        if function not in without:
            assert f"{function}(" in tried, f"{function} is tried nowhere here"
    for text in ("sum(sort(x))",):
        with pytest.raises(ExpressionError, match="no derivative"):
            derivative(text, values(0, 0.25, 0.75), ["x"])
