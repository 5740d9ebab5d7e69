"""What is wrong with a derivative whose value is right: its cotangent, or a part that is held constant."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from lossproof.audit.results import Diagnosis
from lossproof.checks import answers
from lossproof.checks.trial import Trial
from lossproof.diagnosis.samples import ENOUGH, Facet, Sample, Truth, Truths
from lossproof.diagnosis.words import speaker
from lossproof.errors import ExpressionError, ImplementationError
from lossproof.expression import primitives as p
from lossproof.expression.derivative import vjp
from lossproof.expression.node import Node, topological
from lossproof.inputs.case import Array
from lossproof.oracle.reference import references
from lossproof.oracle.unread import unread
from lossproof.spec import graph
from lossproof.spec.model import Domain, Spec

OTHER_COTANGENTS = (-4.0, 1.0, 2.0, 0.25)

HELD = "held"

MOST_NODES = 48
"""A definition of more steps than these is not searched for one that is held constant."""


def cotangent(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """The gradient is that of another cotangent than the one that it was asked for."""
    if not facet.cell.framework.differentiates:
        return None
    telling = max(samples, key=lambda sample: sum(int(sample.wrong(name).sum()) for name in sample.got))
    for text, change in (
        ("ones, whatever it is given", np.ones_like),
        ("the mean of what it is given", lambda c: np.full_like(c, c.mean())),
        ("the sum of what it is given", lambda c: np.full_like(c, c.sum())),
        ("the first entry of what it is given", lambda c: np.full_like(c, c.flat[0])),
        ("the size of what it is given", np.abs),
        ("what it is given in reverse", lambda c: np.flip(c)),
    ):

        def supposed(sample: Sample, change=change) -> Truths | None:  # type: ignore[no-untyped-def]
            return facet.truth(sample.case, np.reshape(change(sample.cotangent), sample.cotangent.shape))

        if facet.explained(samples, supposed) and _again(facet, telling, supposed):
            return Diagnosis("ignores cotangent", f"the gradient is that for the cotangent {text}")
    return None


def _again(facet: Facet, sample: Sample, supposed) -> bool:  # type: ignore[no-untyped-def]
    """Whether the supposition holds for other cotangents too, which tells it from a factor."""
    trial = Trial(replace(facet.cell, pool=()), sample.case, OTHER_COTANGENTS, forward_mode=False)
    try:
        got = {
            name: np.asarray(array).astype(np.float64)
            for name, array in trial.gradients.items()
            if name in sample.got
        }
    except ImplementationError:
        return False
    truth = {
        n: Truth(r.middle, r.attainable) for n, r in trial.gradient_references.items() if n in sample.got
    }
    return facet.explained([Sample(sample.case, got, truth, trial.cotangent)], supposed, enough=1)


def left_out(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """The gradient is wrong at entries alone that are left out of the value, where it must be 0."""
    spec = facet.cell.spec
    told = 0
    for sample in samples:
        for name, got in sample.got.items():
            wrong = sample.wrong(name)
            if not wrong.any():
                continue
            hidden = _hidden(spec, name, sample)
            if hidden is None or got.shape != hidden.shape or (wrong & ~hidden).any():
                return None
            told += int(wrong.sum())
    if told < ENOUGH:
        return None
    return Diagnosis(
        "masked rows leak",
        f"the gradient is right but for {told} entries that are left out, where it must be 0",
    )


def _hidden(spec: Spec, name: str, sample: Sample) -> Array | None:
    """Which entries of an input are left out: by the spec's word, or with a label that is no class."""
    inputs = sample.case.inputs
    declared = unread(spec, name, inputs, sample.case.parameters)
    if declared is not None:
        return declared
    for other, part in spec.inputs.items():
        out = inputs[other] < 0 if part.domain is Domain.CLASS_INDEX else None
        if out is not None and out.any() and out.shape == inputs[name].shape[: out.ndim]:
            rows = out.reshape(out.shape + (1,) * (inputs[name].ndim - out.ndim))
            return np.broadcast_to(rows, inputs[name].shape)
    return None


