"""What every framework offers, and what they share: one call, its outcome, errors of user code."""

from __future__ import annotations

import functools
import importlib
import numbers
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from lossproof.errors import ImplementationError, UsageError, unknown
from lossproof.floats import DTYPES, FORMATS, Format
from lossproof.frameworks.frames import place_of

Array = np.ndarray[Any, np.dtype[Any]]

DEVICES = ("cpu", "cuda")
MODES = ("eager", "compiled")

_LONGEST_MESSAGE = 300


@dataclass(frozen=True)
class Call:
    """One call of an implementation.

    inputs: NumPy arrays in the dtype under test (labels int64, masks bool), positional, never modified.
    parameters: passed by keyword; an array among them is an np.ndarray in the dtype under test.
    """

    function: Callable[..., Any]
    inputs: tuple[Array, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    mode: str = "eager"


@dataclass(frozen=True)
class Outcome:
    """What a call gave, read back bit by bit.

    value: in the dtype returned (ml_dtypes.bfloat16 for bfloat16); dtype: the framework's name of it.
    inputs: the inputs as they are after the call. gradients: one for each index in `wrt`, in the dtype of
    its input.
    """

    value: Array
    dtype: str
    inputs: tuple[Array, ...]
    gradients: tuple[Array, ...] | None = None
    parameters: Mapping[str, Array] = field(default_factory=dict)
    """The arrays among the parameters as they are after the call."""
    again: Callable[[], Array] | None = field(default=None, compare=False, repr=False)
    """Reads the result once more: what it holds after later calls."""


class Framework(Protocol):
    """How one framework is driven. The `missing…` methods give the reason for a skip, or None."""

    @property
    def name(self) -> str: ...

    @property
    def differentiates(self) -> bool:
        """Whether `vjp` exists."""

    @property
    def forward_mode(self) -> bool:
        """Whether `jvp` exists."""

    @property
    def compiles_operations(self) -> bool:
        """Whether each operation compiles for each shape, in eager mode too."""

    def missing(self) -> str | None:
        """Why the framework cannot be used here."""

    def missing_device(self, device: str) -> str | None: ...

    def missing_mode(self, mode: str, device: str = "cpu") -> str | None: ...

    def missing_dtype(self, dtype: str, device: str = "cpu") -> str | None: ...

    def flushes_subnormals(self, dtype: str, device: str = "cpu") -> bool:
        """Whether a multiplication there takes or gives zero for a subnormal number; probed once."""

    def value(self, call: Call) -> Outcome:
        """Call the implementation; raises ImplementationError where it raises or returns no array."""

    def arrays(self, call: Call) -> tuple[Array, ...]:
        """The results of a function that returns one array or a tuple of them (a hand-written gradient)."""

    def vjp(self, call: Call, cotangent: Array, wrt: tuple[int, ...]) -> Outcome:
        """Value, and the vector–Jacobian products with `cotangent` (of the result's shape) for the inputs in
        `wrt`; an input without influence gets zeros. Raises ImplementationError as `value` does, and where
        the result has no gradient at all or another shape than the cotangent."""

    def jvp(self, call: Call, tangents: Mapping[int, Array]) -> Array:
        """The derivative of the result along the tangents of the inputs (zero where none is given).

        Raises NoForwardModeError where the function has a backward pass of its own and nothing else."""

    def own_derivative(self, call: Call) -> bool:
        """Whether the function may have a rule of its own for its derivative, and with it another way to its value."""

    def forget(self) -> None:
        """Drop what was compiled, which takes memory; it is compiled anew where it is called again."""

    def one_thread(self) -> AbstractContextManager[None]:
        """Calls inside compute in one thread, where the framework lets that be chosen: for tiny arrays several
        only wait for each other."""

    def lightly_optimised(self) -> AbstractContextManager[bool]:
        """What is compiled inside is compiled as fast as can be, where the framework lets that be chosen, and gives
        whether it does: code that runs on a few tiny arrays takes a hundred times as long to optimise as to run."""


class Imported:
    """What the frameworks share that are imported on first use: the reasons why something is missing."""

    name: str
    title: str

    @functools.cached_property
    def library(self) -> Any:
        """The framework's module; `missing()` says beforehand whether it can be imported."""
        return importlib.import_module(self.name)

    @functools.cache  # noqa: B019 (one object of a framework for the life of the process)
    def missing(self) -> str | None:
        return load(self.name, self.title)

    @functools.cache  # noqa: B019
    def missing_device(self, device: str) -> str | None:
        if device not in DEVICES:
            return unknown("device", device, DEVICES)
        return self.missing() or self._missing_device(device)

    @functools.cache  # noqa: B019
    def missing_mode(self, mode: str, device: str = "cpu") -> str | None:
        if mode not in MODES:
            return unknown("mode", mode, MODES)
        return self.missing() or self._missing_mode(mode, device)

    def own_derivative(self, call: Call) -> bool:
        return True

    def missing_dtype(self, dtype: str, device: str = "cpu") -> str | None:
        return None if dtype in DTYPES else unknown("dtype", dtype, DTYPES)

    def one_thread(self) -> AbstractContextManager[None]:
        return nullcontext()

    def lightly_optimised(self) -> AbstractContextManager[bool]:
        return nullcontext(False)

    def _missing_device(self, device: str) -> str | None:
        raise NotImplementedError

    def _missing_mode(self, mode: str, device: str) -> str | None:
        return None


def describe(error: BaseException) -> str:
    """`TypeError: message` on one line, cut where it is very long."""
    text = " ".join(str(error).split())
    text = text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def user_code(step: Callable[[BaseException], str | None] = lambda _: None) -> Iterator[None]:
    """Run code of an implementation: its exceptions become ImplementationError, its warnings are not shown.

    step: names the step of the framework that raised (`torch.compile`), None for the implementation itself.
    """
    with warnings.catch_warnings():
        # Extreme inputs are the point of a run; what a warning would say is what the checks look at.
        warnings.simplefilter("ignore")
        try:
            yield
        except ImplementationError:
            raise
        except (Exception, SystemExit) as error:
            where = step(error)
            raise ImplementationError(
                f"{where} failed (--mode eager does without): {describe(error)}"
                if where
                else describe(error),
                None if where else place_of(error),
            ) from error


def array_of(result: Any) -> Array:
    """A copy of a NumPy array or of a number; raises ImplementationError for anything else."""
    if isinstance(result, np.ndarray | np.generic | numbers.Number):
        array: Array = np.array(result)
        if array.dtype.kind not in "OSUMm":
            return array
        raise ImplementationError(f"returned an array of dtype {array.dtype}, not of numbers")
    raise no_array(result)


def no_array(result: Any) -> ImplementationError:
    kind = type(result).__name__
    if result is None:
        return ImplementationError("returned None, not an array")
    return ImplementationError(f"returned {'an' if kind[0] in 'aeiouAEIO' else 'a'} {kind}, not an array")


def wrong_shape(got: tuple[int, ...], wanted: tuple[int, ...]) -> ImplementationError:
    return ImplementationError(f"the result has shape {tuple(got)}, and its cotangent {tuple(wanted)}")


def load(module: str, title: str) -> str | None:
    """Import a framework; the reason if it cannot be used."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            return f"{title} is not installed"
        return f"{title} cannot be imported: {describe(error)}"
    except Exception as error:
        return f"{title} cannot be imported: {describe(error)}"
    return None


def require(framework: Framework, call: Call) -> None:
    """Raise UsageError where a call asks for a device or mode that is not there: never run another one."""
    reason = framework.missing() or framework.missing_device(call.device)
    reason = reason or framework.missing_mode(call.mode, call.device)
    if reason:
        raise UsageError(reason)


def subnormal_probes(dtype: str) -> tuple[tuple[Array, Array], ...]:
    """Pairs whose products are subnormal: one with a subnormal factor, one with normal factors only.

    37 elements, so that vectorised code and its scalar remainder both run.
    """
    form: Format = FORMATS[dtype]
    return tuple(
        (np.full(37, a, form.dtype), np.full(37, b, form.dtype))
        for a, b in ((form.smallest_subnormal, 1.0), (form.smallest_normal, 0.5))
    )
