"""A repository of a user's with two losses of squared errors in NumPy, one of them wrong; and the commands in it."""

from __future__ import annotations

import datetime
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from lossproof.cli import app

LOSSES = """\
import numpy as np
from lossproof import implements


@implements("mse", framework="numpy")
def right(prediction, target):
    return np.mean((prediction - target) ** 2, axis=-1)


@implements("mse", framework="numpy")
def expanded(prediction, target):
    return np.mean(prediction**2 - 2 * prediction * target + target**2, axis=-1)
"""
REPAIRED = LOSSES.replace(
    "prediction**2 - 2 * prediction * target + target**2", "np.square(target - prediction)"
)
TABLE = '[tool.lossproof]\ntargets = ["my_losses.py"]\ndtypes = ["float32"]\nregimes = ["ordinary", "near_equal"]\n'
TODAY = datetime.date.today()
TOMORROW, YESTERDAY = TODAY + datetime.timedelta(days=1), TODAY - datetime.timedelta(days=1)


@dataclass(frozen=True)
class Repository:
    root: Path

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def waive(self, **changes: Any) -> Path:
        entry = {
            "implementation": "my_losses.expanded",
            "loss": "mse",
            "checks": "['*']",
            "reason": "known",
            "expires": TOMORROW,
        } | changes
        lines = [f"{key}: {value}" for key, value in entry.items() if value is not None]
        return self.write("lossproof-waivers.yaml", "# ours\n- " + "\n  ".join(lines) + "\n")

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        command = ["git", *identity, *arguments]
        subprocess.run(command, cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        if not (self.root / ".git").exists():
            self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "change")


def repository(root: Path) -> Repository:
    made = Repository(root)
    made.write("my_losses.py", LOSSES)
    made.write("pyproject.toml", TABLE)
    return made


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
