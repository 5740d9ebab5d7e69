"""The loader of specs: places of errors, nearest right words, traps of YAML."""

from __future__ import annotations

import contextlib
import json
import math
import pickle
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from lossproof.errors import ExpressionError, SpecError, UsageError
from lossproof.expression.primitives import PUBLIC
from lossproof.spec import library, schema
from lossproof.spec.load import _plain, check_expressions, load, loads
from lossproof.spec.source import MAX_BYTES, parse, read

SPECS = Path(__file__).parents[1] / "specs"

GOOD = """\
loss: squares
title: Sum of squares
inputs:
  x: {shape: [N, D], domain: real}
  labels: {shape: [N], domain: class_index}
parameters:
  epsilon: {range: [0, 1], ends: [0], default: 0.1}
  mode: {choices: [none, mean, null], default: none}
  weight: {shape: [D], domain: positive, default: null}
independent: N
let:
  scaled: x if weight is None else weight * x
definition: >-
  sum(scaled**2, D)
  + epsilon
excuse: {x: x}
slack: {value: 1e-3}
laws:
  nonnegative: squares(x, labels) >= 0
  even:
    text: The sign does not matter.
    forall: {k: {shape: [N, 1], domain: power_of_two}, y: {like: x, grid: x}}
    law: squares(-x, labels) == squares(x, labels)
    when: epsilon > 0
plane:
  text: A row of two numbers.
  x: {name: size, range: [1, 100], steps: 5}
  y: {name: difference, range: [-1, 1], scale: symlog, least: 0.1, steps: 5}
  inputs:
    x: [x, x + y]
    labels: 1
  parameters: {epsilon: abs(y)}
"""


def good(old: str = "", new: str = "") -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_a_good_spec() -> None:
    spec = loads(GOOD, "squares.yaml", expressions=False)
    assert spec.defaults() == {"epsilon": 0.1, "mode": "none", "weight": None}
    assert spec.parameters["mode"].choices == ("none", "mean", None)
    assert spec.laws["nonnegative"].law == "squares(x, labels) >= 0"
    assert spec.slack.value == "1e-3"
    assert str(spec.place("laws", "even")) == "squares.yaml:20:3"
    assert pickle.loads(pickle.dumps(spec)).place("loss") == spec.place("loss")


