"""Cutting failing cases down."""

from __future__ import annotations

import numpy as np
import pytest

from lossproof.inputs import PROFILES, Case, draw, expand, minimise
from lossproof.inputs.variables import is_exact
from lossproof.spec.model import Input, Law, Parameter, Spec, Variable

SHIFT = Variable(shape=("N", 1), domain="real", grid="logits")
CROSS_ENTROPY = Spec(
    loss="cross_entropy",
    title="",
    inputs={
        "logits": Input(shape=("N", "V"), domain="extended_real"),
        "labels": Input(shape=("N",), domain="class_index"),
    },
    parameters={
        "reduction": Parameter(default="none", choices=("none", "mean")),
        "epsilon": Parameter(default=0.1, range=(0, 1), ends=(0,)),
        "class_weight": Parameter(default=None, shape=("V",), domain="positive"),
    },
    independent="N",
    definition="0",
    laws={
        "shift": Law(law="True", forall={"c": SHIFT}),
        "permutation": Law(law="True", forall={"s": Variable(shape=("V",), domain="permutation")}),
    },
)
KL = Spec(
    loss="kl_divergence",
    title="",
    inputs={
        "p": Input(shape=("N", "V"), domain="probability"),
        "q": Input(shape=("N", "V"), domain="probability"),
    },
    independent="N",
    definition="0",
)
NLL = Spec(
    loss="nll",
    title="",
    inputs={
        "log_probs": Input(shape=("N", "V"), domain="log_probability"),
        "labels": Input(shape=("N",), domain="class_index"),
    },
    independent="N",
    definition="0",
)
SUP_CON = Spec(
    loss="sup_con",
    title="",
    inputs={
        "embeddings": Input(shape=("N", "D"), domain="embedding"),
        "labels": Input(shape=("N",), domain="class_id"),
    },
    definition="0",
    laws={"names": Law(law="True", forall={"other": Variable(like="labels")})},
)


def case(rows, labels, dtype="float32", variables=None, **parameters) -> Case:
    values = {"reduction": "none", "epsilon": 0.1, "class_weight": None} | parameters
    return Case(
        "cross_entropy",
        dtype,
        "confident",
        {"logits": np.asarray(rows, dtype), "labels": np.asarray(labels, np.int64)},
        values,
        variables or {},
    )


def exact(c: Case):
    z, y = c.inputs["logits"].astype(float), c.inputs["labels"]
    with np.errstate(all="ignore"):
        shifted = z - z.max(axis=1, keepdims=True)
        return np.log(np.exp(shifted).sum(axis=1)) - np.take_along_axis(shifted, y[:, None], 1)[:, 0]


def log_with_epsilon(c: Case) -> bool:
    z, y = c.inputs["logits"].astype(float), c.inputs["labels"]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    got = -np.log(np.take_along_axis(p, y[:, None], 1)[:, 0] + 1e-12)
    return bool((abs(got - exact(c)) > 1e-2 * (1 + exact(c))).any())


def counted(fails):
    calls = []

    def wrapped(c: Case) -> bool:
        calls.append(c)
        return fails(c)

    return wrapped, calls


def digits(number: float) -> int:
    return len(f"{abs(number):.17g}".split("e")[0].replace(".", "").strip("0"))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_epsilon_inside_the_log_ends_as_two_classes_and_short_numbers(seed, dtype):
    spec = CROSS_ENTROPY
    for recipe in draw(spec, "confidently_wrong", PROFILES["standard"], seed, 3):
        start = expand(spec, recipe, dtype)
        if not log_with_epsilon(start):
            continue
        fails, calls = counted(log_with_epsilon)
        small = minimise(start, spec, fails)
        logits = small.inputs["logits"].astype(float)
        assert log_with_epsilon(small)
        assert logits.shape == (1, 2)
        assert all(digits(x) <= 3 for x in logits.reshape(-1))
        assert 0 in logits
        assert 26 <= abs(logits).max() <= 30
        assert dict(small.parameters) == spec.defaults()
        assert len(calls) <= 150


def test_the_smallest_gap_that_fails_is_found():
    start = case([[431.7, 3.2, 0.123], [1, 2, 3], [7.7, 0.1, 0.2]], [1, 0, 0])
    small = minimise(start, CROSS_ENTROPY, lambda c: bool((exact(c) > 27.7).any()))
    assert np.array_equal(np.sort(small.inputs["logits"]), [[0, 28]])


def test_a_failure_in_a_thousand_classes_keeps_those_that_it_needs():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, 1000))
    logits[0, 612] = 90.0
    fails, calls = counted(lambda c: bool((c.inputs["logits"] > 88.7).any()))
    small = minimise(case(logits, [17]), CROSS_ENTROPY, fails)
    assert small.inputs["logits"].shape[1] <= 2
    assert small.inputs["logits"].max() == 89
    assert len(calls) <= 100


def test_a_failure_that_needs_its_classes_keeps_them():
    small = minimise(
        case(np.linspace(0, 5, 9)[None], [3]), CROSS_ENTROPY, lambda c: c.inputs["logits"].shape[1] >= 4
    )
    assert np.array_equal(small.inputs["logits"], np.zeros((1, 4)))
    assert small.inputs["labels"].tolist() == [0]


