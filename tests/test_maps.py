"""Stability maps: where implementations break over the plane of their loss."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lossproof.audit import maps
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Run, StabilityMap
from lossproof.audit.run import run
from lossproof.checks.trial import Cell
from lossproof.frameworks import framework
from lossproof.inputs import PROFILES
from lossproof.spec import library


def drawn(
    target: str, loss: str, name: str, engine: str, dtype: str = "float32", profile: str = "quick"
) -> dict[str, StabilityMap]:
    """The maps of one bundled implementation in eager mode, by quantity."""
    planned = plan(
        Options((target,), losses=(loss,), frameworks=(engine,), dtypes=(dtype,), modes=("eager",))
    )
    (chosen,) = (
        cell for cell in planned.cells
        if cell.implementation.name == f"{target}.{name}" and cell.device == "cpu"
    )  # fmt: skip
    spec, i = library.get(loss), chosen.implementation
    cell = Cell(i, spec, framework(engine), "cpu", "eager", dtype)
    return {each.quantity: each for each in maps.draw(cell, PROFILES[profile])}


def axes(loss: str) -> tuple[list[float], list[float]]:
    plane = maps.plane_of(library.get(loss))
    assert plane is not None
    return plane.x.values, plane.y.values


def numbers(rows: Sequence[Sequence[float | str | None]]) -> list[float]:
    return [entry for row in rows for entry in row if isinstance(entry, float)]


def test_the_guard_in_the_logarithm_breaks_at_its_gap_whatever_the_offset() -> None:
    _, gaps = axes("cross_entropy")
    for name, last in (("epsilon_in_log", 27.6), ("clipped_probabilities", 16.1)):
        found = drawn("textbook", "cross_entropy", name, "numpy")["value"]
        for gap, row, breakdown in zip(gaps, found.bits, found.breakdown, strict=True):
            if gap > last:
                assert all(isinstance(bits, float) and bits > 17 for bits in row)
                assert breakdown == 1.0
            elif gap < last - 10:
                assert max(numbers([row])) <= 3
                assert breakdown is None


def test_the_maximum_that_is_added_back_breaks_under_an_offset_where_the_gap_is_small() -> None:
    offsets, gaps = axes("cross_entropy")
    found = drawn("textbook", "cross_entropy", "maximum_added_back_first", "numpy")["value"]
    for gap, row, breakdown in zip(gaps, found.bits, found.breakdown, strict=True):
        if gap < 2:
            assert breakdown is not None
            assert 1e3 < breakdown < 1e6
            assert max(numbers([row])) > 15
        if gap > 50:
            assert breakdown is None
    small = [row[column] for row in found.bits for column, offset in enumerate(offsets) if offset < 10]
    assert max(numbers([small])) <= 3


def test_exponentials_without_a_shift_overflow_past_88() -> None:
    offsets, gaps = axes("softmax")
    found = drawn("textbook", "softmax", "no_maximum_shift", "numpy")["value"]
    for gap, row, breakdown in zip(gaps, found.bits, found.breakdown, strict=True):
        assert breakdown == min(offset for offset in offsets if offset > 88.7)
        for offset, bits in zip(offsets, row, strict=True):
            if offset > 88.8 and offset - gap > 88.8:
                assert bits == "nan"


def test_a_backward_pass_that_ignores_what_comes_from_above_breaks_in_the_gradient_alone() -> None:
    found = drawn("textbook", "cross_entropy", "backward_without_cotangent", "torch")
    assert set(found["value"].breakdown) == {None}
    assert max(numbers(found["value"].bits)) <= 3
    # where the gap is large the other gradients are 0, and so is what is wrong about some of them
    assert sum(bits > 8 for bits in numbers(found["gradient"].bits)) > 100


@pytest.mark.parametrize(
    ("target", "name", "engine"),
    [
        ("torch_functional", "cross_entropy", "torch"),
        ("portable", "cross_entropy", "jax"),
    ],
)
def test_torch_and_jax_break_nowhere(target: str, name: str, engine: str) -> None:
    pytest.importorskip(engine)
    found = drawn(target, "cross_entropy", name, engine)
    assert set(found) == {"value", "gradient"}
    for each in found.values():
        assert set(each.breakdown) == {None}
        assert len(numbers(each.bits)) == sum(map(len, each.bits))
        assert max(numbers(each.bits)) <= 3


def test_a_map_ends_where_the_format_ends() -> None:
    offsets, gaps = axes("cross_entropy")
    found = drawn("portable", "cross_entropy", "cross_entropy", "numpy", "float16")["value"]
    for gap, row in zip(gaps, found.bits, strict=True):
        for offset, bits in zip(offsets, row, strict=True):
            assert (bits is None) == (offset > 65504), (gap, offset)


def test_a_loss_that_couples_its_batch_is_drawn_point_by_point() -> None:
    temperatures, similarities = axes("info_nce")
    found = drawn("portable", "info_nce", "info_nce", "numpy")["value"]
    assert [len(row) for row in found.bits] == [len(temperatures)] * len(similarities)
    assert set(found.breakdown) == {None}
    # as many calls again in each half format are for longer profiles
    assert drawn("portable", "info_nce", "info_nce", "numpy", "float16") == {}
    assert drawn("portable", "info_nce", "info_nce", "numpy", "float16", "standard")


def test_a_parameter_that_the_plane_varies_and_the_implementation_does_not_take_leaves_no_map() -> None:
    pytest.importorskip("sklearn")
    assert drawn("scikit_learn", "hinge", "hinge_loss", "numpy") == {}


def test_a_point_past_the_last_failure_is_no_breakdown_and_an_unknown_one_does_not_count() -> None:
    grid = maps.grid_of(library.get("info_nce"))
    assert grid is not None
    canvas = maps._Canvas(grid)
    known, last = [True] * 8, grid.x[-1]

    def breaks(known: list[bool], failed: list[bool]) -> float | None:
        return canvas._breaks(np.array(known), np.array(failed))

    assert breaks(known, [True] * 7 + [False]) is None
    assert breaks(known, [False] * 7 + [True]) == last
    assert breaks(known, [False, True, False] + [True] * 5) == grid.x[3]
    assert breaks([*known[:6], False, False], [False] * 5 + [True, False, False]) == grid.x[5]
    assert breaks([False] * 8, [False] * 8) is None


def _run(*, wanted: bool, modes: tuple[str, ...] = ()) -> Run:
    options = Options(
        ("textbook:epsilon_in_log",), dtypes=("float32",), regimes=("ordinary",), modes=modes, jobs=1,
        maps=wanted,
    )  # fmt: skip
    return run(plan(options), lambda event: None)


def test_maps_and_planes_are_there_where_they_are_wanted() -> None:
    without, found = _run(wanted=False), _run(wanted=True)
    assert (without.planes, without.maps) == ([], [])
    assert [plane.loss for plane in found.planes] == ["cross_entropy"]
    assert [each.quantity for each in found.maps] == ["value"]
    assert (without.results, without.tolerances) == (found.results, found.tolerances)


@pytest.mark.parametrize(("loss", "dtypes"), [("softmax", ["float64"]), ("cross_entropy", [])])
def test_a_map_in_quick_asks_for_no_convention_more_of_a_dtype_that_follows(
    loss: str, dtypes: list[str]
) -> None:
    options = Options(("portable",), losses=(loss,), frameworks=("jax",))
    cells = [cell for cell in plan(options).cells if cell.device == "cpu" and cell.skip is None]
    if not cells:
        pytest.skip("without JAX")
    made = {(cell.mode, cell.dtype) for cell in maps.wanted(cells, ()) if cell.maps}
    assert ("eager", "float32") in made
    assert {dtype for mode, dtype in made if mode == "compiled"} & {"float32", "float64"} == set(dtypes)


def test_maps_are_of_eager_mode_and_of_compiled_mode_where_that_is_asked_for_or_alone() -> None:
    options = Options(
        ("portable",),
        losses=("softmax",),
        frameworks=("jax",),
        dtypes=("float32", "float64"),
        profile="standard",
    )
    cells = [cell for cell in plan(options).cells if cell.device == "cpu" and cell.skip is None]
    if not cells:
        pytest.skip("without JAX")

    def marked(*modes: str, among: Sequence[str] = ("eager", "compiled")) -> list[tuple[str, str]]:
        chosen = maps.wanted([cell for cell in cells if cell.mode in among], modes)
        return [(cell.mode, cell.dtype) for cell in chosen if cell.maps]

    both = [("eager", "float32"), ("eager", "float64")]
    assert marked() == both
    assert marked(among=["compiled"]) == [("compiled", "float32"), ("compiled", "float64")]
    assert len(marked("eager", "compiled")) == 4
