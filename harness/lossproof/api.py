"""The front door for Python: check one function, or assert that it is right."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from lossproof.audit.plan import Options, Plan, cells_of, require_known, require_regimes
from lossproof.audit.results import Finding, Run, Verdict
from lossproof.audit.reuse.own_laws import false_laws
from lossproof.audit.run import run
from lossproof.errors import SpecError, UsageError
from lossproof.implementation import Implementation, bind
from lossproof.implementation.declare import Declaration, declarations
from lossproof.report import complaint
from lossproof.spec import library
from lossproof.waivers import Waiver, require_conditions


def check(
    function: Callable[..., Any],
    loss: str,
    *,
    framework: str | None = None,
    dtypes: Iterable[str] = (),
    devices: Iterable[str] = ("cpu",),
    modes: Iterable[str] = ("eager",),
    regimes: Iterable[str] = (),
    profile: str = "quick",
    seed: int = 0,
    precision: str | None = None,
    gradient: Callable[..., Any] | None = None,
    **fixed: Any,
) -> list[Finding]:
    """The findings of one function against the spec of a loss: empty where nothing is wrong.

    loss: the name of a spec, or the path of a YAML file with one. framework: numpy, torch or jax; found from
    the function's module where it is not given. fixed: parameters of the spec at the value built into the
    function (`smoothing="all"`). The rest as on the command line. Waived findings are left out.

    Raises SpecError for a law that is false for its definition, UsageError for an unknown word and where nothing
    could be checked, AdapterError where the function does
    not fit the spec.
    """
    found = checked(
        function, loss, framework=framework, dtypes=dtypes, devices=devices, modes=modes, regimes=regimes,
        profile=profile, seed=seed, precision=precision, gradient=gradient, **fixed,
    )  # fmt: skip
    return [finding for finding in found.findings if finding.verdict is not Verdict.WAIVED]


def verify(function: Callable[..., Any], loss: str, **options: Any) -> None:
    """Raise AssertionError with the minimal case of what is wrong; options as for `check`."""
    __tracebackhide__ = True
    findings = check(function, loss, **options)
    if findings:
        raise AssertionError("\n\n".join(complaint.of_findings(findings)))


def checked(
    function: Callable[..., Any],
    loss: str,
    *,
    framework: str | None = None,
    waivers: Iterable[Waiver] = (),
    fail_on: str = "fail",
    **options: Any,
) -> Run:
    """As `check`, with every row of the result; an option that is not given is as on the command line.

    waivers: of the user's own. fail_on: from which verdict on a row is a finding.
    """
    bound = {key: options.pop(key, None) for key in ("precision", "gradient")}

    def words(key: str) -> tuple[str, ...]:
        value = options.pop(key, ())
        return (value,) if isinstance(value, str) else tuple(value)

    chosen = Options(
        devices=words("devices"), dtypes=words("dtypes"), modes=words("modes"), regimes=words("regimes"),
        profile=options.pop("profile"), seed=options.pop("seed"), jobs=1, waivers=tuple(waivers), fail_on=fail_on,
    )  # fmt: skip
    require_known(chosen)
    library.find(loss)
    require_conditions(chosen.waivers)
    implementation = _bind(function, loss, framework, bound, options)
    for said in implementation.remarked:
        warnings.warn(said, stacklevel=_outside())
    for proof in false_laws(implementation):
        raise SpecError(proof.falsehood, library.get(proof.loss).place("laws", proof.law))
    require_regimes(chosen, [implementation.loss])
    found = run(Plan(chosen, cells_of(implementation, chosen)), lambda event: None)
    if all(row.verdict is Verdict.SKIP for row in found.results):
        reasons = dict.fromkeys(row.reason for row in found.results if row.reason)
        raise UsageError(f"nothing was checked: {'; '.join(reasons) or 'no case'}")
    return found


def _bind(
    function: Callable[..., Any],
    loss: str,
    framework: str | None,
    bound: dict[str, Any],
    fixed: dict[str, Any],
) -> Implementation:
    declared = [d for d in declarations(function) if _same(d, loss) and framework in (None, d.framework)]
    if declared and not fixed:
        first = declared[0]
        return bind(
            function, loss, first.framework, dtypes=first.dtypes, devices=first.devices,
            precision=bound["precision"] or first.precision, name=first.name,
            gradient=bound["gradient"] or first.gradient, **first.fixed,
        )  # fmt: skip
    return bind(function, loss, framework or _framework_of(function), **bound, **fixed)


def _outside() -> int:
    """How many frames up from the caller the code of lossproof ends."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "lossproof":
        frame, depth = frame.f_back, depth + 1
    return depth


def _same(declaration: Declaration, loss: str) -> bool:
    """Whether a declaration is of a loss: of that name, or of the same file, named from where it stands."""
    home = Path(declaration.path).parent
    return declaration.loss == loss or (home / declaration.loss).resolve() == Path(loss).resolve()


def _framework_of(function: Callable[..., Any]) -> str:
    """The framework that the function's module uses; NumPy where it names neither torch nor jax."""
    names = getattr(function, "__globals__", None) or vars(sys.modules.get(function.__module__, sys))
    used = {
        (
            value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None) or ""
        ).partition(".")[0]
        for value in names.values()
    }
    found = [name for name in ("torch", "jax") if name in used]
    if len(found) > 1:
        raise UsageError("the function's module uses torch and jax; say which with framework=")
    return found[0] if found else "numpy"
