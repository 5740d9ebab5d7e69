"""NumPy: on the CPU, eager, without automatic derivatives."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

import numpy as np

from lossproof.errors import UsageError, unknown
from lossproof.floats import DTYPES
from lossproof.frameworks.base import (
    DEVICES,
    MODES,
    Array,
    Call,
    Outcome,
    array_of,
    load,
    require,
    subnormal_probes,
    user_code,
)


class NumpyFramework:
    """Implementations on NumPy arrays; bfloat16 is ml_dtypes.bfloat16."""

    name = "numpy"
    differentiates = False
    forward_mode = False
    compiles_operations = False

    def missing(self) -> str | None:
        return None

    def missing_device(self, device: str) -> str | None:
        if device not in DEVICES:
            return unknown("device", device, DEVICES)
        return None if device == "cpu" else "NumPy runs on the CPU only"

    def missing_mode(self, mode: str, device: str = "cpu") -> str | None:
        if mode not in MODES:
            return unknown("mode", mode, MODES)
        return None if mode == "eager" else "NumPy has no compiled mode"

    def own_derivative(self, call: Call) -> bool:
        return True

    def missing_dtype(self, dtype: str, device: str = "cpu") -> str | None:
        if dtype not in DTYPES:
            return unknown("dtype", dtype, DTYPES)
        return load("ml_dtypes", "ml_dtypes") if dtype == "bfloat16" else None

    @functools.cache  # noqa: B019 (one object for the life of the process)
    def flushes_subnormals(self, dtype: str, device: str = "cpu") -> bool:
        return any(bool(np.any(a * b == 0)) for a, b in subnormal_probes(dtype))

    def value(self, call: Call) -> Outcome:
        result, inputs, parameters = self._call(call)
        value = array_of(result)
        arrays = {name: each for name, each in parameters.items() if isinstance(each, np.ndarray)}
        return Outcome(value, value.dtype.name, inputs, parameters=arrays, again=lambda: array_of(result))

    def arrays(self, call: Call) -> tuple[Array, ...]:
        result, _, _ = self._call(call)
        return tuple(array_of(part) for part in (result if isinstance(result, tuple | list) else (result,)))

    def vjp(self, call: Call, cotangent: Array, wrt: tuple[int, ...]) -> NoReturn:
        raise UsageError("NumPy has no automatic derivatives: declare gradient=function in implements")

    def jvp(self, call: Call, tangents: Mapping[int, Array]) -> NoReturn:
        raise UsageError("NumPy has no automatic derivatives: declare gradient=function in implements")

    def forget(self) -> None:
        pass

    def lightly_optimised(self) -> AbstractContextManager[bool]:
        return nullcontext(False)

    def one_thread(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _call(self, call: Call) -> tuple[Any, tuple[Array, ...], dict[str, Any]]:
        require(self, call)
        inputs = tuple(np.array(each) for each in call.inputs)
        parameters = {
            name: np.array(value) if isinstance(value, np.ndarray) else value
            for name, value in call.parameters.items()
        }
        with user_code(), np.errstate(all="ignore"):
            return call.function(*inputs, **parameters), inputs, parameters
