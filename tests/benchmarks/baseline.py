"""The same checks by hand: cross-entropy with Hypothesis and mpmath, as a careful engineer writes them.

Truth comes from mpmath at 50 digits. One exponential for each class serves value and gradient, each truth is
rounded to float64 once, and the comparison itself is NumPy's: nothing here is slower than it has to be.

Hypothesis has two idioms. `by_rows` draws every logit, one row an example: an example of a few thousand drawn
numbers ends in "too large to finish generating". `by_arrays` leaves most of a batch to the fill value of
`hypothesis.extra.numpy.arrays`: one example is a whole batch, in which nearly all logits are equal. `check` alone
leaves Hypothesis out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import hypothesis
import mpmath
import numpy as np
import torch
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mpmath import mp

DIGITS = 50
ROUNDOFF = 2.0**-24
TINIEST = float(np.finfo(np.float32).tiny)
COTANGENTS = (2.0, -0.5, -4.0, 0.25, 1.0)
BACKEND = mpmath.libmp.BACKEND
"""What mpmath computes with: "python", or "gmpy" where gmpy2 is installed."""

Array = np.ndarray[Any, np.dtype[Any]]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

LOGITS = st.floats(-50, 50, width=32)


def truth(logits: list[float], label: int) -> tuple[float, list[float]]:
    """log Σ exp z − z_y, and softmax(z) − onehot(y), of one row."""
    with mp.workdps(DIGITS):
        z = [mp.mpf(each) for each in logits]
        top = max(z)
        weights = [mp.exp(each - top) for each in z]
        total = mp.fsum(weights)
        gradient = [float(each / total) for each in weights]
        gradient[label] = float((weights[label] - total) / total)
        return float(mp.log(total) + top - z[label]), gradient


def check(loss: Loss, logits: Array, labels: Array) -> int:
    """Value and gradient of a batch; raises AssertionError. Gives the number of rows.

    logits [N, V] float32, labels [N] int64. The tolerance is 8 times the rounding errors of the stable
    algorithm, to first order: z − max z is rounded, which exp turns into a relative error, and the roundings of
    a sum of V terms add up as √V.
    """
    z = torch.tensor(logits, requires_grad=True)
    value = loss(z, torch.tensor(labels))
    cotangent = np.resize(COTANGENTS, len(labels))
    (gradient,) = torch.autograd.grad(value, z, torch.tensor(cotangent, dtype=value.dtype))
    rows = [truth(row, label) for row, label in zip(logits.tolist(), labels.tolist(), strict=True)]
    values = np.array([row[0] for row in rows])
    slopes = np.array([row[1] for row in rows])

    steps = 1 + math.sqrt(logits.shape[-1])
    wide = logits.astype(np.float64)
    gap = wide.max(axis=-1) - np.take_along_axis(wide, labels[:, None], axis=-1)[:, 0]
    allowed = 8 * ROUNDOFF * (steps + np.abs(values) + gap)
    error = np.abs(value.detach().numpy().astype(np.float64) - values)
    assert (error <= allowed).all(), f"value: off by up to {error.max():.3g}"

    p = np.abs(slopes)
    with np.errstate(divide="ignore", invalid="ignore"):
        exponent = np.where(p > 0, np.abs(np.log(p)), 0.0)
    allowed = 8 * ROUNDOFF * p * (steps + exponent)
    np.put_along_axis(allowed, labels[:, None], 8 * ROUNDOFF, axis=-1)
    allowed = np.abs(cotangent)[:, None] * (allowed + TINIEST)
    error = np.abs(gradient.numpy().astype(np.float64) - cotangent[:, None] * slopes)
    assert (error <= allowed).all(), f"gradient: off by up to {error.max():.3g}"
    return len(labels)


def by_rows(loss: Loss, classes: int, examples: int, seed: int) -> float:
    """A property with one row an example, every logit drawn; gives rows a second."""
    row = arrays.arrays(np.float32, (1, classes), elements=LOGITS, fill=st.nothing())
    return _property(loss, row, (1, classes), examples, seed)


def by_arrays(loss: Loss, rows: int, classes: int, examples: int, seed: int) -> float:
    """A property with one batch an example, most logits at the fill value; gives rows a second."""
    batch = arrays.arrays(np.float32, (rows, classes), elements=LOGITS)
    return _property(loss, batch, (rows, classes), examples, seed)


def _property(
    loss: Loss, logits: st.SearchStrategy[Array], shape: tuple[int, int], examples: int, seed: int
) -> float:
    """The clock starts after Hypothesis's first example, which is all zeros whatever the seed."""
    rows, classes = shape
    begun, done = 0.0, -rows

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples + 1,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(logits, arrays.arrays(np.int64, (rows,), elements=st.integers(0, classes - 1)))
    def value_and_gradient_are_right(logits: Array, labels: Array) -> None:
        nonlocal begun, done
        done += check(loss, logits, labels)
        begun = begun or time.perf_counter()

    value_and_gradient_are_right()
    return done / (time.perf_counter() - begun)
