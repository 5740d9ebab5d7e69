"""Where the shipped content lies: specs, adapters, report templates.

In an installed package these are directories beside this file. In a checkout they are specs/, adapters/ and
reports/templates/ at its root, and the root joins this package's search path, so that
`lossproof.builtin.adapters.portable` is the same import in both. Nothing is copied and no module of
lossproof imports an adapter statically.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

_HERE: Final = Path(__file__).resolve().parent
_CHECKOUT: Final = _HERE.parents[2]
_DIRECTORIES: Final = {"specs": "specs", "adapters": "adapters", "templates": "reports/templates"}

# Only a checkout has the package under harness/ and pyproject.toml beside that.
if _HERE.parents[1].name == "harness" and (_CHECKOUT / "pyproject.toml").is_file():
    __path__.append(str(_CHECKOUT))


def content(kind: Literal["specs", "adapters", "templates"]) -> Path:
    """The directory of one kind of shipped content.

    Raises FileNotFoundError where the package was installed without it.
    """
    for base in __path__:
        directory = Path(base) / _DIRECTORIES[kind]
        if directory.is_dir():
            return directory
    raise FileNotFoundError(f"lossproof is installed without its {kind}: no {_DIRECTORIES[kind]}/ in {_HERE}")
