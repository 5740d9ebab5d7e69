"""What of a profile a cell takes, where other cells of the same implementation take the rest.

A framework that compiles each operation for each shape, eager mode too, spends almost all of a quick run on that:
some twenty operations for a shape, where the compiled function is one. So compiled mode takes all that asks for more
shapes, and eager mode what one shape tells, since a compiler may mend what it meets (0 · −inf with a one-hot factor);
and what depends little on the dtype runs in one of them. A run that looks long, or in modes or dtypes that were asked
for, shares nothing of that kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lossproof.floats import FORMATS

LEADING = "float32"


@dataclass(frozen=True)
class Share:
    """Everything but what has a reason here. whole: why the cell does not run. laws: why it takes no laws.

    one_class: why it leaves out the regimes of one class (or feature), many: those of many. one_shape: whether all of
    its cases keep to one. forward: whether it looks at forward mode. follows: another dtype has shown what shapes and
    conventions do; one convention is enough, and the value is that of the call which gives the derivatives too.
    """

    whole: str | None = None
    laws: str | None = None
    one_class: str | None = None
    many: str | None = None
    one_shape: bool = False
    forward: bool = True
    follows: bool = False


ALL = Share()
LAWS_IN_EAGER_MODE = Share(laws="laws run compiled with --mode compiled; here they ran in eager mode")
_ELSEWHERE = "ran in compiled mode; it runs in eager mode with --mode eager"
ONE_SHAPE = Share(
    laws=f"the law {_ELSEWHERE}", one_class=_ELSEWHERE, many=_ELSEWHERE, one_shape=True, forward=False
)


def share(
    profile: str, mode: str, dtype: str, *, asked: Sequence[str], compiles: bool, compiled: Sequence[str]
) -> Share:
    """The share of a cell.

    asked: which of "mode" and "dtype" the user named. compiles: whether the framework compiles in eager mode too.
    compiled: the dtypes in which the implementation runs in compiled mode, on the same device.
    """
    if "mode" in asked or profile == "deep":
        return ALL
    if profile != "quick" or not compiles or dtype not in compiled:
        return LAWS_IN_EAGER_MODE if mode == "compiled" else ALL
    leading = LEADING if LEADING in compiled else compiled[0]
    follows = "dtype" not in asked and dtype != leading
    if mode == "eager":
        reason = f"eager mode ran in {leading}, and {dtype} in compiled mode; this runs with --mode eager"
        return Share(whole=reason) if follows else ONE_SHAPE
    if not follows:
        return ALL
    elsewhere = f"ran in {leading}; it runs in {dtype} with --dtype {dtype}"
    # how many terms a sum has matters to a dtype with fewer digits than those that it is added up in
    wider = FORMATS[dtype].precision >= FORMATS[leading].precision
    return Share(
        laws=f"the law {elsewhere}",
        one_class=elsewhere,
        many=elsewhere if wider else None,
        forward=False,
        follows=True,
    )
