"""Graphs of a spec: its definition, its derivative, its laws, for given choices of its parameters.

Choices are decided when a graph is built; numbers and arrays of parameters are leaves. So a graph depends on
the loss and on its *statics* alone, and is built once.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lossproof.errors import ExpressionError, suggest
from lossproof.expression import primitives as p
from lossproof.expression.derivative import vjp
from lossproof.expression.node import Kind, Node
from lossproof.expression.parse import parse
from lossproof.expression.scope import ARRAY, NUMBER, Scope
from lossproof.expression.size import Size, Sizes, show
from lossproof.spec import library
from lossproof.spec.model import Domain, Spec

Statics = tuple[tuple[str, Any], ...]
"""Every parameter with what is known of it before evaluation: a choice, None, NUMBER or ARRAY."""

COTANGENT = "cotangent"


def statics_of(spec: Spec, parameters: Mapping[str, Any]) -> Statics:
    """The statics of concrete parameters."""
    found = []
    for name, parameter in spec.parameters.items():
        value = parameters.get(name, parameter.default)
        if value is not None and parameter.choices is None:
            value = NUMBER if parameter.shape is None else ARRAY
        found.append((name, value))
    return tuple(found)


def all_statics(spec: Spec) -> Iterator[Statics]:
    """Every combination of choices that the spec allows."""
    options: list[list[Any]] = []
    for parameter in spec.parameters.values():
        if parameter.choices is not None:
            options.append(list(parameter.choices))
        else:
            known = NUMBER if parameter.kind == "number" else ARRAY
            options.append([known, None] if parameter.default is None else [known])
    for values in itertools.product(*options):
        yield tuple(zip(spec.parameters, values, strict=True))


def kind_of(domain: Domain) -> Kind:
    if domain is Domain.MASK:
        return "boolean"
    return "integer" if domain in (Domain.CLASS_INDEX, Domain.CLASS_ID, Domain.PERMUTATION) else "real"


def sizes(shape: Sequence[str | int]) -> Sizes:
    return tuple(Size.of(axis) for axis in shape)


def leaf(name: str, shape: Sizes, kind: Kind = "real") -> Node:
    return Node.make("input", (), (name,), shape, kind)


def leaves(spec: Spec, statics: Statics) -> dict[str, Node]:
    """The leaves of a spec's graphs: its inputs, and the arrays among its parameters."""
    found = {name: leaf(name, sizes(i.shape), kind_of(i.domain)) for name, i in spec.inputs.items()}
    for name, value in statics:
        if value is ARRAY:
            parameter = spec.parameters[name]
            assert parameter.shape is not None
            assert parameter.domain is not None
            found[name] = leaf(name, sizes(parameter.shape), kind_of(parameter.domain))
    return found


def dimensions(spec: Spec) -> dict[str, Size]:
    """The named dimensions of the inputs."""
    return {axis: Size.of(axis) for i in spec.inputs.values() for axis in i.shape if isinstance(axis, str)}


def scope(spec: Spec, statics: Statics, inputs: Mapping[str, Node], sizes_: Mapping[str, Size]) -> Scope:
    return Scope(
        inputs=inputs,
        parameters=dict(statics),
        dimensions=sizes_,
        let=spec.let,
        calls=_Signatures(),
        call=_inline,
    )


class _Signatures(Mapping[str, tuple[str, ...]]):
    """The losses that can be called, each with the names of its inputs; loads a spec when it is named."""

    def __getitem__(self, loss: str) -> tuple[str, ...]:
        if loss not in library.names():
            raise KeyError(loss)
        return tuple(library.get(loss).inputs)

    def __iter__(self) -> Iterator[str]:
        return iter(library.names())

    def __len__(self) -> int:
        return len(library.names())

    def __contains__(self, loss: object) -> bool:
        return loss in library.names()


def match(spec: Spec, arguments: Sequence[Node]) -> dict[str, Size]:
    """The spec's dimensions for the arguments of a call; ExpressionError where they do not fit."""
    bound: dict[str, Size] = {}
    for (name, declared), argument in zip(spec.inputs.items(), arguments, strict=True):
        kind = kind_of(declared.domain)
        if len(declared.shape) != len(argument.shape):
            raise ExpressionError(
                f"'{name}' of {spec.loss} has shape {show(sizes(declared.shape))}, not {show(argument.shape)}"
            )
        if kind != argument.kind and not (kind == "real" and argument.kind == "integer"):
            raise ExpressionError(f"'{name}' of {spec.loss} is {kind}, not {argument.kind}")
        for axis, size in zip(sizes(declared.shape), argument.shape, strict=True):
            expected = axis if axis.name is None else bound.setdefault(axis.name, size)
            if expected != size:
                raise ExpressionError(f"'{name}' of {spec.loss} has size {size} where {expected} is expected")
    return bound


