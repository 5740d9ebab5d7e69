"""What a spec and a function say of each other's parameters that do not meet, in words for the one who binds them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from lossproof.errors import nearest

if TYPE_CHECKING:
    from lossproof.spec.model import Spec

NEAR = 0.6
"""difflib's own threshold: `lam` is near `lambda`, `eps` near `epsilon`, and `dim` near neither."""

SHORTEST = 3
"""Letters of a word that is cut short."""

MOST_SHOWN = 40
"""Letters of a default."""


def remarks(called: str, left: Mapping[str, Any], spec: Spec, settled: Collection[str]) -> Iterator[str]:
    """What is to be said of keywords that a function has and a spec does not know, so that nothing ever gives them.

    Most of them are nobody's business (`dim=-1`); one that is nearly a parameter which is not checked may be meant for
    it. left: their names and defaults. settled: the parameters that the function takes, or has fixed.
    """
    open_ = [name for name in spec.parameters if name not in settled]
    for name, default in left.items():
        stays = _shown(default)
        if name == "reduction" and "reduction" not in spec.parameters:
            if isinstance(default, str) and default != "none" and _rows(spec):
                yield (
                    f"{called} has reduction={stays} unless told otherwise, and {spec.loss} {_result(spec)} and has "
                    "no reduction; bind a function that returns the rows, such as "
                    f'functools.partial({called}, reduction="none")'
                )
        elif near := near_keyword(name, open_):
            yield (
                f"{called} has a keyword '{name}', which is no parameter of {spec.loss} and stays {stays}; did you "
                f"mean '{near}'? That is checked at its default alone, {spec.parameters[near].default!r}"
            )


def _shown(default: Any) -> str:
    """A default in one short line; it may be of any kind, an array among them."""
    try:
        text = " ".join(repr(default).split())
    except Exception:
        text = f"<{type(default).__name__}>"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def near_keyword(name: str, parameters: Collection[str]) -> str | None:
    """The parameter that a keyword is nearly, or begins: `temp` for temperature."""
    return nearest(name, parameters, NEAR, SHORTEST)


def unreduced(spec: Spec, value: Any) -> str:
    """What to do in place of declaring a reduction of a loss that has none."""
    begins = f"unknown parameter 'reduction' of {spec.loss}, which {_result(spec)}"
    if not _rows(spec) or value in (None, "none"):
        return f"{begins}: leave reduction out"
    what = value if value in ("mean", "sum") else "reduction"
    return (
        f"{begins}, and has no reduction: declare the function that returns the rows, before its {what} is taken, or "
        "write a spec of your own with the reduction in its definition"
    )


def _result(spec: Spec) -> str:
    shape = _shape(spec)
    if not shape:
        return "is one number for the whole batch"
    return f"has a value for each row (shape [{', '.join(shape)}])"


def _rows(spec: Spec) -> bool:
    return bool(_shape(spec))


def _shape(spec: Spec) -> list[str]:
    from lossproof.spec import graph

    statics = next(iter(graph.all_statics(spec)))
    return [str(size.name) for size in graph.definition(spec, statics).shape]
