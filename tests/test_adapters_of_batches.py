"""What libraries make of whole batches (vectors, sequences, reductions) against closed forms in float64.

test_adapters.py does the losses whose rows stand alone.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import test_adapters
from lossproof.implementation.declare import declarations
from lossproof.spec import library

Array = np.ndarray[Any, np.dtype[Any]]

A = np.array([[1, 2, 0.5], [-1, 0.25, 2], [3, -1, 1], [0.5, 0.5, -2]])
B = np.array([[1.5, 1.5, 0], [-0.5, 1, 2.5], [2, 0.5, -1], [1, -0.5, -1]])
C = np.array([[0, 1, 0.25], [2, -2, 1], [3.25, -1, 0.75], [-1, 0, 0.5]])
SIMILAR = np.array([1.0, 0, 1, 0])
CLASSES = np.array([[1, 0.5, 0.25], [-1, 1, 2], [2, -1, 0.5], [0.25, 1, -1], [-2, -1, 1]])
LABELS = np.array([0, 1, 2, 4])
IDS = np.array([7, 3, 7, 3])
SCORES = np.array([[1.0, 2, 3], [0, -1, 1], [4, 3, 4], [2, 0, -2]])
SCORED = np.array([0, 2, 1, 2])
SEQUENCES = np.stack([SCORES, SCORES[::-1] / 2])
TOKENS = np.array([[0, 2, 1, 1], [1, 1, 0, 2]])
MASK = np.array([[True, True, False, True], [False, True, True, False]])


def _unit(x: Array) -> Array:
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def _cross_entropy(z: Array, labels: Array, reduction: str = "none") -> Array:
    rows = np.log(np.exp(z).sum(-1)) - z[np.arange(len(z)), labels]
    return {"none": rows, "mean": rows.mean(), "sum": rows.sum()}[reduction]


def _sequence_cross_entropy(logits: Array, tokens: Array, mask: Array) -> Array:
    kept = mask[:, 1:]
    return _cross_entropy(logits[:, :-1][kept], tokens[:, 1:][kept], "mean")


def _contrastive(x1: Array, x2: Array, y: Array, squared: bool = True) -> Array:
    d = np.sqrt(((x1 - x2) ** 2).sum(-1))
    return np.where(y == 1, d, np.maximum(1 - d, 0)) ** (2 if squared else 1)


def _triplet(a: Array, p: Array, n: Array, eps: float = 0.0) -> Array:
    near, far = (np.sqrt(((a - other + eps) ** 2).sum(-1)) for other in (p, n))
    return np.maximum(near - far + 1, 0)


def _nt_xent(a: Array, b: Array) -> Array:
    return _sup_con(np.concatenate([a, b]), np.tile(np.arange(len(a)), 2))


def _sup_con(x: Array, labels: Array) -> Array:
    z, itself = _unit(x) @ _unit(x).T / 0.1, np.eye(len(x), dtype=bool)
    log_p = z - np.log(np.where(itself, 0, np.exp(z)).sum(-1, keepdims=True))
    positive = (labels[:, None] == labels) & ~itself
    return -np.mean([log_p[i][positive[i]].mean() for i in range(len(x))])


def _multi_similarity(x: Array, labels: Array) -> Array:
    s, itself = _unit(x) @ _unit(x).T, np.eye(len(x), dtype=bool)
    alike = labels[:, None] == labels
    positive = np.where(alike & ~itself, np.exp(-2 * (s - 0.5)), 0).sum(-1)
    negative = np.where(alike, 0, np.exp(50 * (s - 0.5))).sum(-1)
    return np.mean(np.log1p(positive) / 2 + np.log1p(negative) / 50)


def _margined(target: Callable[[Array], Array]) -> Callable[..., Array]:
    def loss(embeddings: Array, weights: Array, labels: Array) -> Array:
        z = _unit(embeddings) @ _unit(weights).T
        rows = np.arange(len(z))
        z[rows, labels] = target(z[rows, labels])
        return _cross_entropy(64 * z, labels)

    return loss


TRUTHS: dict[str, tuple[tuple[Array, ...], Callable[..., Any]]] = {
    "cross_entropy": ((SCORES, SCORED), _cross_entropy),
    "sequence_cross_entropy": ((SEQUENCES, TOKENS, MASK), _sequence_cross_entropy),
    "fused_linear_cross_entropy": ((A, CLASSES, LABELS), lambda h, w, y: _cross_entropy(h @ w.T, y)),
    "cosine_distance": ((A, B), lambda x, t: 1 - (_unit(x) * _unit(t)).sum(-1)),
    "contrastive": ((A, B, SIMILAR), _contrastive),
    "triplet": ((A, B, C), _triplet),
    "nt_xent": ((A, B), _nt_xent),
    "sup_con": ((np.concatenate([A, B]), np.tile(IDS, 2)), _sup_con),
    "multi_similarity": ((np.concatenate([A, B]), np.tile(IDS, 2)), _multi_similarity),
    "arcface": ((A, CLASSES, LABELS), _margined(lambda c: np.cos(np.arccos(c) + 0.5))),
    "cosface": ((A, CLASSES, LABELS), _margined(lambda c: c - 0.35)),
    "sphereface": ((A, CLASSES, LABELS), _margined(lambda c: 2 * c * abs(c) - 1)),
}
LIBRARIES = (*test_adapters.LIBRARIES, "metric_learning")


def _bound() -> list[Any]:
    found = []
    for adapter in LIBRARIES:
        try:
            module = importlib.import_module(f"lossproof.builtin.adapters.{adapter}")
        except ImportError:
            continue
        for name, function in vars(module).items():
            for each in declarations(function):
                found.append(pytest.param(function, each, id=f"{adapter}.{name}-{each.loss}"))
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("function", "declared"), [each for each in _bound() if each.values[1].loss in TRUTHS]
)
def test_libraries_equal_the_closed_form_of_a_batch(function: Any, declared: Any) -> None:
    inputs, truth = TRUTHS[declared.loss]
    known = {k: v for k, v in declared.fixed.items() if k in inspect.signature(truth).parameters}
    expected = truth(*inputs, **known)
    with test_adapters._arrays(declared.framework) as (into, out):
        for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
            got = function(*(into(x.astype(dtype) if x.dtype.kind == "f" else x) for x in inputs))
            assert str(got.dtype).removeprefix("torch.") == np.dtype(dtype).name
            np.testing.assert_allclose(out(got), expected, rtol=tolerance, atol=tolerance)


def test_whatever_a_library_is_bound_to_has_a_closed_form_here() -> None:
    losses = {each.values[1].loss for each in _bound()}
    assert losses <= set(TRUTHS) | set(test_adapters.TRUTHS)
    assert set(TRUTHS) <= {path.stem for path in library.files()}
