"""The language of specs: what it takes, what it refuses and where it points, and how shapes come about."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from lossproof.audit.prove import prove
from lossproof.errors import ExpressionError, SpecError
from lossproof.expression.node import Node, topological
from lossproof.expression.parse import parse
from lossproof.expression.scope import ARRAY, NUMBER, Scope
from lossproof.expression.size import Size, show
from lossproof.expression.syntax import MAX_CHARACTERS
from lossproof.oracle.arb_tier import ArbArithmetic, balls
from lossproof.oracle.evaluate import Bindings, evaluate
from lossproof.spec import library

LEAVES: dict[str, tuple[Any, str]] = {
    "logits": (("N", "V"), "real"), "other": (("N", "V"), "real"), "w": (("V",), "real"),
    "rows": (("N",), "real"),
    "square_matrix": (("N", "N"), "real"), "z": (("N", "D"), "real"), "s": ((), "real"),
    "c": (("N", 1), "real"),
    "labels": (("N",), "integer"), "perm": (("V",), "integer"), "mask": (("N", "V"), "boolean"),
    "cube": (("N", "V", "D"), "real"), "pair": (("N", 2), "real"),
}  # fmt: skip
DIMENSIONS = {"N": 2, "V": 3, "D": 4}


def scope(let: dict[str, str] | None = None, **parameters: Any) -> Scope:
    leaves = {
        name: Node.make("input", (), (name,), tuple(map(Size.of, shape)), kind)  # type: ignore[arg-type]
        for name, (shape, kind) in LEAVES.items()
    }
    return Scope(leaves, parameters, {name: Size.of(name) for name in DIMENSIONS}, let or {})


def build(text: str, let: dict[str, str] | None = None, **parameters: Any) -> Node:
    return parse(text, scope(let, **parameters))


def refused(
    text: str, match: str | None = None, let: dict[str, str] | None = None, **parameters: Any
) -> ExpressionError:
    with pytest.raises(ExpressionError, match=match) as caught:
        build(text, let, **parameters)
    error = caught.value
    assert "\n" not in error.message
    assert error.at is not None
    line, column = error.at
    assert 1 <= line <= text.count("\n") + 2
    assert column >= 1
    return error


def error_of(text: str, let: dict[str, str] | None = None) -> ExpressionError | None:
    try:
        build(text, let)
    except ExpressionError as error:
        return error
    return None


def value(text: str, let: dict[str, str] | None = None, **parameters: Any) -> Any:
    leaves: dict[str, Any] = {
        "logits": balls(np.arange(6.0).reshape(2, 3)), "w": balls(np.array([1.0, 2.0, 4.0])),
        "rows": balls(np.array([10.0, 20.0])), "s": balls(np.array(0.5)), "labels": np.array([2, 0]),
        "mask": np.array([[True, False, True], [False, True, False]]),
    }  # fmt: skip
    numbers = {k: np.asarray(arb(v), dtype=object) for k, v in {"epsilon": 0.25}.items()}
    (found,) = evaluate(
        [build(text, let, **parameters)], ArbArithmetic(), Bindings(leaves, numbers, DIMENSIONS)
    )
    return np.asarray(found).astype(float).tolist()


FORBIDDEN = [
    "logits.shape", "logits.__class__", "s.__class__.__mro__", "lambda: 1", "(lambda x: x)(s)",
    "[a for a in rows]",
    "{a for a in rows}", "{a: 1 for a in rows}", "(a for a in rows)", "f'{s}'", "f'{s.__class__}'", "'text'",
    "b'text'",
    "(t := s)", "sum((t := logits), V)", "[1, 2]", "{1, 2}", "{'a': 1}", "(1, 2)", "1, 2", "...", "None",
    "True", "1j",
    "s @ s", "s % 2", "s // 2", "s << 1", "s | s", "s & s", "s ^ s", "~s", "rows in w", "rows is w", "*rows",
    "s if s else s",
    "await s", "(yield s)", "exp(*rows)", "exp(**rows)", "sum(logits, axis=V, keepdims=1)", "exp(s)(s)",
    "(exp)(s)(s)",
    "logits[[0]]", "logits[rows]", "logits[labels]", "logits['a']", "logits[0.5]", "logits[::2]",
    "logits[:N]", "__import__('os')",
    "eval('1')", "open('x')", "print(s)", "grad(s, s)", "exp.__call__(s)", "sum", "exp", "import os", "s; s",
    "s = 1", "s\ns", "",
    " ", "#", ")", "s +", "s)) + ((s", "\x00", "s\x00", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("text", FORBIDDEN)
def test_what_is_outside_the_language_is_refused_with_its_position(text: str) -> None:
    refused(text)


@pytest.mark.parametrize(
    "name", ["__builtins__", "__class__", "__import__", "_", "os", "self", "print", "eval"]
)
def test_no_name_of_python_is_known(name: str) -> None:
    refused(name, "unknown name")
    refused(f"{name}(s)", "unknown function")


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("logit + 1", "logits"), ("lables", "labels"), ("epsilom * s", "epsilon"), ("row", "rows"),
        ("logsumexpo(logits, V)", "logsumexp"), ("softmx(logits)", "softmax"), ("ex(s)", "exp"),
        ("in_f", "inf"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_answered_with_the_nearest_right_one(text: str, near: str) -> None:
    assert f"did you mean '{near}'" in refused(text, epsilon=NUMBER).message


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("nope", (1, 1)), ("s + nope", (1, 5)), ("exp(nope)", (1, 5)), ("s +\n  nope", (2, 3)),
        ("sum(\n logits,\n nope)", (3, 2)),
        ("exp(s, s)", (1, 1)), ("s * (logits + z)", (1, 6)),
    ],
)  # fmt: skip
def test_an_error_points_at_the_smallest_part_that_is_wrong(text: str, at: tuple[int, int]) -> None:
    assert refused(text).at == at


def test_an_expression_may_run_over_several_lines_and_be_indented() -> None:
    assert build("  logits\n  - max(logits,\n        V)\n") is build("logits - max(logits, V)")


@pytest.mark.parametrize(
    "text",
    [
        "s" * (MAX_CHARACTERS + 1), "s" + "+s" * 1_990, "-" * 3_990 + "s", "(" * 1_900 + "s" + ")" * 1_900,
        "exp(" * 700 + "s" + ")" * 700,
        "s" + "[None]" * 600, "not " * 990 + "mask", "s" + "**s" * 1_300, "1" * 3_999, "0x" + "f" * 3_990,
        "s if " * 600 + "s", "[" * 3_000,
        "s<" * 1_900 + "s",
    ],
    ids=lambda text: text[:6],
)  # fmt: skip
def test_a_huge_or_deeply_nested_expression_is_refused_or_built_and_never_breaks_the_parser(
    text: str,
) -> None:
    error = error_of(text)
    assert error is None or (error.at is not None and len(str(error)) < 6_000)


def test_a_let_chain_that_doubles_stays_small_since_equal_parts_are_one_node() -> None:
    let = {"a0": "exp(s)"} | {f"a{i}": f"a{i - 1} * a{i - 1}" for i in range(1, 60)}
    assert len(topological([build("a59", let)])) < 100


def test_a_long_let_chain_is_refused_or_built_and_never_breaks_the_parser() -> None:
    let = {"a0": "s"} | {f"a{i}": f"a{i - 1} + 1" for i in range(1, 2_000)}
    error = error_of("a1999", let)
    assert error is None or error.at is not None


@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(st.text(st.sampled_from("sNV logits max()[]:,+-*/<=.0123e'\"#\n\t\\@{}é∑"), max_size=40))
def test_any_text_is_either_an_expression_or_an_expression_error(text: str) -> None:
    error = error_of(text)
    assert error is None or error.at is not None


SHAPES_OF = [
    ("logits - max(logits, V)", "[N, V]"), ("logits * w", "[N, V]"), ("w * logits", "[N, V]"),
    ("logits + rows", "[N, V]"),
    ("logits + c", "[N, V]"), ("c * c", "[N, 1]"), ("logits * s", "[N, V]"),
    ("cube + w[None, :, None]", "[N, V, D]"), ("cube * z[:, None]", "[N, V, D]"),
    ("cube + logits", "[N, V, D]"), ("cube + rows", "[N, V, D]"), ("sum(logits)", "[]"),
    ("sum(logits, V)", "[N]"), ("sum(logits, 0)", "[V]"),
    ("mean(cube, -2)", "[N, D]"), ("norm(cube, D)", "[N, V]"), ("softmax(logits)", "[N, V]"),
    ("sort(rows)", "[N]"), ("dot(logits, other)", "[N]"),
    ("matmul(transpose(logits), z)", "[V, D]"), ("transpose(logits)", "[V, N]"),
    ("take(logits, labels)", "[N]"), ("take(w, labels)", "[N]"),
    ("onehot(labels, V)", "[N, V]"), ("onehot(labels, V + 1)", "[N, 1 + V]"),
    ("concat(logits, c)", "[N, 1 + V]"), ("concat(logits, z)", "[N, D + V]"),
    ("full(0, N, 2 * V)", "[N, 2*V]"), ("arange(N)", "[N]"), ("flatten(cube)", "[N, D*V]"),
    ("flatten(cube) - flatten(cube)", "[N, D*V]"), ("join_rows(cube)", "[N*V, D]"),
    ("logits[:, None]", "[N, 1, V]"), ("logits[..., 0]", "[N]"), ("logits[:, 1:]", "[N, -1 + V]"),
    ("logits[:, :-2]", "[N, -2 + V]"),
    ("logits[1]", "[V]"), ("pair[:, 0:1]", "[N, 1]"), ("logits[None]", "[1, N, V]"),
    ("permute(logits, perm)", "[N, V]"),
    ("square_matrix + rows[:, None]", "[N, N]"), ("where(mask, logits, 0)", "[N, V]"),
    ("any(mask, V)", "[N]"), ("count(mask)", "[]"),
    ("V + 1", "[]"), ("relabel(labels, perm)", "[N]"), ("concat(concat(logits, c), c)", "[N, 2 + V]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shape"), SHAPES_OF)
def test_shapes_follow_the_names_of_dimensions(text: str, shape: str) -> None:
    assert sorted(show(build(text).shape)) == sorted(shape)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("square_matrix + rows", "2 ways"), ("logits + z", "V is not D|D is not V"),
        ("rows + w", "N is not V|V is not N"), ("logits + pair", "do not fit"),
        ("sum(logits, D)", "no axes D"), ("sum(square_matrix, N)", "2 axes N"),
        ("sum(logits, 2)", "no axis 2"), ("sum(logits, -3)", "no axis -3"),
        ("sum(s, 0)", "no axis"), ("sum(logits, 0.5)", "whole number"), ("sum(logits, rows)", "whole number"),
        ("softmax(s)", "no axis"),
        ("logsumexp(logits)", "axis"), ("matmul(logits, z)", "inner axes"), ("matmul(rows, w)", "inner axes"),
        ("transpose(w)", "two axes"),
        ("flatten(w)", "two axes"), ("join_rows(w)", "two axes"), ("take(logits, rows)", "class indices"),
        ("take(logits, perm)", "leading axes"), ("onehot(rows, V)", "class indices"),
        ("onehot(labels, rows)", "size is expected"), ("permute(logits, labels)", "permutation"),
        ("concat(logits, w)", "leading axes"),
        ("concat(s, s)", "leading axes"), ("full(w, N)", "scalar"), ("logits[0, 0, 0]", "3 subscripts"),
        ("logits[:, :2]", "slice"),
        ("logits[:, -1:]", "slice"), ("where(logits, 1, 2)", "boolean"), ("any(logits, V)", "booleans"),
        ("count(rows)", "booleans"), ("not rows", "booleans"),
        ("rows and rows", "booleans"), ("exp()", "takes 1 arguments"), ("maximum(s)", "takes 2 arguments"),
        ("relabel(rows, perm)", "class indices"),
        ("s == 'none'", "number is expected"), ("exp(axis=0)", "keyword"),
    ],
)  # fmt: skip
def test_shapes_and_kinds_that_do_not_fit_are_refused_with_the_reason(text: str, match: str) -> None:
    refused(text, match)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("V", 3), ("N * V + 1", 7), ("2 / V", 2 / 3), ("sum(logits, V)", [3, 12]), ("mean(logits)", 2.5),
        ("mean(logits, N)", [1.5, 2.5, 3.5]),
        ("logits * w", [[0, 2, 8], [3, 8, 20]]), ("logits - rows", [[-10, -9, -8], [-17, -16, -15]]),
        ("-V**2", -9), ("(-V)**2", 9),
        ("take(logits, labels)", [2, 3]), ("take(w, labels)", [4, 1]),
        ("onehot(labels, V)", [[0, 0, 1], [1, 0, 0]]), ("1 - 1 - 1", -1),
        ("where(mask, logits, -inf)", [[0, -np.inf, 2], [-np.inf, 4, -np.inf]]), ("count(mask, V)", [2, 1]),
        ("sum(mask * logits)", 6),
        ("logits[:, 1:] - logits[:, :-1]", [[1, 1], [1, 1]]), ("0 < rows < 15", [1, 0]),
        ("not (rows < 15 and rows > 5) or rows == 10", [1, 1]),
        ("arange(V) + 0.5", [0.5, 1.5, 2.5]), ("full(s, 2)", [0.5, 0.5]), ("max(logits, V) / 2", [1, 2.5]),
        ("epsilon * 4", 1), ("2**-2", 0.25), ("0**0", 1),
        ("labels == 0", [0, 1]), ("maximum(V - 3, 1)", 1), ("where(V == 1, 1, 2)", 2),
        ("concat(logits, logits[:, :-2])[1]", [3, 4, 5, 3]), ("+s", 0.5),
    ],
)  # fmt: skip
def test_an_expression_has_the_value_that_it_has_in_numpy(text: str, expected: Any) -> None:
    assert value(text, epsilon=NUMBER) == expected


def test_decimals_are_taken_as_written_and_not_as_the_nearest_float() -> None:
    assert build("0.1").attributes[0] * 10 == 1
    assert build("1e-3").attributes[0] * 1000 == 1


CONDITIONS = [
    ('reduction == "mean"', {"reduction": "mean"}, True),
    ('reduction == "mean"', {"reduction": "sum"}, False),
    ('reduction != "mean"', {"reduction": "mean"}, False),
    ('"mean" == reduction', {"reduction": "mean"}, True),
    ("k is None", {"k": None}, True), ("k is None", {"k": -100}, False), ("k is None", {"k": ARRAY}, False),
    ("k is None", {"k": NUMBER}, False),
    ("k is not None", {"k": None}, False), ("k is not None", {"k": ARRAY}, True),
    ("k is not None", {"k": NUMBER}, True), ("k == -100", {"k": -100}, True),
    ("k == -100", {"k": None}, False), ("not k is None", {"k": None}, False),
    ('k is None and r == "a"', {"k": None, "r": "a"}, True),
    ('k is None or r == "a"', {"k": 1, "r": "b"}, False),
    ('k is None or r == "a"', {"k": None, "r": "b"}, True),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "parameters", "holds"), CONDITIONS)
def test_a_condition_on_choices_is_decided_when_the_graph_is_built(
    condition: str, parameters: dict[str, Any], holds: bool
) -> None:
    node = build(f"w if {condition} else rows", **parameters)
    assert node is build("w" if holds else "rows")


def test_the_branch_not_taken_may_be_what_these_choices_do_not_allow() -> None:
    assert build("s if weight is None else sum(weight)", weight=None) is build("s")


@pytest.mark.parametrize("condition", ["s > 0", "epsilon > 0", "rows == 1", "mask", "unknown is None"])
def test_a_condition_that_depends_on_values_is_refused(condition: str) -> None:
    refused(f"1 if {condition} else 2", epsilon=NUMBER)


def test_a_choice_stands_nowhere_but_in_conditions() -> None:
    refused("reduction + 1", "condition", reduction="mean")
    refused("weight * 2", "condition", weight=None)


@pytest.mark.parametrize(
    "let",
    [{"a": "a"}, {"a": "b", "b": "a"}, {"a": "exp(b)", "b": "1 + c", "c": "a * 2"}],
    ids=["itself", "two", "three"],
)
def test_local_definitions_that_need_each_other_are_refused(let: dict[str, str]) -> None:
    refused("a", "defined by itself", let)


def test_local_definitions_may_stand_in_any_order_and_hide_nothing_else() -> None:
    assert value("a + 1", {"a": "b * 2", "b": "s"}) == 2


def test_equal_expressions_are_one_node_whatever_their_layout() -> None:
    assert build("exp( logits )+1") is build("(exp(logits) + 1)")
    assert build("1") is not build("1.5")


@settings(max_examples=60, deadline=None, database=None, derandomize=True)
@given(a=st.integers(-3, 3), b=st.integers(-3, 3), n=st.integers(1, 5), v=st.integers(1, 5))
def test_sizes_are_a_ring(a: int, b: int, n: int, v: int) -> None:
    big_n, big_v = Size.of("N"), Size.of("V")
    size = (big_n + Size.of(a)) * (big_v + Size.of(b))
    at = {"N": n, "V": v}
    assert size.at(at) == (n + a) * (v + b)
    assert size == (big_v + Size.of(b)) * (big_n + Size.of(a))
    assert (size + size * Size.of(-1)).number == 0
    assert size.within({"N": big_v, "V": Size.of(b)}) == (big_v + Size.of(a)) * Size.of(2 * b)


ILLUSTRATION = """
loss: illustrated_cross_entropy
title: Softmax cross-entropy with class-index labels
cite: Goodfellow, Bengio & Courville, Deep Learning, ch. 6.2.2
inputs:
  logits: {shape: [N, V], domain: extended_real}     # finite or -inf
  labels: {shape: [N], domain: class_index}
