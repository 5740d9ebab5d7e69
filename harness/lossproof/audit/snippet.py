"""The few lines of Python that reproduce a finding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lossproof.checks.gradient import FORWARD
from lossproof.checks.trial import Cell, Trial
from lossproof.implementation.targets import parse
from lossproof.inputs.case import Array, Case


def snippet(cell: Cell, check: str, case: Case, quantity: str) -> str:
    """A script that calls the implementation at the case and prints what it returns.

    Floats are written so that they read back to the same bits. Laws are shown at the case's own inputs.
    """
    written = quantity.startswith("gradient in ") and not cell.framework.differentiates
    lines = [*_imports(cell, written), ""]
    arrays = dict(case.inputs) | dict(case.variables)
    lines += [f"{name} = {_array(cell, array)}" for name, array in arrays.items()]
    arguments = [*case.inputs, *(f"{k}={_value(cell, v)}" for k, v in _parameters(cell, case).items())]
    call = f"{_function(cell)}({', '.join(arguments)})"
    if quantity.startswith("gradient in "):
        lines += _gradient(cell, case, call, quantity.removeprefix("gradient in "))
    elif quantity == FORWARD:
        lines += _forward(cell, case, call)
    else:
        lines.append(f"print({call})")
    if check.startswith("law:"):
        lines.append(f"# {check.removeprefix('law:')}: {' '.join(cell.spec.laws[check[4:]].law.split())}")
    return "\n".join(lines) + "\n"


def _imports(cell: Cell, written: bool) -> list[str]:
    """Those of the framework and of the function, or of its written gradient."""
    name = _written(cell) if written else _function(cell)
    lines = {
        "numpy": ["import numpy as np"],
        "torch": ["import torch"],
        "jax": ["import jax", "import jax.numpy as jnp"],
    }[cell.framework.name].copy()
    if cell.framework.name == "jax" and cell.dtype == "float64":
        lines.insert(1, 'jax.config.update("jax_enable_x64", True)')
    if cell.dtype == "bfloat16" and cell.framework.name == "numpy":
        lines.append("import ml_dtypes")
    target = parse(cell.implementation.target) if cell.implementation.target else None
    if target is None:
        return lines
    if target.kind == "file":
        lines.append(f"# in the folder of {target.word}")
        return [*lines, f"from {target.adapter} import {name}"]
    module = str(getattr(cell.implementation.gradient, "__module__", "")) if written else ""
    # a package need not have the gradients of its modules
    module = module if module.startswith(f"{target.module}.") else target.module
    return [*lines, f"from {module} import {name}"]


def _function(cell: Cell) -> str:
    return cell.implementation.target.rpartition(":")[2] or getattr(
        cell.implementation.function, "__name__", "loss"
    )


def _written(cell: Cell) -> str:
    return str(getattr(cell.implementation.gradient, "__name__", "gradient"))


def _parameters(cell: Cell, case: Case) -> dict[str, Any]:
    return cell.implementation.arguments(case.parameters)


_INFINITY = {"torch": "torch.inf", "jax": "jnp.inf", "numpy": "np.inf"}
_NAN = {"torch": "torch.nan", "jax": "jnp.nan", "numpy": "np.nan"}


def _array(cell: Cell, array: Array) -> str:
    framework = cell.framework.name
    numbers = _numbers(array, framework)
    kind = {"i": "int64", "b": "bool"}.get(array.dtype.kind, cell.dtype)
    if framework == "torch":
        device = "" if cell.device == "cpu" else f', device="{cell.device}"'
        return f"torch.tensor({numbers}, dtype=torch.{kind}{device})"
    if framework == "jax":
        kind = {"bool": "bool_", "int64": "int64" if cell.dtype == "float64" else "int32"}.get(kind, kind)
        return f"jnp.array({numbers}, dtype=jnp.{kind})"
    module = "ml_dtypes" if kind == "bfloat16" else "np"
    return f"np.array({numbers}, dtype={module}.{'bool_' if kind == 'bool' else kind})"


def _numbers(array: Array, framework: str) -> str:
    """Nested lists; the shortest decimals that read back to the same float of the array's own dtype."""
    if array.ndim:
        return "[" + ", ".join(_numbers(entry, framework) for entry in array) + "]"
    if array.dtype.kind in "iub":
        return str(array.item())
    value = float(array)
    if math.isnan(value):
        return _NAN[framework]
    if math.isinf(value):
        return _INFINITY[framework] if value > 0 else f"-{_INFINITY[framework]}"
    for digits in range(1, 18):
        text = f"{value:.{digits}g}"
        if array.dtype.type(float(text)) == array:
            return repr(float(text))
    return repr(value)


def _value(cell: Cell, value: Any) -> str:
    return _array(cell, value) if isinstance(value, np.ndarray) else repr(value)


def _forward(cell: Cell, case: Case, call: str) -> list[str]:
    tangents = Trial(cell, case).tangents
    names = ", ".join(tangents)
    along = ", ".join(_array(cell, tangent) for tangent in tangents.values())
    return [f"print(jax.jvp(lambda {names}: {call}, ({names},), ({along},)))"]


def _gradient(cell: Cell, case: Case, call: str, name: str) -> list[str]:
    if not cell.framework.differentiates:
        return [f"print({_written(cell)}({call.partition('(')[2]})"]
    cotangent = _array(cell, Trial(cell, case).cotangent)
    if cell.framework.name == "torch":
        return [
            f"{name}.requires_grad_()",
            f"value = {call}",
            f"print(value, torch.autograd.grad(value, {name}, {cotangent}))",
        ]
    function = f"lambda {name}: {call}"
    return [f"value, vjp = jax.vjp({function}, {name})", f"print(value, vjp({cotangent}))"]
