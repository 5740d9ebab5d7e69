"""Broken losses are caught by the check that fits the mistake, and told by its kind; right ones in other styles are
never blamed.

tests/mutants holds both, mutant_runs.py runs them.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

import mutant_table
from lossproof.spec import library
from mutant_runs import BROKEN, RIGHT, blame, blamed, caught, check, in_jax, kinds_of, not_told

SEEDS = (0, 1, 2)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny arrays and several test processes: with threads of their own they only wait for each other."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def id_of(file: Path) -> str:
    return file.stem


@pytest.mark.parametrize("file", BROKEN, ids=id_of)
def test_each_broken_loss_is_caught_by_its_checks_and_told_by_its_kind_and_no_other(file: Path) -> None:
    if in_jax(file):
        pytest.importorskip("jax")
    found = caught(file)
    assert set(found.seen) == set(found.expected), "the file and its CAUGHT_BY name different functions"
    unknown = {name: set(checks) - found.seen[name] for name, checks in found.expected.items()}
    assert not any(unknown.values()), f"no such check: {unknown}"
    assert {name: (found.expected[name], sorted(found.failed[name])) for name in found.missed} == {}
    assert set(found.right) == set(found.expected), "CAUGHT_BY and KINDS name different functions"
    assert found.told_wrong == {}
    silent = set(found.expected) - set(found.told) - set(not_told(file))
    assert {name: (found.right[name], found.kinds.get(name)) for name in silent} == {}


def test_four_of_five_mistakes_are_told_by_their_kind() -> None:
    every = [name for file in BROKEN for name in kinds_of(file)]
    silent = [name for file in BROKEN for name in not_told(file)]
    assert {name for file in BROKEN for name in not_told(file)} <= set(every)
    assert len(silent) <= len(every) / 5


def declared(files: list[Path]) -> dict[str, set[str]]:
    """By loss, the functions that are decorated with its name, read from the source."""
    known = set(library.names())
    found: dict[str, set[str]] = defaultdict(set)
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for each in node.decorator_list if isinstance(node, ast.FunctionDef) else ():
                first = each.args[0] if isinstance(each, ast.Call) and each.args else None
                if isinstance(first, ast.Constant) and first.value in known:
                    found[str(first.value)].add(f"{file.stem}.{getattr(node, 'name', '')}")
    return found


@pytest.mark.parametrize(("files", "least"), [(BROKEN, 3), (RIGHT, 2)], ids=["broken", "right"])
def test_every_loss_has_broken_and_right_versions(files: list[Path], least: int) -> None:
    found = declared(files)
    few = {
        loss: sorted(found[loss])
        for loss in (path.stem for path in library.files())
        if len(found[loss]) < least
    }
    assert few == {}


SQUARES = """
from lossproof import implements

CAUGHT_BY = {"squares": ("accuracy",)}
KINDS = {"squares": ("constant factor",)}

@implements("mse", framework="numpy", dtypes=["float32"])
def squares(prediction, target):
    return (FACTOR * (prediction - target) ** 2).mean(axis=-1)
"""


@pytest.mark.parametrize("factor", ["1", "2"])
def test_the_table_counts_what_is_missed_and_what_is_blamed(tmp_path: Path, factor: str) -> None:
    wrong = int(factor != "1")
    for name in ("of_mine", "right_of_mine"):
        (tmp_path / f"{name}.py").write_text(SQUARES.replace("FACTOR", factor))
    found = mutant_table.tally(tmp_path / "of_mine.py")
    assert (found.broken["mse"], found.caught["mse"], len(found.wrong)) == (1, wrong, 1 - wrong)
    assert found.told["mse"] == wrong
    found = mutant_table.tally(tmp_path / "right_of_mine.py")
    assert (found.right["mse"], found.blamed["mse"], bool(found.wrong)) == (1, wrong, bool(wrong))


@pytest.mark.parametrize("file", [file for file in RIGHT if not in_jax(file)], ids=id_of)
@pytest.mark.parametrize("seed", [SEEDS[0], *(pytest.param(s, marks=pytest.mark.slow) for s in SEEDS[1:])])
def test_right_losses_in_other_styles_are_never_blamed(file: Path, seed: int) -> None:
    assert blamed(file, seed) == {}


@pytest.mark.parametrize("file", [file for file in RIGHT if in_jax(file)], ids=id_of)
def test_right_losses_in_jax_are_never_blamed(file: Path) -> None:
    pytest.importorskip("jax")
    assert blamed(file) == {}


@pytest.mark.slow
@pytest.mark.parametrize("file", RIGHT, ids=id_of)
@pytest.mark.parametrize("seed", range(20))
def test_right_losses_are_never_blamed_in_the_standard_profile(file: Path, seed: int) -> None:
    # half of the time is float64, which says little that float32 did not, and more than that eager mode in JAX
    dtypes = () if seed < 3 or in_jax(file) else ("float32",)
    modes = ("compiled",) if seed > 1 and in_jax(file) else ()
    assert blame(check(file, seed=seed, profile="standard", dtypes=dtypes, modes=modes)) == {}
