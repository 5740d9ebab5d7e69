"""In the quick profile compilers optimise bundled losses little; nobody is blamed for that, and nobody else's are."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from lossproof.audit import memory, worker
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Run, Verdict
from lossproof.audit.run import run
from lossproof.frameworks.jax_framework import JaxFramework

LOSSES = """
import jax
import jax.numpy as jnp
from lossproof import implements

@implements("logsumexp", framework="jax", dtypes=["float32"])
def wrong_where_optimised_little(logits):
    little = jax.config.values["jax_disable_most_optimizations"]
    return jax.nn.logsumexp(logits, axis=-1) + (1.0 if little else 0.0)

@implements("logsumexp", framework="jax", dtypes=["float32"])
def wrong(logits):
    return jax.nn.logsumexp(logits, axis=-1) + 1.0

@implements("mse", framework="jax", dtypes=["float32"])
def root_of_a_difference(prediction, target):
    product = prediction * prediction - target * target
    same = jnp.where(prediction == target, jax.lax.stop_gradient(jnp.sqrt(product)), 0.0)
    return ((prediction - target) ** 2 + same).mean(-1)
"""


def checked(
    tmp_path: Path, name: str, mode: str, profile: str, *, own: bool = True, bundled: bool = True
) -> Run:
    file = tmp_path / "losses.py"
    file.write_text(LOSSES)
    regimes = ("equal",) if name == "root_of_a_difference" else ("ordinary",)
    options = Options(
        (f"{file}:{name}",),
        modes=(mode,),
        profile=profile,
        regimes=regimes,
        jobs=1,
        devices=("cpu",),
    )
    ours = frozenset({str(file)} if bundled else ())
    with patch.object(memory, "own", own), patch.object(worker, "_bundled", lambda: ours):
        found = run(plan(options), lambda event: None)
    assert not found.problems, found.problems
    return found


def failed(found: Run) -> bool:
    return any(result.verdict is Verdict.FAIL for result in found.results)


@pytest.mark.parametrize(
    ("mode", "profile", "where", "little"),
    [
        ("compiled", "quick", {}, True),
        ("compiled", "quick", {"own": False}, False),
        ("compiled", "quick", {"bundled": False}, False),
        ("compiled", "standard", {}, False),
        ("eager", "quick", {}, False),
    ],
)
def test_compilers_optimise_little_in_compiled_mode_of_a_quick_run_of_our_own(
    tmp_path: Path,
    mode: str,
    profile: str,
    where: dict[str, bool],
    little: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen, before = set(), JaxFramework._run

    def spied(self, call, *args):  # type: ignore[no-untyped-def]
        seen.add(self.library.config.values["jax_disable_most_optimizations"])
        return before(self, call, *args)

    monkeypatch.setattr(JaxFramework, "_run", spied)
    found = checked(tmp_path, "wrong_where_optimised_little", mode, profile, **where)
    assert (True in seen) == little
    # what failed there is examined again, as users compile it
    assert not failed(found)


def test_what_fails_as_users_compile_it_is_found(tmp_path: Path) -> None:
    assert failed(checked(tmp_path, "wrong", "compiled", "quick"))


def test_what_a_compiler_makes_of_a_users_loss_is_seen(tmp_path: Path) -> None:
    """XLA contracts a product and a difference, which is then not 0 for equal numbers, and its root nan."""
    assert failed(checked(tmp_path, "root_of_a_difference", "compiled", "quick", bundled=False))


@pytest.mark.parametrize("framework", ["numpy", "torch"])
def test_what_compiles_no_other_way_is_examined_once(
    framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "squares.py"
    file.write_text(
        "from lossproof import implements\n\n"
        f'@implements("mse", framework="{framework}", dtypes=["float32"])\n'
        "def squares(prediction, target):\n"
        "    return 2 * ((prediction - target) ** 2).mean(-1)\n"
    )
    count, before = [], worker.Examination
    monkeypatch.setattr(worker, "Examination", lambda *args: count.append(1) or before(*args))
    monkeypatch.setattr(worker, "_lightly", lambda planned: True)
    options = Options((str(file),), regimes=("ordinary",), jobs=1, devices=("cpu",))
    assert failed(run(plan(options), lambda event: None))
    assert len(count) == 1
