"""Certified answers that are kept: they are those that would be worked out anew, and never another question's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lossproof.checks import answers
from lossproof.expression import primitives as p
from lossproof.expression.node import Node
from lossproof.floats import FORMATS
from lossproof.inputs import Case
from lossproof.oracle import certified, remembered
from lossproof.oracle.certified import Question
from lossproof.oracle.point import Point
from lossproof.spec import graph, library

F32, BF16 = FORMATS["float32"], FORMATS["bfloat16"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Question]:
    """The questions that are worked out."""
    found: list[Question] = []
    work_out = certified.certify

    def certify(question: Question) -> Any:
        found.append(question)
        return work_out(question)

    remembered._answer.cache_clear()
    monkeypatch.setattr(certified, "certify", certify)
    return found


def question(loss: str = "bce_with_logits", rows: int = 2, **numbers: Any) -> Question:
    spec = library.get(loss)
    arrays = {name: np.full(rows, 0.5, np.float32) for name in spec.inputs}
    numbers = {name: parameter.default for name, parameter in spec.parameters.items()} | numbers
    point = Point(arrays, numbers, {"N": rows}, F32, "N")
    return Question(graph.definition(spec, graph.statics_of(spec, numbers)), point, F32, False, {})


def with_array(question: Question, name: str, array: np.ndarray[Any, Any]) -> Question:
    return replace(question, point=replace(question.point, arrays={**question.point.arrays, name: array}))


def test_an_answer_is_worked_out_once_and_is_the_same(asked: list[Question]) -> None:
    first, again = remembered.certify(question()), remembered.certify(question())
    assert len(asked) == 1
    expected = certified.certify(question())
    for part in ("middle", "attainable", "excuse", "coarse"):
        assert np.array_equal(getattr(first, part), getattr(expected, part))
        assert np.array_equal(getattr(again, part), getattr(expected, part))


def test_what_the_graph_does_not_read_makes_no_other_question(asked: list[Question]) -> None:
    remembered.certify(question())
    other = with_array(question(), "cotangent", np.ones(2, np.float32))
    remembered.certify(replace(other, exact=("cotangent",)))
    assert len(asked) == 1


def other_node() -> Node:
    return p.elementwise("exp", question().node)


@pytest.mark.parametrize(
    "other",
    [
        lambda: question(pos_weight=2.0),
        lambda: question(rows=3),
        lambda: replace(question(), working=BF16),
        lambda: replace(question(), flush=True),
        lambda: replace(question(), exact=("logits",)),
        lambda: replace(question(), node=other_node()),
        lambda: replace(question(), excuses={"logits": other_node()}),
        lambda: with_array(question(), "logits", np.array([0.5, -0.5], np.float32)),
        lambda: with_array(question(), "targets", np.array([0.0, -0.0], np.float32)),
        lambda: replace(question(), point=replace(question().point, storage=BF16)),
    ],
)
def test_another_question_is_worked_out(asked: list[Question], other: Any) -> None:
    remembered.certify(question())
    remembered.certify(other())
    assert len(asked) == 2


def test_answers_about_large_cases_are_not_kept(asked: list[Question]) -> None:
    rows = remembered.LARGEST // 2 + 1
    remembered.certify(question(rows=rows))
    remembered.certify(question(rows=rows))
    assert len(asked) == 2


def test_a_kept_answer_cannot_be_written_to(asked: list[Question]) -> None:
    found = remembered.certify(question())
    with pytest.raises(ValueError, match="read-only"):
        found.middle[0] = 0


def test_cases_that_differ_in_one_entry_have_answers_of_their_own() -> None:
    """Whichever entry it is: the hash of a case looks at some of them alone."""
    spec, answers_of = library.get("cross_entropy"), []
    answers.forget()
    for places in ([], [5], [700]):
        logits = np.zeros((64, 16), np.float32)
        logits.flat[places] = 3.0
        case = Case("cross_entropy", "float32", "ordinary", {"logits": logits, "labels": np.zeros(64, np.int64)},
                    spec.defaults())  # fmt: skip
        found = answers.value_reference(spec, case, FORMATS["float32"], False)
        assert answers.value_reference(spec, case, FORMATS["float32"], False) is found
        answers_of.append(found.expected)
    answers.forget()
    plain, first, second = answers_of
    assert np.flatnonzero(first != plain).tolist() == [5 // 16]
    assert np.flatnonzero(second != plain).tolist() == [700 // 16]
