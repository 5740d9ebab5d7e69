"""How a file is imported by name: from which folder, and as which module of a package."""

from __future__ import annotations

import os
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """root: the folder to import from, beside the file or around its outermost package. module: the dotted name.

    packaged: whether the file belongs to a package.
    """

    root: Path
    module: str
    packaged: bool

    @property
    def package(self) -> str:
        """The package around the module, "" where there is none."""
        return self.module.rpartition(".")[0]

    @property
    def importable(self) -> bool:
        """Whether a statement of import can name the module."""
        return all(part.isidentifier() and not iskeyword(part) for part in self.module.split("."))


def home_of(path: str) -> Home:
    """Where a file stands, found as pytest finds it: upwards as long as there is an `__init__.py`."""
    file = Path(os.path.abspath(path))
    root, parts = file.parent, [file.stem]
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        parts.insert(0, root.name)
        root = root.parent
    packaged = len(parts) > 1
    if packaged and file.name == "__init__.py":
        parts.pop()
    return Home(root, ".".join(parts), packaged)