def test_rows_that_fail_only_together_stay_together():
    start = case(np.arange(24.0).reshape(8, 3), [0] * 8)
    small = minimise(start, CROSS_ENTROPY, lambda c: len(c.inputs["labels"]) >= 3)
    assert small.inputs["logits"].shape[0] == 3


def test_the_common_offset_of_a_failure_stays_and_becomes_round():
    def fails(c: Case) -> bool:
        z = c.inputs["logits"]
        wrong = np.log(np.exp(z.astype(float) - float(z.max())).sum(axis=1)) + float(z.max())
        return bool((abs(np.float32(wrong) - wrong) > 1e-4).any())

    small = minimise(case([[10003.217, 10001.713, 9999.9], [1.0, 2.0, 3.0]], [0, 1]), CROSS_ENTROPY, fails)
    assert small.inputs["logits"].shape[0] == 1
    assert all(digits(float(x)) <= 3 for x in small.inputs["logits"].reshape(-1))


def test_equal_entries_are_shortened_together():
    def fails(c: Case) -> bool:
        z = np.sort(c.inputs["logits"], axis=1)
        return bool((z.shape[1] > 1) and (z[:, -1] == z[:, -2]).any() and (z[:, -1] > 2).any())

    small = minimise(case([[3.7182817, 3.7182817, -1.25]], [0]), CROSS_ENTROPY, fails)
    assert small.inputs["logits"].tolist() in ([[3, 3]], [[4, 4]])


def test_subnormal_numbers_grow_until_they_would_not_fail():
    small = minimise(
        case([[3.1e-41, 0.0]], [0]),
        CROSS_ENTROPY,
        lambda c: bool(((c.inputs["logits"] > 0) & (c.inputs["logits"] < 1.2e-38)).any()),
    )
    assert np.float32(1e-38) in small.inputs["logits"]


def test_parameters_go_to_their_defaults_but_for_those_that_matter_or_are_fixed():
    start = case([[1.5, 2.5]], [0], reduction="mean", epsilon=0.734, class_weight=np.float32([2.3, 0.7]))
    small = minimise(start, CROSS_ENTROPY, lambda c: c.parameters["epsilon"] > 0.5, keep={"reduction"})
    assert dict(small.parameters) == {"reduction": "mean", "epsilon": 1.0, "class_weight": None}


def test_weights_lose_their_class_with_the_logits():
    start = case([[1.5, 2.5, 7.0]], [2], class_weight=np.float32([2.3, 0.7, 3.0]))
    small = minimise(start, CROSS_ENTROPY, lambda c: c.parameters["class_weight"] is not None)
    assert small.inputs["logits"].shape[1] == len(small.parameters["class_weight"]) == 1


def test_permutations_stay_permutations_when_classes_go():
    start = case([[1.0, 2.0, 3.0, 4.0]], [1], variables={"s": np.asarray([2, 0, 3, 1])})
    small = minimise(
        start,
        CROSS_ENTROPY,
        lambda c: bool((c.variables["s"] != np.arange(len(c.variables["s"]))).any()),
        law="permutation",
    )
    assert sorted(small.variables["s"]) == list(range(small.inputs["logits"].shape[1]))
    assert len(small.variables["s"]) == 2


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_sums_on_a_grid_stay_exact(dtype):
    for recipe in draw(CROSS_ENTROPY, "ordinary", PROFILES["quick"], 0, 3):
        start = expand(CROSS_ENTROPY, recipe, dtype, {"c": SHIFT})
        seen = []

        def fails(c: Case, seen=seen) -> bool:
            seen.append(is_exact(c.inputs["logits"], c.variables["c"], c.dtype))
            return bool((abs(c.variables["c"].astype(float)) > 1e-3).any())

        minimise(start, CROSS_ENTROPY, fails, law="shift")
        assert seen
        assert all(seen)


@pytest.mark.parametrize("regime", ["ordinary", "near_equal", "zeros_in_q", "tiny", "subnormal"])
def test_distributions_stay_distributions_and_become_short(regime):
    for recipe in draw(KL, regime, PROFILES["standard"], 2, 4):
        start = expand(KL, recipe, "float32")
        seen = []

        def fails(c: Case, seen=seen) -> bool:
            seen.append(c)
            return c.inputs["p"].shape[1] >= 2 and bool((c.inputs["p"] != c.inputs["q"]).any())

        small = minimise(start, KL, fails)
        for c in seen:
            for array in c.inputs.values():
                assert (array >= 0).all()
                assert np.allclose(array.astype(float).sum(axis=1), 1, atol=1e-6)
        if fails(start):
            assert small.inputs["p"].shape == (1, 2)


