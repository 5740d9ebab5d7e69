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
from lossproof.expression.parse import ARRAY, NUMBER, Scope, parse, static, syntax
from lossproof.expression.size import Size, Sizes, show
from lossproof.spec import library
from lossproof.spec.model import Domain, Law, Spec, Variable

Statics = tuple[tuple[str, Any], ...]
"""Every parameter with what is known of it before evaluation: a choice, None, NUMBER or ARRAY."""

COTANGENT = "cotangent"


@dataclass(frozen=True)
class Call:
    """A call of a loss inside a law; its operands are the loss's inputs, then the parameters in `given`.

    wrt: the input with respect to which `grad` differentiates the sum of the results, or None for the value.
    own: whether it is the loss that the law belongs to.
    """

    loss: str
    wrt: str | None
    statics: Statics
    given: tuple[str, ...]
    own: bool


def statics_of(spec: Spec, parameters: Mapping[str, Any]) -> Statics:
    """The statics of concrete parameters."""
    found = []
    for name, parameter in spec.parameters.items():
        value = parameters.get(name, parameter.default)
        if parameter.kind == "number" and value is not None:
            value = NUMBER
        elif parameter.kind == "array" and value is not None:
            value = ARRAY
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
    return "integer" if domain in (Domain.CLASS_INDEX, Domain.PERMUTATION) else "real"


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


def _scope(spec: Spec, statics: Statics, inputs: Mapping[str, Node], sizes_: Mapping[str, Size]) -> Scope:
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


def _match(spec: Spec, arguments: Sequence[Node]) -> dict[str, Size]:
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


