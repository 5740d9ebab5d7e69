"""The planes of specs: their grids, and the points on them."""

from __future__ import annotations

import numpy as np
import pytest

from lossproof.floats import DTYPES, FORMATS
from lossproof.inputs.plane import grid_of, inside, values
from lossproof.spec import library
from lossproof.spec.load import loads
from lossproof.spec.model import PlaneAxis, Scale

LOSSES = library.names()

SPEC = """
loss: gaps
title: A difference
inputs:
  a: {shape: [N, 2], domain: real}
  p: {shape: [N, 2], domain: probability}
  labels: {shape: [N], domain: class_id}
  m: {shape: [N], domain: mask}
parameters:
  k: {range: [0, 50], default: 1}
independent: N
definition: k * (a[:, 0] - a[:, 1])
plane:
  text: Two numbers.
  x: {name: size, range: [1, 1e10], steps: 3}
  y: {name: share, range: [0, 1], scale: linear, steps: 3}
  inputs:
    a: [x, x - y]
    p: [y, 1 - y]
    labels: 7
    m: 0
  parameters: {k: 100 * y}
"""


def test_a_log_axis_has_few_digits_and_equal_ratios() -> None:
    axis = PlaneAxis(name="offset", range=(1, 1e8), steps=9)
    assert values(axis) == (1.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
    assert values(PlaneAxis(name="gap", range=(1, 100), steps=4)) == (1.0, 4.64, 21.5, 100.0)


def test_a_symlog_axis_is_log_on_both_sides_of_0() -> None:
    axis = PlaneAxis(name="logit", range=(-100, 1000), scale=Scale.SYMLOG, least=1, steps=7)
    assert values(axis) == (-100.0, -10.0, -1.0, 0.0, 1.0, 31.6, 1000.0)


def test_x_runs_fastest_and_expressions_are_those_of_the_point() -> None:
    grid = grid_of(loads(SPEC))
    assert grid is not None
    assert (grid.x, grid.y) == ((1.0, 1e5, 1e10), (0.0, 0.5, 1.0))
    assert grid.inputs["a"].tolist()[3:5] == [[1.0, 0.5], [1e5, 99999.5]]
    assert grid.inputs["p"].tolist()[-1] == [1.0, 0.0]
    assert grid.parameters["k"].tolist() == [0.0] * 3 + [50.0] * 3 + [100.0] * 3


def test_points_past_the_format_or_outside_of_a_parameters_range_are_outside() -> None:
    spec = loads(SPEC)
    grid = grid_of(spec)
    assert grid is not None
    found, legal = inside(spec, grid, "float16")
    # 1e5 and 1e10 overflow, and k is 50 at most
    assert legal.tolist() == [True, False, False, True, False, False, False, False, False]
    assert (found["a"].dtype, found["labels"].dtype, found["m"].dtype) == (np.float16, np.int64, np.bool_)
    assert inside(spec, grid, "float32")[1].tolist() == [True] * 6 + [False] * 3


@pytest.mark.parametrize("loss", LOSSES)
def test_every_spec_has_a_plane_whose_points_lie_in_the_domains(loss: str) -> None:
    spec = library.get(loss)
    grid = grid_of(spec)
    assert grid is not None
    assert set(grid.inputs) == set(spec.inputs)
    for dtype in DTYPES:
        fmt, (found, legal) = FORMATS[dtype], inside(spec, grid, dtype)
        # outside lies what the format does not hold, and nothing else
        kept = np.ones(grid.size, dtype=bool)
        for name, exact in grid.inputs.items():
            if found[name].dtype.kind not in "ib":
                size = np.abs(exact[np.isfinite(exact)].astype(np.float64)).max()
                assert size < FORMATS["bfloat16"].largest
                rounded = found[name].astype(np.float64)
                good = np.isfinite(rounded) & ((rounded != 0) | (exact == 0))
                kept &= good.reshape(grid.size, -1).all(axis=1)
        assert legal.tolist() == kept.tolist(), dtype
        assert legal.all() or fmt.name == "float16"
        assert legal.mean() > 0.1