BROKEN = {
    # what is wrong: (old, new, place, words of the message)
    "unknown key": ("title:", "titel:", "2:1", "unknown key 'titel'; did you mean 'title'?"),
    "unknown key of an input": ("domain: real}", "domian: real}", "4:22", "did you mean 'domain'?"),
    "unknown key of a law": ("    when:", "    wenn:", "24:5", "did you mean 'when'?"),
    "unknown key of a variable": ("grid: x", "grind: x", "22:69", "did you mean 'grid'?"),
    "missing key": ("loss: squares\n", "", "1:1", "the spec needs the key 'loss'"),
    "missing key of an input": (
        "{shape: [N], domain: class_index}",
        "{shape: [N]}",
        "5:3",
        "needs the key 'domain'",
    ),
    "unknown domain": ("domain: real", "domain: reel", "4:30", "did you mean 'real'?"),
    "wrong type": ("shape: [N, D], domain: real", "shape: N, domain: real", "4:14", "a list of dimensions"),
    "not a mapping": ("{x: x}", "3", "16:9", "'excuse' is a mapping of names to expressions, not '3'"),
    "an empty definition": (
        ">-\n  sum(scaled**2, D)\n  + epsilon",
        "",
        "13:1",
        "an expression, not nothing",
    ),
    "bad name of a loss": ("loss: squares", "loss: Sq uares", "1:7", "small letters"),
    "duplicate key": ("title:", "loss:", "2:1", "stands here twice (first in line 1)"),
    "name clash with an input": ("  scaled:", "  x:", "12:3", "it is an input already"),
    "name clash of a variable": ("y: {like", "epsilon: {like", "22:56", "it is a parameter already"),
    "name of a dimension": ("  epsilon:", "  D:", "7:3", "it is a dimension already"),
    "name of a function": ("  scaled:", "  exp:", "12:3", "means something else"),
    "independent": ("independent: N", "independent: M", "10:14", "'M' is no dimension"),
    "default no choice": ("default: none", "default: non", "8:48", "did you mean 'none'?"),
    "default of a number": ("default: 0.1", "default: much", "7:48", "is a number or null"),
    "end outside": ("ends: [0]", "ends: [2]", "7:34", "its range is [0.0, 1.0]"),
    "no kind": ("{range: [0, 1], ends: [0], default: 0.1}", "{default: 1}", "7:3", "needs one of choices"),
    "like": ("like: x", "like: lables", "22:66", "did you mean 'labels'?"),
    "excuse": ("{x: x}", "{z: x}", "16:10", "'z' is no input"),
    "slack of no input": ("{value: 1e-3}", "{gradient: {z: 1}}", "17:20", "'z' is no input"),
    "ahead of no index": (
        "domain: real}",
        "domain: real, ahead: N}",
        "4:36",
        "is for the domain class_index",
    ),
    "ahead along no axis": (
        "domain: class_index}",
        "domain: class_index, ahead: D}",
        "5:",
        "'D' is no dimension of 'labels'",
    ),
    "unknown key of a plane": ("  text: A row", "  txet: A row", "26:3", "did you mean 'text'?"),
    "unknown key of an axis": ("steps: 5}\n  y", "stops: 5}\n  y", "27:36", "did you mean 'steps'?"),
    "unknown scale": ("scale: symlog", "scale: symlok", "28:48", "did you mean 'symlog'?"),
    "missing axis": ("  y: {name: difference, ", "  x2: {name: difference, ", "28:3", "unknown key 'x2'"),
    "range of an axis": ("[1, 100]", "[100, 1]", "27:26", "from its lower end to its upper"),
    "log axis through 0": ("[1, 100]", "[-1, 100]", "27:26", "symlog goes through 0"),
    "symlog without least": (", least: 0.1", "", "28:3", "has 'least', the smallest magnitude"),
    "log with least": ("[1, 100]", "[1, 100], least: 1", "27:43", "a symlog axis, and no other"),
    "even steps through 0": ("least: 0.1, steps: 5", "least: 0.1, steps: 4", "28:75", "so 'steps' is odd"),
    "too many steps": ("[1, 100], steps: 5", "[1, 100], steps: 500", "27:43", "from 3 to 64, not 500"),
    "input of a plane": ("    labels: 1", "    lables: 1", "31:5", "did you mean 'labels'?"),
    "a plane without an input": ("    labels: 1\n", "", "29:3", "needs entries for the input 'labels'"),
    "a list for a number": ("labels: 1", "labels: [1]", "31:13", "an expression here, not a list"),
    "a number for a list": ("x: [x, x + y]", "x: x + y", "30:8", "at a point its shape is [D], without N"),
    "nothing for an entry": ("[x, x + y]", "[x, '']", "30:12", "an entry of 'x' is an expression of x and y"),
    "parameter of a plane": ("{epsilon: abs", "{epsilom: abs", "32:16", "did you mean 'epsilon'?"),
    "choice in a plane": ("{epsilon: abs(y)}", "{mode: 1}", "32:16", "'mode' is of the kind choice"),
    "alias": ("{x: x}", "*other", "16:9", "the alias *other is not allowed"),
    "anchor": ("title: Sum", "title: &a Sum", "2:8", "the anchor &a is not allowed"),
    "tag": ("title: Sum of", "title: !!python/name:os.system Sum of", "2:8", "is not allowed"),
    "tab": ("  x: {", "\tx: {", "4:1", "a tab cannot indent"),
    "colon": ("title: Sum of", "title: Sum: of", "2:11", "needs quotes"),
    "forms of a variable": ("{like: x, grid: x}", "{shape: [N]}", "22:56", "needs either 'like', or"),
    "comma in braces": ("{x: x}", "{x: max(x, D)}", "16:", "needs quotes"),
    "unclosed": ("[N, D], domain: real}", "[N, D, domain: real}", "4:", "not YAML"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_errors_name_the_place_and_the_nearest_word(name: str) -> None:
    old, new, place, words = BROKEN[name]
    with pytest.raises(SpecError) as caught:
        loads(good(old, new), "s.yaml", expressions=False)
    message = str(caught.value)
    assert message.startswith(f"s.yaml:{place}")
    assert words in message
    assert "\n" not in message


EXPRESSIONS = {
    "unknown name in a law": (
        "squares(x, labels) >= 0",
        "squares(z, labels) >= 0",
        "19:24",
        "unknown name 'z'",
    ),
    "unknown name in folded text": ("  + epsilon", "  + epsilom", "15:5", "did you mean 'epsilon'?"),
    "in let": ("weight * x", "weight * y", "12:45", "unknown name 'y'"),
    "in when": ("epsilon > 0", "epsilom > 0", "24:11", "did you mean 'epsilon'?"),
    "in a law as mapping": ("squares(-x, labels)", "squares(-x, lables)", "23:22", "did you mean 'labels'?"),
    "in excuse": ("{x: x}", '{x: "max(x, M)"}', "16:", "'M'"),
    "in slack": ("{value: 1e-3}", "{gradient: {x: abs(y)}}", "17:27", "unknown name 'y'"),
    "shape of a slack": (
        "{value: 1e-3}",
        '{value: "x"}',
        "17:",
        "a slack of shape [N, D] does not fit the result, [N]",
    ),
    "shape of a gradient's slack": (
        "{value: 1e-3}",
        '{gradient: {x: "x[:, :, None]"}}',
        "17:",
        "a slack of shape [N, D, 1] does not fit x, [N, D]",
    ),
    "in unread": ("domain: real}", "domain: real, unread: y > 0}", "4:", "unknown name 'y'"),
    "shape of unread": ("domain: real}", 'domain: real, unread: "any(x > 0, N)"}', "4:", "or its first axes"),
    "in a plane": ("[x, x + y]", "[x, x + z]", "30:16", "unknown name 'z'"),
    "in a plane's parameter": ("abs(y)}", "absolute(y)}", "32:25", "did you mean 'abs'?"),
    "along the points of a plane": (
        "[x, x + y]",
        "[x, x + max(y)]",
        "30:12",
        "nothing goes along the points",
    ),
    "unknown function": ("sum(scaled**2, D)", "som(scaled**2, D)", "14:3", "did you mean 'sum'?"),
    "arity": ("squares(x, labels) >= 0", "squares(x) >= 0", "19:16", "takes 2 inputs"),
    "no law": ("squares(x, labels) >= 0", "squares(x, labels)", "19:16", "equation or an inequality"),
    "syntax": ("squares(x, labels) >= 0", "squares(x, labels >= 0", "19:", "not an expression"),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_errors_of_expressions_have_a_place_in_the_file(name: str, tmp_path: Path) -> None:
    old, new, place, words = EXPRESSIONS[name]
    path = tmp_path / "s.yaml"
    path.write_text(good(old, new))
    with pytest.raises(ExpressionError) as caught:
        library.load_file(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{place}")
    assert words in message
    assert "\n" not in message
    assert "squares" not in library.names()


def test_a_file_adds_its_loss_to_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_added", {})
    path = tmp_path / "s.yaml"
    path.write_text(GOOD)
    spec = library.load_file(path)
    assert library.get("squares") is spec
    assert "squares" in library.names()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1e-3", 1e-3), ("1", 1), ("-100", -100), (".5", 0.5), ("inf", math.inf), ("-inf", -math.inf)),
        *(("no", "no"), ("on", "on"), ("yes", "yes"), ("none", "none"), ("null", None), ("~", None)),
        *(
            ("true", True),
            ("'1'", "1"),
            ("1_0", "1_0"),
            ("0x10", "0x10"),
            ("1:30", "1:30"),
            ("2001-01-01", "2001-01-01"),
        ),
    ],
)
def test_scalars(text: str, value: object) -> None:
    found = _plain(parse(f"a: {text}", "f.yaml")[0])["a"]
    assert found == value
    assert type(found) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(_plain(parse("a: nan", "f.yaml")[0])["a"])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "# only a comment",
        "- 1",
        "just words",
        "--- a\n--- b",
        "[" * 5000,
        "{" * 5000,
        "a: \x00",
        "? [1]\n: 2",
        "a: 'x",
    ],
    ids=range(10),
)
def test_what_is_no_spec_is_one_line(content: str) -> None:
    with pytest.raises(SpecError) as caught:
        loads(content, "f.yaml")
    assert str(caught.value).startswith("f.yaml")
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    big, latin = tmp_path / "big.yaml", tmp_path / "latin.yaml"
    big.write_text("#" * (MAX_BYTES + 1))
    latin.write_bytes(b"title: \xe9")
    for path, words in (
        (big, "256 KiB"),
        (latin, "UTF-8"),
        (tmp_path / "none.yaml", "cannot be read"),
        (tmp_path, "cannot"),
    ):
        with pytest.raises(SpecError, match=words):
            load(path)


