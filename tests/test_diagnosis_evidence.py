"""What a diagnosis says rests on its evidence: the limit that is met, the threshold, the inputs that coincide."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

import lossproof
from lossproof.audit.results import Finding
from lossproof.diagnosis.breakdown import EVERYWHERE, OF_FORMULAS

torch = pytest.importorskip("torch")
F = torch.nn.functional

SET_IN = r"right (up|down) to .+ and (nan|inf|-inf) beyond"


def findings(function: Any, loss: str, framework: str = "torch", **options: Any) -> list[Finding]:
    found = lossproof.check(function, loss, framework=framework, modes=["eager"], **options)
    assert found
    return [each for each in found if not each.check.startswith("law:")]


def says(found: list[Finding], kinds: set[str], text: str) -> None:
    assert found
    for each in found:
        assert each.diagnosis.kind in kinds, each.diagnosis
        assert re.search(text, each.diagnosis.text), each.diagnosis


# ---- a limit of the format, and not a product of 0 and infinity


@pytest.mark.parametrize("guard", ["quotient", "both"])
def test_a_guarded_gradient_that_overflows_is_told_as_an_overflow(guard: str) -> None:
    jnp = pytest.importorskip("jax.numpy")

    def term(x: Any, m: Any) -> Any:
        if guard == "quotient":
            inside = jnp.where(x > 0, x / m, 1)
        else:
            inside = jnp.where(x > 0, x, 1) / jnp.where(m > 0, m, 1)
        return jnp.where(x > 0, x * jnp.log(inside), 0)

    def divergence(p: Any, q: Any) -> Any:
        m = (p + q) / 2
        return (term(p, m) + term(q, m)).sum(-1) / 2

    found = findings(divergence, "js_divergence", "jax", dtypes=["float32"], regimes=["zeros_in_p", "tiny"])
    says(found, {"overflows"}, SET_IN + ": the reciprocal of a square overflows below 5.42e-20")


@pytest.mark.parametrize("loss", ["logsumexp", "bce_with_logits"])
def test_a_maximum_that_is_not_subtracted_is_told_where_there_is_one(loss: str) -> None:
    def lse(logits: Any) -> Any:
        return torch.log(torch.exp(logits).sum(-1))

    def bce(logits: Any, targets: Any) -> Any:
        return torch.log1p(torch.exp(logits)) - logits * targets

    found = findings(lse if loss == "logsumexp" else bce, loss, dtypes=["float32"], seed=1)
    told = [each.diagnosis.text for each in found if "exp overflows at 88.7" in each.diagnosis.text]
    assert told
    assert all(("no maximum is subtracted" in text) == (loss == "logsumexp") for text in told)


class NaiveSoftmax(torch.autograd.Function):  # type: ignore[misc, name-defined]
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return torch.logsumexp(x, -1)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        weights = torch.exp(ctx.saved_tensors[0])
        return grad[:, None] * weights / weights.sum(-1, keepdim=True)


class NaiveSigmoid(torch.autograd.Function):  # type: ignore[misc, name-defined]
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        odds = torch.exp(ctx.saved_tensors[0])
        return grad * odds / (1 + odds)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_naive_exponential_in_a_gradient_is_told_by_the_limit_that_it_meets(dtype: str) -> None:
    found = findings(lambda z: NaiveSoftmax.apply(z), "logsumexp", dtypes=[dtype])
    says(found, {"overflows", "underflows"}, SET_IN + ": exp (overflows|underflows)")
    found = findings(lambda z, t: NaiveSigmoid.apply(z) - z * t, "bce_with_logits", dtypes=[dtype])
    says(found, {"overflows"}, SET_IN + ": exp overflows")


@pytest.mark.parametrize("masked", ["multiplied", "chosen"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_overflow_that_a_parameter_brings_about_is_no_division_by_zero(masked: str, dtype: str) -> None:
    def kept(which: Any, exponents: Any) -> Any:
        grown = torch.exp(exponents)
        return (grown * which if masked == "multiplied" else torch.where(which, grown, 0)).sum(1)

    def by_hand(
        embeddings: Any, labels: Any, *, alpha: float = 2.0, beta: float = 50.0, base: float = 0.5
    ) -> Any:
        directions = embeddings / embeddings.norm(dim=1, keepdim=True)
        above = directions @ directions.T - base
        same = labels[:, None] == labels[None]
        itself = torch.eye(len(labels), dtype=torch.bool)
        drawn = torch.log1p(kept(same & ~itself, -alpha * above)) / alpha
        return (drawn + torch.log1p(kept(~same, beta * above)) / beta).mean()

    found = findings(by_hand, "multi_similarity", dtypes=[dtype])
    says(
        found,
        {"overflows"},
        r"up to an exponent of (88\.[67]|709\.[78])\d* and (nan|inf) beyond: exp overflows at",
    )


# ---- a threshold


@pytest.mark.parametrize("threshold", [8.0, 10.0, 20.0])
def test_a_threshold_from_which_a_linear_form_is_taken_is_told(threshold: float) -> None:
    def softened(z: Any, t: Any) -> Any:
        return t * F.softplus(-z, threshold=threshold) + (1 - t) * F.softplus(z, threshold=threshold)

    found = findings(softened, "bce_with_logits", dtypes=["float64"])
    says(found, {"saturates"}, f"logits of -?{threshold:g}, .*from a threshold of {threshold:g} on, a ")


# ---- what coincides


@pytest.mark.parametrize(("loss", "pair"), [("triplet", "anchor and positive"), ("contrastive", "x1 and x2")])
def test_the_two_inputs_that_coincide_are_named(loss: str, pair: str) -> None:
    def apart(a: Any, b: Any) -> Any:
        return ((a - b) ** 2).sum(-1).sqrt()

    def triplet(anchor: Any, positive: Any, negative: Any, *, margin: float = 1.0) -> Any:
        return torch.relu(apart(anchor, positive) - apart(anchor, negative) + margin)

    def contrastive(x1: Any, x2: Any, y: Any, *, margin: float = 1.0) -> Any:
        d = apart(x1, x2)
        return torch.where(y > 0.5, d**2, torch.relu(margin - d) ** 2)

    found = findings(triplet if loss == "triplet" else contrastive, loss, dtypes=["float32"])
    says(found, {"nan from 0*inf"}, f"it is so where {pair} coincide")
    assert not any("zero vectors" in each.diagnosis.text for each in found)


def test_zero_vectors_are_still_told_where_they_are_what_matters() -> None:
    def cosine_distance(predictions: Any, targets: Any) -> Any:
        lengths = predictions.norm(dim=-1) * targets.norm(dim=-1)
        return 1 - (predictions * targets).sum(-1) / lengths

    found = findings(cosine_distance, "cosine_distance", dtypes=["float32"], regimes=["zero_vector"])
    told = [each.diagnosis for each in found if each.check == "finiteness"]
    assert told
    assert all(each.kind == "divides by zero" and "zero vectors" in each.text for each in told), told


# ---- where there is nothing that sets in


def focal(power: Any) -> Any:
    def of_mine(logits: Any, labels: Any, *, gamma: float = 2.0, alpha: float = 1.0) -> Any:
        own = F.one_hot(labels, logits.shape[-1]).bool()
        missing = torch.where(own, 0, F.softmax(logits, -1)).sum(-1)
        return alpha * power(missing, gamma) * F.cross_entropy(logits, labels, reduction="none")

    return of_mine


@pytest.mark.parametrize(
    "power",
    [
        lambda missing, gamma: missing ** (gamma + 1),
        lambda missing, gamma: 2 * missing**gamma,
        lambda missing, gamma: (1 - missing) ** gamma,
        lambda missing, gamma: missing.detach() ** gamma,
    ],
    ids=["another power", "a factor", "another formula", "detached"],
)
def test_what_is_wrong_at_every_magnitude_has_no_breakdown(power: Any) -> None:
    for each in findings(focal(power), "focal", dtypes=["float32"]):
        assert each.diagnosis.kind in EVERYWHERE | OF_FORMULAS, each.diagnosis
        assert each.breakdown is None, each.breakdown


def test_a_detached_factor_is_told_in_a_sentence_with_the_formula_of_the_factor() -> None:
    found = findings(focal(lambda missing, gamma: missing.detach() ** gamma), "focal", dtypes=["float32"])
    says(
        found,
        {"detached factor"},
        r"as if `alpha · exp\(gamma · log_missing\)` were a constant, .*every result, \d+ of",
    )


# ---- signs


@pytest.mark.parametrize(("sign", "way"), [(1, "up to logits of 8"), (-1, "down to logits of -8")])
def test_a_magnitude_has_the_sign_of_the_input_that_is_too_large(sign: int, way: str) -> None:
    def unguarded(z: Any, t: Any) -> Any:
        return torch.log(1 + torch.exp(sign * z)) + ((1 - t) * z if sign < 0 else -t * z)

    found = findings(unguarded, "bce_with_logits", dtypes=["float32"])
    says(found, {"overflows"}, f"right {way}8.72 and inf beyond")
    for each in found:
        assert each.breakdown is None or math.copysign(1, each.breakdown["value"]) == sign, each.breakdown


# ---- two mistakes, and degrees


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_label_turned_round_and_a_factor_are_told_together(dtype: str) -> None:
    def turned_round(x1: Any, x2: Any, y: Any, *, margin: float = 1.0) -> Any:
        square = ((x1 - x2) ** 2).sum(-1)
        distance = torch.where(square > 0, square, 1).sqrt() * (square > 0)
        return ((1 - y) * square + y * torch.relu(margin - distance) ** 2) / 2

    found = findings(turned_round, "contrastive", dtypes=[dtype])
    says(
        found,
        {"sign"},
        "two mistakes at once fit: this is ½ times the (value|gradient) with 1 − y in the place of y",
    )


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "built in"])
def test_an_angle_converted_from_degrees_is_told_and_a_number_near_it_is_not(taken: bool) -> None:
    def angular(margin: float) -> Any:
        def of_mine(embeddings: Any, weights: Any, labels: Any) -> Any:
            cosines = F.normalize(embeddings, dim=-1) @ F.normalize(weights, dim=-1).T
            sines = (1 - cosines.clamp(-1, 1) ** 2).clamp(min=1e-12).sqrt()
            turned = cosines * math.cos(margin) - sines * math.sin(margin)
            own = F.one_hot(labels, weights.shape[0]).bool()
            return F.cross_entropy(64 * torch.where(own, turned, cosines), labels, reduction="none")

        return of_mine

    def with_margin(embeddings: Any, weights: Any, labels: Any, *, margin: float = 0.5) -> Any:
        return angular(math.radians(margin))(embeddings, weights, labels)

    right = with_margin if taken else angular(math.radians(0.5))
    says(
        findings(right, "arcface", dtypes=["float32"]),
        {"parameter misused"},
        "margin · π/180, as of degrees,",
    )
    near = findings(angular(0.0092), "arcface", dtypes=["float32"])
    assert not any("degrees" in each.diagnosis.text for each in near)
