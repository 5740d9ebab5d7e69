"""Regimes, recipes and their expansion."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from lossproof.errors import UsageError
from lossproof.floats import DTYPES, FORMATS, numpy_dtype
from lossproof.inputs import PROFILES, Profile, batches_of, draw, expand, explore, regimes_of
from lossproof.inputs.dice import Dice, natural_log, to_dtype
from lossproof.inputs.parameters import pool
from lossproof.inputs.variables import is_exact
from lossproof.spec import library
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
        spec(
            "arcface",
            embeddings=real("embedding", "N", "D"),
            weights=real("embedding", "V", "D"),
            labels=LABELS,
        ),
    )
}
COUPLED = {
    s.loss: s.model_copy(update={"independent": None})
    for s in (
        spec("info_nce", query=real("embedding", "N", "D"), keys=real("embedding", "N", "D")),
        spec(
            "sup_con", embeddings=real("embedding", "N", "D"), labels=Input(shape=("N",), domain="class_id")
        ),
    )
}
SPECS |= COUPLED
MANY_ROWS = Profile("many rows", batches=1, laws=1, shapes=((256, 8),), many_classes=64)
EVERY = [(loss, regime) for loss, s in SPECS.items() for regime in regimes_of(s)]


def cases(loss: str, regime: str, dtype: str = "float32", count: int = 6, **options):
    recipes = draw(SPECS[loss], regime, QUICK, 0, count)
    return [expand(SPECS[loss], recipe, dtype, **options) for recipe in recipes]


def rows(loss: str, regime: str, name: str, dtype: str = "float32"):
    for case in cases(loss, regime, dtype):
        yield from case.inputs[name].astype(np.float64)


def batch(loss: str, regime: str, dtype: str = "float32", seed: int = 0, variables=None, **changes):
    """One case of 256 rows and 8 classes; labels are never ignored."""
    recipe = replace(draw(SPECS[loss], regime, MANY_ROWS, seed, 1)[0], **changes)
    fixed = {"ignore_index": None} if "ignore_index" in SPECS[loss].parameters else {}
    return expand(SPECS[loss], recipe, dtype, variables, fixed)


def logits_and_labels(regime: str, dtype: str = "float32", **changes):
    case = batch("cross_entropy", regime, dtype, **changes)
    return case.inputs["logits"].astype(np.float64), case.inputs["labels"]


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
        ("mse", {"one_feature", "equal", "huge", "tiny"}, {"one_class", "tie", "confident"}),
        ("bce_with_logits", {"ordinary", "confident", "huge"}, {"one_feature", "many_features", "equal"}),
        ("triplet", {"equal", "antipodal", "zero_vector", "poisoned_row"}, {"one_class", "tie"}),
        ("info_nce", {"equal", "scales", "one_feature", "huge"}, {"poisoned_row"}),
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


def test_recipes_are_distinct_and_more_of_them_begin_with_the_same_ones():
    few, many = (draw(SPECS["mse"], "ordinary", QUICK, 0, count) for count in (7, 3000))
    assert many[:7] == few
    assert len(set(many)) == 3000


def test_shapes_take_turns_and_another_regime_starts_at_another_one():
    shapes = PROFILES["standard"].shapes
    firsts = set()
    for regime in regimes_of(SPECS["logsumexp"])[:9]:
        found = [r.dims for r in draw(SPECS["logsumexp"], regime, PROFILES["standard"], 0, 2 * len(shapes))]
        assert len(set(found[: len(shapes)])) == len(shapes)
        assert found[: len(shapes)] == found[len(shapes) :]
        firsts.add(found[0])
    assert len(firsts) > 2


def test_the_users_hypothesis_settings_have_no_say():
    def searched():
        return explore(SPECS["mse"], "ordinary", QUICK, 3, lambda recipe: 0.0, 5)

    expected = searched()
    hypothesis.settings.register_profile("odd", derandomize=True, max_examples=1, database=None)
    before = hypothesis.settings.get_current_profile_name()
    hypothesis.settings.load_profile("odd")
    try:
        assert searched() == expected
    finally:
        hypothesis.settings.load_profile(before)


def test_drawing_writes_nothing_and_depends_on_no_module_of_the_user(tmp_path):
    (tmp_path / "mine.py").write_text("NUMBERS = [3, 5, 11, 123456789, 4.5e9, 77777]\n")
    script = (
        "import sys; {}\n"
        "from lossproof.inputs import *; from lossproof.spec.model import *\n"
        "s = Spec(loss='l', title='l', inputs={{'x': Input(shape=('N','V'), domain='extended_real')}},"
        " definition='0', parameters={{'t': Parameter(default=1.0, range=(1e-3, 10))}})\n"
        "print([draw(s, r, PROFILES['standard'], 5, 20) for r in regimes_of(s)])\n"
        "print(explore(s, 'tie', PROFILES['standard'], 5, lambda recipe: 0.0, 200))"
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
            if part.domain == "class_id":
                assert array.dtype == np.int64
                continue
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
    for loss in SPECS.keys() - COUPLED.keys():
        for case in cases(loss, "poisoned_row"):
            values = np.concatenate(
                [
                    a.reshape(len(a), -1).astype(np.float64)
                    for a in case.inputs.values()
                    if a.dtype.kind != "i" and len(a) == len(next(iter(case.inputs.values())))
                ],
                axis=1,
            )
            bad = (np.isnan(values) | (values == np.inf)).any(axis=1)
            assert bad.any()
            assert not bad.all()


def vectors(loss: str, regime: str, dtype: str = "float32", seed: int = 0, count: int = 12):
    """All the vectors of a case of 67 rows and 3 features, and the cosines among them."""
    profile = Profile("vectors", batches=1, laws=1, shapes=((67, 3),), many_classes=64)
    for recipe in draw(SPECS[loss], regime, profile, seed, count):
        case = expand(SPECS[loss], recipe, dtype)
        lines = np.concatenate([a for a in case.inputs.values() if a.ndim == 2]).astype(np.longdouble)
        with np.errstate(invalid="ignore"):
            unit = lines / np.sqrt(np.sum(lines * lines, axis=1, keepdims=True))
            yield lines, (unit @ unit.T).astype(np.float64)


@pytest.mark.parametrize("loss", ["triplet", "arcface", "info_nce", "sup_con"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_embeddings_are_nonzero_but_where_zero_vectors_are_asked_for(loss, dtype):
    for regime in regimes_of(SPECS[loss]):
        for lines, _ in vectors(loss, regime, dtype) if regime != "poisoned_row" else ():
            assert (lines != 0).any(axis=1).all() == (regime != "zero_vector")


def test_batches_of_embeddings_hold_duplicates_antipodes_and_near_ones():
    off = ~np.eye(134, dtype=bool)
    equal = [(cos[off] > 1 - 1e-14).mean() for _, cos in vectors("triplet", "equal")]
    assert max(equal) == 1, "one vector throughout"
    assert min(equal) > 0
    opposite = [(cos[off] < -1 + 1e-14).mean() for _, cos in vectors("triplet", "antipodal")]
    assert all(share > 0.002 for share in opposite)
    near = [((cos[off] > 1 - 1e-11) & (cos[off] < 1)).mean() for _, cos in vectors("triplet", "near_equal")]
    assert all(share > 0 for share in near)
    around = np.concatenate([cos[off] for _, cos in vectors("triplet", "clustered")])
    assert {(around > 1 - 10.0**k).mean() > 0.02 for k in (-2, -6, -10)} == {True}
    right = [(abs(cos) < 1e-14).mean() for _, cos in vectors("triplet", "axes")]
    assert all(share > 0.3 for share in right)


def test_duplicates_fall_between_the_inputs_of_a_row_too():
    for case in cases("triplet", "equal", count=12):
        if len(case.inputs["anchor"]) > 4:
            same = (case.inputs["anchor"] == case.inputs["positive"]).all(axis=1)
            assert same.any() or len(np.unique(case.inputs["anchor"], axis=0)) > 1


def test_vectors_come_at_scales_whose_squares_leave_the_range_and_at_others():
    largest, smallest = FORMATS["float32"].largest, FORMATS["float32"].smallest_normal
    sizes = {r: np.concatenate([abs(v).max(axis=1) for v, _ in vectors("triplet", r)]) for r in
             ("scales", "huge", "tiny", "subnormal")}  # fmt: skip
    assert (sizes["scales"] ** 2 < largest / 1e3).all()
    assert sizes["scales"].max() > 1e10
    assert 1e-8 < sizes["scales"].min() < 1e-5
    assert (sizes["huge"] > 1e13).all()
    assert (sizes["tiny"] < 1e-2).all()
    assert sizes["subnormal"].min() < smallest


@pytest.mark.parametrize("loss", ["triplet", "arcface", "info_nce", "sup_con"])
def test_the_squares_of_vectors_at_the_ends_of_the_range_stay_in_it_in_some_batches(loss):
    largest, smallest = FORMATS["float32"].largest, FORMATS["float32"].smallest_normal
    for regime in ("huge", "tiny", "subnormal"):
        stay = []
        for lines, _ in vectors(loss, regime, count=32):
            squares = (lines**2).sum(axis=1)
            stay.append(bool((squares < largest / 2**16).all() and (squares > 2**64 * smallest).all()))
            if stay[-1]:
                # F.cosine_similarity ends at 1e-8, and a law may take a sixteenth of a vector
                assert (squares > (16 * 1e-8) ** 2).all()
        coupled = loss in COUPLED
        assert sum(stay) == len(stay) if coupled and regime == "huge" else 0 < sum(stay) < len(stay), regime


def test_losses_that_compare_the_vectors_of_a_batch_get_two_rows_at_least():
    for loss in COUPLED:
        for regime in regimes_of(SPECS[loss]):
            for recipe in draw(SPECS[loss], regime, PROFILES["deep"], 0, 20 if "many" not in regime else 2):
                assert recipe.sizes["N"] >= 2
    assert {r.sizes["N"] for r in draw(SPECS["triplet"], "ordinary", PROFILES["deep"], 0, 40)} > {1}


def test_labels_of_embeddings_choose_among_the_rows_of_the_weights():
    for regime in regimes_of(SPECS["arcface"]):
        for case in cases("arcface", regime):
            assert case.inputs["labels"].max() < len(case.inputs["weights"])
    names = Variable(shape=("N",), domain="class_index")
    for case in cases("arcface", "ordinary", variables={"other": names}):
        assert case.variables["other"].max() < len(case.inputs["weights"])


def test_class_ids_are_any_numbers_with_classes_of_one_member_one_for_all_and_all_different():
    profile = Profile("ids", batches=1, laws=1, shapes=((9, 3),), many_classes=64)
    found = [
        expand(SPECS["sup_con"], recipe, "float32", {"other": Variable(like="labels")})
        for recipe in draw(SPECS["sup_con"], "ordinary", profile, 0, 80)
    ]
    kinds = {len(np.unique(case.inputs["labels"])) for case in found}
    assert {1, 2, 9} <= kinds
    assert {3, 4, 5} & kinds
    lone = [np.unique(case.inputs["labels"], return_counts=True)[1] for case in found]
    assert any(1 in counts and len(counts) < 9 for counts in lone)
    ids = np.concatenate([case.inputs["labels"] for case in found])
    assert {-100, -1, 0} < set(ids.tolist())
    assert ids.max() > 2**30
    assert ids.min() < -(2**30)
    assert (np.abs(ids) <= 2**31).all(), "32 bits hold them, so that JAX keeps float32 code in 32 bits"
    for case in found:
        labels, other = case.inputs["labels"], case.variables["other"]
        assert np.array_equal(labels[:, None] == labels, other[:, None] == other)
    assert any(not np.array_equal(case.inputs["labels"], case.variables["other"]) for case in found)


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
        assert (at == -np.inf).any()
        assert (case.inputs["logits"] == -np.inf).any(axis=1).all()


@pytest.mark.parametrize("loss", ["cross_entropy", "soft_cross_entropy", "nll"])
def test_rows_with_and_without_a_forbidden_label_stand_side_by_side(loss):
    def forbidden(case):
        first, second = (case.inputs[name] for name in SPECS[loss].inputs)
        if second.ndim == 2:
            return ((first == -np.inf) & (second > 0)).any(axis=1)
        return np.take_along_axis(first, second[:, None], 1)[:, 0] == -np.inf

    fixed = {"ignore_index": None} if "ignore_index" in SPECS[loss].parameters else {}
    found = [forbidden(case) for case in cases(loss, "forbidden_label", parameters=fixed)]
    assert all(rows.any() for rows in found)
    assert 0.3 < np.concatenate(found).mean() < 0.8


def test_a_forbidden_label_leaves_a_loss_that_is_one_number_finite_where_it_does_not_count():
    spec, finite = library.get("sequence_cross_entropy"), []
    for recipe in draw(spec, "forbidden_label", QUICK, 0, 16):
        case = expand(spec, recipe, "float32")
        labels = np.roll(case.inputs["tokens"], -1, 1)[..., None]
        forbidden = np.take_along_axis(case.inputs["logits"], labels, 2)[..., 0] == -np.inf
        assert 1 <= forbidden.sum() <= 2
        counts = np.concatenate([case.inputs["mask"][:, 1:], np.zeros((len(labels), 1), bool)], 1)
        finite.append(not (forbidden & counts).any())
    assert 0 < sum(finite) < len(finite)


def test_masked_classes_have_no_target_but_in_the_regime_for_it():
    for case in cases("soft_cross_entropy", "masked"):
        assert (case.inputs["targets"][case.inputs["logits"] == -np.inf] == 0).all()
    for case in cases("soft_cross_entropy", "forbidden_label"):
        forbidden = (case.inputs["targets"] > 0) & (case.inputs["logits"] == -np.inf)
        assert forbidden.any()


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


@pytest.mark.parametrize("dtype", DTYPES)
def test_common_offsets_reach_from_a_hundred_to_the_limit_of_the_format(dtype):
    most = abs(logits_and_labels("common_offset", dtype)[0]).max(axis=1)
    assert most.min() < 200
    assert most.max() > FORMATS[dtype].largest ** 0.8
    drown = most > 2.0 ** (FORMATS[dtype].precision + 3)
    assert 0 < drown.mean() < 0.4 or dtype == "float16"


def test_the_dial_moves_the_first_row_alone_and_the_others_lie_anywhere():
    low, high = (abs(logits_and_labels("huge", dial=dial)[0]).max(axis=1) for dial in (0, 63))
    assert low[0] < 2.0**11
    assert high[0] > 2.0**122
    assert np.array_equal(low[1:], high[1:])
    assert np.median(np.log2(low)) == pytest.approx(62, abs=25)


def test_the_density_says_how_many_classes_are_masked():
    share = []
    for density in (1, 4, 8):
        logits, labels = logits_and_labels("masked", density=density)
        masked = logits == -np.inf
        assert masked.any(axis=1).all()
        assert not np.take_along_axis(masked, labels[:, None], 1).any()
        share.append(masked.mean())
    assert share[0] < 0.25 < share[1] < 0.45 < share[2]
    assert masked.sum(axis=1).max() == 7, "all but the label"
    assert masked.sum(axis=1).min() == 1


def test_ordinary_rows_are_halves_or_of_middling_or_of_small_or_of_many_magnitudes():
    logits = logits_and_labels("ordinary")[0][1:]
    halves = (logits * 2 == np.rint(logits * 2)).all(axis=1)
    many = abs(logits).max(axis=1) >= 8.001
    many |= abs(logits).min(axis=1) < 2.0**-8
    assert 0.15 < halves.mean() < 0.35
    assert 0.15 < (~halves & many).mean() < 0.35
    assert 0.3 < (~halves & ~many).mean() < 0.65
    assert (abs(logits) < 128).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_kind_of_confident_row_occurs_in_a_batch(dtype):
    logits, labels = logits_and_labels("confident", dtype)
    assert (logits.argmax(axis=1) == labels).all()
    others = logits[np.arange(8) != labels[:, None]].reshape(256, 7)
    gap = logits.max(axis=1) - others.max(axis=1)
    assert (gap >= 9.9).all()
    assert (gap <= 705).all()
    assert gap.min() < 40
    assert gap.max() > 600
    level = (others == others[:, :1]).all(axis=1)
    assert 0.1 < level.mean() < 0.5
    assert 0.3 < (logits.max(axis=1) == 0).mean() < 0.7
    assert np.ptp(others, axis=1).max() > 20


def test_ties_hold_at_least_two_classes_and_the_label_in_about_half_of_the_rows():
    logits, labels = logits_and_labels("tie", density=1)
    top = logits == logits.max(axis=1, keepdims=True)
    assert (top.sum(axis=1) >= 2).all()
    assert 0.4 < np.take_along_axis(top, labels[:, None], 1).mean() < 0.8


@pytest.mark.parametrize("dtype", DTYPES)
def test_near_ties_lie_within_ulps_of_each_other(dtype):
    logits = np.sort(logits_and_labels("near_tie", dtype)[0], axis=1)
    gap = logits[:, -1] - logits[:, -2]
    assert (gap <= 8 * 2 * FORMATS[dtype].unit_roundoff * abs(logits[:, -1])).all()
    assert (gap > 0).mean() > 0.5


def test_every_kind_of_huge_row_occurs_in_a_batch():
    logits = logits_and_labels("huge", "float64")[0]
    alone = (abs(logits) > 500).sum(axis=1) == 1
    above, below = (logits > 0).all(axis=1), (logits < 0).all(axis=1)
    for kind in (alone, above & ~alone, below & ~alone, ~above & ~below & ~alone):
        assert 0.1 < kind.mean() < 0.45


def test_every_kind_of_equal_logits_occurs_in_a_batch():
    logits = logits_and_labels("uniform")[0]
    assert (logits == logits[:, :1]).all()
    value = abs(logits[:, 0])
    for kind in (value == 0, (value > 0) & (value < 64), value > 64, value > 2.0**60):
        assert 0.05 < kind.mean() < 0.6


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_kind_of_subnormal_row_occurs_in_a_batch(dtype):
    logits, form = logits_and_labels("subnormal", dtype)[0], FORMATS[dtype]
    small = abs(logits) < 2 * form.smallest_normal
    one = small.sum(axis=1) == 7
    zeros = (logits == 0).any(axis=1) & ~one
    assert (small.sum(axis=1) >= 7).all()
    assert (logits != 0).any(axis=1).all()
    for kind in (one, zeros, ~one & ~zeros):
        assert 0.1 < kind.mean() < 0.6
    assert not np.signbit(logits[logits == 0]).any()


def test_every_kind_of_target_occurs_in_a_batch():
    for regime in ("ordinary", "masked", "forbidden_label"):
        targets = batch("soft_cross_entropy", regime, "float64").inputs["targets"]
        one_hot = (targets == 1).any(axis=1)
        dyadic = (targets * 128 == np.rint(targets * 128)).all(axis=1) & ~one_hot
        zeros = (targets == 0).any(axis=1) & ~one_hot & ~dyadic
        assert 0.1 < one_hot.mean() < 0.5
        assert 0.1 < dyadic.mean() < 0.5
        assert 0.1 < zeros.mean() < 0.7
        assert (regime == "ordinary") == ((~one_hot & ~dyadic & ~zeros).mean() > 0.1)
        assert (abs(targets.sum(axis=1) - 1) < 1e-15).all()


def test_confident_rows_agree_with_their_target():
    logits, targets = batch("soft_cross_entropy", "confident").inputs.values()
    at = np.take_along_axis(targets, logits.argmax(axis=1)[:, None], 1)[:, 0]
    assert (at == targets.max(axis=1)).all()


def test_two_confident_distributions_agree_and_confidently_wrong_ones_do_not():
    for regime, agree in (("confident", True), ("confidently_wrong", False)):
        a, b = batch("kl_divergence_from_logits", regime).inputs.values()
        assert ((a.argmax(axis=1) == b.argmax(axis=1)) == agree).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("regime", ["tiny", "subnormal", "zeros_in_both"])
def test_distributions_of_many_classes_stay_distributions_in_every_format(regime, dtype):
    wide = Profile("wide", batches=1, laws=1, shapes=((64, 128),), many_classes=128)
    for recipe in draw(SPECS["kl_divergence"], regime, wide, 0, 4):
        for array in expand(SPECS["kl_divergence"], recipe, dtype).inputs.values():
            x = array.astype(np.float64)
            assert (x >= 0).all()
            assert (abs(x.sum(axis=1) - 1) <= 8 * FORMATS[dtype].unit_roundoff).all()


def test_poison_falls_on_some_rows_and_on_each_input():
    case = batch("mse", "poisoned_row")
    bad = {n: (np.isnan(a) | (a == np.inf)) for n, a in case.inputs.items()}
    first, second = (b.any(axis=1) for b in bad.values())
    assert first.any()
    assert second.any()
    assert not (first & second).any()
    assert not (first | second).all()
    nan = np.isnan(case.inputs["prediction"]).any(axis=1)
    assert nan.any()
    assert (first & ~nan).any()


def test_masks_and_labels_are_the_same_in_every_dtype():
    found = [batch("cross_entropy", "masked", dtype).inputs for dtype in DTYPES]
    for inputs in found[1:]:
        assert np.array_equal(inputs["labels"], found[0]["labels"])
        assert np.array_equal(inputs["logits"] == -np.inf, found[0]["logits"] == -np.inf)


def test_squares_of_tiny_vectors_underflow_or_stay_where_right_code_can_normalise_them():
    # between them a definition by sqrt(sum(square(x))) is decided, and F.normalize's eps of 1e-12 is not right
    for seed in range(20):
        for recipe in draw(SPECS["triplet"], "tiny", MANY_ROWS, seed, 1):
            anchor = expand(SPECS["triplet"], recipe, "float32").inputs["anchor"].astype(np.float64)
            squares = np.sum(anchor**2, axis=1)
            assert not np.any((squares >= 2.0**-126) & (squares < 2.0**-48))


def test_a_recipe_gives_these_very_numbers_on_every_machine():
    # changes with the regimes and with nothing else: no version of NumPy, no processor
    digest = hashlib.sha256()
    for loss, regime in EVERY:
        recipe = draw(SPECS[loss], regime, MANY_ROWS, 0, 1)[0]
        for dtype in DTYPES:
            for array in expand(SPECS[loss], recipe, dtype).inputs.values():
                digest.update(array.tobytes())
    assert digest.hexdigest()[:16] == "950f526f1bb6aee6"


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_are_drawn_in_their_bounds_row_by_row(dtype):
    dice, form = Dice.of(dtype, "bounds"), FORMATS[dtype]
    low = np.asarray([[-14], [0], [3]])
    numbers = dice.signed(low, low + 2, (3, 4000)).astype(np.float64)
    exponents = np.frexp(numbers)[1] - 1
    for row in range(3):
        assert np.allclose(np.bincount(exponents[row] - low[row])[:3] / 4000, 1 / 3, atol=0.03)
    assert abs((numbers > 0).mean() - 0.5) < 0.03
    even = dice.even(3, (12000,)).astype(np.float64)
    assert abs(even).max() <= 8
    assert np.allclose(np.histogram(even, 8, (-8, 8))[0] / 12000, 1 / 8, atol=0.02)
    small = dice.small(7, (12000,))
    assert np.allclose(np.bincount(small.astype(int)) / 12000, 1 / 7, atol=0.02)
    places = dice.between(low, low + 4, (3, 4000)) - low
    assert (places.min(axis=1) == 0).all()
    assert (places.max(axis=1) == 4).all()
    used = {float(x).as_integer_ratio()[0].bit_length() for x in numbers[0]}
    assert max(used) >= form.precision, "all digits of the format are in use"


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_nudge_is_of_whole_units_in_the_last_place_and_leaves_0_alone(dtype):
    dice, form = Dice.of(dtype, "nudge"), FORMATS[dtype]
    start = np.asarray([1.0, 1.5, -form.smallest_normal, form.smallest_subnormal * 5, 0.0])
    moved = dice.nudged(start, 3, (999, 5)).astype(np.float64)
    assert np.array_equal(to_dtype(moved, dtype).astype(np.float64), moved)
    units = (moved - start) / [2 * form.unit_roundoff, 2 * form.unit_roundoff, *[form.smallest_subnormal] * 3]
    assert np.array_equal(units, np.rint(units))
    assert units.min(axis=0).tolist() == [-3, -3, -3, -3, 0]
    assert units.max(axis=0).tolist() == [3, 3, 3, 3, 0]


def test_rounding_keeps_finite_numbers_finite_and_the_others_as_they_are():
    found = to_dtype(np.asarray([1e300, -1e300, np.inf, -np.inf, np.nan, 1.0]), "float16")
    assert np.array_equal(found, [65504, -65504, np.inf, -np.inf, np.nan, 1], equal_nan=True)


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


def test_each_row_of_a_batch_has_a_grid_of_its_own():
    shift = {"c": Variable(shape=("N", 1), domain="real", grid="logits")}
    case = batch("cross_entropy", "huge", "float32", variables=shift)
    assert is_exact(case.inputs["logits"], case.variables["c"], "float32")
    c, most = (abs(a.astype(float)).max(axis=1) for a in (case.variables["c"], case.inputs["logits"]))
    assert (c < most).mean() > 0.3
    assert (c > 4 * most).mean() > 0.1
    assert np.ptp(np.log2(c)) > 60


@pytest.mark.parametrize("dtype", DTYPES)
def test_distributions_on_a_coarse_grid_stay_nonnegative_and_keep_their_zeros(dtype):
    s, other = SPECS["kl_divergence"], {"r": Variable(like="p", grid="p")}
    wide = Profile("wide", batches=1, laws=1, shapes=((64, 75),), many_classes=75)
    for regime in ("ordinary", "uniform", "zeros_in_p"):
        recipe = draw(s, regime, wide, 0, 1)[0]
        before, case = expand(s, recipe, dtype).inputs["p"], expand(s, recipe, dtype, other)
        for array in (case.inputs["p"], case.variables["r"]):
            assert (array >= 0).all()
            assert all(sum(map(Fraction, row)) == 1 for row in array.astype(float))
        assert (case.inputs["p"][before == 0] == 0).all()
        assert is_exact(case.inputs["p"], case.variables["r"], dtype)


def test_a_variable_without_rows_puts_the_whole_batch_on_one_grid():
    scalar = {"c": Variable(shape=(), domain="real", grid="logits")}
    case = batch("logsumexp", "common_offset", variables=scalar)
    assert is_exact(case.inputs["logits"], case.variables["c"], "float32")


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


def test_one_row_of_embeddings_has_every_regime():
    profile = Profile("one row", batches=1, laws=1, shapes=((1, 10),), many_classes=64)
    for regime in regimes_of(SPECS["triplet"]):
        for recipe in draw(SPECS["triplet"], regime, profile, 0, 20):
            expand(SPECS["triplet"], recipe, "float32")