def _split(
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
    bound = _match(spec, arguments)
    statics, nodes = _split(spec, parameters, {})
    inputs = dict(zip(spec.inputs, map(_as(spec), spec.inputs, arguments), strict=True)) | nodes
    return parse(spec.definition, _scope(spec, statics, inputs, bound))


def _as(spec: Spec) -> Any:
    return lambda name, node: p.real(node) if kind_of(spec.inputs[name].domain) == "real" else node


@functools.lru_cache(maxsize=4096)
def _definition(loss: _Key, statics: Statics) -> Node:
    return parse(
        loss.spec.definition, _scope(loss.spec, statics, leaves(loss.spec, statics), dimensions(loss.spec))
    )


@dataclass(frozen=True)
class _Key:
    """A spec as a key of a cache: by identity, since specs hold dictionaries."""

    spec: Spec

    def __hash__(self) -> int:
        return id(self.spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.spec is self.spec


def definition(spec: Spec, statics: Statics) -> Node:
    """The graph of the loss."""
    return _definition(_Key(spec), statics)


@functools.lru_cache(maxsize=4096)
def _gradient(key: _Key, statics: Statics) -> dict[str, Node]:
    spec = key.spec
    output = p.real(definition(spec, statics))
    names = [name for name, i in spec.inputs.items() if i.is_real and i.differentiable]
    nodes = leaves(spec, statics)
    found = vjp(output, leaf(COTANGENT, output.shape), [nodes[name] for name in names])
    return dict(zip(names, found, strict=True))


def gradient(spec: Spec, statics: Statics) -> dict[str, Node]:
    """For each differentiable input the graph of the vector–Jacobian product; its cotangent is the leaf `cotangent`."""
    return _gradient(_Key(spec), statics)


@functools.lru_cache(maxsize=4096)
def _aside(key: _Key, statics: Statics, text: str) -> Node:
    spec = key.spec
    return p.real(parse(text, _scope(spec, statics, leaves(spec, statics), dimensions(spec))))


def aside(spec: Spec, statics: Statics, text: str) -> Node:
    """The graph of another expression over the spec's inputs (excuse, slack)."""
    return _aside(_Key(spec), statics, text)


def condition(spec: Spec, statics: Statics, text: str) -> Node:
    """The graph of a condition over the spec's inputs. Raises ExpressionError where it is none."""
    node = parse(text, _scope(spec, statics, leaves(spec, statics), dimensions(spec)))
    if node.kind != "boolean":
        raise ExpressionError(
            "a condition is expected: a comparison, or several joined by 'and', 'or'", at=(1, 1)
        )
    return node


# laws


def variable_leaf(spec: Spec, name: str, variable: Variable) -> Node:
    """The leaf of a variable of a law."""
    if variable.like is not None:
        if variable.like not in spec.inputs:
            raise ExpressionError(f"'{name}' is like '{variable.like}'{suggest(variable.like, spec.inputs)}")
        like = spec.inputs[variable.like]
        return leaf(name, sizes(like.shape), kind_of(like.domain))
    domain = variable.domain or Domain.REAL
    return leaf(name, sizes(variable.shape or ()), kind_of(domain))


def law_scope(spec: Spec, law: Law, statics: Statics) -> Scope:
    """The names a law may use: the spec's own, its variables, calls of losses and `grad`."""
    variables = {name: variable_leaf(spec, name, v) for name, v in law.forall.items()}
    for name in variables:
        if name in spec.inputs or name in spec.parameters:
            raise ExpressionError(f"variable '{name}' has the name of an input or a parameter")
    names = dimensions(spec)
    for variable in law.forall.values():
        names |= {axis: Size.of(axis) for axis in variable.shape or () if isinstance(axis, str)}
    inputs = leaves(spec, statics) | variables
    scope = _scope(spec, statics, inputs, names)

    def call(loss: str, arguments: list[Node], parameters: dict[str, Any], wrt: str | None) -> Node:
        own = loss == spec.loss
        called = spec if own else library.get(loss)
        _match(called, arguments)
        defaults: dict[str, Any] = {}
        if own:
            for name, value in statics:
                number = Node.make("parameter", attributes=(name,))
                defaults[name] = number if value is NUMBER else inputs[name] if value is ARRAY else value
        chosen, nodes = _split(called, parameters, defaults)
        site = Call(loss, wrt, chosen, tuple(nodes), own)
        bound = _match(called, arguments)
        stand_ins = {
            name: leaf(name, a.shape, a.kind) for name, a in zip(called.inputs, arguments, strict=True)
        }
        stand_ins = {name: _as(called)(name, node) for name, node in stand_ins.items()}
        stand_ins |= {name: leaf(name, node.shape, node.kind) for name, node in nodes.items()}
        result = parse(called.definition, _scope(called, chosen, stand_ins, bound))
        if wrt is not None and not (called.inputs[wrt].is_real and called.inputs[wrt].differentiable):
            raise ExpressionError(f"{loss} takes no gradient with respect to '{wrt}'")
        shape = result.shape if wrt is None else arguments[list(called.inputs).index(wrt)].shape
        arguments = [_as(called)(name, a) for name, a in zip(called.inputs, arguments, strict=True)]
        return Node.make("call", [*arguments, *nodes.values()], (site,), shape)

    scope.call, scope.own = call, spec.loss
    return scope


def applies(law: Law, statics: Statics) -> bool:
    """Whether a law's static condition on choices, if it has one, holds."""
    return law.when is None or static(syntax(law.when), dict(statics)) is not False


@functools.lru_cache(maxsize=4096)
def _law(key: _Key, name: str, statics: Statics) -> tuple[Node, Node | None]:
    law = key.spec.laws[name]
    scope = law_scope(key.spec, law, statics)
    node = parse(law.law, scope)
    if node.kind != "boolean":
        raise ExpressionError("a law is an equation or an inequality", at=(1, 1))
    condition = None
    if law.when is not None and not isinstance(static(syntax(law.when), dict(statics)), bool):
        condition = parse(law.when, scope)
        if condition.kind != "boolean":
            raise ExpressionError("'when' is a condition", at=(1, 1))
    return node, condition


def law_graph(spec: Spec, name: str, statics: Statics) -> tuple[Node, Node | None]:
    """A law as a boolean graph with `call` nodes, and its condition where that depends on values."""
    return _law(_Key(spec), name, statics)
