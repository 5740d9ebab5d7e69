"""What the plane of a spec must make sense of: its axes, and entries that have the shapes of the inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn, Protocol

from lossproof.errors import suggest
from lossproof.spec.model import Entries, PlaneAxis, Scale, Shape, Spec
from lossproof.spec.source import Keys

MOST_STEPS = 64
"""Along one axis; a map has a cell for each pair."""


class Refuse(Protocol):
    def __call__(self, message: str, *path: str | int, value: bool = True) -> NoReturn: ...


def entries(spec: Spec) -> Iterator[tuple[Keys, str]]:
    """Every expression of the plane, with the path of its key."""
    if spec.plane is None:
        return
    for group in ("inputs", "parameters"):
        for name, nested in getattr(spec.plane, group).items():
            for place, text in leaves(nested):
                yield ("plane", group, name, *place), text


def leaves(nested: Entries) -> Iterator[tuple[tuple[int, ...], str]]:
    """The expressions of an input, each with its place."""
    if not isinstance(nested, tuple):
        yield (), str(nested)
        return
    for number, inner in enumerate(nested):
        for place, text in leaves(inner):
            yield (number, *place), text


def shape_at_a_point(spec: Spec, name: str) -> Shape:
    """The shape of an input without the axis of independent rows."""
    return tuple(axis for axis in spec.inputs[name].shape if axis != spec.independent)


def check_plane(spec: Spec, refuse: Refuse) -> None:
    """Refuse names that are none, axes that go nowhere, and entries that have not the shape of their input."""
    plane = spec.plane
    if plane is None:
        return
    for key, axis in (("x", plane.x), ("y", plane.y)):
        _axis(axis, ("plane", key), refuse)
    for name in plane.inputs:
        if name not in spec.inputs:
            message = f"'{name}' is no input{suggest(name, spec.inputs)}"
            refuse(message, "plane", "inputs", name, value=False)
    sizes: dict[str, int] = {}
    for name in spec.inputs:
        if name not in plane.inputs:
            refuse(f"the plane needs entries for the input '{name}'", "plane", "inputs", value=False)
        _shape(spec, name, plane.inputs[name], sizes, refuse)
    for name in plane.parameters:
        parameter = spec.parameters.get(name)
        if parameter is None:
            message = f"'{name}' is no parameter{suggest(name, spec.parameters)}"
            refuse(message, "plane", "parameters", name, value=False)
        if parameter.kind != "number":
            message = (
                f"a plane varies parameters that are numbers, and '{name}' is of the kind {parameter.kind}"
            )
            refuse(message, "plane", "parameters", name, value=False)


def _axis(axis: PlaneAxis, at: tuple[str, str], refuse: Refuse) -> None:
    low, high = axis.range
    if not low < high:
        refuse(f"the range of '{axis.name}' goes from its lower end to its upper", *at, "range")
    if axis.scale is Scale.LOG and low <= 0:
        refuse("a log axis has a range above 0; symlog goes through 0", *at, "range")
    if (axis.scale is Scale.SYMLOG) != (axis.least is not None):
        message = "a symlog axis, and no other, has 'least', the smallest magnitude beside 0"
        refuse(message, *at, *(("least",) if axis.least is not None else ()), value=axis.least is not None)
    if axis.least is not None:
        if not low < 0 < high:
            refuse("the range of a symlog axis has 0 inside", *at, "range")
        if not 0 < axis.least < min(-low, high):
            refuse(f"'least' is above 0 and below the ends of the range, not {axis.least}", *at, "least")
        if not axis.steps % 2:
            refuse(f"a symlog axis has 0 in its middle, so 'steps' is odd, not {axis.steps}", *at, "steps")
    if not 3 <= axis.steps <= MOST_STEPS:
        refuse(f"'steps' is from 3 to {MOST_STEPS}, not {axis.steps}", *at, "steps")


def _shape(spec: Spec, name: str, nested: Any, sizes: dict[str, int], refuse: Refuse) -> None:
    """Refuse what is not nested as the input at a point; sizes: those of the dimensions, as they are met."""
    shape = shape_at_a_point(spec, name)

    def look(part: Any, path: tuple[int, ...]) -> None:
        at: Keys = ("plane", "inputs", name, *path)
        if len(path) == len(shape):
            if isinstance(part, tuple):
                refuse(f"'{name}' has an expression here, not a list: {_described(spec, name)}", *at)
            return
        if not isinstance(part, tuple):
            refuse(f"'{name}' has a list here, not an expression: {_described(spec, name)}", *at)
        axis = shape[len(path)]
        expected = axis if isinstance(axis, int) else sizes.setdefault(axis, len(part))
        if len(part) != expected or not part:
            refuse(f"'{name}' has {len(part)} entries along {axis}, where {expected} are expected", *at)
        for place, inner in enumerate(part):
            look(inner, (*path, place))

    look(nested, ())


def _described(spec: Spec, name: str) -> str:
    shape = shape_at_a_point(spec, name)
    rows = f", without {spec.independent}, along which the points stand" if spec.independent else ""
    return f"at a point its shape is [{', '.join(map(str, shape))}]{rows}"
