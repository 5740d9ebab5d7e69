"""What the modes and dtypes of one implementation share of a quick run, and that nothing is left out by it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from lossproof.audit.encoding import decode
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Result, Verdict
from lossproof.audit.run import run
from lossproof.audit.share import ALL, LAWS_IN_EAGER_MODE, ONE_SHAPE, Share, share
from lossproof.frameworks import Call, Outcome
from lossproof.frameworks.jax_framework import JaxFramework
from lossproof.waivers import Waiver

pytestmark = pytest.mark.xdist_group("share")
"""What its fixture has examined serves all of its tests."""

ELSEWHERE = ONE_SHAPE.many or ""

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


FOLLOWING = """
import jax
import jax.numpy as jnp
from lossproof import implements

DTYPES = ["float32", "bfloat16"]

@implements("logsumexp", framework="jax", dtypes=DTYPES)
def right(logits):
    return jax.nn.logsumexp(logits, axis=-1)

@implements("logsumexp", framework="jax", dtypes=DTYPES)
def wrong_in_bfloat16(logits):
    return jax.nn.logsumexp(logits, axis=-1) + (1.0 if logits.dtype == jnp.bfloat16 else 0.0)

@jax.custom_vjp
def _own(logits):
    return jax.nn.logsumexp(logits, axis=-1) + (1.0 if logits.dtype == jnp.bfloat16 else 0.0)

def _forward(logits):
    return jax.nn.logsumexp(logits, axis=-1), logits

def _backward(logits, upstream):
    return (upstream[..., None] * jax.nn.softmax(logits, axis=-1),)

_own.defvjp(_forward, _backward)

@implements("logsumexp", framework="jax", dtypes=DTYPES)
def wrong_in_bfloat16_unless_differentiated(logits):
    return _own(logits)
