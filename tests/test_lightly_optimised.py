"""In the quick profile compilers optimise little, in processes of lossproof's own; nobody is blamed for that."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import pytest

from lossproof.audit import memory
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Run, Verdict
from lossproof.audit.run import run

LOSSES = """
import jax
from lossproof import implements

@implements("logsumexp", framework="jax", dtypes=["float32"])
def wrong_where_optimised_little(logits):
    little = jax.config.values["jax_disable_most_optimizations"]
    return jax.nn.logsumexp(logits, axis=-1) + (1.0 if little else 0.0)

@implements("logsumexp", framework="jax", dtypes=["float32"])
def wrong(logits):
    return jax.nn.logsumexp(logits, axis=-1) + 1.0
"""


def checked(tmp_path: Path, name: str, mode: str, profile: str, *, own: bool) -> Run:
    file = tmp_path / "losses.py"
    file.write_text(LOSSES)
    options = Options(
        (f"{file}:{name}",), modes=(mode,), profile=profile, regimes=("ordinary",), jobs=1, devices=("cpu",)
    )
    with patch.object(memory, "own", own):
        found = run(plan(options), lambda event: None)
    assert not found.problems, found.problems
    return found


def failed(found: Run) -> bool:
    return any(result.verdict is Verdict.FAIL for result in found.results)


@pytest.mark.parametrize(
    ("mode", "profile", "own", "little"),
    [
        ("compiled", "quick", True, True),
        ("compiled", "quick", False, False),
        ("compiled", "standard", True, False),
        ("eager", "quick", True, False),
    ],
)
def test_compilers_optimise_little_in_compiled_mode_of_a_quick_run_of_our_own(
    tmp_path: Path, mode: str, profile: str, own: bool, little: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lossproof.frameworks.jax_framework import JaxFramework

    seen, before = set(), JaxFramework._run

    def spied(self, call, *args):  # type: ignore[no-untyped-def]
        seen.add(self.library.config.values["jax_disable_most_optimizations"])
        return before(self, call, *args)

    monkeypatch.setattr(JaxFramework, "_run", spied)
    found = checked(tmp_path, "wrong_where_optimised_little", mode, profile, own=own)
    assert (True in seen) == little
    # what failed there is examined again, as users compile it
    assert not failed(found)


def test_what_fails_as_users_compile_it_is_found(tmp_path: Path) -> None:
    found = checked(tmp_path, "wrong", "compiled", "quick", own=True)
    assert failed(found)
