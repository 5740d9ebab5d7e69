"""The snippet of a finding: a script that runs as it is told, and shows what was found."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lossproof
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Finding
from lossproof.audit.run import run

NUMPY = """
import numpy as np
from lossproof import implements

def half(prediction, target):
    return (prediction - target) / prediction.shape[-1]

"""
SQUARES = """
def squares(prediction, target):
    return np.square(prediction - target).mean(axis=-1)
"""
TORCH = """
import torch
from lossproof import implements

@implements("bce_with_logits", framework="torch")
def bce(logits, targets):
    return Twice.apply(logits, targets)

class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, targets):
        ctx.save_for_backward(logits, targets)
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")

    @staticmethod
    def backward(ctx, upstream):
        logits, targets = ctx.saved_tensors
        return 2 * (logits.sigmoid() - targets) * upstream, None
"""
WRITTEN = """
import numpy as np
from lossproof import implements

def sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))

@implements("bce_with_logits", framework="numpy", gradient=lambda x, y: 2 * (sigmoid(x) - y))
def bce(logits, targets):
    return np.logaddexp(0, logits) - targets * logits
"""

Check = Callable[..., dict[str, Finding]]


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Checks the code of a file in an empty folder, beside other files; gives the findings by their check."""
    monkeypatch.chdir(tmp_path)

    def checked(code: str, name: str = "mine.py", others: tuple[str, ...] = ()) -> dict[str, Finding]:
        for other in others:
            Path(other).parent.mkdir(parents=True, exist_ok=True)
            Path(other).touch()
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(code, encoding="utf-8")
        found = run(plan(Options((name,), jobs=1, dtypes=("float32",))), lambda event: None)
        assert not found.problems
        return {each.check: each for each in found.findings}

    return checked


def output(finding: Finding, folder: str = ".") -> str:
    """What the snippet prints, run in a folder."""
    written = io.StringIO()
    before, modules = list(sys.path), set(sys.modules)
    with contextlib.chdir(folder), contextlib.redirect_stdout(written):
        sys.path.insert(0, os.getcwd())
        try:
            exec(compile(finding.snippet, "snippet", "exec"), {})
        finally:
            sys.path[:] = before
            for name in set(sys.modules) - modules:
                if name.partition(".")[0] in ("mine", "package"):
                    del sys.modules[name]
    return written.getvalue()


def numbers(text: str) -> list[float]:
    found = []
    for word in text.replace("[", " ").replace("]", " ").replace(",", " ").replace("(", " ").split():
        with contextlib.suppress(ValueError):
            found.append(float(word))
    return found


def shows(finding: Finding, folder: str = ".") -> bool:
    """Whether the snippet prints what the finding got."""
    printed = numbers(output(finding, folder))
    got = [float.fromhex(each) for each in np.ravel(np.array(finding.got, dtype=object)).tolist()]
    return all(any(np.isclose(each, one, rtol=1e-3) for one in printed) for each in got)


@pytest.mark.parametrize(
    "declared",
    [
        "gradient=half",
        "gradient=lambda prediction, target: half(prediction, target)",
        "gradient=functools.partial(half)",
        "gradient=made()",
    ],
)
@pytest.mark.parametrize("name", ["mine.py", "my losses.py", "package/mine.py", "package/my losses.py"])
def test_a_written_gradient_is_called_however_it_is_written_and_wherever_the_file_lies(
    check: Check, declared: str, name: str
) -> None:
    made = "import functools\ndef made():\n    def inner(*inputs): return half(*inputs)\n    return inner\n"
    found = check(
        f'{NUMPY}{made}@implements("mse", framework="numpy", {declared}){SQUARES}',
        name,
        ("package/__init__.py",),
    )
    assert "gradient" in found
    assert all(shows(each) for each in found.values())


@pytest.mark.parametrize(("code", "call"), [(TORCH, "torch.autograd.grad("), (WRITTEN, "gradient(")])
def test_a_law_of_the_gradient_shows_the_gradient(check: Check, code: str, call: str) -> None:
    found = check(code)
    laws = [each for name, each in found.items() if name.startswith("law:") and "gradient" in name]
    assert laws
    for each in laws:
        assert call in each.snippet
        assert shows(each)


def test_a_function_that_nothing_can_import_has_a_name_of_python() -> None:
    found = lossproof.check(
        lambda prediction, target: prediction.sum(-1), "mse", framework="numpy", dtypes="float32",
        gradient=lambda prediction, target: prediction,
    )  # fmt: skip
    for each in found:
        compile(each.snippet, "snippet", "exec")
        assert "<lambda>(" not in each.snippet


def test_what_changes_its_input_and_what_answers_anew_each_time_are_shown(check: Check) -> None:
    found = check(
        NUMPY
        + '@implements("mse", framework="numpy")\n'
        + "def changes(prediction, target):\n    prediction += 1\n    return np.square(prediction - target).mean(-1)\n"
    )
    assert shows(found["purity"])
    anew = "import itertools\ncount = itertools.count()\n"
    found = check(
        NUMPY
        + anew
        + '@implements("mse", framework="numpy")\n'
        + "def anew(prediction, target):\n    return 0 * prediction.sum(-1) + next(count)\n"
    )
    first, second = numbers(output(found["determinism"]))[-2:]
    assert first != second
