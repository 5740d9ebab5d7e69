"""The right adapters against closed forms in mpmath, and the masked, forbidden and empty corners by hand.

Quick and direct: what each loss returns on a few rows. The audit is the thorough check.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest

from lossproof.implementation import discover
from lossproof.implementation.declare import declarations

mpmath.mp.dps = 40
INF = float("inf")
FORMATS = {"float64": (np.float64, 1e-14), "float32": (np.float32, 1e-6), "float16": (np.float16, 1e-3)}
Z = np.array([[1, 2, 3], [0, -INF, 1], [4, 4, 4], [10, 0, -10], [-100, 0, 0], [0.5, 0.25, -0.125]])
B = np.array([[3, 2, 1], [1, -INF, 1], [4, 4, 0], [-10, 1, 10], [0, 0, -100], [0.5, 0.25, 0]])
Y = np.array([0, 2, 1, 2, 0, 1])
P = np.array([[0.5, 0.5, 0], [1, 0, 0], [0.25, 0.25, 0.5], [0, 0, 1], [0.125, 0.375, 0.5], [0.5, 0.25, 0.25]])
Q = np.array([[0.5, 0.25, 0.25], [0.5, 0.5, 0], [0.25, 0.5, 0.25], [0, 0, 1], *P[4:]])
X = np.array([[1, 2, 3], [0, 0, 1], [4, 4, 4], [10, 0, -10], [-100, 0, 0], [0.5, 0.25, -0.125]])
SCORES = np.array([[1, 2, 3], [0.25, 0.5, 1], *X[2:]])
S = np.array([0.75, 0, 4, -10, 2.5, -0.125])
T = np.array([1, 0, 0.5, 0, 1, 0.25])
SIGN = np.array([1, -1, 1, 1, -1, -1])
ANSWERS = (
    S,
    np.array([0.5, 0, -3, 2, 2.25, 8]),
    np.array([1, 1, 2, -2, 0.25, 0]),
    np.array([0, 1, 0.5, 4, -1, 0.75]),
)

Row = Any


def _log_softmax(z: Row) -> list[Any]:
    lse = mpmath.log(mpmath.fsum(mpmath.exp(x) for x in z))
    return [mpmath.mpf(x) - lse for x in z]


def _times(t: Any, x: Any) -> Any:
    return mpmath.mpf(0) if t == 0 else t * x


def _kl(p: Row, log_p: Row, log_q: Row) -> Any:
    return mpmath.fsum(_times(a, u - v) for a, u, v in zip(p, log_p, log_q, strict=True))


def _log(p: Row) -> list[Any]:
    return [mpmath.log(mpmath.mpf(x)) if x else mpmath.mpf(-INF) for x in p]


def _smooth(z: Row, y: int, epsilon: float, rest: float) -> Any:
    log_p = _log_softmax(z)
    weights = [1 - epsilon + rest if i == y else rest for i in range(len(z))]
    return -mpmath.fsum(_times(w, x) for w, x in zip(weights, log_p, strict=True))


def _bce(x: Any, t: Any) -> Any:
    return t * mpmath.log1p(mpmath.exp(-x)) + (1 - t) * mpmath.log1p(mpmath.exp(x))


def _missing(x: Any, t: Any) -> Any:
    return t / (1 + mpmath.exp(x)) + (1 - t) / (1 + mpmath.exp(-x))


def _js(p: Row, q: Row) -> Any:
    m = [(mpmath.mpf(a) + b) / 2 for a, b in zip(p, q, strict=True)]
    return (_kl(p, _log(p), _log(m)) + _kl(q, _log(q), _log(m))) / 2


def _margins(x: Row, y: int, margin: float = 1.0, over_classes: str = "mean") -> Any:
    short = [max(mpmath.mpf(margin) - (x[y] - other), 0) for i, other in enumerate(x) if i != y]
    return max(short) if over_classes == "max" else mpmath.fsum(short) / len(x)


TRUTHS: dict[str, tuple[tuple[np.ndarray[Any, Any], ...], Callable[..., Any]]] = {
    "logsumexp": ((Z,), lambda z: z[0] - _log_softmax(z)[0]),
    "softmax": ((Z,), lambda z: [mpmath.exp(x) for x in _log_softmax(z)]),
    "log_softmax": ((Z,), _log_softmax),
    "entropy": ((P,), lambda p: -mpmath.fsum(_times(a, b) for a, b in zip(p, _log(p), strict=True))),
    "distribution_cross_entropy": (
        (P, Q),
        lambda p, q: -mpmath.fsum(_times(a, b) for a, b in zip(p, _log(q), strict=True)),
    ),
    "kl_divergence": ((P, Q), lambda p, q: _kl(p, _log(p), _log(q))),
    "kl_divergence_from_logits": (
        (Z, B),
        lambda a, b: _kl([mpmath.exp(x) for x in _log_softmax(a)], _log_softmax(a), _log_softmax(b)),
    ),
    "nll": ((X, Y), lambda x, y: -x[y]),
    "cross_entropy": ((Z, Y), lambda z, y: -_log_softmax(z)[y]),
    "soft_cross_entropy": (
        (Z, P),
        lambda z, t: -mpmath.fsum(_times(a, b) for a, b in zip(t, _log_softmax(z), strict=True)),
    ),
    "label_smoothing_cross_entropy": ((X, Y), lambda z, y: _smooth(z, y, 0.1, 0.1 / 3)),
    "mse": (
        (X, Q),
        lambda x, t: mpmath.fsum((a - mpmath.mpf(b)) ** 2 for a, b in zip(x, t, strict=True)) / 3,
    ),
    "softmax_mse": (
        (Z, Y),
        lambda z, y: mpmath.fsum((mpmath.exp(x) - (i == y)) ** 2 for i, x in enumerate(_log_softmax(z))),
    ),
    "js_divergence": ((P, Q), _js),
    "bce_with_logits": ((S, T), _bce),
    "sigmoid_focal": ((S, T), lambda x, t: _missing(x, t) ** 2 * _bce(x, t)),
    "hinge": ((S, SIGN), lambda x, t, margin=1.0: max(margin - x * t, 0)),
    "focal": ((Z, Y), lambda z, y: -((1 - mpmath.exp(_log_softmax(z)[y])) ** 2) * _log_softmax(z)[y]),
    "multi_margin": ((SCORES, Y), _margins),
    "z_loss": ((Z,), lambda z: (z[0] - _log_softmax(z)[0]) ** 2 / 10000),
    "distillation": (
        (B, Z),
        lambda s, t: (
            4 * _kl([mpmath.exp(x) for x in _log_softmax(t / 2)], _log_softmax(t / 2), _log_softmax(s / 2))
        ),
    ),
    "dpo": (ANSWERS, lambda c, r, d, e: mpmath.log1p(mpmath.exp(-((mpmath.mpf(c) - r) - (d - e)) / 10))),
    "grpo_kl": ((ANSWERS[0], ANSWERS[2]), lambda x, y: mpmath.expm1(mpmath.mpf(y) - x) - (y - x)),
}
# Real defects of the libraries on these rows: nan at a class that is masked or has the probability 0.
DEFECTIVE = {
    "torch_functional.kl_div",
    "torch_functional.kl_div_log_target",
    "torch_functional.kl_div_of_log_softmax",
    "torch_functional.cross_entropy_one_hot",
    "torch_functional.cross_entropy_soft",
    "optax_losses.softmax_cross_entropy_one_hot",
    "optax_losses.softmax_cross_entropy",
    "optax_losses.ranking_softmax_loss",
    "optax_losses.kl_divergence",
    "optax_losses.kl_divergence_with_log_targets",
    "optax_losses.kl_divergence_of_log_softmax",
    "torch_functional.kl_div_from_the_mean",
    "torch_functional.kl_div_of_softened",
    "optax_losses.kl_divergence_of_softened",
}
LIBRARIES = ("torch_functional", "jax_nn", "optax_losses", "scipy_special", "scipy_distance", "scikit_learn")


def _bound() -> list[tuple[str, str, str, str, Any]]:
    """Adapter, function, framework, loss, fixed parameters of what the installed libraries are bound to."""
    found = []
    for adapter in LIBRARIES:
        try:
            module = _adapter(adapter)
        except ImportError:
            continue
        for name, function in vars(module).items():
            every = [
                each
                for each in declarations(function)
                if each.loss in TRUTHS and "reduction" not in each.fixed
            ]
            found += [(adapter, name, each.framework, each.loss, dict(each.fixed)) for each in every]
    return found


def _adapter(name: str) -> Any:
    return importlib.import_module(f"lossproof.builtin.adapters.{name}")


def _portable(name: str) -> Any:
    return getattr(_adapter("portable"), name)


@contextmanager
def _arrays(framework: str) -> Iterator[tuple[Callable[[Any], Any], Callable[[Any], Any]]]:
    """Functions to and from the framework, with float64 switched on in JAX meanwhile."""
    if framework == "torch":
        torch = pytest.importorskip("torch")

        def into(x: Any) -> Any:
            if x.dtype == ml_dtypes.bfloat16:
                return torch.from_numpy(x.astype(np.float32)).bfloat16()
            return torch.from_numpy(x.copy())

        yield into, lambda x: x.detach().double().numpy()
    elif framework == "jax":
        jax = pytest.importorskip("jax")
        with jax.enable_x64(True):
            yield jax.numpy.asarray, lambda x: np.asarray(x).astype(np.float64)
    else:
        yield lambda x: x, lambda x: np.asarray(x).astype(np.float64)


def _as(x: np.ndarray[Any, Any], dtype: Any) -> np.ndarray[Any, Any]:
    return x if x.dtype.kind == "i" else x.astype(dtype)


def _truth(loss: str, fixed: dict[str, Any] | None = None) -> np.ndarray[Any, Any]:
    inputs, truth = TRUTHS[loss]
    known = {k: v for k, v in (fixed or {}).items() if k in inspect.signature(truth).parameters}
    return np.array([np.array(truth(*row, **known), dtype=float) for row in zip(*inputs, strict=True)])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
@pytest.mark.parametrize("loss", sorted(TRUTHS))
def test_portable_equals_the_closed_form_in_every_format(loss: str, framework: str) -> None:
    function = _portable(loss)
    parameters = {"smoothing": "all"} if loss == "label_smoothing_cross_entropy" else {}
    with _arrays(framework) as (into, out):
        for dtype, tolerance in [*FORMATS.values(), (ml_dtypes.bfloat16, 8e-3)]:
            got = function(*(into(_as(x, dtype)) for x in TRUTHS[loss][0]), **parameters)
            assert str(got.dtype).removeprefix("torch.") == np.dtype(dtype).name
            np.testing.assert_allclose(out(got), _truth(loss), rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("adapter", "name", "framework", "loss", "fixed"), _bound())
def test_libraries_equal_the_closed_form(
    adapter: str, name: str, framework: str, loss: str, fixed: dict[str, Any]
) -> None:
    defective = f"{adapter}.{name}" in DEFECTIVE
    function = getattr(_adapter(adapter), name)
    with _arrays(framework) as (into, out):
        for dtype, tolerance in (FORMATS["float64"], FORMATS["float32"]):
            got = out(function(*(into(_as(x, dtype)) for x in TRUTHS[loss][0])))
            compared = ~np.isnan(got) if defective else np.ones(got.shape, dtype=bool)
            assert compared.any()
            assert compared.all() != defective
            expected = _truth(loss, fixed)[compared]
            np.testing.assert_allclose(got[compared], expected, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
def test_portable_corners(framework: str) -> None:
    portable = _adapter("portable")
    with _arrays(framework) as (into, out):
        z = into(np.array([[1e30, 0, -INF], [3e38, 3e38, 0], [1e4, 1e4, 1e4]], dtype=np.float32))
        loss = out(portable.cross_entropy(z, into(np.array([2, 0, 1]))))
        np.testing.assert_allclose(loss, [INF, np.log(2), np.log(3)], rtol=1e-6)
        confident = portable.cross_entropy(into(np.array([[0, -20]], dtype=np.float32)), into(np.array([0])))
        np.testing.assert_allclose(out(confident), np.log1p(np.exp(-20)), rtol=1e-6)
        p = into(np.array([[1, 0], [0.5, 0.5], [0, 1]], dtype=np.float32))
        q = into(np.array([[0, 1], [0.5, 0.5], [1e-40, 1]], dtype=np.float32))
        for function in (portable.kl_divergence, portable.distribution_cross_entropy):
            assert out(function(p, q))[0] == INF
            assert out(function(p, q))[2] == 0
        assert out(portable.logsumexp(into(np.array([[-INF]])))) == -INF
        assert out(portable.cross_entropy(into(np.array([[7.0]])), into(np.array([0])))) == 0
        half = into(np.array([[6e4, -6e4]], dtype=np.float16))
        assert out(portable.logsumexp(half)) == np.float16(6e4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("framework", ["numpy", "torch", "jax"])
def test_portable_cross_entropy_parameters(framework: str) -> None:
    cross_entropy = _adapter("portable").cross_entropy
    z = np.array([[1.0, 2, 3], [np.nan, INF, 0], [0, 0, 1]])
    labels, weights = np.array([0, -100, 2]), np.array([1.0, 2, 4])
    rows = np.array([-float(_log_softmax(z[0])[0]), 0, -4 * float(_log_softmax(z[2])[2])])
    with _arrays(framework) as (into, out):

        def got(**parameters: Any) -> Any:
            parameters |= {"class_weight": into(weights), "ignore_index": -100}
            return out(cross_entropy(into(z), into(labels), **parameters))

        np.testing.assert_allclose(got(), rows, rtol=1e-14)
        np.testing.assert_allclose(got(reduction="sum"), rows.sum(), rtol=1e-14)
        np.testing.assert_allclose(got(reduction="mean"), rows.sum() / 5, rtol=1e-14)
        np.testing.assert_allclose(got(reduction="mean", mean_over="count"), rows.sum() / 2, rtol=1e-14)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("loss", sorted(set(TRUTHS) - {"softmax", "log_softmax", "entropy", "js_divergence"}))
def test_portable_gradients_agree_across_frameworks(loss: str) -> None:
    """NumPy's closed forms and both automatic derivatives, with cotangents of every sign, and 0."""
    jax, torch = pytest.importorskip("jax"), pytest.importorskip("torch")
    function = _portable(loss)
    closed = declarations(function)[0].gradient
    inputs = TRUTHS[loss][0]
    wrt = 1 if loss in ("kl_divergence", "distribution_cross_entropy") else 0
    cotangent = np.array([1, 0.5, -2, 3, 0, -0.25])

    expected = closed(*inputs)
    expected = expected[0] if isinstance(expected, tuple) else expected
    expected = expected * (cotangent[:, None] if expected.ndim > 1 else cotangent)

    tensors = [torch.from_numpy(x.copy()) for x in inputs]
    tensors[wrt].requires_grad_(True)
    function(*tensors).backward(torch.from_numpy(cotangent))
    np.testing.assert_allclose(tensors[wrt].grad.numpy(), expected, rtol=1e-12, atol=1e-14)

    with jax.enable_x64(True):
        at = [jax.numpy.asarray(x) for x in inputs]

        def of_one(x: Any) -> Any:
            return function(*at[:wrt], x, *at[wrt + 1 :])

        _, backward = jax.vjp(of_one, at[wrt])
        got = np.asarray(backward(jax.numpy.asarray(cotangent))[0])
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-14)
        _, forward = jax.jvp(of_one, (at[wrt],), (jax.numpy.ones_like(at[wrt]),))
        np.testing.assert_allclose(np.asarray(forward) @ cotangent, expected.sum(), rtol=1e-12, atol=1e-12)