def split(
    spec: Spec, parameters: Mapping[str, Any], defaults: Mapping[str, Any]
) -> tuple[Statics, dict[str, Node]]:
    """The statics of a call, and the nodes of the parameters that are numbers or arrays."""
    for name in parameters:
        if name not in spec.parameters:
            raise ExpressionError(f"{spec.loss} has no parameter '{name}'{suggest(name, spec.parameters)}")
    statics: list[tuple[str, Any]] = []
    nodes: dict[str, Node] = {}
    for name, parameter in spec.parameters.items():
        value = parameters.get(name, defaults.get(name, parameter.default))
        if isinstance(value, Node) and parameter.kind == "choice":
            if value.op != "constant":
                raise ExpressionError(f"'{name}' of {spec.loss} is a choice, so a constant is expected")
            value = value.attributes[0]
        if parameter.kind == "choice":
            assert parameter.choices is not None
            if value not in parameter.choices:
                allowed = ", ".join(str(choice) for choice in parameter.choices)
                raise ExpressionError(f"'{name}' of {spec.loss} is {value!r}; allowed: {allowed}")
        elif value is not None:
            if not isinstance(value, Node):
                value = p.constant(value)
            nodes[name] = p.real(value)
            value = NUMBER if parameter.kind == "number" else ARRAY
        statics.append((name, value))
    return tuple(statics), nodes


def _inline(loss: str, arguments: list[Node], parameters: dict[str, Any], wrt: str | None) -> Node:
    """A call in a definition: the other loss's definition in place of it."""
    if wrt is not None:
        raise ExpressionError("grad stands in laws only")
    spec = library.get(loss)
    bound = match(spec, arguments)
    statics, nodes = split(spec, parameters, {})
    inputs = dict(zip(spec.inputs, map(as_input(spec), spec.inputs, arguments), strict=True)) | nodes
    return parse(spec.definition, scope(spec, statics, inputs, bound))


def as_input(spec: Spec) -> Any:
    return lambda name, node: p.real(node) if kind_of(spec.inputs[name].domain) == "real" else node


@functools.lru_cache(maxsize=4096)
def _definition(loss: Key, statics: Statics) -> Node:
    return parse(
        loss.spec.definition, scope(loss.spec, statics, leaves(loss.spec, statics), dimensions(loss.spec))
    )


@dataclass(frozen=True)
class Key:
    """A spec as a key of a cache: by identity, since specs hold dictionaries."""

    spec: Spec

    def __hash__(self) -> int:
        return id(self.spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and other.spec is self.spec


def definition(spec: Spec, statics: Statics) -> Node:
    """The graph of the loss."""
    return _definition(Key(spec), statics)


@functools.lru_cache(maxsize=4096)
def _gradient(key: Key, statics: Statics) -> dict[str, Node]:
    spec = key.spec
    output = p.real(definition(spec, statics))
    names = [name for name, i in spec.inputs.items() if i.is_real and i.differentiable]
    nodes = leaves(spec, statics)
    found = vjp(output, leaf(COTANGENT, output.shape), [nodes[name] for name in names])
    return dict(zip(names, found, strict=True))


def gradient(spec: Spec, statics: Statics) -> dict[str, Node]:
    """For each differentiable input the graph of the vector–Jacobian product; its cotangent is the leaf `cotangent`."""
    return _gradient(Key(spec), statics)


@functools.lru_cache(maxsize=4096)
def _aside(key: Key, statics: Statics, text: str) -> Node:
    spec = key.spec
    return p.real(parse(text, scope(spec, statics, leaves(spec, statics), dimensions(spec))))


def aside(spec: Spec, statics: Statics, text: str) -> Node:
    """The graph of another expression over the spec's inputs (excuse, slack)."""
    return _aside(Key(spec), statics, text)


def condition(spec: Spec, statics: Statics, text: str) -> Node:
    """The graph of a condition over the spec's inputs. Raises ExpressionError where it is none."""
    node = parse(text, scope(spec, statics, leaves(spec, statics), dimensions(spec)))
    if node.kind != "boolean":
        raise ExpressionError(
            "a condition is expected: a comparison, or several joined by 'and', 'or'", at=(1, 1)
        )
    return node
