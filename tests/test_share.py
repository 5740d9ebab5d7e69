"""What eager and compiled mode of one implementation share of a quick run, and that nothing is left out by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Result, Verdict
from lossproof.audit.run import run
from lossproof.audit.share import NO_LAWS, ONE_SHAPE, Share, share

LOSSES = """
import jax
import jax.numpy as jnp
from lossproof import implements

@implements("logsumexp", framework="jax", dtypes=["float32"])
def right(logits):
    return jax.nn.logsumexp(logits, axis=-1)

@implements("logsumexp", framework="jax", dtypes=["float32"])
def wrong_for_one_class(logits):
    return jax.nn.logsumexp(logits, axis=-1) + (1.0 if logits.shape[-1] == 1 else 0.0)
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> list[Result]:
    pytest.importorskip("jax")
    file = Path(tmp_path_factory.mktemp("share")) / "mine.py"
    file.write_text(LOSSES)
    found = run(plan(Options((str(file),), devices=("cpu",), jobs=1)), lambda event: None)
    assert not found.problems
    return found.results


def of(results: list[Result], function: str, mode: str) -> dict[tuple[str, str | None], Result]:
    return {(r.check, r.regime): r for r in results if r.implementation.endswith(function) and r.mode == mode}


def test_what_one_mode_skips_the_other_has_looked_at(results: list[Result]) -> None:
    eager, compiled = of(results, "right", "eager"), of(results, "right", "compiled")
    assert set(eager) == set(compiled)
    left = {
        key for key, row in eager.items() if row.verdict is Verdict.SKIP and ONE_SHAPE in (row.reason or "")
    }
    assert {check for check, regime in left if regime is None} == {
        check for check, _ in eager if check.startswith("law:")
    }
    assert {regime for _, regime in left if regime is not None} == {"one_class", "many_classes"}
    assert all(ONE_SHAPE not in (row.reason or "") for row in compiled.values())
    asked = [row for key, row in compiled.items() if key in left and row.verdict is Verdict.PASS]
    assert len(asked) > len(left) / 2


def test_a_mistake_in_a_shape_that_only_compiled_mode_meets_is_caught(results: list[Result]) -> None:
    failed = {
        (row.mode, row.check, row.regime)
        for row in results
        if row.implementation.endswith("wrong_for_one_class") and row.verdict is Verdict.FAIL
    }
    assert ("compiled", "accuracy", "one_class") in failed


@pytest.mark.parametrize(
    ("profile", "mode", "asked", "compiles", "compiled_too", "expected"),
    [
        ("quick", "eager", False, True, True, Share.ONE_SHAPE),
        ("quick", "compiled", False, True, True, Share.ALL),
        ("quick", "eager", False, True, False, Share.ALL),
        ("quick", "eager", True, True, False, Share.ALL),
        ("quick", "eager", True, True, True, Share.ALL),
        ("quick", "compiled", True, False, True, Share.ALL),
        ("quick", "eager", False, False, True, Share.ALL),
        ("standard", "eager", False, True, True, Share.ALL),
        ("standard", "compiled", False, True, True, Share.NO_LAWS),
        ("deep", "compiled", False, True, True, Share.ALL),
    ],
)
def test_modes_share_where_operations_compile_and_nobody_named_them(
    profile: str, mode: str, asked: bool, compiles: bool, compiled_too: bool, expected: Share
) -> None:
    found = share(profile, mode, asked=asked, compiles=compiles, compiled_too=compiled_too)
    assert found is expected


def test_laws_that_only_eager_mode_asks_say_so_in_compiled_mode() -> None:
    pytest.importorskip("jax")
    options = Options(
        ("portable:logsumexp",), frameworks=("jax",), dtypes=("float32",), regimes=("ordinary",),
        profile="standard", devices=("cpu",), jobs=1,
    )  # fmt: skip
    rows = [r for r in run(plan(options), lambda e: None).results if r.check.startswith("law:")]
    assert all((r.reason == NO_LAWS) == (r.mode == "compiled") for r in rows)
