"""What a command imports before it does its work: help and lists start at once, and no framework comes along."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[1] / "harness"

FRAMEWORKS = {"torch", "jax", "jaxlib", "optax", "tensorflow"}
ENGINE = {"flint", "hypothesis", "scipy", "pebble", "numpy_quaddtype"}

Run = Callable[..., set[str]]


@pytest.fixture
def imported(tmp_path: Path) -> Run:
    """Runs the command line in a process of its own; the packages that it has imported at its end."""

    def run(*arguments: str, code: int = 0) -> set[str]:
        script = (
            "import atexit, sys; from lossproof.cli import main\n"
            "atexit.register(lambda: print(*sorted({m.partition('.')[0] for m in sys.modules}), file=sys.stderr))\n"
            f"sys.argv = ['lossproof', *{arguments!r}]; main()"
        )
        path = os.pathsep.join(filter(None, [str(HARNESS), os.environ.get("PYTHONPATH", "")]))
        done = subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache")},
            check=False,
        )
        assert done.returncode == code, done.stderr
        return set(done.stderr.splitlines()[-1].split())

    return run


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["check", "--help"], ["audit", "--help"]], ids=str
)
def test_help_imports_no_part_of_the_engine(imported: Run, arguments: list[str]) -> None:
    heavy = FRAMEWORKS | ENGINE | {"numpy", "ruamel", "jinja2"}
    assert not imported(*arguments) & heavy


@pytest.mark.parametrize("arguments", [["list"], ["show", "cross_entropy"]], ids=str)
def test_lists_import_neither_a_framework_nor_the_oracle(imported: Run, arguments: list[str]) -> None:
    assert not imported(*arguments) & (FRAMEWORKS | ENGINE)


def adapter(tmp_path: Path, framework: str, square: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(
        f"import {framework}\n"
        "from lossproof import implements\n\n"
        f'@implements("mse", framework="{framework}", dtypes=["float32"], devices=["cpu"])\n'
        f"def squares(prediction, target):\n    return {square}\n",
        encoding="utf-8",
    )
    return str(path)


def test_a_check_of_numpy_code_imports_no_other_framework(imported: Run, tmp_path: Path) -> None:
    mine = adapter(tmp_path, "numpy", "numpy.square(prediction - target).mean(axis=-1)")
    few = ("--regime", "ordinary", "--no-cache")
    assert not imported("check", mine, *few) & FRAMEWORKS
    # what is not there is told without asking the frameworks that would know
    assert not imported("check", mine, *few, "--device", "cuda", code=3) & FRAMEWORKS
    assert not imported("check", mine, *few, "--mode", "compiled", code=3) & FRAMEWORKS


def test_one_framework_of_an_adapter_for_several_imports_no_other(imported: Run) -> None:
    numpy = (
        "portable",
        "--framework",
        "numpy",
        "--loss",
        "mse",
        "--dtype",
        "float32",
        "--regime",
        "ordinary",
    )
    assert not imported("check", *numpy) & FRAMEWORKS


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_an_unchanged_check_imports_not_even_its_own_framework(imported: Run, tmp_path: Path) -> None:
    mine = adapter(tmp_path, "torch", "(prediction - target).square().mean(-1)")
    few = ("--regime", "ordinary")
    assert "torch" in imported("check", mine, *few)
    assert not imported("check", mine, *few) & FRAMEWORKS
