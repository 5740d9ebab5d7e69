"""The `where` of waivers, held against the losses that they are about before anything runs."""

from __future__ import annotations

from collections.abc import Iterable

from lossproof.errors import ExpressionError
from lossproof.spec import graph, library
from lossproof.waivers.model import Waiver


def require_conditions(waivers: Iterable[Waiver], losses: Iterable[str] | None = None) -> None:
    """Raise UsageError, with the place in the file, for a `where` that is no condition over the inputs of its loss.

    losses: those of which waivers are held; all that are known unless given. A waiver about a loss that nobody knows
    matches nothing, which is for the gate to say.
    """
    known = frozenset(library.names() if losses is None else losses)
    for waiver in waivers:
        if waiver.where is not None and waiver.loss in known:
            _require(waiver, waiver.where)


def _require(waiver: Waiver, where: str) -> None:
    spec, first = library.get(waiver.loss), None
    for statics in graph.all_statics(spec):
        try:
            graph.condition(spec, statics, where)
        except ExpressionError as error:
            first = first or error
        else:
            return  # an implementation may have the choices built in of which it cannot be said
    if first is not None:
        raise waiver.misread(first) from None
