"""What a report says about a loss itself: its title, formula and laws, where its spec can be found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lossproof.errors import LossproofError


@dataclass(frozen=True)
class Formula:
    """A loss for a reader. mathml is markup of our own making; everything else is text to be escaped."""

    title: str | None = None
    cite: str | None = None
    definition: str | None = None
    mathml: str | None = None
    laws: Mapping[str, str] = field(default_factory=dict)


def formula(loss: str) -> str | None:
    """The definition of a loss as MathML; None where its spec or its markup cannot be had."""
    try:
        from lossproof.expression.mathml import mathml
        from lossproof.spec import library

        return mathml(library.get(loss))
    except (ImportError, OSError, LossproofError):
        return None


def about(loss: str) -> Formula:
    """What the spec library says of a loss; an empty Formula for one that it does not know.

    A report of an older run may name a loss that has gone since.
    """
    try:
        from lossproof.spec import library

        spec = library.get(loss)
    except (ImportError, OSError, LossproofError):
        return Formula()
    equations = [*spec.let.items(), (spec.loss, spec.definition)]
    definition = "\n".join(f"{name} = {text.strip()}" for name, text in equations)
    return Formula(
        title=spec.title,
        cite=spec.cite,
        definition=definition,
        mathml=formula(loss),
        laws={name: law.law for name, law in spec.laws.items()},
    )
