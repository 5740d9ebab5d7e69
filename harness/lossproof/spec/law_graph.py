"""Graphs of laws: boolean graphs in which calls of losses are nodes, to be answered from outside."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from lossproof.errors import ExpressionError, suggest
from lossproof.expression.node import Node
from lossproof.expression.parse import parse
from lossproof.expression.scope import ARRAY, NUMBER, Scope, static
from lossproof.expression.size import Size
from lossproof.expression.syntax import syntax
from lossproof.spec import graph, library
from lossproof.spec.graph import Key, Statics, dimensions, kind_of, leaf, leaves, sizes
from lossproof.spec.model import Domain, Law, Spec, Variable


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
    scope = graph.scope(spec, statics, inputs, names)

    def call(loss: str, arguments: list[Node], parameters: dict[str, Any], wrt: str | None) -> Node:
        own = loss == spec.loss
        called = spec if own else library.get(loss)
        bound = graph.match(called, arguments)
        defaults: dict[str, Any] = {}
        if own:
            for name, value in statics:
                number = Node.make("parameter", attributes=(name,))
                defaults[name] = number if value is NUMBER else inputs[name] if value is ARRAY else value
        chosen, nodes = graph.split(called, parameters, defaults)
        site = Call(loss, wrt, chosen, tuple(nodes), own)
        if wrt is not None and not (called.inputs[wrt].is_real and called.inputs[wrt].differentiable):
            raise ExpressionError(f"{loss} takes no gradient with respect to '{wrt}'")
        if wrt is None:
            # in the loss's own dimensions, which may be equal here: [N, V] given an array [N, N]
            shape = tuple(size.within(bound) for size in graph.definition(called, chosen).shape)
        else:
            shape = arguments[list(called.inputs).index(wrt)].shape
        arguments = [
            graph.as_input(called)(name, a) for name, a in zip(called.inputs, arguments, strict=True)
        ]
        return Node.make("call", [*arguments, *nodes.values()], (site,), shape)

    scope.call, scope.own = call, spec.loss
    return scope


def applies(law: Law, statics: Statics) -> bool:
    """Whether a law's static condition on choices, if it has one, holds."""
    return law.when is None or static(syntax(law.when), dict(statics)) is not False


@functools.lru_cache(maxsize=4096)
def _law(key: Key, name: str, statics: Statics) -> tuple[Node, Node | None]:
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
    return _law(Key(spec), name, statics)