"""


def test_a_dtype_that_follows_takes_its_values_from_the_call_that_differentiates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax")
    file, called = tmp_path / "following.py", set()
    file.write_text(FOLLOWING)
    value = JaxFramework.value

    def counted(self: JaxFramework, call: Call) -> Outcome:
        called.add((call.function.__name__, call.mode, call.inputs[0].dtype.name))
        return value(self, call)

    monkeypatch.setattr(JaxFramework, "value", counted)
    rows = run(plan(Options((str(file),), devices=("cpu",), jobs=1, cache=False)), lambda event: None).results
    failed = {
        (row.implementation.rpartition(".")[2], row.dtype)
        for row in rows
        if row.check == "accuracy" and row.verdict is Verdict.FAIL
    }
    assert failed == {
        ("wrong_in_bfloat16", "bfloat16"),
        ("wrong_in_bfloat16_unless_differentiated", "bfloat16"),
    }
    assert ("right", "compiled", "float32") in called
    assert ("right", "compiled", "bfloat16") not in called
    passed = {
        row.check
        for row in rows
        if row.implementation.endswith(".right") and row.dtype == "bfloat16" and row.verdict is Verdict.PASS
    }
    assert {"accuracy", "gradient", "purity", "determinism", "batch_independence"} <= passed


def test_a_waived_finding_compiles_one_shape_more_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax")
    file, shapes = tmp_path / "wrong.py", set()
    file.write_text(
        "import jax\nfrom lossproof import implements\n\n"
        "@implements('logsumexp', framework='jax', dtypes=['float32'])\n"
        "def wrong(logits):\n    return jax.nn.logsumexp(logits, axis=-1) + 1.0\n"
    )
    vjp = JaxFramework.vjp
    value = JaxFramework.value

    def seen(self: JaxFramework, call: Call) -> Outcome:
        shapes.add(call.inputs[0].shape)
        return value(self, call)

    def seen_too(self: JaxFramework, call: Call, *rest: Any) -> Outcome:
        shapes.add(call.inputs[0].shape)
        return vjp(self, call, *rest)

    monkeypatch.setattr(JaxFramework, "value", seen)
    monkeypatch.setattr(JaxFramework, "vjp", seen_too)
    today = datetime.date.today()
    waiver = Waiver(
        implementation="wrong.wrong", loss="logsumexp", checks=("*",), reason="known",
        since=today, expires=today + datetime.timedelta(days=1),
    )  # fmt: skip
    options = Options(
        (str(file),), modes=("eager",), regimes=("ordinary",), devices=("cpu",), jobs=1, cache=False,
        waivers=(waiver,),
    )  # fmt: skip
    found = run(plan(options), lambda event: None)
    accuracy = next(each for each in found.findings if each.check == "accuracy")
    assert accuracy.waiver == "known"
    assert len(decode(accuracy.inputs["logits"], "float32")) == 1
    classes = {shape[-1] for shape in shapes if shape[0] == 67}
    assert {shape for shape in shapes if len(shape) == 2 and shape[0] != 67} <= {(1, n) for n in classes}


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
        key for key, row in eager.items() if row.verdict is Verdict.SKIP and ELSEWHERE in (row.reason or "")
    }
    assert {check for check, regime in left if regime is None} == {
        check for check, _ in eager if check.startswith("law:")
    }
    assert {regime for _, regime in left if regime is not None} == {"one_class", "many_classes"}
    assert all(ELSEWHERE not in (row.reason or "") for row in compiled.values())
    asked = [row for key, row in compiled.items() if key in left and row.verdict is Verdict.PASS]
    assert len(asked) > len(left) / 2


def test_forward_mode_is_looked_at_in_the_dtype_that_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("jax")
    file, called = tmp_path / "forward.py", set()
    file.write_text(FOLLOWING)
    jvp = JaxFramework.jvp

    def seen(self: JaxFramework, call: Call, tangents: Any) -> Any:
        called.add((call.mode, call.inputs[0].dtype.name))
        return jvp(self, call, tangents)

    monkeypatch.setattr(JaxFramework, "jvp", seen)
    run(plan(Options((f"{file}:right",), devices=("cpu",), jobs=1, cache=False)), lambda event: None)
    assert called == {("compiled", "float32")}


def test_a_mistake_in_a_shape_that_only_compiled_mode_meets_is_caught(results: list[Result]) -> None:
    failed = {
        (row.mode, row.check, row.regime)
        for row in results
        if row.implementation.endswith("wrong_for_one_class") and row.verdict is Verdict.FAIL
    }
    assert ("compiled", "accuracy", "one_class") in failed


BOTH = ["float64", "float32"]


@pytest.mark.parametrize(
    ("profile", "mode", "asked", "compiles", "compiled", "expected"),
    [
        ("quick", "eager", [], True, BOTH, ONE_SHAPE),
        ("quick", "compiled", [], True, BOTH, ALL),
        ("quick", "eager", [], True, [], ALL),
        ("quick", "eager", ["mode"], True, [], ALL),
        ("quick", "eager", ["mode"], True, BOTH, ALL),
        ("quick", "compiled", ["mode"], False, BOTH, ALL),
        ("quick", "eager", ["dtype"], True, BOTH, ONE_SHAPE),
        ("quick", "eager", [], False, BOTH, ALL),
        ("standard", "eager", [], True, BOTH, ALL),
        ("standard", "compiled", [], True, BOTH, LAWS_IN_EAGER_MODE),
        ("deep", "compiled", [], True, BOTH, ALL),
    ],
)
def test_modes_share_where_operations_compile_and_nobody_named_them(
    profile: str, mode: str, asked: list[str], compiles: bool, compiled: list[str], expected: Share
) -> None:
    found = share(profile, mode, "float32", asked=asked, compiles=compiles, compiled=compiled)
    assert found == expected


def test_other_dtypes_leave_laws_and_eager_mode_to_the_leading_one_and_say_so() -> None:
    compiled = share("quick", "compiled", "float64", asked=[], compiles=True, compiled=BOTH)
    assert compiled.whole is None
    assert compiled.laws is not None
    assert "ran in float32" in compiled.laws
    assert compiled.one_class is not None
    assert compiled.many is not None
    half = share("quick", "compiled", "bfloat16", asked=[], compiles=True, compiled=[*BOTH, "bfloat16"])
    assert half.one_class is not None
    assert half.many is None, "in fewer digits a long sum tells more"
    eager = share("quick", "eager", "float64", asked=[], compiles=True, compiled=BOTH)
    assert eager.whole is not None
    assert "--mode eager" in eager.whole


@pytest.mark.parametrize(
    ("profile", "asked", "compiles", "compiled"),
    [
        ("quick", ["dtype"], True, BOTH),
        ("quick", ["mode"], True, BOTH),
        ("quick", [], False, BOTH),
        ("quick", [], True, ["float64"]),
        ("standard", [], True, BOTH),
        ("deep", [], True, BOTH),
    ],
)
@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_a_dtype_does_all_where_it_was_named_or_leads_or_compiles_nothing(
    mode: str, profile: str, asked: list[str], compiles: bool, compiled: list[str]
) -> None:
    found = share(profile, mode, "float64", asked=asked, compiles=compiles, compiled=compiled)
    leading = share(profile, mode, "float32", asked=asked, compiles=compiles, compiled=["float32"])
    assert found == leading


def test_laws_that_only_eager_mode_asks_say_so_in_compiled_mode() -> None:
    pytest.importorskip("jax")
    options = Options(
        ("portable:logsumexp",), frameworks=("jax",), dtypes=("float32",), regimes=("ordinary",),
        profile="standard", devices=("cpu",), jobs=1,
    )  # fmt: skip
    rows = [r for r in run(plan(options), lambda e: None).results if r.check.startswith("law:")]
    assert all((r.reason == LAWS_IN_EAGER_MODE.laws) == (r.mode == "compiled") for r in rows)
