"""What git says about a repository and holds of a file at a reference."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lossproof.errors import UsageError


def top(directory: Path) -> Path | None:
    """The root of the repository around a directory; None outside of one, and where there is no git."""
    try:
        found = _git(directory, "rev-parse", "--show-toplevel")
    except FileNotFoundError:
        return None
    return Path(found.stdout.strip()) if found.returncode == 0 else None


class Reference:
    """The files of a repository at a branch, a tag or a commit."""

    def __init__(self, name: str, directory: Path) -> None:
        """Raises UsageError outside of a repository, and for a name that git does not know."""
        root = top(directory)
        if root is None:
            raise UsageError(f"--config-from {name}: {directory} is in no git repository")
        self.name, self.root = name, root
        known = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        if known.returncode != 0:
            raise UsageError(
                f"--config-from: git knows no reference '{name}'; in CI it has to be fetched first "
                "(actions/checkout with fetch-depth: 0)"
            )
        self.commit = known.stdout.strip()

    def text(self, path: Path) -> str | None:
        """The text of a file of the working tree, as it is there; None where it is not."""
        try:
            relative = path.resolve().relative_to(self.root.resolve())
        except ValueError:
            return None
        shown = _git(self.root, "show", "--end-of-options", f"{self.commit}:{relative.as_posix()}")
        return shown.stdout if shown.returncode == 0 else None


def _git(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, check=False, encoding="utf-8", errors="replace")