def test_a_bundled_package_has_the_losses_of_all_its_files() -> None:
    """What a file declares and the package does not import would be found by nobody."""
    package = _adapter("portable")
    files = [file for file in Path(package.__path__[0]).glob("*.py") if file.stem != "__init__"]
    modules = {file.stem: _adapter(f"portable.{file.stem}") for file in files}
    declared = {
        name
        for module in modules.values()
        for name, value in vars(module).items()
        if declarations(value) and value.__module__ == module.__name__
    }
    found, problems = discover("portable")
    assert problems == []
    assert {each.name for each in found} == {f"portable.{name}" for name in declared}
    assert not declared & set(modules), "a module of a loss's name hides the loss, or it the module"
    kl = next(each for each in found if each.name == "portable.kl_divergence")
    assert (Path(kl.path).name, kl.target) == ("divergences.py", "portable:kl_divergence")
    assert [each.name for each in discover(kl.target)[0]] == [kl.name] * 3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("temperature", [1e-3, 0.5])
@pytest.mark.parametrize(
    "loss", ["info_nce", "clip", "nt_xent", "debiased_contrastive", "hard_negative_contrastive"]
)
def test_gradients_at_duplicates_agree_across_frameworks(loss: str, temperature: float) -> None:
    """A negative that equals its positive: what has a kink there, |x| or a maximum, must not show."""
    jax, torch = pytest.importorskip("jax"), pytest.importorskip("torch")
    adapter = _adapter("portable.batch_contrastive")
    function, closed = getattr(adapter, loss), getattr(adapter, f"_{loss}_gradient")
    a, b = np.array([[3.0, 4], [4, -3], [5, 12]]), np.array([[3.0, 4], [3, 4], [12, -5]])
    expected = closed(a, b, temperature=temperature)

    tensors = [torch.from_numpy(x.copy()).requires_grad_(True) for x in (a, b)]
    function(*tensors, temperature=temperature).sum().backward()
    with jax.enable_x64(True):
        arrays = [jax.numpy.asarray(x) for x in (a, b)]
        _, backward = jax.vjp(lambda x, y: function(x, y, temperature=temperature).sum(), *arrays)
        found = [np.asarray(x) for x in backward(jax.numpy.ones(()))]
    for right, tensor, array in zip(expected, tensors, found, strict=True):
        np.testing.assert_allclose(tensor.grad.numpy(), right, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(array, right, rtol=1e-9, atol=1e-9)


def test_the_slope_of_softplus_at_zero_is_a_half_in_every_framework() -> None:
    jax, torch = pytest.importorskip("jax"), pytest.importorskip("torch")
    softplus = _adapter("portable.common").softplus
    x = torch.tensor([0.0, -0.0, 3.0], requires_grad=True)
    softplus(x).sum().backward()
    expected = [0.5, 0.5, 1 / (1 + np.exp(-3.0))]
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-6)
    found = jax.grad(lambda z: softplus(z).sum())(jax.numpy.asarray([0.0, -0.0, 3.0]))
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)
