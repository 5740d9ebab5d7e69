"""JAX on CPU and GPU, eager and under jax.jit."""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from lossproof.errors import ImplementationError, NoForwardModeError
from lossproof.frameworks.base import (
    Array,
    Call,
    Imported,
    Outcome,
    array_of,
    describe,
    require,
    subnormal_probes,
    user_code,
    wrong_shape,
)
from lossproof.frameworks.cache import Compiled, frozen, split

_PLATFORM = {"cpu": "cpu", "cuda": "gpu"}
_RULES = ("custom_vjp_call", "custom_jvp_call")
_INT32 = np.iinfo(np.int32)

_LIGHT = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}
"""XLA's options that make it compile faster still, beside JAX's own setting: the emitters that it had before, and one
module in place of several that share little."""


class JaxFramework(Imported):
    """Implementations on JAX arrays, differentiated by jax.vjp and jax.jvp.

    64-bit types are on only within a call, and only where an input needs them: under them `jnp.zeros(n)` or
    `jax.nn.one_hot` are float64, so that float32 code which is right in JAX's own setting would return
    float64. Labels are therefore int32, JAX's own integers, unless the dtype under test is float64, a label
    does not fit, or the process has switched 64-bit types on.
    """

    name = "jax"
    title = "JAX"
    differentiates = True
    forward_mode = True
    compiles_operations = True

    def __init__(self) -> None:
        self._compiled = Compiled()
        self._light = False

    def _missing_device(self, device: str) -> str | None:
        try:
            self._device(device)
        except Exception as error:
            return (
                "no CUDA device (JAX has no gpu backend)" if device == "cuda" else f"JAX: {describe(error)}"
            )
        return None

    @functools.cache  # noqa: B019 (one object for the life of the process)
    def flushes_subnormals(self, dtype: str, device: str = "cpu") -> bool:
        def product(a: Any, b: Any) -> Any:
            return a * b

        calls = (Call(product, pair, {}, device, "compiled") for pair in subnormal_probes(dtype))
        return any(bool(np.any(self.value(call).value == 0)) for call in calls)

    def value(self, call: Call) -> Outcome:
        def compute(function: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
            return self._checked(function(*inputs))

        (result, inputs) = self._run(call, "value", compute)
        value = np.array(result)
        return Outcome(value, value.dtype.name, inputs)

    def arrays(self, call: Call) -> tuple[Array, ...]:
        def compute(function: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
            result = function(*inputs)
            parts = result if isinstance(result, tuple | list) else (result,)
            return tuple(self._checked(part) for part in parts)

        result, _ = self._run(call, "arrays", compute)
        return tuple(np.array(part) for part in result)

    def vjp(self, call: Call, cotangent: Array, wrt: tuple[int, ...]) -> Outcome:
        def compute(function: Callable[..., Any], inputs: tuple[Any, ...], upstream: Any) -> Any:
            def of(*chosen: Any) -> Any:
                full = list(inputs)
                for index, each in zip(wrt, chosen, strict=True):
                    full[index] = each
                return self._checked(function(*full))

            value, pull = self.library.vjp(of, *(inputs[index] for index in wrt))
            self._needs_real(value)
            if value.shape != upstream.shape:
                raise wrong_shape(value.shape, upstream.shape)
            return value, pull(upstream.astype(value.dtype))

        (result, gradients), inputs = self._run(call, ("vjp", wrt), compute, cotangent)
        value = np.array(result)
        return Outcome(value, value.dtype.name, inputs, tuple(np.array(each) for each in gradients))

    def jvp(self, call: Call, tangents: Mapping[int, Array]) -> Array:
        wrt = tuple(sorted(tangents))

        def compute(function: Callable[..., Any], inputs: tuple[Any, ...], *given: Any) -> Any:
            along = [
                self.library.numpy.zeros_like(each)
                if self.library.numpy.issubdtype(each.dtype, self.library.numpy.inexact)
                else np.zeros(each.shape, self.library.dtypes.float0)
                for each in inputs
            ]
            for index, each in zip(wrt, given, strict=True):
                along[index] = each.astype(inputs[index].dtype)
            value, derivative = self.library.jvp(
                lambda *each: self._checked(function(*each)), inputs, tuple(along)
            )
            self._needs_real(value)
            return derivative

        try:
            result, _ = self._run(call, ("jvp", wrt), compute, *(tangents[index] for index in wrt))
        except ImplementationError as error:
            if "forward-mode autodiff (jvp) to a custom_vjp" in str(error):
                raise NoForwardModeError(error.message, error.place) from error
            raise
        return np.array(result)

    def own_derivative(self, call: Call) -> bool:
        """As it is traced, which is done once for each function and its static parameters."""
        static, _ = split(call.parameters)

        def traced() -> Callable[..., Any]:
            def compute(function: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
                return str(self.library.make_jaxpr(function)(*inputs))

            try:
                text, _ = self._run(replace(call, mode="eager"), "jaxpr", compute)
            except ImplementationError:
                text = _RULES[0]  # it cannot be traced, so nothing is known
            own = any(rule in text for rule in _RULES)
            return lambda: own

        return bool(self._compiled.get(call.function, ("own derivative", frozen(static)), traced)())

    def forget(self) -> None:
        self._compiled.clear()
        self.library.clear_caches()

    @contextmanager
    def lightly_optimised(self) -> Iterator[bool]:
        config = self.library.config
        setting = "jax_disable_most_optimizations"
        before = self._light, config.values[setting]
        self._light = True
        config.update(setting, True)
        try:
            yield True
        finally:
            self._light = before[0]
            config.update(setting, before[1])

    def _options(self) -> dict[str, Any]:
        """Of jax.jit, which here compiles for the CPU or a GPU."""
        return {"compiler_options": self._taken} if self._light and self._taken else {}

    @functools.cached_property
    def _taken(self) -> dict[str, Any]:
        """The options that this version of JAX and XLA takes."""
        taken = {}
        for name, value in _LIGHT.items():
            try:
                self.library.jit(lambda: 0.0, compiler_options={name: value})()
            except Exception:  # of another type in each version
                continue
            taken[name] = value
        return taken

    def _run(
        self, call: Call, what: Any, compute: Callable[..., Any], *extra: Array
    ) -> tuple[Any, tuple[Array, ...]]:
        """compute(function with its parameters, inputs, *extra), under jit in compiled mode; and the inputs
        read back afterwards."""
        require(self, call)
        static, arrays = split(call.parameters)
        user = call.function
        device = self._device(call.device)

        def whole(inputs: tuple[Any, ...], traced: dict[str, Any], extras: tuple[Any, ...]) -> Any:
            return compute(functools.partial(user, **static, **traced), inputs, *extras)

        run = whole
        if call.mode == "compiled":
            key = (what, frozen(static), self._light)
            run = self._compiled.get(user, key, lambda: self.library.jit(whole, **self._options()))
        with self._x64(_needs_x64((*call.inputs, *arrays.values()))), self.library.default_device(device):
            put = functools.partial(self._put, device=device)
            inputs = tuple(put(each) for each in call.inputs)
            traced = {name: put(value) for name, value in arrays.items()}
            with user_code(functools.partial(self._step, call.mode)):
                result = run(inputs, traced, tuple(put(each) for each in extra))
                # Computation is asynchronous: errors of it come out here.
                result = self.library.block_until_ready(result)
            after = tuple(
                np.array(native).astype(given.dtype)
                for native, given in zip(inputs, call.inputs, strict=True)
            )
        return result, after

    def _put(self, array: Array, device: Any) -> Any:
        return self.library.device_put(np.array(array, order="C"), device)

    @contextmanager
    def _x64(self, needed: bool) -> Iterator[None]:
        """64-bit types within a call, if needed; what the process has set is never switched off."""
        if not needed or self.library.config.jax_enable_x64:
            yield
            return
        switch = getattr(self.library, "enable_x64", None)
        if switch is None:  # before JAX 0.8
            switch = importlib.import_module("jax.experimental").enable_x64
        with switch(True):
            yield

    def _checked(self, result: Any) -> Any:
        if isinstance(result, self.library.Array):
            return result
        array_of(result)  # a number or a NumPy array; anything else is an error
        return self.library.numpy.asarray(result)

    def _needs_real(self, value: Any) -> None:
        if not self.library.numpy.issubdtype(value.dtype, self.library.numpy.floating):
            raise ImplementationError(f"the result has no gradient: its dtype is {value.dtype}")

    def _step(self, mode: str, error: BaseException) -> str | None:
        stopped = (self.library.errors.JAXTypeError, self.library.errors.JAXIndexError)
        return "jax.jit" if mode == "compiled" and isinstance(error, stopped) else None

    @functools.cache  # noqa: B019
    def _device(self, device: str) -> Any:
        """JAX's first device; starting its backends is what logs about GPUs that it cannot use."""
        logger = logging.getLogger("jax._src.xla_bridge")
        before = logger.level
        logger.setLevel(logging.ERROR)
        try:
            return self.library.devices(_PLATFORM[device])[0]
        finally:
            logger.setLevel(before)


def _needs_x64(arrays: Sequence[Array]) -> bool:
    """Whether an array holds float64, or integers that int32 does not hold."""
    return any(
        array.dtype == np.float64
        or (
            array.dtype.kind in "iu"
            and array.size > 0
            and (int(array.min()) < _INT32.min or int(array.max()) > _INT32.max)
        )
        for array in arrays
    )