parameters:
  reduction: {choices: [none, mean, sum], default: none}
independent: N                                       # rows do not touch each other
definition: log(sum(exp(logits - max(logits, -1)), -1)) - (take(logits, labels) - max(logits, -1))
laws:
  nonnegative: illustrated_cross_entropy(logits, labels) >= 0
  uniform: illustrated_cross_entropy(0 * logits, labels) == log(V)
  shift_invariance:
    forall: {c: {shape: [N, 1], domain: real}}
    law: illustrated_cross_entropy(logits + c, labels) == illustrated_cross_entropy(logits, labels)
  equals_nll: illustrated_cross_entropy(logits, labels) == nll(log_softmax(logits), labels)
  gradient_is_p_minus_y: grad(illustrated_cross_entropy(logits, labels), logits) == softmax(logits) - onehot(labels, V)
"""


@pytest.fixture
def forgetting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_added", {})


@pytest.mark.usefixtures("forgetting")
def test_the_spec_of_the_design_loads_and_every_law_of_it_is_proved(tmp_path: Path) -> None:
    file = tmp_path / "illustrated.yaml"
    file.write_text(ILLUSTRATION, encoding="utf-8")
    proofs = prove([str(file)])
    assert {proof.law: proof.verdict for proof in proofs} == dict.fromkeys(
        library.load_file(file).laws, "proved"
    )


@pytest.mark.usefixtures("forgetting")
def test_a_law_may_call_a_loss_of_logits_with_a_square_matrix(tmp_path: Path) -> None:
    file = tmp_path / "illustrated.yaml"
    square = (
        "cross_entropy(logits * transpose(logits), arange(N)) == cross_entropy(logits * logits, arange(N))"
    )
    laws = ILLUSTRATION[: ILLUSTRATION.index("laws:")].replace("[N, V]", "[N, 1]") + "laws:\n  square: "
    file.write_text(laws + square.replace("logits * logits", "transpose(logits) * logits"), encoding="utf-8")
    assert [proof.verdict for proof in prove([str(file)])] == ["proved"]


@pytest.mark.usefixtures("forgetting")
@pytest.mark.parametrize(
    ("wrong", "laws"),
    [
        ("+ (take", {"equals_nll", "nonnegative", "gradient_is_p_minus_y"}),
        ("- 2 * (take", {"equals_nll", "gradient_is_p_minus_y"}),
    ],
)
def test_a_false_law_is_an_error_of_the_spec_with_a_counterexample(
    tmp_path: Path, wrong: str, laws: set[str]
) -> None:
    file = tmp_path / "illustrated.yaml"
    file.write_text(ILLUSTRATION.replace("- (take", wrong), encoding="utf-8")
    false = [proof for proof in prove([str(file)]) if proof.verdict == "false"]
    assert {proof.law for proof in false} == laws
    assert all(proof.counterexample and "logits = " in proof.counterexample for proof in false)
    assert all(proof.place and str(file) in proof.place for proof in false)


@pytest.mark.usefixtures("forgetting")
def test_an_error_inside_a_spec_names_file_line_and_column(tmp_path: Path) -> None:
    file = tmp_path / "illustrated.yaml"
    text = ILLUSTRATION.replace("take(logits, labels)", "take(logit, labels)")
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        library.load_file(file)
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "logit," in row)
    column = text.splitlines()[line - 1].index("logit,") + 1
    assert f"{file}:{line}:{column}" in str(caught.value)
    assert "did you mean 'logits'" in str(caught.value)


@pytest.mark.usefixtures("forgetting")
def test_a_number_that_is_off_by_default_can_be_asked_for_in_a_condition(tmp_path: Path) -> None:
    file = tmp_path / "clipped.yaml"
    file.write_text(
        textwrap.dedent("""
            loss: clipped_square
            title: A square that may be clipped
            inputs: {x: {shape: [N], domain: real}}
            parameters:
              limit: {range: [1, 2], default: null}
            independent: N
            definition: square(x) if limit is None else minimum(square(x), limit)
            laws:
              nonnegative: clipped_square(x) >= 0
        """),
        encoding="utf-8",
    )
    assert [proof.verdict for proof in prove([str(file)])] == ["proved"]
