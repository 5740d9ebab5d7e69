"""What of a profile a cell takes, where other cells of the same implementation take the rest.

A framework that compiles each operation for each shape, eager mode too, spends almost all of a quick run on that:
some twenty operations for a shape, where the compiled function is one. So it runs compiled, as code in it is used, and
what depends little on the dtype runs in one of them. A run that looks long, or in modes or dtypes that were asked
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

    one_class: why it leaves out the regimes of one class (or feature), many: those of many. follows: another dtype
    has shown what the shape and the conventions do; one convention is enough, and the value is that of the call which
    gives the derivatives too.
    """

    whole: str | None = None
    laws: str | None = None
    one_class: str | None = None
    many: str | None = None
    follows: bool = False


ALL = Share()
LAWS_IN_EAGER_MODE = Share(laws="laws run compiled with --mode compiled; here they ran in eager mode")
COMPILED_ALONE = Share(
    whole="this framework compiles each operation of eager mode for each shape, so the quick profile runs the compiled "
    "function: ask for eager mode with --mode eager or --profile standard"
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
    if mode == "eager":
        return COMPILED_ALONE
    leading = LEADING if LEADING in compiled else compiled[0]
    if "dtype" in asked or dtype == leading:
        return ALL
    elsewhere = f"ran in {leading}; it runs in {dtype} with --dtype {dtype}"
    # how many terms a sum has matters to a dtype with fewer digits than those that it is added up in
    wider = FORMATS[dtype].precision >= FORMATS[leading].precision
    return Share(
        laws=f"the law {elsewhere}", one_class=elsewhere, many=elsewhere if wider else None, follows=True
    )
