"""Entries of inputs that nothing depends on, such as logits at masked positions: they may hold nan and inf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lossproof.expression.node import topological
from lossproof.oracle.arb_tier import ArbArithmetic
from lossproof.oracle.evaluate import Array, Bindings, evaluate
from lossproof.oracle.law import bind_dimensions
from lossproof.spec import graph
from lossproof.spec.model import Spec


def unread(spec: Spec, name: str, inputs: Mapping[str, Array], parameters: Mapping[str, Any]) -> Array | None:
    """Which entries of an input are not read (bool, of its shape); None where the spec knows of none."""
    text = spec.inputs[name].unread
    if text is None:
        return None
    node = graph.aside(spec, graph.statics_of(spec, parameters), text)
    named = {leaf.attributes[0] for leaf in topological([node]) if leaf.op == "input"}
    arithmetic = ArbArithmetic()
    leaves = {leaf: arithmetic.leaf(inputs[leaf]) for leaf in named}
    dimensions = bind_dimensions(spec, {each: array.shape for each, array in inputs.items()})
    (found,) = evaluate([node], arithmetic, Bindings(leaves, {}, dimensions))
    holds = np.frompyfunc(lambda entry: entry == 1, 1, 1)(np.asarray(found, dtype=object)).astype(bool)
    return np.broadcast_to(_spread(holds, inputs[name].ndim), inputs[name].shape)


def _spread(condition: Array, rank: int) -> Array:
    """A condition on leading axes, for every entry of the others."""
    return condition.reshape(condition.shape + (1,) * (rank - condition.ndim))
