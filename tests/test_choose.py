from __future__ import annotations

import ast

import pytest

from lossproof.expression.choose import choose
from lossproof.expression.syntax import syntax
from lossproof.report.formula import about
from lossproof.spec import library


@pytest.mark.parametrize(
    ("text", "values", "chosen"),
    [
        ('a if kind == "x" else b', {"kind": "x"}, "a"),
        ('a if kind == "x" else b if kind == "y" else c', {"kind": "y"}, "b"),
        ("a if weight is None else b", {"weight": None}, "a"),
        ("a if weight is not None else b", {"weight": None}, "b"),
        ("a if not squared else b", {"squared": False}, "a"),
        ('a if kind == "x" and n > 1 else b', {"kind": "x"}, "a if n > 1 else b"),
        ('a if kind == "x" and n > 1 else b', {"kind": "y"}, "b"),
        ('a if kind == "x" or n > 1 else b', {"kind": "x"}, "a"),
        ("power * x", {"power": 2}, "2 * x"),
        ("a if n > 1 else b", {}, "a if n > 1 else b"),
        ('f(x, kind="y")', {"kind": "x"}, 'f(x, kind="y")'),
    ],
)
def test_what_a_convention_decides_is_decided_and_the_rest_stays(
    text: str, values: dict[str, object], chosen: str
) -> None:
    tree = syntax(text)
    before = ast.dump(tree)
    assert ast.unparse(choose(tree, values)) == ast.unparse(syntax(chosen))
    assert ast.dump(tree) == before


def test_true_and_one_are_the_same_choice_only_where_they_are_equal() -> None:
    assert ast.unparse(choose(syntax("a if power == 1 else b"), {"power": 2})) == "b"


def test_the_ways_of_label_smoothing_stand_side_by_side() -> None:
    (smoothing,) = (
        c for c in about("label_smoothing_cross_entropy").conventions if c.parameter == "smoothing"
    )
    others, every = smoothing.choices
    assert (others.value, others.is_default, every.value) == ("others", True, "all")
    spread = "<mi>elsewhere</mi><mo>=</mo><mfrac><mi>ε</mi>"
    assert any(spread in equation and "<mn>1</mn>" in equation for equation in others.equations)  # ε/(V−1)
    assert any(spread + "<mi>V</mi></mfrac>" in equation for equation in every.equations)  # ε/V


@pytest.mark.parametrize("loss", library.names())
def test_the_choices_of_every_bundled_spec_differ_in_a_formula(loss: str) -> None:
    for convention in about(loss).conventions:
        assert len({choice.equations for choice in convention.choices}) > 1, convention.parameter
        assert sum(choice.is_default for choice in convention.choices) == 1, convention.parameter
