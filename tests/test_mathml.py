"""Formulas as MathML: well-formed, escaped, and with the structure that a reader expects."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

import pytest

from lossproof.expression.mathml import mathml, mathml_expression
from lossproof.expression.primitives import PUBLIC
from lossproof.spec import library

CORE = set(
    "math mrow mfrac msqrt msub msup munder mi mn mo mtext mspace mtable mtr mtd".split()  # noqa: SIM905
)


@dataclass
class Loss:
    definition: str
    let: dict[str, str] = field(default_factory=dict)
    loss: str = "some_loss"


def tree(markup: str) -> ElementTree.Element:
    root = ElementTree.fromstring(markup)
    assert root.tag == "math"
    assert {e.tag for e in root.iter()} <= CORE
    return root


def plain(text: str) -> str:
    """The characters of a formula, without the invisible ones."""
    shown = "".join(tree(mathml_expression(text)).itertext())
    return shown.replace("\u2061", "").replace("\u2062", "").replace("\u00a0", " ")


def inner(text: str) -> str:
    markup = mathml_expression(text)
    return markup[markup.index(">") + 1 : -len("</math>")]


@pytest.mark.parametrize("loss", library.names())
def test_every_shipped_spec_and_law_is_well_formed_and_typeset_without_falling_back_to_text(
    loss: str,
) -> None:
    spec = library.get(loss)
    assert tree(mathml(spec)).get("display") == "block"
    assert f"<mtext>{spec.definition}</mtext>" not in mathml(spec)
    for law in spec.laws.values():
        tree(mathml_expression(law.law))
        assert "<mtext>" + law.law not in mathml_expression(law.law)


@pytest.mark.parametrize("function", sorted(PUBLIC))
def test_every_function_of_the_language_has_a_notation_for_every_count_of_arguments(function: str) -> None:
    least, most = PUBLIC[function]
    for count in range(least, most + 1):
        text = f"{function}({', '.join('abcde'[:count])})"
        markup = inner(text)
        tree(mathml_expression(text))
        assert not markup.startswith("<mtext>")


def test_names_and_texts_are_escaped_wherever_they_come_from() -> None:
    evil = "</math><script>alert(1)</script>&amp;\"'"
    loss = Loss(definition=f'1 if kind == "{evil}" else <oops>', let={"kind<b>": "1"}, loss=evil)
    markup = mathml(loss)
    assert "<script" not in markup
    assert "<oops" not in markup
    tree(markup)
    assert "<script" not in mathml_expression('a == "<script>"')
    assert "<script" not in mathml_expression("<script>")


@pytest.mark.parametrize(
    "text",
    [
        "", "a +", "lambda x: x", "x.y", "[i for i in x]", "f'{x}'", "(x := 1)", "x[{}]", "f(**k)", "f(*a)",
        "1j", "a in b", "a @ b", "a % b", "~a", "...", "f()()", "'text'", "True", "1e999",
        "0x" + "f" * 3_900,
        "-" * 3_000 + "x", "(" * 150 + "x" + ")" * 150, "+".join(["x"] * 1_900), "x" * 5_000, "f(x=1)(2)",
        "take(a, b, c)", "sum(a, b, c)", "norm()",
    ],
    ids=lambda text: text[:20],
)  # fmt: skip
def test_nothing_raises_and_what_cannot_be_typeset_is_text(text: str) -> None:
    tree(mathml_expression(text))
    tree(mathml(Loss(text, {"local": text})))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a - (b - c)", "a−(b−c)"),
        ("a - b - c", "a−b−c"),
        ("a * -b", "a⋅(−b)"),
        ("a + -b", "a+(−b)"),
        ("-a * b", "−a⋅b"),
        ("(a + b) * c", "(a+b)⋅c"),
        ("2 * x", "2x"),
        ("2 * 3", "2⋅3"),
        ("sum(a + b, V)", "∑V(a+b)"),
        ("sum(a, V) * b", "(∑Va)⋅b"),
        ("b * sum(a, V) * c", "(b⋅∑Va)⋅c"),
        ("a or b and not (c == d)", "a∨b∧¬(c=d)"),
        ("0 <= x <= inf", "0≤x≤∞"),
        ("abs(x) != 1e-12", "|x|≠10−12"),
        ("log_softmax(x, V)", "logsoftmaxV(x)"),
        ("logsumexp(x, V)", "log∑Vexp(x)"),
        ("maximum(a, acos(b))", "max(a,arccos(b))"),
        ("epsilon + gamma * tau / beta", "ε+γ⋅τβ"),
        ("isfinite(x)", "x is finite"),
        ("x[:, None] + y[..., 0]", "x+y..., 0"),
        ("other(x, reduction='none')", "other(x,reduction=none)"),
    ],
)
def test_parentheses_stand_where_the_reading_needs_them_and_nowhere_else(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("text", "markup"),
    [
        ("a / b", "<mfrac><mi>a</mi><mi>b</mi></mfrac>"),
        ("x**2", "<msup><mi>x</mi><mn>2</mn></msup>"),
        ("square(x)", "<msup><mi>x</mi><mn>2</mn></msup>"),
        ("sqrt(x)", "<msqrt><mi>x</mi></msqrt>"),
        ("take(z, y)", "<msub><mi>z</mi><mi>y</mi></msub>"),
        ("epsilon", "<mi>ε</mi>"),
        ("alpha_pos", "<msub><mi>α</mi><mi>pos</mi></msub>"),
        ("class_weight", "<mi>class_weight</mi>"),
        ("transpose(x)", "<msup><mi>x</mi><mo>⊤</mo></msup>"),
    ],
)
def test_fractions_powers_roots_and_indices_are_drawn_as_such(text: str, markup: str) -> None:
    assert inner(text) == markup


@pytest.mark.parametrize("sign", ["|", "‖"])
def test_absolute_values_and_norms_stand_between_bars(sign: str) -> None:
    shown = plain("abs(x)" if sign == "|" else "norm(x)")
    assert shown == f"{sign}x{sign}"


def test_a_derivative_is_a_quotient_of_partials_before_the_loss() -> None:
    markup = inner("grad(mse(p, t), p) == 0")
    assert "<mfrac><mi>∂</mi><mrow><mi>∂</mi><mi>p</mi></mrow></mfrac>" in markup
    assert plain("grad(mse(p, t), p) == 0") == "∂∂pmse(p,t)=0"


@pytest.mark.parametrize(
    "text",
    [
        'a if r == "none" else b if r == "sum" else c',
        "where(u, a, where(v, b, c))",
        "where(u, a, b if k is None else c)",
    ],
)
def test_nested_choices_are_one_brace_with_a_line_each(text: str) -> None:
    root = tree(mathml_expression(text))
    assert len(root.findall(".//mtr")) == 3
    assert plain(text).count("{") == 1
    assert plain(text).endswith("otherwise")


def test_a_parameter_that_is_off_is_said_in_words() -> None:
    assert "if w is not given" in plain("1 if w is None else 2")
    assert "if w is given" in plain("1 if w is not None else 2")


def test_a_definition_lists_the_local_names_that_it_uses_in_the_order_of_the_spec() -> None:
    loss = Loss("last * 2", let={"first": "x", "unused": "y", "last": "first + 1"})
    root = tree(mathml(loss))
    rows = ["".join(row.itertext()) for row in root.findall("mtable/mtr")]
    assert rows == ["some_loss=last⋅2", "where\u00a0first=x", "last=first+1"]


def test_local_names_defined_by_each_other_do_not_loop() -> None:
    tree(mathml(Loss("a", let={"a": "b", "b": "a"})))
