"""Defects that the libraries ship: each is found in the quick profile, with no waiver and no hint in the harness.

Each implementation is checked as it is bound, in one dtype. The finding's minimal case is then given to the library
itself, which has to show the defect there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from lossproof.audit import worker
from lossproof.audit.encoding import decode
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Finding, Verdict
from lossproof.audit.run import run


@dataclass(frozen=True)
class Defect:
    """A defect of an implementation `adapter:function`, which the check finds.

    libraries: what it takes. shows: whether the library itself shows it at the minimal case, given inputs by name and
    the parameters.
    """

    target: str
    check: str
    libraries: tuple[str, ...]
    shows: Callable[[dict[str, Any], dict[str, Any]], bool]
    dtype: str = "float32"

    @property
    def name(self) -> str:
        return f"{self.target}-{self.check}"


def _saturates(inputs: dict[str, Any], parameters: dict[str, Any]) -> bool:
    """NTXentLoss stands at 87.3, −log of the smallest float32, where a pair costs more."""
    import torch
    from pytorch_metric_learning import losses

    views = torch.cat([torch.from_numpy(inputs["a"]), torch.from_numpy(inputs["b"])])
    labels = torch.arange(len(inputs["a"])).repeat(2)

    def of(x: Any) -> float:
        return float(losses.NTXentLoss(temperature=parameters["temperature"])(x, labels))

    return of(views.double()) > of(views) * 1.01 and of(views) < 87.4


def _arcface_gradient(inputs: dict[str, Any], parameters: dict[str, Any]) -> bool:
    """The embedding has the direction of the weights of its class, or the opposite one."""
    import torch
    from pytorch_metric_learning import losses

    embeddings, weights = torch.from_numpy(inputs["embeddings"]), torch.from_numpy(inputs["weights"])
    loss = losses.ArcFaceLoss(
        *weights.shape, margin=np.degrees(parameters["margin"]), scale=parameters["scale"]
    )
    loss.W.data = weights.T.clone()
    loss(embeddings.requires_grad_(), torch.from_numpy(inputs["labels"])).backward()
    assert embeddings.grad is not None
    return bool(embeddings.grad.isnan().any())


def _soft_margin_overflows(inputs: dict[str, Any], parameters: dict[str, Any]) -> bool:
    import torch
    import torch.nn.functional as F

    c, r, reference_c, reference_r = (torch.from_numpy(each) for each in inputs.values())
    z = parameters["beta"] * ((c - r) - (reference_c - reference_r))
    return bool(F.soft_margin_loss(z, torch.ones_like(z)).isinf()) and bool(z.isfinite().all())


def _zero_over_zero(inputs: dict[str, Any], parameters: dict[str, Any]) -> bool:
    import jax
    import optax

    found = optax.losses.cosine_distance(*map(jax.numpy.asarray, inputs.values()))
    zero = [(x == 0).all(-1).any() for x in inputs.values()]
    return bool(np.isnan(found).any()) and any(zero)


def _signed_differences(inputs: dict[str, Any], parameters: dict[str, Any]) -> bool:
    import jax
    import optax

    a, p, n = (inputs[name].astype(np.float64) for name in ("anchor", "positive", "negative"))
    truth = np.maximum(abs(a - p).sum(-1) - abs(a - n).sum(-1) + parameters["margin"], 0)
    arrays = map(jax.numpy.asarray, inputs.values())
    found = optax.losses.triplet_margin_loss(*arrays, norm_degree=1, margin=parameters["margin"])
    return parameters["power"] == 1 and bool(np.any(abs(np.asarray(found) - truth) > 1e-3 * abs(truth)))


def _one_class(inputs: dict[str, Any], parameters: dict[str, Any]) -> bool:
    from sklearn.metrics import hinge_loss

    score, target = inputs["scores"][-1], inputs["targets"][-1]
    return target == 1 and not np.isclose(hinge_loss([1, 1], [score, score]), max(0, 1 - score))


def _root_of_less_than_zero(inputs: dict[str, Any], parameters: dict[str, Any]) -> bool:
    from scipy.spatial.distance import jensenshannon

    found = jensenshannon(inputs["p"], inputs["q"], axis=-1)
    return bool(np.isnan(found).any()) and bool((inputs["p"].sum(-1) > 0).all())


DEFECTS = (
    Defect("metric_learning:ntxent_loss", "accuracy", ("pytorch_metric_learning",), _saturates),
    Defect("metric_learning:arcface_loss", "gradient", ("pytorch_metric_learning",), _arcface_gradient),
    Defect("metric_learning:arcface_loss", "finiteness", ("pytorch_metric_learning",), _arcface_gradient),
    Defect("torch_functional:soft_margin_loss", "finiteness", ("torch",), _soft_margin_overflows),
    Defect("optax_losses:cosine_distance", "finiteness", ("optax",), _zero_over_zero),
    Defect("optax_losses:triplet_margin_loss", "accuracy", ("optax",), _signed_differences),
    Defect("scipy_distance:squared_jensenshannon", "finiteness", (), _root_of_less_than_zero),
    Defect("scikit_learn:hinge_loss", "batch_independence", ("sklearn",), _one_class),
)


_found: dict[tuple[str, str], dict[str, Finding]] = {}


def findings(defect: Defect) -> dict[str, Finding]:
    """Of the implementation in the quick profile, by check."""
    key = (defect.target, defect.dtype)
    if key not in _found:
        options = Options(
            (defect.target,), devices=("cpu",), modes=("eager",), dtypes=(defect.dtype,), jobs=1
        )
        result = run(plan(options), lambda event: None)
        assert not result.problems
        _found[key] = {each.check: each for each in result.findings}
    return _found[key]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_known_defect_is_found_and_its_minimal_case_shows_it(
    defect: Defect, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in defect.libraries:
        pytest.importorskip(library)
    monkeypatch.setattr(worker, "_waivers", lambda: ())
    finding = findings(defect)[defect.check]
    assert finding.verdict is Verdict.FAIL
    inputs = {name: decode(array, _dtype(finding, name)) for name, array in finding.inputs.items()}
    parameters = {
        name: float.fromhex(value) if isinstance(value, str) and "0x" in value else value
        for name, value in finding.parameters.items()
    }
    assert defect.shows(inputs, parameters), (inputs, parameters)


def _dtype(finding: Finding, name: str) -> str:
    return "int64" if name == "labels" else finding.dtype
