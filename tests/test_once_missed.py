"""Defects that a review found: wrong code that nothing caught, right code that was blamed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lossproof
from lossproof.checks import answers
from lossproof.errors import UsageError
from lossproof.inputs import Case
from lossproof.spec import library

torch = pytest.importorskip("torch")
F = torch.nn.functional


def checks(function: Any, loss: str, framework: str = "torch", **options: Any) -> set[str]:
    found = lossproof.check(function, loss, framework=framework, **{"dtypes": ["float32"]} | options)
    return {finding.check for finding in found}


def lse(z: Any) -> Any:
    m = z.max(-1)
    m = np.where(np.isfinite(m), m, 0)
    return m + np.log(np.exp(z - m[:, None]).sum(-1))


# ---- a check that checks nothing must not pass


@pytest.mark.parametrize(
    "options",
    [{"dtypes": ["float31"]}, {"devices": ["tpu"]}, {"modes": ["jitted"]}, {"regimes": ["nosuch"]},
     {"modes": ["compiled"]}, {"devices": ["cuda"]}],
    ids=str,
)  # fmt: skip
def test_verify_does_not_pass_what_it_did_not_check(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        lossproof.verify(lambda x, y: ((x - y) ** 2).sum(-1), "mse", framework="numpy", **options)


# ---- right code


def test_torch_cross_entropy_itself_is_not_blamed() -> None:
    assert checks(F.cross_entropy, "cross_entropy", reduction="mean") == set()


def test_a_refused_end_of_a_parameter_is_no_error_of_a_law() -> None:
    def smoothed(z: Any, y: Any, *, epsilon: float = 0.1) -> Any:
        if not 0 < epsilon < 1:
            raise ValueError("epsilon must lie in (0, 1)")
        return F.cross_entropy(z, y, label_smoothing=epsilon, reduction="none")

    assert checks(smoothed, "label_smoothing_cross_entropy", smoothing="all") == set()


def test_custom_vjp_needs_no_forward_mode() -> None:
    jax = pytest.importorskip("jax")

    @jax.custom_vjp
    def error(x: Any, y: Any) -> Any:
        return ((x - y) ** 2).mean(-1)

    error.defvjp(
        lambda x, y: (error(x, y), x - y),
        lambda d, g: (2 * d * g[:, None] / d.shape[-1], -2 * d * g[:, None] / d.shape[-1]),
    )
    assert checks(lambda x, y: error(x, y), "mse", "jax", regimes=["ordinary"]) == set()


def test_what_a_rounded_input_explains_is_explained_in_forward_mode_too() -> None:
    jax = pytest.importorskip("jax")

    def divided_first(student: Any, teacher: Any, *, temperature: float = 2.0) -> Any:
        log_q = jax.nn.log_softmax(student / temperature, axis=-1)
        log_p = jax.nn.log_softmax(teacher / temperature, axis=-1)
        return temperature**2 * (jax.numpy.exp(log_p) * (log_p - log_q)).sum(-1)

    for seed in (1, 2):
        found = checks(divided_first, "distillation", "jax", regimes=["common_offset"], seed=seed)
        assert "gradient" not in found


def test_a_slack_counts_in_laws_too() -> None:
    def as_torch_has_it(x: Any, t: Any) -> Any:
        return F.binary_cross_entropy_with_logits(x, t, reduction="none")

    for seed in range(3):
        assert checks(as_torch_has_it, "bce_with_logits", seed=seed) == set()


def test_forward_mode_adds_up_the_rows_that_share_an_input() -> None:
    jax = pytest.importorskip("jax")

    def fused(hidden: Any, weight: Any, labels: Any) -> Any:
        log_p = jax.nn.log_softmax(hidden @ weight.T)
        return -jax.numpy.take_along_axis(log_p, labels[:, None], -1)[:, 0]

    assert checks(fused, "fused_linear_cross_entropy", "jax", regimes=["ordinary"]) == set()


# ---- wrong code


def test_an_exception_that_hangs_on_the_inputs_is_no_refusal() -> None:
    def fails_at_one_class(
        z: Any, y: Any, *, class_weight: Any = None, reduction: str = "none", mean_over: str = "weights"
    ) -> Any:
        if z.shape[-1] == 1:
            raise RuntimeError("one class")
        weight = torch.ones_like(z[:, 0]) if class_weight is None else class_weight[y]
        rows = F.cross_entropy(z, y, reduction="none") * weight
        if reduction == "mean":
            return rows.sum() / (weight.sum() if mean_over == "weights" else len(y))
        return rows if reduction == "none" else rows.sum()

    for seed in range(4):
        found = checks(fails_at_one_class, "cross_entropy", regimes=["ordinary", "one_class"], seed=seed)
        assert "accuracy" in found, seed


def test_the_value_that_comes_with_a_gradient_is_judged() -> None:
    def wrong_in_training(z: Any, y: Any) -> Any:
        rows = F.cross_entropy(z, y, reduction="none")
        return rows + 0.1 if z.requires_grad else rows

    assert checks(wrong_in_training, "cross_entropy")


@pytest.mark.parametrize("profile", ["quick", "standard"])
def test_a_tail_lost_by_an_unrolled_loop(profile: str) -> None:
    def tail(z: Any) -> Any:
        return lse(z[:, : z.shape[1] // 8 * 8] if z.shape[1] > 512 else z)

    assert checks(tail, "logsumexp", "numpy", profile=profile, regimes=["many_classes"])


def test_a_block_of_rows_forgotten() -> None:
    def rows(z: Any) -> Any:
        result = lse(z)
        result[64:] = 0
        return result

    assert checks(rows, "logsumexp", "numpy", profile="standard", regimes=["ordinary"])


def test_a_parameter_written_to() -> None:
    def normalises(z: Any, y: Any, *, class_weight: Any = None, reduction: str = "none") -> Any:
        if class_weight is not None and reduction == "mean":
            class_weight.div_(class_weight.sum())
        return F.cross_entropy(z, y, weight=class_weight, reduction=reduction)

    assert "purity" in checks(normalises, "cross_entropy")


def test_a_result_that_a_later_call_overwrites() -> None:
    buffers: dict[Any, Any] = {}

    def reuses(x: Any, y: Any) -> Any:
        buffer = buffers.setdefault((x.shape, x.dtype), np.empty(len(x), x.dtype))
        return np.mean((x - y) ** 2, axis=1, out=buffer)

    assert checks(reuses, "mse", "numpy")


def test_what_is_forgiven_in_one_row_is_not_forgiven_in_another() -> None:
    """An embedding beside its class's weights may lose its gradient's digits; the next one may not."""
    embeddings, weights = np.float32([[1, 1e-6], [1, 1]]), np.float32([[1, 0], [0, 1]])
    inputs = {"embeddings": embeddings, "weights": weights, "labels": np.array([0, 0])}
    spec = library.get("arcface")
    case = Case("arcface", "float32", "ordinary", inputs, spec.defaults())
    beside, apart = answers.slack(spec, case, "embeddings")
    assert apart < 1e-3 < 1 < beside
    assert np.broadcast_shapes(answers.slack(spec, case, "weights").shape, weights.shape) == weights.shape


@pytest.mark.parametrize(
    ("threshold", "dtype", "matters"),
    [
        (8, "float32", True),
        (8, "float64", True),
        (20, "float64", True),
        (20, "float32", False),
        (40, "float64", False),
    ],
)
def test_an_exponential_that_is_dropped_beyond_a_threshold(
    threshold: float, dtype: str, matters: bool
) -> None:
    """Where the rounding of the logits is as large it does not matter."""

    def bce(logits: Any, targets: Any) -> Any:
        return F.softplus(logits, threshold=threshold) - logits * targets

    assert bool(checks(bce, "bce_with_logits", dtypes=[dtype])) == matters
