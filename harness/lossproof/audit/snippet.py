"""The few lines of Python that reproduce a finding."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lossproof.audit.named import function_of, gradient_of
from lossproof.checks import determinism, gradient, laws, purity
from lossproof.checks.gradient import FORWARD
from lossproof.checks.trial import Cell, Trial
from lossproof.expression.node import topological
from lossproof.inputs.case import Array, Case
from lossproof.oracle.law import clauses
from lossproof.spec.graph import statics_of
from lossproof.spec.law_graph import Call


def snippet(cell: Cell, check: str, case: Case, quantity: str) -> str:
    """A script that calls the implementation at the case and prints what it returns.

    Floats are written so that they read back to the same bits. Laws are shown at the case's own inputs, with the
    gradients that they are about.
    """
    law = laws.law_of(check)
    value, gradients = _of_check(cell, quantity) if law is None else _of_law(cell, law, case)
    written = bool(gradients) and not cell.framework.differentiates
    (function, imported), (derivative, more) = function_of(cell), gradient_of(cell) if written else ("", [])
    if written and not value:
        imported = []
    lines = [*_imports(cell), *imported, *(line for line in more if line not in imported), ""]
    arrays = dict(case.inputs) | dict(case.variables)
    lines += [f"{name} = {_array(cell, array)}" for name, array in arrays.items()]
    arguments = [*case.inputs, *(f"{k}={_value(cell, v)}" for k, v in _parameters(cell, case).items())]
    call = f"{function}({', '.join(arguments)})"
    if quantity == FORWARD:
        lines += _forward(cell, case, call)
    elif written:
        lines += [f"print({call})"] if value else []
        lines.append(f"print({derivative}({', '.join(arguments)}))")
    elif gradients:
        # a law takes the gradient of the sum of the results
        trial = Trial(cell, case) if law is None else Trial(cell, case, (1.0,))
        cotangent = _array(cell, trial.cotangent)
        lines += [line for name in gradients for line in _gradient(cell, call, name, cotangent)]
    elif quantity.removesuffix(purity.AFTER) in case.inputs:
        lines += [call, f"print({quantity.removesuffix(purity.AFTER)})"]
    else:
        lines += [f"print({call})"] * (2 if quantity == determinism.SECOND else 1)
    if law is not None:
        lines.append(f"# {law}: {' '.join(cell.spec.laws[law].law.split())}")
    return "\n".join(lines) + "\n"


def _of_law(cell: Cell, law: str, case: Case) -> tuple[bool, list[str]]:
    """Whether a law is about the value, and the inputs by which it takes gradients."""
    nodes = topological(
        [each.node for each in clauses(cell.spec, law, statics_of(cell.spec, case.parameters))]
    )
    sites: list[Call] = [node.attributes[0] for node in nodes if node.op == "call"]
    asked = {site.wrt for site in sites if site.own}
    gradients = [name for name in cell.spec.inputs if name in asked]
    if not cell.framework.differentiates and cell.implementation.gradient is None:
        gradients = []
    return None in asked or not gradients, gradients


def _of_check(cell: Cell, quantity: str) -> tuple[bool, list[str]]:
    if quantity == gradient.DIFFERENTIATED:
        real = (name for name, each in cell.spec.inputs.items() if each.is_real and each.differentiable)
        return True, [next(real)]
    if quantity.startswith("gradient in "):
        return False, [quantity.removeprefix("gradient in ")]
    return True, []


def _imports(cell: Cell) -> list[str]:
    lines = {
        "numpy": ["import numpy as np"],
        "torch": ["import torch"],
        "jax": ["import jax", "import jax.numpy as jnp"],
    }[cell.framework.name].copy()
    if cell.framework.name == "jax" and cell.dtype == "float64":
        lines.insert(1, 'jax.config.update("jax_enable_x64", True)')
    if cell.dtype == "bfloat16" and cell.framework.name == "numpy":
        lines.append("import ml_dtypes")
    return lines


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


def _gradient(cell: Cell, call: str, name: str, cotangent: str) -> list[str]:
    if cell.framework.name == "torch":
        return [
            f"{name}.requires_grad_()",
            f"value = {call}",
            f"print(value, torch.autograd.grad(value, {name}, {cotangent}))",
        ]
    function = f"lambda {name}: {call}"
    return [f"value, vjp = jax.vjp({function}, {name})", f"print(value, vjp({cotangent}))"]
