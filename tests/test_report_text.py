from __future__ import annotations

import math

import pytest

from lossproof.audit.encoding import encode
from lossproof.floats import DTYPES, numpy_dtype
from lossproof.report.text import array, bits, clean, decimal, number, one_line, rough, shape, size

NUMBERS = [0.1, 1 / 3, -40.0, 1e-8, 16777217.0, 65504.0, 3.4e38, 5e-324, 1e-45, 1e22, 2.5]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("value", NUMBERS)
def test_a_decimal_reads_back_as_the_same_number_of_its_dtype(dtype: str, value: float) -> None:
    store = numpy_dtype(dtype).type
    held = float(store(value)) if abs(value) < 60000 else float(store(60000.0))
    assert float(store(float(decimal(held, dtype)))) == held


def test_a_decimal_is_as_short_as_its_dtype_allows() -> None:
    assert decimal(float(numpy_dtype("float32").type(0.1)), "float32") == "0.1"
    assert decimal(float(numpy_dtype("bfloat16").type(0.1)), "bfloat16") == "0.1"
    assert decimal(0.1) == "0.1"
    assert decimal(-40.0, "float32") == "-40"
    assert decimal(float(numpy_dtype("float32").type(1e30)), "float32") == "1e+30"


def test_a_truth_that_is_no_number_of_the_dtype_gets_two_digits_more() -> None:
    assert decimal(1 / 3, "float16") == "0.333333"
    assert len(decimal(math.pi, "float32")) == 11


def test_special_values_keep_their_sign() -> None:
    assert [decimal(x) for x in (-0.0, 0.0, math.inf, -math.inf, math.nan)] == [
        "-0",
        "0",
        "inf",
        "-inf",
        "nan",
    ]


def test_an_encoded_array_shows_its_nesting() -> None:
    assert array(encode([[0.5, -math.inf], [3.0, 4.0]]), "float32") == "[[0.5, -inf], [3, 4]]"
    assert array([0, -100]) == "[0, -100]"
    assert array([True, False]) == "[True, False]"
    assert array("0x1.8p+1") == "3"


def test_a_long_array_is_cut_and_says_its_shape() -> None:
    shown = array([[(1.0).hex()] * 100] * 3, "float32")
    assert shown == "[1, 1, 1, 1, 1, 1, …] of shape 3×100"


def test_words_are_not_taken_for_numbers() -> None:
    assert [number(x) for x in ("none", "others", None, True, 0.1, -100)] == [
        "none",
        "others",
        "None",
        "True",
        "0.1",
        "-100",
    ]


def test_size_and_shape_of_encoded_arrays() -> None:
    assert size([[1, 2], [3, 4]]) == 4
    assert shape([[1, 2, 3]]) == (1, 3)
    assert shape("0x1p+0") == ()
    assert size([]) == 0
    assert shape([]) == (0,)


def test_errors_are_rounded_to_two_digits() -> None:
    assert rough([(3.637978807091713e-06).hex(), "inf"]) == "[3.6e-06, inf]"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (0.0, "0"),
        (3.44, "3.4"),
        (99.96, "100"),
        (231.4, "231"),
    ],
)
def test_bits_lost_are_short(value: float | None, shown: str) -> None:
    assert bits(value) == shown


def test_terminal_codes_and_bidirectional_marks_are_escaped() -> None:
    assert clean("\x1b[31mred\u202e\x07") == "\\x1b[31mred\\u202e\\x07"
    assert clean("a\nb\tc") == "a\nb\tc"
    assert one_line("a\n  b\tc") == "a b c"
    assert clean("\ud800") == "\\ud800"