def test_windows_line_ends() -> None:
    assert loads(GOOD.replace("\n", "\r\n"), expressions=False).definition == "sum(scaled**2, D) + epsilon"


def test_unknown_loss() -> None:
    with pytest.raises(UsageError, match="did you mean 'cross_entropy'"):
        library.get("crossentropy")


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_bundled_specs(path: Path) -> None:
    spec = library.get(path.stem)
    check_expressions(spec)
    assert path.read_text().startswith("# yaml-language-server: $schema=spec.schema.json\n")
    assert spec.cite
    for name, law in spec.laws.items():
        assert law.text, name
        assert law.text.endswith("."), name
    jsonschema.validate(_plain(read(path)[0]), json.loads((SPECS / "spec.schema.json").read_text()))


def test_the_schema_is_in_step() -> None:
    assert (SPECS / "spec.schema.json").read_text() == schema.text(), (
        "run: python -m lossproof.spec.schema > specs/spec.schema.json"
    )


def test_one_spec_is_loaded_and_no_other() -> None:
    code = (
        "from lossproof.spec import library; library.get('kl_divergence');"
        "print(library._read.cache_info().currsize, 'torch' in __import__('sys').modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]


def test_every_error_is_ours_whatever_line_is_cut() -> None:
    lines = (SPECS / "cross_entropy.yaml").read_text().splitlines()
    for cut in range(len(lines)):
        for content in ("\n".join(lines[:cut]), "\n".join(lines[:cut] + lines[cut + 1 :])):
            with contextlib.suppress(SpecError):
                loads(content, expressions=False)


def test_the_example_of_the_reference_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_added", {})
    path = tmp_path / "squared_hinge.yaml"
    path.write_text((SPECS / "README.md").read_text().split("```yaml\n")[1].split("```")[0])
    assert set(library.load_file(path).laws) == {"nonnegative", "zero_beyond_margin"}


def test_the_reference_names_every_function() -> None:
    text = (SPECS / "README.md").read_text()
    assert [name for name in PUBLIC if name not in re.findall(r"\w+", text)] == []
