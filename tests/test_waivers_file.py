"""A file of waivers: what is read, what is refused, and that results know about it."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Run, Verdict
from lossproof.audit.reuse import surroundings
from lossproof.audit.run import run
from lossproof.errors import UsageError
from lossproof.inputs import Case
from lossproof.spec import library
from lossproof.waivers import Waiver, bundled, load, parse, require_conditions, without
from repository import LOSSES, TOMORROW, YESTERDAY, call, repository

GOOD = "- implementation: a.b\n  loss: mse\n  checks: [accuracy]\n  reason: known\n  expires: 2999-01-01\n"


def test_the_shortest_waiver() -> None:
    (waiver,) = parse(GOOD, "w.yaml")
    assert waiver == waiver.model_copy()
    assert (waiver.implementation, waiver.loss, waiver.checks) == ("a.b", "mse", ("accuracy",))
    assert waiver.expires == datetime.date(2999, 1, 1)
    assert waiver.accepts(None)
    assert str(waiver.place) == "w.yaml:1:3"


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]\n"])
def test_a_file_without_waivers_is_empty(text: str) -> None:
    assert parse(text, "w.yaml") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: b\n", "w.yaml:1:1: a file of waivers is a list"),
        (GOOD + "  expirs: 1\n", "w.yaml:6:3: unknown key 'expirs'; did you mean 'expires'"),
        (GOOD.replace("  reason: known\n", ""), "w.yaml:1:3: the waiver needs the key 'reason'"),
        (
            GOOD.replace("2999-01-01", "soon"),
            "w.yaml:5:12: 'expires' is a date such as 2027-01-31, not 'soon'",
        ),
        (GOOD.replace("[accuracy]", "accuracy"), "w.yaml:3:11: 'checks' is a list such as"),
        (GOOD.replace("[accuracy]", "[]"), "w.yaml:3:11: 'checks' names no check"),
        (GOOD + "  dtypes: [float23]\n", "w.yaml:6:12: unknown dtype 'float23'; did you mean"),
        (GOOD + "  bits: few\n", "w.yaml:6:9: 'bits' is a number of bits, not 'few'"),
        (GOOD + "  loss: mae\n", "w.yaml:6:3: the key 'loss' stands here twice"),
        (GOOD + "- 3\n", "w.yaml:6:3: a waiver is a mapping, not '3'"),
        (GOOD + " x\n", "w.yaml:6"),
        (
            GOOD + "  where: p = 0\n",
            "w.yaml:6:10: 'where' of the waiver for a.b (mse), accuracy: not an expression: "
            "invalid syntax (equality is written '==')",
        ),
        (
            GOOD + "  where: any(p = 0, V)\n",
            "w.yaml:6:22: 'where' of the waiver for a.b (mse), accuracy: not an",
        ),
        (
            GOOD + "  where: any(p == 0, V\n",
            "w.yaml:6:10: 'where' of the waiver for a.b (mse), accuracy: not an",
        ),
        (GOOD + "  where: p == 0)\n", "'where' of the waiver for a.b (mse), accuracy: not an"),
        (GOOD + "  where: ''\n", "w.yaml:6:3: 'where' is an expression, not nothing"),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_a_mistake_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(text, "w.yaml")
    assert said in str(error.value)


def test_the_bundled_waivers_are_read_with_their_places() -> None:
    waivers = bundled()
    assert waivers
    assert all(waiver.place is not None and waiver.since is not None for waiver in waivers)


# ---- in a run


@pytest.fixture
def target(tmp_path: Path) -> str:
    return str(repository(tmp_path).root / "my_losses.py")


def check(target: str, *waivers: Waiver, cache: bool = False) -> Run:
    options = Options(
        targets=(target,), dtypes=("float32",), jobs=1, regimes=("near_equal",), waivers=waivers, cache=cache
    )
    return run(plan(options), lambda event: None)


def wrong(found: Run) -> set[str]:
    return {row.check for row in found.results if row.verdict in (Verdict.FAIL, Verdict.ERROR)}


def waiver(tmp_path: Path, **changes: object) -> Waiver:
    (found,) = load(repository(tmp_path).waive(**changes))
    return found


def test_it_covers_its_own_checks_and_no_others(target: str, tmp_path: Path) -> None:
    assert {"accuracy", "law:nonnegative"} <= wrong(check(target))
    assert "accuracy" not in wrong(check(target, waiver(tmp_path, checks="[accuracy]")))
    assert "law:nonnegative" in wrong(check(target, waiver(tmp_path, checks="[accuracy]")))
    assert wrong(check(target, waiver(tmp_path, checks="['law:*', accuracy, finiteness]"))) == set()
    assert "accuracy" in wrong(check(target, waiver(tmp_path, expires=YESTERDAY)))
    assert "accuracy" in wrong(check(target, waiver(tmp_path, bits=4)))


def test_the_cache_knows_it_and_not_its_place(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(surroundings, "LOADED", time.time_ns())
    assert check(target, cache=True).cached == 0
    assert check(target, cache=True).cached == 2
    one = waiver(tmp_path)
    waived = check(target, one, cache=True)
    assert (waived.cached, wrong(waived)) == (1, set())
    moved = parse("\n\n- " + "\n  ".join(
        ["implementation: my_losses.expanded", "loss: mse", "checks: ['*']", "reason: known", f"expires: {TOMORROW}"]
    ) + "\n", "other.yaml")[0]  # fmt: skip
    again = check(target, moved, cache=True)
    assert (again.cached, wrong(again)) == (2, set())
    assert "accuracy" in wrong(check(target, cache=True))


def test_check_takes_a_file(target: str, tmp_path: Path) -> None:
    path = repository(tmp_path).waive()
    assert call("check", target, "--no-cache", "--regime", "near_equal").exit_code == 1
    assert call("check", target, "--no-cache", "--regime", "near_equal", "--waivers", path).exit_code == 0
    path.write_text("- 3\n")
    result = call("check", target, "--waivers", path)
    assert result.exit_code == 2
    assert "a waiver is a mapping" in result.output


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("any(q == 0, N)", "w.yaml:6:14: 'where' of the waiver for a.b (mse), accuracy: unknown name 'q'"),
        (">-\n    any(target == 0, D)\n    and q == 0", "w.yaml:8:9: 'where' of the waiver for a.b (mse)"),
        ("target", "w.yaml:6:10: 'where' of the waiver for a.b (mse), accuracy: a condition is expected"),
        ("any(target == 0, M)", "'where' of the waiver for a.b (mse), accuracy: "),
    ],
)
def test_a_where_that_does_not_fit_its_loss_is_told_with_its_place(where: str, said: str) -> None:
    waivers = parse(GOOD + f"  where: {where}\n", "w.yaml")
    with pytest.raises(UsageError) as error:
        require_conditions(waivers)
    assert said in str(error.value)
    require_conditions(waivers, ["mae"])  # it is about another loss
    require_conditions(parse(GOOD.replace("mse", "of_mine") + f"  where: {where}\n", "w.yaml"))


def test_the_bundled_conditions_fit_their_losses() -> None:
    require_conditions(bundled())


@pytest.mark.parametrize("command", ["gate", "check"])
def test_a_where_that_does_not_fit_stops_a_run_before_it_begins(
    command: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = repository(tmp_path).waive(where="q == 0")
    result = call(command, *([target] if command == "check" else []), "--no-cache", "--waivers", path)
    assert result.exit_code == 2
    assert result.output.count("error: ") == 1
    assert (
        "lossproof-waivers.yaml:7:10: 'where' of the waiver for my_losses.expanded (mse), *: unknown"
        in result.output
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expires": YESTERDAY}, "expired on"),
        ({"implementation": "my_losses.expandet"}, "did you mean 'my_losses.expanded'"),
        ({"implementation": "my_losses.right"}, "matches nothing"),
        ({"checks": "['*', puritty]"}, "did you mean 'purity'"),
        ({"implementation": "others.right"}, None),
        ({"implementation": "my_loses.expanded"}, "'my_loses.expanded'; did you mean 'my_losses.expanded'?"),
        ({"implementation": "my_loses.right"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_check_says_which_waivers_do_not_hold_and_ends_as_without_that(
    changes: dict[str, object], said: str | None, target: str, tmp_path: Path
) -> None:
    path = repository(tmp_path).waive(**changes)
    result = call("check", target, "--no-cache", "--jobs", 1, "--waivers", path)
    output = " ".join(result.output.split())
    assert result.exit_code == (0 if (said is None and not changes) or "checks" in changes else 1)
    assert ("Waivers that do not hold in this run" in output) is (said is not None)
    assert said is None or said in output


MISSPELT = [
    ("my_losses.expandet", True),
    ("my_loses.expanded", True),
    ("my_losses.expanded_2", False),  # in the file, and not asked for
    ("other_losses.expanded", False),  # not near enough
    ("my_losses2.expanded", False),  # beside the file
    ("my_lossesb.expanded", False),  # a package beside the file
    ("my_losses.right", False),
    ("my_losses.made_2", True),
]


@pytest.mark.parametrize(("implementation", "told"), MISSPELT)
@pytest.mark.parametrize("command", ["check", "pytest"])
def test_a_name_that_is_surely_misspelt_is_told_where_only_part_is_checked(
    command: str, implementation: str, told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = repository(tmp_path)
    more = (
        LOSSES.partition("import implements\n")[2]
        .replace("expanded", "expanded_2")
        .replace("right", "made_1")
    )
    mine.write("my_losses.py", LOSSES + more)
    mine.write("my_losses2.py", LOSSES)
    mine.write("my_lossesb/__init__.py", "")
    path = mine.waive(implementation=implementation)
    said = f"no implementation '{implementation}'; did you mean"
    target = "my_losses.py:expanded" if "made" not in implementation else "my_losses.py:made_1"
    if command == "check":
        arguments = ["check", target, "--no-cache", "--dtype", "float64", "--regime", "near_equal"]
        output = call(*arguments, "--waivers", path).output
    else:
        item = target.replace(":", "::") + "[float64]::accuracy"
        output = pytest_of(tmp_path, item, "--lossproof=my_losses.py", "--lossproof-waivers", str(path))
    assert (said in " ".join(output.split())) is told


def test_a_name_that_may_be_made_in_a_loop_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mine = repository(tmp_path)
    loop = 'for n in (1, 2):\n    implements("mse", framework="numpy", name=f"right_{n}")(lambda x, y: right(x, y))\n'
    mine.write("my_losses.py", LOSSES + loop)
    path = mine.waive(implementation="my_losses.expandet")
    found = call("check", "my_losses.py:expanded", "--no-cache", "--dtype", "float64", "--waivers", path)
    assert "no implementation" not in found.output


def pytest_of(folder: Path, *arguments: str) -> str:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "-p",
        "lossproof.pytest_plugin",
        *arguments,
    ]
    harness = str(Path(__file__).parents[1] / "harness")
    path = os.pathsep.join([harness, os.environ.get("PYTHONPATH", "")])
    environment = {
        **os.environ,
        "PYTHONPATH": path,
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "",
    }
    found = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return found.stdout


@pytest.mark.parametrize(
    "logits", [[[np.nan], [0]], [[0, np.nan], [0, 1]], [[np.inf, 0], [0, 0]], [[-np.inf], [0]]]
)
def test_a_where_sees_an_input_that_is_not_finite(logits: list[list[float]]) -> None:
    spec = library.get("sequence_cross_entropy")
    inputs = {"logits": np.array([logits]), "tokens": np.zeros((1, 2), int), "mask": np.zeros((1, 2), bool)}
    case = Case(spec.loss, "float64", "ordinary", inputs, {"reduction": "sum", "empty": "nan"})
    (waiver,) = parse(GOOD + '  where: "any(not counts and not isfinite(max(logits, V)))"\n', "w.yaml")
    assert without(case, spec, [waiver]) is None
    logits_ = np.nan_to_num(inputs["logits"], posinf=1, neginf=1)
    finite = replace(case, inputs=inputs | {"logits": logits_})
    assert without(finite, spec, [waiver]) is finite
