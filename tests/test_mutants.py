"""Broken losses are caught by the check that fits the mistake; right ones in other styles are never blamed.

tests/mutants holds both. Each file of broken ones says in CAUGHT_BY which checks must fail on each.
"""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Result, Run, Verdict
from lossproof.audit.run import run
from lossproof.spec import library

MUTANTS = Path(__file__).parent / "mutants"
FILES = sorted(MUTANTS.glob("*.py"))
RIGHT = [file for file in FILES if file.stem.startswith("right_")]
BROKEN = [file for file in FILES if file not in RIGHT]

SEEDS = (0, 1, 2)

TRIES = (0, 1, 2, 3)
"""The quick profile draws few cases: a mistake that only a rare one shows has four runs to be met in."""

FAST_IN_JAX = {
    "right_jax": ("mapped_over_rows", "double_where", "accumulated_in_float32"),
    "right_jax_custom_vjp": (),
}
"""Functions that run in a few seconds; none for all."""

REGIMES_IN_JAX = ("ordinary", "masked")
"""Each operation compiles for each shape, so that a file takes a minute with all of them."""

SLOW = ("contrastive_negatives", "margins", "right_margins")
"""Files that take half a minute: rows that are compared with each other cannot share calls."""

BLAMED = (Verdict.FAIL, Verdict.ERROR)


def marked(files: list[Path]) -> list[Any]:
    return [pytest.param(f, marks=pytest.mark.slow if f.stem in SLOW else (), id=f.stem) for f in files]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny arrays and several test processes: with threads of their own they only wait for each other."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def check(
    file: Path,
    *functions: str,
    seed: int = 0,
    profile: str = "quick",
    dtypes: tuple[str, ...] = (),
    regimes: tuple[str, ...] = (),
) -> Run:
    targets = tuple(f"{file}:{name}" for name in functions) or (str(file),)
    options = Options(
        targets,
        devices=("cpu",),
        modes=("eager",),
        dtypes=dtypes,
        regimes=regimes,
        profile=profile,
        seed=seed,
        jobs=1,
    )
    found = run(plan(options), lambda event: None)
    assert not found.problems
    return found


def regimes_of(file: Path) -> tuple[str, ...]:
    if file.stem == "jax_losses":
        return (*REGIMES_IN_JAX, "equal")
    return REGIMES_IN_JAX if "jax" in file.stem else ()


def caught_by(file: Path) -> dict[str, tuple[str, ...]]:
    if "jax" in file.stem:
        pytest.importorskip("jax")
    spec = importlib.util.spec_from_file_location(f"mutants_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, tuple[str, ...]] = module.CAUGHT_BY
    return found


def function_of(row: Result) -> str:
    return row.implementation.rpartition(".")[2]


def blame(found: Run) -> list[str]:
    """What a right loss is blamed for, with the minimal case."""
    cases = {finding.id: f"{finding.inputs} {finding.parameters}" for finding in found.findings}
    return [
        f"{row.implementation} {row.dtype} {row.check} {row.regime}: {row.verdict}, {row.reason}; "
        f"{cases.get(row.finding or '', '')}"
        for row in found.results
        if row.verdict in BLAMED
    ]


@pytest.mark.parametrize("file", marked(BROKEN))
def test_each_broken_loss_fails_on_the_checks_that_fit_its_mistake(file: Path) -> None:
    expected = caught_by(file)
    regimes = regimes_of(file)
    failed: dict[str, set[str]] = defaultdict(set)
    seen: dict[str, set[str]] = defaultdict(set)
    missed = tuple(expected)
    for seed in TRIES if not regimes else TRIES[:1]:
        found = check(file, *(missed if seed != TRIES[0] else ()), seed=seed, regimes=regimes)
        for row in found.results:
            seen[function_of(row)].add(row.check)
            if row.verdict is Verdict.FAIL:
                failed[function_of(row)].add(row.check)
        missed = tuple(name for name in missed if not failed[name].issuperset(expected[name]))
        if not missed:
            break
    assert set(seen) == set(expected), "the file and its CAUGHT_BY name different functions"
    unknown = {name: set(checks) - seen[name] for name, checks in expected.items()}
    assert not any(unknown.values()), f"no such check: {unknown}"
    assert {name: (expected[name], sorted(failed[name])) for name in missed} == {}


def test_every_loss_has_broken_versions() -> None:
    found: dict[str, int] = defaultdict(int)
    for file in BROKEN:
        if "jax" not in file.stem:
            for cell in plan(Options((str(file),), devices=("cpu",), modes=("eager",))).cells:
                found[cell.implementation.loss] += 1
    bundled = [path.stem for path in library.files()]
    assert {loss: found[loss] for loss in bundled if found[loss] < 3} == {}


@pytest.mark.parametrize("file", marked([file for file in RIGHT if "jax" not in file.stem]))
@pytest.mark.parametrize("seed", [SEEDS[0], *(pytest.param(s, marks=pytest.mark.slow) for s in SEEDS[1:])])
def test_right_losses_in_other_styles_are_never_blamed(file: Path, seed: int) -> None:
    assert blame(check(file, seed=seed)) == []


@pytest.mark.parametrize("file", [file for file in RIGHT if "jax" in file.stem], ids=lambda file: file.stem)
def test_right_losses_in_jax_are_never_blamed(file: Path) -> None:
    pytest.importorskip("jax")
    assert blame(check(file, *FAST_IN_JAX[file.stem], regimes=REGIMES_IN_JAX)) == []


@pytest.mark.slow
@pytest.mark.parametrize("file", RIGHT, ids=lambda file: file.stem)
@pytest.mark.parametrize("seed", range(20))
def test_right_losses_are_never_blamed_in_the_standard_profile(file: Path, seed: int) -> None:
    if "jax" in file.stem and seed > 1:
        pytest.skip("compiles for minutes; the same mathematics runs in the other frameworks")
    # half of the time is float64, which says little that float32 did not
    assert blame(check(file, seed=seed, profile="standard", dtypes=() if seed < 3 else ("float32",))) == []