def test_a_divergence_that_fails_at_a_small_probability_ends_short():
    rng = np.random.default_rng(1)
    p, q = (w / w.sum(axis=1, keepdims=True) for w in rng.random((2, 4, 5)))
    q[2, 3], q[2, 4] = 3.21e-9, q[2, 4] + q[2, 3]
    start = Case("kl_divergence", "float64", "tiny", {"p": p, "q": q}, {})
    small = minimise(start, KL, lambda c: bool(((c.inputs["q"] < 1e-6) & (c.inputs["p"] > 0.01)).any()))
    assert small.inputs["p"].shape == (1, 2)
    assert all(digits(float(f"{x:.12g}")) <= 2 for x in small.inputs["p"].reshape(-1))
    assert small.inputs["q"].min() == 0


def test_log_probabilities_stay_those_of_a_distribution():
    for recipe in draw(NLL, "ordinary", PROFILES["standard"], 0, 4):
        seen = []

        def fails(c: Case, seen=seen) -> bool:
            seen.append(c.inputs["log_probs"].astype(float))
            return bool((c.inputs["log_probs"] < -0.2).any())

        minimise(expand(NLL, recipe, "float32"), NLL, fails)
        assert all(np.allclose(np.exp(x).sum(axis=1), 1, atol=1e-5) for x in seen)


def test_an_exception_counts_as_not_failing_and_the_budget_holds():
    def fails(c: Case) -> bool:
        if c.inputs["logits"].shape[0] == 1:
            raise RuntimeError
        return True

    counting, calls = counted(fails)
    small = minimise(case(np.arange(12.0).reshape(4, 3), [0, 1, 2, 0]), CROSS_ENTROPY, counting, 25)
    assert len(calls) <= 25
    assert small.inputs["logits"].shape[0] == 2


def test_the_same_case_is_cut_down_in_the_same_way():
    recipe = draw(CROSS_ENTROPY, "confidently_wrong", PROFILES["standard"], 4, 1)[0]
    start = expand(CROSS_ENTROPY, recipe, "float32")
    first, second = (minimise(start, CROSS_ENTROPY, lambda c: bool((exact(c) > 3).any())) for _ in range(2))
    assert all(np.array_equal(first.inputs[n], second.inputs[n]) for n in first.inputs)


def embedded(labels, other=None) -> Case:
    rows = np.random.default_rng(0).normal(size=(len(labels), 3)).astype("float32")
    variables = {} if other is None else {"other": np.asarray(other, np.int64)}
    inputs = {"embeddings": rows, "labels": np.asarray(labels, np.int64)}
    return Case("sup_con", "float32", "ordinary", inputs, {}, variables)


def test_a_loss_that_compares_vectors_keeps_two_of_them():
    smallest = minimise(embedded([5, -3, 5, 9, 9, 5, 2]), SUP_CON, lambda case: True)
    assert smallest.inputs["embeddings"].shape == (2, 1)


def test_class_ids_become_small_numbers_and_fewer_classes():
    def fails(case: Case) -> bool:
        return len(set(case.inputs["labels"].tolist())) >= 2 and len(case.inputs["labels"]) >= 3

    smallest = minimise(embedded([70, -3, 70, 9, 9, 70, 2]), SUP_CON, fails)
    assert sorted(set(smallest.inputs["labels"].tolist())) == [0, 1]
    assert len(smallest.inputs["labels"]) == 3


def test_another_naming_of_the_classes_stays_one():
    def same(case: Case) -> bool:
        a, b = case.inputs["labels"], case.variables["other"]
        return np.array_equal(a[:, None] == a, b[:, None] == b)

    seen = []
    minimise(
        embedded([4, 7, 4, 2], [1, 3, 1, 9]),
        SUP_CON,
        lambda case: seen.append(same(case)) or True,
        law="names",
    )
    assert seen
    assert all(seen)


TWO_SHIFTS = CROSS_ENTROPY.model_copy(
    update={
        "laws": {
            "rows": Law(law="True", forall={"c": Variable(shape=("N", 1), domain="real")}),
            "classes": Law(law="True", forall={"c": Variable(shape=("V",), domain="real")}),
            "masked": Law(law="True", forall={"c": Variable(like="logits")}),
            "order": Law(law="True", forall={"c": Variable(shape=("V",), domain="permutation")}),
        }
    }
)
SHAPES = {"rows": (1, 1), "classes": (2,), "masked": (1, 2), "order": (2,)}


@pytest.mark.parametrize("law", SHAPES)
def test_laws_may_have_variables_of_one_name_and_of_other_shapes(law):
    recipe = draw(TWO_SHIFTS, "ordinary", PROFILES["quick"], 0, 1)[0]
    start = expand(TWO_SHIFTS, recipe, "float32", TWO_SHIFTS.laws[law].forall)

    def fails(c: Case) -> bool:
        rows, classes = c.inputs["logits"].shape
        full = {"rows": (rows, 1), "classes": (classes,), "masked": (rows, classes), "order": (classes,)}
        assert c.variables["c"].shape == full[law]
        return classes >= 2

    assert minimise(start, TWO_SHIFTS, fails, law=law).variables["c"].shape == SHAPES[law]


def test_a_case_with_variables_is_not_cut_down_without_its_law():
    start = case([[1.0, 2.0]], [1], variables={"s": np.asarray([1, 0])})
    with pytest.raises(KeyError, match="s is no variable"):
        minimise(start, CROSS_ENTROPY, lambda c: True)
