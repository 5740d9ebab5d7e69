"""`lossproof check` and `lossproof audit`."""

from __future__ import annotations

from typing import Annotated

import typer

from lossproof.audit.results import FAIL_ON
from lossproof.cli import options as given
from lossproof.cli.execute import Outputs, execute
from lossproof.errors import UsageError


def check(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET",
            help="An adapter file, file.py:function, a module, module:function, or a bundled adapter's name.",
        ),
    ],
    spec: Annotated[
        str | None,
        typer.Option(
            "--spec",
            metavar="LOSS",
            help="Bind an undecorated function to this loss, or spec.yaml; --framework says its framework.",
        ),
    ] = None,
    loss: given.Loss = None,
    framework: given.Framework = None,
    device: given.Device = None,
    dtype: given.Dtype = None,
    mode: given.Mode = None,
    regime: given.Regime = None,
    profile: given.Profile = "quick",
    seed: given.Seed = 0,
    jobs: given.Jobs = None,
    no_cache: given.NoCache = False,
    json: given.Json = None,
    html: given.Html = None,
    junit: given.Junit = None,
    sarif: given.Sarif = None,
    markdown: given.Markdown = None,
    waivers: given.Waivers = None,
    fail_on: given.FailOn = "fail",
) -> None:
    """Check implementations: your own, or a bundled adapter's."""
    frameworks = given.split(framework)
    if spec is not None and len(frameworks) != 1:
        raise UsageError("--spec binds a function in one framework: add --framework numpy, torch or jax")
    outputs = Outputs(json, html, junit, sarif, markdown, fail_on=given.one_of("--fail-on", fail_on, FAIL_ON))
    from lossproof.audit.plan import Options
    from lossproof.waivers import load

    options = Options(
        targets=tuple(targets),
        spec=spec,
        framework=frameworks[0] if spec is not None else None,
        losses=given.split(loss),
        frameworks=() if spec is not None else frameworks,
        devices=given.split(device),
        dtypes=given.split(dtype),
        modes=given.split(mode),
        regimes=given.split(regime),
        profile=profile,
        seed=seed,
        jobs=jobs,
        cache=not no_cache,
        waivers=tuple(load(waivers)) if waivers is not None else (),
        fail_on=fail_on,
        maps=html is not None,
    )
    raise typer.Exit(execute(options, outputs))


def audit(
    loss: given.Loss = None,
    framework: given.Framework = None,
    device: given.Device = None,
    dtype: given.Dtype = None,
    mode: given.Mode = None,
    regime: given.Regime = None,
    profile: given.Profile = "quick",
    seed: given.Seed = 0,
    jobs: given.Jobs = None,
    no_cache: given.NoCache = False,
    json: given.Json = None,
    html: given.Html = None,
    junit: given.Junit = None,
    sarif: given.Sarif = None,
    markdown: given.Markdown = None,
    fail_on: given.FailOn = "fail",
) -> None:
    """Check the bundled adapters side by side."""
    outputs = Outputs(json, html, junit, sarif, markdown, fail_on=given.one_of("--fail-on", fail_on, FAIL_ON))
    from lossproof.audit.plan import Options

    options = Options(
        losses=given.split(loss),
        frameworks=given.split(framework),
        devices=given.split(device),
        dtypes=given.split(dtype),
        modes=given.split(mode),
        regimes=given.split(regime),
        profile=profile,
        seed=seed,
        jobs=jobs,
        cache=not no_cache,
        fail_on=fail_on,
        maps=html is not None or json is not None,
    )
    raise typer.Exit(execute(options, outputs))
