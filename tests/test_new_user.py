"""What a new user writes from the README alone, right, wrong and mistaken, and what lossproof says to it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Run, Verdict
from lossproof.audit.run import run
from lossproof.cli import app
from lossproof.spec import library

HERE = Path(__file__).parent / "new_user"
BAD = {Verdict.FAIL, Verdict.ERROR}


@pytest.fixture(autouse=True)
def _no_spec_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in ("_added", "_found"):
        monkeypatch.setattr(library, registry, {})


def check(*targets: str, **options: object) -> Run:
    return run(plan(Options(targets=targets, jobs=1, **options)), lambda event: None)  # type: ignore[arg-type]


def failed(found: Run) -> dict[str, set[str]]:
    """Which checks of which function fail."""
    wrong: dict[str, set[str]] = {}
    for row in found.results:
        name = row.implementation.rpartition(".")[2]
        wrong.setdefault(name, set())
        if row.verdict in BAD:
            wrong[name].add(row.check)
    return wrong


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_wrong_losses_fail_where_they_are_wrong_and_right_ones_nowhere() -> None:
    wrong = failed(check(str(HERE / "my_losses.py"), frameworks=("numpy", "torch"), modes=("eager",)))
    assert wrong["entropy_from_where"] == set()
    assert wrong["smoothed"] == set()
    assert {"accuracy", "finiteness", "law:shift_adds"} <= wrong["logsumexp_from_zero"]
    assert {"accuracy", "law:nonnegative"} <= wrong["expanded_square"]


@pytest.mark.slow
def test_the_same_in_jax() -> None:
    wrong = failed(
        check(str(HERE / "my_losses.py"), frameworks=("jax",), dtypes=("float32",), modes=("eager",))
    )
    assert wrong["kl_of_logits"] == set()
    assert {"gradient", "law:gradient_sums_to_zero"} <= wrong["detached_normaliser"]


def test_a_spec_of_ones_own_is_named_relative_to_the_adapter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    wrong = failed(check(str(HERE / "pinball_losses.py")))
    assert wrong["pinball"] == set()
    assert "accuracy" in wrong["sides_swapped"]


def test_a_spec_of_ones_own_binds_an_undecorated_function() -> None:
    target = f"{HERE / 'pinball_losses.py'}:undecorated"
    result = cli(
        *("check", target, "--spec", HERE / "pinball.yaml", "--framework", "numpy", "--jobs", 1),
        *("--dtype", "float32", "--seed", 3),
    )
    assert result.exit_code == 0, result.output
    assert "pinball_losses.undecorated" in result.stdout


def test_a_spec_of_ones_own_is_proved_and_shown() -> None:
    assert "3 proved" in cli("prove", HERE / "pinball.yaml").stdout
    assert "Pinball (quantile) loss" in cli("show", HERE / "pinball.yaml").stdout


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("title:", "titel:", "pinball.yaml:2:1: unknown key 'titel'; did you mean 'title'?"),
        ("domain: real}", "domian: real}", "pinball.yaml:5:28: unknown key 'domian' in inputs.prediction"),
        ("domain: real,", "domain: reel,", "pinball.yaml:6:32: unknown domain 'reel'; did you mean 'real'?"),
        ("maximum(", "maximun(", "pinball.yaml:12:13: unknown function 'maximun'; did you mean 'maximum'?"),
        (
            "(prediction, target) >",
            "(predicton, target) >",
            "unknown name 'predicton'; did you mean 'prediction'?",
        ),
        ("(prediction, target) >", "(prediction) >", "'pinball' takes 2 inputs (prediction, target), not 1"),
        (">= 0", ">= 1", "pinball.yaml:14:3: law 'nonnegative' of pinball is false for its definition"),
        ("loss: pinball", "loss: mse", "is the name of a bundled loss; give yours another"),
    ],
)
def test_a_mistake_in_a_spec_is_one_line_with_its_place(
    right: str, wrong: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (HERE / "pinball.yaml").read_text()
    assert right in text
    Path("pinball.yaml").write_text(text.replace(right, wrong, 1))
    shutil.copy(HERE / "pinball_losses.py", "losses.py")
    result = cli(
        "check", "losses.py", "portable:mse", "--framework", "numpy", "--jobs", 1, "--dtype", "float32"
    )
    assert result.exit_code == 2
    lines = [line for line in result.stderr.splitlines() if said in line]
    assert lines
    assert len(set(lines)) == len(lines)
    assert all(line.startswith("error: ") for line in lines)
    assert "portable.mse" in result.stdout, "what can be checked is checked all the same"


def test_proving_goes_on_after_a_spec_that_cannot_be_used(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("loss: bad\n")
    result = cli("prove", bad, "mse")
    assert result.exit_code == 2
    assert "bad.yaml" in result.stderr
    assert "8 laws of 1 loss: 8 proved" in result.stdout


def test_two_files_may_not_name_one_loss(tmp_path: Path) -> None:
    shutil.copy(HERE / "pinball.yaml", tmp_path)
    shutil.copy(HERE / "pinball_losses.py", tmp_path)
    result = cli("check", HERE / "pinball_losses.py", tmp_path / "pinball_losses.py", "--jobs", 1)
    assert result.exit_code == 2
    assert "'pinball' is the loss of" in result.stderr


def test_a_spec_that_is_not_there_says_which_are(tmp_path: Path) -> None:
    (tmp_path / "pinball.yaml").write_text("")
    result = cli("show", tmp_path / "pinbal.yaml")
    assert result.exit_code == 2
    assert "did you mean 'pinball.yaml'?" in result.stderr
