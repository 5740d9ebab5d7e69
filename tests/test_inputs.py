"""Regimes, recipes and their expansion."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from lossproof.errors import UsageError
from lossproof.floats import DTYPES, FORMATS, numpy_dtype
from lossproof.inputs import PROFILES, batches_of, draw, expand, explore, regimes_of
from lossproof.inputs.dice import natural_log
from lossproof.inputs.parameters import pool
from lossproof.inputs.variables import is_exact
from lossproof.spec.model import Input, Parameter, Spec, Variable

QUICK = PROFILES["quick"]
ROWS = ("N", "V")


def spec(loss: str, parameters: dict[str, Parameter] | None = None, **inputs: Input) -> Spec:
    return Spec(
        loss=loss, title=loss, inputs=inputs, parameters=parameters or {}, independent="N", definition="0"
    )


def real(domain: str, *shape: str, differentiable: bool = True) -> Input:
    return Input(shape=shape or ROWS, domain=domain, differentiable=differentiable)


LABELS = Input(shape=("N",), domain="class_index")
REDUCTION = Parameter(default="none", choices=("none", "mean", "sum"))
SPECS = {
    s.loss: s
    for s in (
        spec("logsumexp", logits=real("extended_real")),
        spec("entropy", p=real("probability")),
        spec("kl_divergence", {"reduction": REDUCTION}, p=real("probability"), q=real("probability")),
        spec("kl_divergence_from_logits", a=real("extended_real"), b=real("extended_real")),
        spec("nll", log_probs=real("log_probability"), labels=LABELS),
        spec(
            "cross_entropy",
            {
                "class_weight": Parameter(default=None, shape=("V",), domain="positive"),
                "ignore_index": Parameter(default=None, choices=(None, -100)),
                "reduction": REDUCTION,
            },
            logits=real("extended_real"),
            labels=LABELS,
        ),
        spec("soft_cross_entropy", logits=real("extended_real"), targets=real("probability")),
        spec(
            "label_smoothing_cross_entropy",
            {"epsilon": Parameter(default=0.1, range=(0, 1), ends=(0,))},
            logits=real("real"),
            labels=LABELS,
        ),
        spec("mse", prediction=real("real", "N", "D"), target=real("real", "N", "D")),
        spec("bce_with_logits", logits=real("real", "N"), targets=real("unit_interval", "N")),
        spec("triplet", anchor=real("embedding", "N", "D"), positive=real("embedding", "N", "D")),
    )
}
EVERY = [(loss, regime) for loss, s in SPECS.items() for regime in regimes_of(s)]


def cases(loss: str, regime: str, dtype: str = "float32", count: int = 6, **options):
    recipes = draw(SPECS[loss], regime, QUICK, 0, count)
    return [expand(SPECS[loss], recipe, dtype, **options) for recipe in recipes]


def rows(loss: str, regime: str, name: str, dtype: str = "float32"):
    for case in cases(loss, regime, dtype):
        yield from case.inputs[name].astype(np.float64)


def identical(a, b) -> bool:
    return all(
        x[n].tobytes() == y[n].tobytes() and x[n].dtype == y[n].dtype
        for x, y in ((a.inputs, b.inputs), (a.variables, b.variables))
        for n in x
    ) and repr(a.parameters) == repr(b.parameters)


# --- which regimes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "has", "lacks"),
    [
        (
            "logsumexp",
            {"masked", "one_class", "many_classes"},
            {"forbidden_label", "confidently_wrong", "equal"},
        ),
        ("cross_entropy", {"confidently_wrong", "forbidden_label", "poisoned_row"}, {"zeros_in_p", "equal"}),
        ("label_smoothing_cross_entropy", {"confident", "near_tie"}, {"masked", "forbidden_label"}),
        ("kl_divergence_from_logits", {"near_equal", "equal", "masked"}, {"forbidden_label"}),
        ("entropy", {"zeros_in_p", "dyadic"}, {"zeros_in_q", "near_equal"}),
        ("kl_divergence", {"zeros_in_both", "near_equal", "tiny"}, {"masked"}),
        ("nll", {"masked", "forbidden_label", "confident"}, {"huge"}),
        ("mse", {"one_feature", "equal", "huge", "tiny"}, {"one_class", "tie"}),
        ("bce_with_logits", {"ordinary", "huge"}, {"one_feature", "many_features", "equal"}),
    ],
)
def test_the_regimes_follow_from_the_domains(loss, has, lacks):
    assert has <= set(regimes_of(SPECS[loss]))
    assert not lacks & set(regimes_of(SPECS[loss]))


def test_rows_that_touch_each_other_are_never_poisoned():
    assert "poisoned_row" not in regimes_of(SPECS["logsumexp"].model_copy(update={"independent": None}))


def test_an_unknown_regime_names_the_nearest_one():
    with pytest.raises(UsageError, match="near_tie"):
        draw(SPECS["cross_entropy"], "near_ties", QUICK, 0, 1)


# --- drawing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_the_same_seed_gives_the_same_recipes_and_they_differ_from_each_other(seed):
    first = draw(SPECS["cross_entropy"], "ordinary", QUICK, seed, 12)
    assert first == draw(SPECS["cross_entropy"], "ordinary", QUICK, seed, 12)
    assert len({recipe.seed for recipe in first}) >= 11
    assert len({recipe.dims for recipe in first}) > 1
    assert len({recipe.parameters for recipe in first}) > 2


def test_another_seed_regime_or_loss_gives_other_recipes():
    seeds = [
        {recipe.seed for recipe in draw(SPECS[loss], regime, QUICK, seed, 4)}
        for loss, regime, seed in [
            ("cross_entropy", "ordinary", 0),
            ("cross_entropy", "ordinary", 1),
            ("cross_entropy", "tie", 0),
            ("logsumexp", "ordinary", 0),
        ]
    ]
    assert len(set().union(*seeds)) == sum(map(len, seeds))


def test_the_users_hypothesis_settings_have_no_say():
    expected = draw(SPECS["mse"], "ordinary", QUICK, 3, 5)
    hypothesis.settings.register_profile("odd", derandomize=True, max_examples=1, database=None)
    before = hypothesis.settings.get_current_profile_name()
    hypothesis.settings.load_profile("odd")
    try:
        assert draw(SPECS["mse"], "ordinary", QUICK, 3, 5) == expected
    finally:
        hypothesis.settings.load_profile(before)


def test_drawing_writes_nothing_and_depends_on_no_module_of_the_user(tmp_path):
    (tmp_path / "mine.py").write_text("NUMBERS = [3, 5, 11, 123456789, 4.5e9, 77777]\n")
    script = (
        "import sys; {}\n"
        "from lossproof.inputs import *; from lossproof.spec.model import *\n"
        "s = Spec(loss='l', title='l', inputs={{'x': Input(shape=('N','V'), domain='extended_real')}},"
        " definition='0', parameters={{'t': Parameter(default=1.0, range=(1e-3, 10))}})\n"
        "print([draw(s, r, PROFILES['standard'], 5, 20) for r in regimes_of(s)])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["harness", *sys.path])}
    environment["PYTHONPATH"] = os.pathsep.join(
        str(Path(p).resolve()) for p in environment["PYTHONPATH"].split(os.pathsep) if p
    )
    printed = [
        subprocess.run(
            [sys.executable, "-c", script.format(line)],
            cwd=tmp_path,
            env=environment | {"PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        for line in ("pass", "sys.path.insert(0, '.'); import mine")
    ]
    assert printed[0].stdout == printed[1].stdout
    assert [run.stderr for run in printed] == ["", ""]
    assert [p.name for p in tmp_path.iterdir()] == ["mine.py"]


def test_exploring_is_driven_towards_what_is_observed():
    seen = []

    def observe(recipe):
        seen.append(recipe)
        return float(recipe.dial)

    tried = explore(SPECS["logsumexp"], "huge", QUICK, 0, observe, count=120)
    assert tried == seen
    assert max(recipe.dial for recipe in tried) >= 62


def test_what_an_observer_raises_comes_out_as_it_is():
    def observe(recipe):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        explore(SPECS["logsumexp"], "tie", QUICK, 0, observe, count=5)


def test_infinite_and_undefined_observations_are_taken():
    assert explore(
        SPECS["logsumexp"], "tie", QUICK, 0, lambda r: float("inf") if r.dial % 2 else float("nan"), count=9
    )


# --- expanding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("loss", "regime"), EVERY)
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_case_is_legal_and_a_pure_function_of_its_recipe(loss, regime, dtype):
    s = SPECS[loss]
    for recipe in draw(s, regime, QUICK, 1, batches_of(s, regime, 4)):
        case = expand(s, recipe, dtype)
        assert identical(case, expand(s, recipe, dtype))
        assert list(case.inputs) == list(s.inputs)
        assert list(case.parameters) == list(s.parameters)
        classes = recipe.sizes.get("V", 1)
        for name, part in s.inputs.items():
            array = case.inputs[name]
            assert array.shape == tuple(recipe.sizes[d] for d in part.shape)
            if name == "labels":
                assert array.dtype == np.int64
                legal = (array >= 0) & (array < classes) | (array == case.parameters.get("ignore_index"))
                assert legal.all()
                continue
            assert array.dtype == numpy_dtype(dtype)
            x = array.astype(np.float64)
            if regime == "poisoned_row":
                bad = (np.isnan(x) | (x == np.inf)).any(axis=tuple(range(1, x.ndim)))
                assert not bad.all()
                x = x[~bad]
            assert not np.isnan(x).any()
            assert not (x == np.inf).any()
            if part.domain in ("real", "embedding"):
                assert np.isfinite(x).all()
            if part.domain == "extended_real":
                assert (x > -np.inf).any(axis=-1).all(), "a row of −inf alone"
            if part.domain == "probability":
                assert (x >= 0).all()
                unit = FORMATS[dtype].unit_roundoff
                assert np.all(abs(x.sum(axis=-1) - 1) <= 8 * unit)
            if part.domain == "log_probability":
                assert (x <= 0).all()
                assert np.all(abs(np.exp(x).sum(axis=-1) - 1) <= 64 * FORMATS[dtype].unit_roundoff)


def test_a_poisoned_batch_holds_nan_or_inf_and_a_clean_row():
    for loss in SPECS:
        for case in cases(loss, "poisoned_row"):
            values = np.concatenate(
                [
                    a.reshape(len(a), -1).astype(np.float64)
                    for a in case.inputs.values()
                    if a.dtype.kind != "i"
                ],
                axis=1,
            )
            bad = (np.isnan(values) | (values == np.inf)).any(axis=1)
            assert bad.any()
            assert not bad.all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_dyadic_distributions_sum_to_exactly_one(dtype):
    for row in rows("kl_divergence", "dyadic", "p", dtype):
        assert sum(map(Fraction, row)) == 1


def test_masks_leave_the_label_alone_and_forbidden_labels_hit_it():
    for case in cases("cross_entropy", "masked", parameters={"ignore_index": None}):
        at = np.take_along_axis(case.inputs["logits"], case.inputs["labels"][:, None], 1)
        assert np.isfinite(at).all()
        assert (case.inputs["logits"] == -np.inf).any(axis=1).all()
    for case in cases("cross_entropy", "forbidden_label", parameters={"ignore_index": None}):
        at = np.take_along_axis(case.inputs["logits"], case.inputs["labels"][:, None], 1)
        assert (at == -np.inf).all()


def test_masked_classes_have_no_target_but_in_the_regime_for_it():
    for case in cases("soft_cross_entropy", "masked"):
        assert (case.inputs["targets"][case.inputs["logits"] == -np.inf] == 0).all()
    for case in cases("soft_cross_entropy", "forbidden_label"):
        forbidden = (case.inputs["targets"] > 0) & (case.inputs["logits"] == -np.inf)
        assert forbidden.any(axis=1).all()


def test_a_pair_of_logits_is_masked_in_one_or_in_both():
    seen = set()
    for seed in range(4):
        for recipe in draw(SPECS["kl_divergence_from_logits"], "masked", QUICK, seed, 6):
            case = expand(SPECS["kl_divergence_from_logits"], recipe, "float32")
            a, b = ((case.inputs[n] == -np.inf).any(axis=1) for n in "ab")
            seen |= set(zip(a.tolist(), b.tolist(), strict=True))
    assert seen == {(True, False), (False, True), (True, True)}


def test_confident_rows_favour_their_label_and_confidently_wrong_ones_another_class():
    for regime, right in (("confident", True), ("confidently_wrong", False)):
        for case in cases("cross_entropy", regime, parameters={"ignore_index": None}):
            logits, labels = case.inputs["logits"].astype(float), case.inputs["labels"]
            assert ((logits.argmax(axis=1) == labels) == right).all()
            top = np.sort(logits, axis=1)
            assert (top[:, -1] - top[:, -2] >= 9.9).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_near_equal_distributions_differ_by_ulps(dtype):
    differ = False
    for case in cases("kl_divergence", "near_equal", dtype):
        p, q = (case.inputs[n].astype(np.float64) for n in "pq")
        assert np.all(abs(p - q) <= 8 * FORMATS[dtype].unit_roundoff * p)
        differ |= bool((p != q).any())
    assert differ


def test_huge_and_tiny_vectors_overflow_and_underflow_when_squared():
    with np.errstate(all="ignore"):
        huge = np.concatenate(list(rows("mse", "huge", "prediction"))).astype(np.float32) ** 2
        tiny = np.concatenate(list(rows("mse", "tiny", "prediction"))).astype(np.float32) ** 2
    assert np.isinf(huge).any()
    assert (tiny == 0).any()


def test_zeros_stand_where_the_regime_says():
    for case in cases("kl_divergence", "zeros_in_q"):
        assert (case.inputs["q"] == 0).any(axis=1).all()
        assert (case.inputs["p"] > 0).all()
    for case in cases("kl_divergence", "zeros_in_both"):
        assert (case.inputs["p"][case.inputs["q"] == 0] == 0).all()


def test_common_offsets_reach_from_a_hundred_to_the_limit_of_the_format():
    for dtype in DTYPES:
        most = [abs(row).max() for row in rows("cross_entropy", "common_offset", "logits", dtype)]
        assert min(most) < 1e5
        assert max(most) > 5e3


def test_the_logarithm_by_arithmetic_is_the_logarithm():
    x = np.concatenate([np.linspace(1e-3, 5, 5001), np.ldexp(1.3, np.arange(-1000, 1000))])
    assert np.all(abs(natural_log(x) - np.log(x)) <= 1e-15 * np.maximum(abs(np.log(x)), 1e-1))


# --- parameters --------------------------------------------------------------------------------------------


def test_a_parameter_has_few_values_among_them_its_default_and_ends():
    s = SPECS["label_smoothing_cross_entropy"]
    values = pool(s, "epsilon", 0)
    assert {0.1, 0.0} < set(values)
    assert len(values) <= 4
    assert all(0 <= v <= 1 for v in values)
    assert values == pool(s, "epsilon", 0) != pool(s, "epsilon", 1)


def test_labels_hold_the_ignored_index_only_where_it_is_one():
    recipes = draw(SPECS["cross_entropy"], "ordinary", PROFILES["standard"], 0, 30)
    for index in (-100, None):
        ignored = [
            (
                expand(SPECS["cross_entropy"], r, "float32", parameters={"ignore_index": index}).inputs[
                    "labels"
                ]
                < 0
            )
            for r in recipes
        ]
        assert (
            any(i.all() for i in ignored) == any(i.any() and not i.all() for i in ignored) == (index == -100)
        )


def test_fixed_parameters_win_over_drawn_ones_and_arrays_come_in_the_dtype():
    weights = []
    for recipe in draw(SPECS["cross_entropy"], "ordinary", QUICK, 0, 8):
        case = expand(SPECS["cross_entropy"], recipe, "bfloat16", parameters={"reduction": "sum"})
        assert case.parameters["reduction"] == "sum"
        weights.append(case.parameters["class_weight"])
    given = [w for w in weights if w is not None]
    assert 0 < len(given) < len(weights)
    assert all(w.dtype == numpy_dtype("bfloat16") and (w > 0).all() for w in given)


# --- variables of laws -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["cross_entropy", "logsumexp", "label_smoothing_cross_entropy"])
def test_sums_on_a_common_grid_are_exact_in_every_regime(loss, dtype):
    shift = {"c": Variable(shape=("N", 1), domain="real", grid="logits")}
    ratios = []
    for regime in regimes_of(SPECS[loss]):
        for case in cases(loss, regime, dtype, count=4, variables=shift):
            logits, c = case.inputs["logits"], case.variables["c"]
            assert c.dtype == logits.dtype
            assert is_exact(logits, c, dtype)
            ratios += list(abs(c.astype(float))[:, 0] / (1e-30 + abs(logits.astype(float)).max(axis=1)))
    assert min(ratios) < 0.1
    assert max(ratios) > 4


def test_vectors_are_moved_together_on_a_grid():
    shift = {"c": Variable(shape=("N", "D"), domain="real", grid="prediction")}
    for case in cases("mse", "common_offset", variables=shift):
        assert is_exact(case.inputs["prediction"], case.variables["c"], "float32")
        assert is_exact(case.inputs["target"], case.variables["c"], "float32")


@pytest.mark.parametrize("dtype", DTYPES)
def test_two_distributions_on_a_grid_sum_to_one_and_add_exactly(dtype):
    other = {"r": Variable(like="p", grid="p"), "t": Variable(like="q", grid="q")}
    for regime in regimes_of(SPECS["kl_divergence"]):
        if regime in ("many_classes", "poisoned_row"):
            continue
        for case in cases("kl_divergence", regime, dtype, variables=other):
            assert is_exact(case.inputs["p"], case.variables["r"], dtype)
            assert is_exact(case.inputs["q"], case.variables["t"], dtype)
            for array in (*case.inputs.values(), *case.variables.values()):
                assert (array >= 0).all()
                assert all(sum(map(Fraction, row)) == 1 for row in array.astype(float))


@pytest.mark.parametrize("dtype", DTYPES)
def test_another_draw_of_logits_on_a_grid_keeps_its_regime(dtype):
    other = {"other": Variable(like="logits", grid="logits")}
    for regime in regimes_of(SPECS["logsumexp"]):
        for case in cases("logsumexp", regime, dtype, count=2, variables=other):
            assert is_exact(case.inputs["logits"], case.variables["other"], dtype)
    for case in cases("logsumexp", "masked", dtype, variables=other):
        assert np.array_equal(np.isinf(case.inputs["logits"]), np.isinf(case.variables["other"]))


def test_a_positive_variable_on_a_grid_is_positive():
    step = {"c": Variable(shape=("N", 1), domain="positive", grid="logits")}
    for case in cases("cross_entropy", "ordinary", variables=step):
        assert (case.variables["c"] > 0).all()


def test_a_sum_that_rounds_is_not_exact():
    assert not is_exact(np.float32([1.0]), np.float32([2.0**-24]), "float32")
    assert is_exact(np.float32([1.0, -np.inf]), np.float32([2.0**-23]), "float32")
    assert not is_exact(np.float64([1.0]), np.float64([2.0**-53]), "float64")


def test_another_draw_of_an_input_keeps_its_regime_and_fits_the_labels():
    like = {"other": Variable(like="logits")}
    for case in cases("cross_entropy", "masked", variables=like, parameters={"ignore_index": None}):
        other = case.variables["other"]
        assert other.shape == case.inputs["logits"].shape
        # of two classes, one masked, both draws may hold the same short number
        assert other.size <= 2 or not np.array_equal(other, case.inputs["logits"])
        assert np.isfinite(np.take_along_axis(other, case.inputs["labels"][:, None], 1)).all()


def test_two_draws_of_one_input_differ():
    like = {"r": Variable(like="p"), "s": Variable(like="p")}
    for case in cases("kl_divergence", "ordinary", variables=like):
        assert not np.array_equal(case.variables["r"], case.variables["s"])
        assert np.allclose(case.variables["r"].sum(axis=1), 1)


def test_variables_hold_what_their_domain_says():
    variables = {
        "s": Variable(shape=("V",), domain="permutation"),
        "w": Variable(shape=("N", 1), domain="unit_interval"),
        "k": Variable(shape=("N",), domain="class_index"),
        "t": Variable(shape=(), domain="power_of_two"),
        "m": Variable(shape=("N", "V"), domain="mask"),
        "r": Variable(shape=("N", "W"), domain="probability"),
        "x": Variable(shape=("N", "V + 1"), domain="real"),
    }
    weights = set()
    for case in cases("kl_divergence", "ordinary", count=12, variables=variables):
        n, v = case.inputs["p"].shape
        got = case.variables
        assert sorted(got["s"]) == list(range(v))
        assert ((got["k"] >= 0) & (got["k"] < v)).all()
        assert np.frexp(got["t"].astype(float))[0] == 0.5
        assert got["m"].dtype == np.bool_
        assert got["r"].shape == (n, 3)
        assert got["x"].shape == (n, v + 1)
        weights |= set(got["w"].astype(float).reshape(-1))
    assert {0.0, 1.0} < weights
