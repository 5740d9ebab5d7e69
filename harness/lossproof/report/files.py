"""Writing a report's files: checked before a run begins, never left half-written."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from lossproof.errors import Place, UsageError


def prepare(path: Path, *, directory: bool = False) -> None:
    """Make the directories that `path` needs.

    UsageError where it cannot be written: better said before an audit than after it.
    """
    try:
        (path if directory else path.parent).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror or error}", Place(str(path))) from error
    if not directory and path.is_dir():
        raise UsageError("is a directory; a file name is needed", Place(str(path)))
    place = path if directory else path.parent
    if not os.access(place, os.W_OK) or (path.is_file() and not os.access(path, os.W_OK)):
        raise UsageError("cannot be written: permission denied", Place(str(path)))


def write(path: Path, text: str) -> None:
    """Write `text` as UTF-8 in one step: a reader sees the old file or the new one. Raises UsageError."""
    prepare(path)
    try:
        if path.exists() and not path.is_file():  # a pipe or a device cannot be replaced
            path.write_text(text, encoding="utf-8")
            return
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror or error}", Place(str(path))) from error


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
