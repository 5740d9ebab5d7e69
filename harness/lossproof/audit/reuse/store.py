"""A folder of small JSON files, each named by a digest of everything that it was made from.

Nothing in it is ever needed: a file that is missing, damaged or another program's is as good as none, and
where the folder cannot be written nothing is kept. Only data is read, never code.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

ABANDONED = 3600.0
"""Seconds after which a temporary file belongs to a process that has died."""


def folder(*parts: str) -> Path | None:
    """A folder of lossproof's below the user's cache folder, $XDG_CACHE_HOME or ~/.cache; None without a home.

    It may not exist yet.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        home = Path(base) if base else Path.home() / ".cache"
    except RuntimeError:  # no home directory
        return None
    return home.joinpath("lossproof", *parts)


def digest(value: Any) -> str:
    """The SHA-256 of a value of JSON; equal values have equal ones, whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Store:
    """Values of JSON by key. Any number of processes may use one folder at once."""

    def __init__(self, root: Path | None, limit: int) -> None:
        """limit: the most bytes that `prune` leaves in the folder."""
        self.root, self.limit = root, limit

    def read(self, key: str) -> Any:
        """The value of a key, or None. Reading it makes it the youngest."""
        path = self._path(key)
        if path is None:
            return None
        try:
            entry = json.loads(zlib.decompress(path.read_bytes()))
        except (OSError, zlib.error, ValueError, RecursionError):
            return None
        if not isinstance(entry, dict) or entry.get("key") != key:
            return None
        with contextlib.suppress(OSError):  # of a folder that can only be read
            os.utime(path)
        return entry.get("value")

    def write(self, key: str, value: Any) -> None:
        """Keep a value. A reader meets the whole file or none, and two writers of one key write the same."""
        path = self._path(key)
        if path is None:
            return
        text = json.dumps({"key": key, "value": value}, separators=(",", ":"))
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, temporary = tempfile.mkstemp(prefix=".", suffix=".new", dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(zlib.compress(text.encode("utf-8", "surrogatepass"), 1))
                os.replace(temporary, path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def prune(self) -> None:
        """Drop the oldest files while the folder is larger than its limit, and what died processes left."""
        if self.root is None:
            return
        kept: list[tuple[float, int, str]] = []
        now = time.time()
        for home, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(home, name)
                with contextlib.suppress(OSError):
                    stat = os.stat(path)
                    if name.endswith(".new") and now - stat.st_mtime > ABANDONED:
                        os.unlink(path)
                    else:
                        kept.append((stat.st_mtime, stat.st_size, path))
        size = sum(each[1] for each in kept)
        for _, bytes_, path in sorted(kept):
            if size <= self.limit:
                break
            with contextlib.suppress(OSError):  # another run has dropped it already
                os.unlink(path)
            size -= bytes_

    def _path(self, key: str) -> Path | None:
        return None if self.root is None else self.root / key[:2] / f"{key[2:]}.json.z"
