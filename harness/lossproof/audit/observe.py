"""One check, by name, at one case: what minimising and replaying do again and again."""

from __future__ import annotations

from lossproof.audit.results import Verdict
from lossproof.checks import CASE_CHECKS, FIRST_CASE_CHECKS, gradient, laws
from lossproof.checks.observation import Observation
from lossproof.checks.trial import Cell, Trial
from lossproof.errors import ImplementationError, UsageError, suggest
from lossproof.inputs import Case

_BY_NAME = {check.NAME: check for check in (*CASE_CHECKS, *FIRST_CASE_CHECKS)}


def observe(cell: Cell, check: str, case: Case, *, forward_mode: bool = True) -> Observation | None:
    """What a check sees; None where it does not apply. An exception of the implementation is an error seen.

    forward_mode: whether the gradient's check looks at it. Raises UsageError for a name that is no check.
    """
    try:
        law = laws.law_of(check)
        if law is not None and law in cell.spec.laws:
            return laws.observe(cell, law, case)
        if check in _BY_NAME:
            return _BY_NAME[check].observe(Trial(cell, case, forward_mode=forward_mode))
    except ImplementationError as error:
        return raised(cell, check, error)
    known = [*_BY_NAME, *(laws.PREFIX + name for name in cell.spec.laws)]
    raise UsageError(f"{cell.spec.loss} has no check '{check}'{suggest(check, known)}")


def raised(cell: Cell, check: str, error: ImplementationError) -> Observation:
    """The error of an implementation that raised; in the gradient check the snippet is to ask for a gradient."""
    names = [
        name for name, declared in cell.spec.inputs.items() if declared.is_real and declared.differentiable
    ]
    quantity = f"gradient in {names[0]}" if check == gradient.NAME and names else "value"
    return Observation(Verdict.ERROR, 1, reason=str(error), quantity=quantity)