def zero(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """One input has no gradient at all, and the others are right."""
    for name in samples[0].got:
        others = [n for n in samples[0].got if n != name]
        if any(s.got[name].any() for s in samples) or not any(s.wrong(name).any() for s in samples):
            continue
        if others:
            right = not any(s.wrong(n).any() for s in samples for n in others)
            more = ", and that in " + " and ".join(others) + " is right" if right else ""
            return Diagnosis(
                "detached factor", f"the gradient in {name} is 0 throughout: it counts as a constant{more}"
            )
        return Diagnosis("dead gradient", f"the gradient in {name} is 0 throughout")
    return None


def detached(facet: Facet, samples: list[Sample]) -> Diagnosis | None:
    """The gradient of the definition with one step of it held constant fits."""
    spec = facet.cell.spec
    statics = graph.statics_of(spec, samples[0].case.parameters)
    whole = p.real(graph.definition(spec, statics))
    leaves = graph.leaves(spec, statics)
    names = list(samples[0].got)
    for text, output, held in _with_one_held(whole, leaves, speaker(spec, statics)):
        try:
            nodes = vjp(output, graph.leaf(graph.COTANGENT, output.shape), [leaves[name] for name in names])
        except ExpressionError:
            continue

        def supposed(sample: Sample, nodes=nodes, held=held) -> Truths | None:  # type: ignore[no-untyped-def]
            return _evaluated(facet, sample, dict(zip(names, nodes, strict=True)), held)

        if facet.explained(samples[:1], supposed, enough=2) and facet.explained(samples, supposed):
            told = sum(int(sample.wrong(name).sum()) for sample in samples for name in sample.got)
            return Diagnosis(
                "detached factor",
                f"the gradient is as if {text} were a constant, through which none flows: this fits every result, "
                f"{told} of which the truth does not fit",
            )
    return None


def _evaluated(
    facet: Facet, sample: Sample, nodes: Mapping[str, Node], held: tuple[Node, ...]
) -> Truths | None:
    spec, cell = facet.cell.spec, facet.cell
    extra: dict[str, Array] = {graph.COTANGENT: sample.cotangent}
    point = replace(answers.point_of(spec, sample.case), rows=None)
    try:
        for number, value in enumerate(references(list(held), point, cell.working, cell.flush)):
            extra[_name(number)] = value.middle
        point = replace(point, arrays={**point.arrays, **extra})
        found = references(list(nodes.values()), point, cell.working, cell.flush)
    except (ExpressionError, ValueError, TypeError, KeyError):
        return None
    return {
        name: Truth(each.middle, np.maximum(each.attainable, sample.truth[name].attainable))
        for name, each in zip(nodes, found, strict=True)
        if each.middle.shape == sample.got[name].shape
    } or None


def _with_one_held(
    whole: Node, leaves: Mapping[str, Node], said: Callable[[Node], str]
) -> Iterator[tuple[str, Node, tuple[Node, ...]]]:
    """The definition with a step of it replaced by a leaf, and the step; the last ones first."""
    inputs = set(map(id, leaves.values()))
    order = [node for node in topological([whole]) if node.kind == "real" and node.args]
    live = set(inputs)
    for node in topological([whole]):
        if any(id(arg) in live for arg in node.args):
            live.add(id(node))
    steps = [node for node in reversed(order) if id(node) in live]
    for node in steps[:MOST_NODES]:
        if node is not whole:
            yield said(node), _replaced(whole, node, graph.leaf(_name(0), node.shape)), (node,)
        if node.op in ("log_softmax", "softmax"):
            (x,) = node.args
            axis = _axis(node)
            total = p.reduce("logsumexp", x, (axis,), keep=True)
            for text, made, kept in (
                (
                    f"the normaliser of {said(node)}",
                    p.elementwise("sub", x, graph.leaf(_name(0), total.shape)),
                    total,
                ),
                (
                    f"all but the normaliser of {said(node)}",
                    p.elementwise("sub", graph.leaf(_name(0), x.shape), total),
                    x,
                ),
            ):
                made = made if node.op == "log_softmax" else p.elementwise("exp", made)
                yield text, _replaced(whole, node, made), (kept,)
        if node.op == "logsumexp":
            largest = Node.make("max", node.args, node.attributes, node.shape, node.kind)
            yield f"all but the maximum in {said(node)}", _replaced(whole, node, largest), ()

    for op in ("sqrt", "norm"):
        lengths = tuple(node for node in steps if node.op == op)
        if len(lengths) > 1:
            output = whole
            for number, node in enumerate(lengths):
                output = _replaced(output, node, graph.leaf(_name(number), node.shape))
            yield "every length", output, lengths


def _name(number: int) -> str:
    return f"{HELD}{number}"


def _axis(node: Node) -> int:
    return next((a for a in node.attributes if isinstance(a, int)), len(node.shape) - 1)


def _replaced(whole: Node, old: Node, new: Node) -> Node:
    made: dict[int, Node] = {id(old): new}
    for node in topological([whole]):
        if id(node) in made:
            continue
        args = tuple(made[id(arg)] for arg in node.args)
        same = all(a is b for a, b in zip(args, node.args, strict=True))
        made[id(node)] = node if same else Node.make(node.op, args, node.attributes, node.shape, node.kind)
    return made[id(whole)]
