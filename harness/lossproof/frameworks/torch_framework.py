"""PyTorch on CPU and CUDA, eager and under torch.compile."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from lossproof.errors import ImplementationError, UsageError
from lossproof.floats import numpy_dtype
from lossproof.frameworks.base import (
    Array,
    Call,
    Imported,
    Outcome,
    array_of,
    require,
    subnormal_probes,
    user_code,
    wrong_shape,
)
from lossproof.frameworks.cache import Compiled, frozen, split

# One code object is compiled anew for each dtype, rank and use of gradients (its parameters have their own);
# PyTorch's limit of 8 is below that, and past it torch.compile would quietly run eagerly.
_RECOMPILE_LIMIT = 64


class TorchFramework(Imported):
    """Implementations on torch tensors, differentiated by torch.autograd."""

    name = "torch"
    title = "PyTorch"
    differentiates = True
    forward_mode = False
    compiles_operations = False

    def __init__(self) -> None:
        self._compiled = Compiled()

    def _missing_device(self, device: str) -> str | None:
        if device == "cpu" or self.library.cuda.is_available():
            return None
        if self.library.version.cuda is None:
            return f"no CUDA device (PyTorch {self.library.__version__} is built without CUDA)"
        return "no CUDA device"

    def _missing_mode(self, mode: str, device: str) -> str | None:
        if mode == "eager":
            return None
        if device == "cuda" and importlib.util.find_spec("triton") is None:
            return "torch.compile needs Triton on CUDA, and it is not installed"
        return _missing_compiler()

    @functools.cache  # noqa: B019 (one object for the life of the process)
    def flushes_subnormals(self, dtype: str, device: str = "cpu") -> bool:
        return any(
            bool((self._tensor(a, device) * self._tensor(b, device) == 0).any())
            for a, b in subnormal_probes(dtype)
        )

    def value(self, call: Call) -> Outcome:
        with self._neutral():
            return self._value(call)

    def arrays(self, call: Call) -> tuple[Array, ...]:
        with self._neutral():
            result, _, _, _ = self._call(call, ())
            parts = result if isinstance(result, tuple | list) else (result,)
            return tuple(self._read(part)[0] for part in parts)

    def vjp(self, call: Call, cotangent: Array, wrt: tuple[int, ...]) -> Outcome:
        with self._neutral():
            return self._vjp(call, cotangent, wrt)

    def jvp(self, call: Call, tangents: Mapping[int, Array]) -> NoReturn:
        raise UsageError("forward mode is checked on JAX only")

    def forget(self) -> None:
        self._compiled.clear()
        if "torch._dynamo" in sys.modules:  # else nothing was compiled
            self.library.compiler.reset()

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        before = self.library.get_num_threads()
        self.library.set_num_threads(1)
        try:
            yield
        finally:
            self.library.set_num_threads(before)

    def _value(self, call: Call) -> Outcome:
        result, inputs, _, parameters = self._call(call, ())
        value, dtype = self._read(result)
        after = {name: self._read(each)[0] for name, each in parameters.items()}
        return Outcome(
            value, dtype, self._read_all(inputs), parameters=after, again=lambda: self._read(result)[0]
        )

    def _vjp(self, call: Call, cotangent: Array, wrt: tuple[int, ...]) -> Outcome:
        torch = self.library
        result, inputs, leaves, _ = self._call(call, wrt)
        value, dtype = self._read(result)
        if not wrt:
            return Outcome(value, dtype, self._read_all(inputs), ())
        if not isinstance(result, torch.Tensor) or not result.requires_grad:
            raise ImplementationError("the result has no gradient: it was detached or computed outside torch")
        if value.shape != cotangent.shape:
            raise wrong_shape(value.shape, cotangent.shape)
        upstream = self._tensor(cotangent, call.device).to(device=result.device, dtype=result.dtype)
        with self._running(call.mode):
            found = torch.autograd.grad(result, leaves, upstream, allow_unused=True)
        gradients = tuple(
            np.zeros_like(call.inputs[index]) if gradient is None else self._read(gradient)[0]
            for index, gradient in zip(wrt, found, strict=True)
        )
        return Outcome(value, dtype, self._read_all(inputs), gradients)

    def _call(
        self, call: Call, wrt: tuple[int, ...]
    ) -> tuple[Any, tuple[Any, ...], tuple[Any, ...], dict[str, Any]]:
        """The result, the tensors that the function got, the leaves to differentiate by, the parameters' tensors."""
        require(self, call)
        inputs = [self._tensor(each, call.device) for each in call.inputs]
        leaves = tuple(inputs[index].requires_grad_() for index in wrt)
        for index in wrt:
            # As in training, where inputs are results of other layers: writing into one is allowed there
            # (and the purity check sees it), while autograd refuses to write into a leaf.
            inputs[index] = inputs[index].clone()
        static, arrays = split(call.parameters)
        tensors = {name: self._tensor(value, call.device) for name, value in arrays.items()}
        given = dict(tensors)
        function = call.function
        if call.mode == "compiled":
            function = self._compiled.get(
                function, frozen(static), lambda: self._compile(call.function, static)
            )
        else:
            tensors.update(static)
        with self._running(call.mode):
            return function(*inputs, **tensors), tuple(inputs), leaves, given

    def _compile(self, function: Callable[..., Any], static: Mapping[str, Any]) -> Callable[..., Any]:
        def call(*inputs: Any, **tensors: Any) -> Any:
            return function(*inputs, **static, **tensors)

        # torch.compile keeps and limits what it compiled by code object, and all closures share one.
        call.__code__ = call.__code__.replace()
        compiled: Callable[..., Any] = self.library.compile(call)
        return compiled

    @contextmanager
    def _neutral(self) -> Iterator[None]:
        """Gradients are on, whatever the caller has switched off around this."""
        if reason := self.missing():
            raise UsageError(reason)
        with self.library.inference_mode(False), self.library.enable_grad():
            yield

    @contextmanager
    def _running(self, mode: str) -> Iterator[None]:
        with user_code(_compile_step):
            if mode == "eager":
                yield
                return
            config = importlib.import_module("torch._dynamo.config")
            limits = {
                name: value
                for name, value in (
                    ("recompile_limit", _RECOMPILE_LIMIT),
                    ("cache_size_limit", _RECOMPILE_LIMIT),  # its name before PyTorch 2.6
                    ("fail_on_recompile_limit_hit", True),
                )
                if hasattr(config, name)
            }
            if "recompile_limit" in limits:
                del limits["cache_size_limit"]
            with config.patch(**limits):
                yield

    def _tensor(self, array: Array, device: str) -> Any:
        torch = self.library
        fresh = np.array(array, order="C")
        if fresh.dtype == numpy_dtype("bfloat16"):
            return torch.from_numpy(fresh.view(np.int16)).view(torch.bfloat16).to(device)
        return torch.from_numpy(fresh).to(device)

    def _read(self, result: Any, copy: bool = True) -> tuple[Array, str]:
        """The bits of a tensor as NumPy, and the native dtype's name. copy: False for one that is not reused."""
        torch = self.library
        # most calls are of small tensors, and cost less than the general way below
        on_cpu = type(result) is torch.Tensor and result.is_cpu and result.layout is torch.strided
        if on_cpu and result.dtype in self._shared:
            found = result.numpy(force=True)
            return np.array(found, order="C") if copy else found, self._shared[result.dtype]
        if not isinstance(result, torch.Tensor):
            array = array_of(result)
            return array, array.dtype.name
        dtype = str(result.dtype).removeprefix("torch.")
        with user_code():
            plain = result.detach().resolve_conj().resolve_neg().cpu().contiguous()
            if result.dtype == torch.bfloat16:
                return np.array(plain.view(torch.int16).numpy()).view(numpy_dtype("bfloat16")), dtype
            if result.dtype.is_floating_point and result.dtype.itemsize == 1:
                plain = plain.to(torch.float32)  # the 8-bit formats, which NumPy lacks
            return np.array(plain.numpy()), dtype

    def _read_all(self, tensors: tuple[Any, ...]) -> tuple[Array, ...]:
        return tuple(self._read(tensor, copy=False)[0] for tensor in tensors)

    @functools.cached_property
    def _shared(self) -> dict[Any, str]:
        """The dtypes that NumPy has too, which a strided tensor shares its memory with, and their names."""
        return {
            getattr(self.library, name): name for name in ("float32", "float64", "float16", "int64", "bool")
        }


def _compile_step(error: BaseException) -> str | None:
    raised_by = type(error).__module__
    return "torch.compile" if raised_by.startswith(("torch._dynamo", "torch._inductor")) else None


def _missing_compiler() -> str | None:
    """Why torch.compile cannot build its C++ here, found without building (and without its slow import).

    The search is that of torch._inductor.config.cpp.cxx: $CXX, else clang++ on macOS and g++ elsewhere.
    """
    default = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    compiler = os.environ.get("CXX", default)
    if shutil.which(compiler) is None:
        return f"torch.compile needs a C++ compiler, and there is no '{compiler}'"
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        return "torch.compile needs the headers of Python (Python.h), and they are not installed"
    if sysconfig.get_config_var("Py_GIL_DISABLED") and sys.version_info < (3, 13, 3):
        return "torch.compile does not support free-threaded Python before 3.13.3"
    return None
