"""How far results were from the truth, as a distribution, and what a fixed tolerance would have said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lossproof.inputs.case import Array
from lossproof.oracle import verdict as oracle_verdict
from lossproof.oracle.certified import rounded
from lossproof.oracle.verdict import Judgement

LEAST, MOST = -6, 60
"""The bits of an error are clipped to these."""

FIXED: dict[str, dict[str, tuple[float, float]]] = {
    "torch": {
        "float64": (1e-7, 1e-7),
        "float32": (1.3e-6, 1e-5),
        "bfloat16": (1.6e-2, 1e-5),
        "float16": (1e-3, 1e-5),
    },
    "numpy": dict.fromkeys(("float64", "float32", "bfloat16", "float16"), (1e-7, 0.0)),
}
"""Relative and absolute tolerance by dtype: torch.testing.assert_close's, and np.testing.assert_allclose's.

PyTorch 2.13, torch/testing/_comparison.py, _DTYPE_PRECISIONS; NumPy 2, numpy/testing/_private/utils.py. Both accept
|got - expected| <= absolute + relative * |expected|.
"""

_PENDING = 2**16
"""Elements that are held before they are counted; counting many at once costs next to nothing for each."""


@dataclass(frozen=True)
class Judged:
    """An array of results with their judgement."""

    judgement: Judgement
    got: Array


class Distribution:
    """Counts the elements that it is given, each once."""

    def __init__(self, dtype: str) -> None:
        self._dtype = dtype
        self._pending: list[Judged] = []
        self._held = 0
        self._exact = self._infinite = 0
        self._by_bits = np.zeros(MOST - LEAST + 1, dtype=np.int64)
        self._fixed = {name: {"refused": 0, "accepted": 0} for name in FIXED}

    def add(self, judged: Judged) -> None:
        """Take an array in."""
        self._pending.append(judged)
        self._held += judged.got.size
        if self._held > _PENDING:
            self._count()

    @property
    def counts(self) -> dict[str, int]:
        """Elements by the bits of their error (see results.Tolerance), those of no elements left out."""
        self._count()
        found = {"exact": self._exact}
        found |= {str(LEAST + place): int(count) for place, count in enumerate(self._by_bits)}
        found["inf"] = self._infinite
        return {key: count for key, count in found.items() if count}

    @property
    def fixed(self) -> dict[str, dict[str, int]]:
        """What each fixed tolerance would have refused and accepted wrongly (see results.Tolerance)."""
        self._count()
        return {name: dict(found) for name, found in self._fixed.items()}

    def _count(self) -> None:
        if not self._pending:
            return
        ratio, verdicts, got, expected = self._joined()
        self._pending, self._held = [], 0
        known = verdicts != oracle_verdict.UNDECIDED
        if not known.all():
            ratio, verdicts, got, expected = (each[known] for each in (ratio, verdicts, got, expected))
        exact, infinite = ~(ratio > 0), ratio == np.inf
        between = ~(exact | infinite)
        self._exact += int(np.count_nonzero(exact))
        self._infinite += int(np.count_nonzero(infinite))
        bits = np.clip(np.ceil(np.log2(ratio[between])), LEAST, MOST).astype(np.int64)
        self._by_bits += np.bincount(bits - LEAST, minlength=self._by_bits.size)
        passing, failing = verdicts == oracle_verdict.PASS, verdicts == oracle_verdict.FAIL
        with np.errstate(invalid="ignore", over="ignore"):
            error = np.abs(got - expected)
            for name, by_dtype in FIXED.items():
                relative, absolute = by_dtype[self._dtype]
                accepted = (error <= absolute + relative * np.abs(expected)) & np.isfinite(expected)
                accepted |= got == expected
                self._fixed[name]["refused"] += int(np.count_nonzero(passing & ~accepted))
                self._fixed[name]["accepted"] += int(np.count_nonzero(failing & accepted))

    def _joined(self) -> tuple[Array, Array, Array, Array]:
        pending = self._pending

        def joined(arrays: list[Any]) -> Array:
            return np.concatenate([np.ravel(each) for each in arrays])

        with np.errstate(over="ignore"):  # binary128 and float64 do not join
            middle = joined([each.judgement.middle.astype(np.float64, copy=False) for each in pending])
        return (
            joined([each.judgement.ratio for each in pending]),
            joined([each.judgement.verdicts for each in pending]),
            joined([each.got for each in pending]).astype(np.float64),
            rounded(middle, pending[0].judgement.storage),
        )
