"""The source files from which an adapter came, so that a change in any of them is seen.

What an environment has installed is known by its versions (surroundings.py). All else that an adapter imports is
somebody's own code, which changes without a version: those files are found and hashed. Statements of import are
read from their source, those inside functions as well, and followed to the modules that are loaded. A module that
nobody imports by a statement (a plugin) counts for every adapter of the process.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any

from lossproof.errors import LossproofError
from lossproof.implementation.targets import files_of, is_adapter_file, parse

MOST_FILES = 1000
"""An adapter that comes from more files is not remembered: to look at them all would take seconds."""

_ADAPTERS = "lossproof.builtin.adapters."
_FILE = "_lossproof_adapter_"
"""How the name of an adapter's file begins once it is loaded, which nobody else imports."""

_BY_NAME = frozenset(
    {"import_module", "__import__", "run_module", "run_path", "load_module", "exec_module"}
    | {"spec_from_file_location", "SourceFileLoader"}
)


class Unknown(Exception):
    """It cannot be known from which source a module came."""


@dataclass(frozen=True)
class Sources:
    """files: by module, the path and the SHA-256 of its source; the adapter's own is "".

    names: every part of a module's name that an import mentions. folders: where modules of one's own lie.
    there: files and folders of those names in those folders, so that a module that is new, and would be found
    instead of another or of none, is seen.
    """

    files: Mapping[str, tuple[str, str]]
    names: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    there: tuple[str, ...] = ()

    @property
    def content(self) -> list[Any]:
        """What a result depends on: the same in every checkout of the same files."""
        return [sorted((name, content) for name, (_, content) in self.files.items()), self.there]

    @property
    def unchanged(self) -> bool:
        """Whether the files are now as they were."""
        if self.there != _there(self.folders, self.names):
            return False
        return all(content_of(path) == content for path, content in self.files.values())

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(value: Any) -> Sources:
        """Raises TypeError, KeyError, ValueError or AttributeError for a value that `to_json` did not make."""
        files = {name: (str(path), str(content)) for name, (path, content) in value["files"].items()}
        return Sources(files, *(tuple(map(str, value[part])) for part in ("names", "folders", "there")))


def sources_of(target: str) -> Sources | None:
    """The sources of the adapter that a target names, once it is loaded; its own files where it cannot be.

    None where they cannot be known: a C extension, a zip file.
    """
    try:
        parsed = parse(target)
        module = sys.modules.get(parsed.module)
        if module is not None:
            return _sources(module)
        # for want of its library; once that is there, the surroundings are others
        if parsed.kind != "bundled":
            return None
        files = files_of(parsed)
        read = {
            "" if file == files[0] else str(file.relative_to(files[0].parent)): str(file) for file in files
        }
        found = {name: (path, content) for name, path in read.items() if (content := content_of(path))}
        return Sources(found) if len(found) == len(files) else None
    except (Unknown, LossproofError, OSError, SyntaxError, ValueError):
        return None


def content_of(path: str) -> str | None:
    """The SHA-256 of a file; None where it cannot be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


@functools.cache
def installed(path: str) -> bool:
    """Whether a file belongs to Python or to an installed distribution."""
    return os.path.realpath(path).startswith(_installed())


@functools.cache
def _installed() -> tuple[str, ...]:
    paths = [sysconfig.get_path(key) for key in ("purelib", "platlib", "stdlib", "platstdlib")]
    paths += [*site.getsitepackages(), site.getusersitepackages()]
    return tuple({os.path.join(os.path.realpath(path), "") for path in paths})


def _sources(root: ModuleType) -> Sources:
    own = {name: module for name, module in list(sys.modules.items()) if _own(name, module)}
    followed = {id(root): root}
    unread = [root]
    names: set[str] = set()
    files: dict[str, tuple[str, str]] = {}
    by_name = False
    while unread or not by_name:
        if not unread:
            # what no statement imports is imported by name, by whomever
            by_name = True
            unread = [m for m in _of_no_adapter(own) if id(m) not in followed]
            followed |= {id(m): m for m in unread}
            continue
        module = unread.pop()
        path = _path(module)
        if path is None:
            continue
        if len(files) >= MOST_FILES:
            raise Unknown
        read = _read(path, _stamp(path))
        files["" if module is root else module.__name__] = (path, read.content)
        wanted = set(read.imports(module.__package__ or ""))
        # a package runs before its modules do, whether they name it or not
        wanted |= {name for name in _around(module.__name__) if name in own}
        names |= {part for name in wanted for part in name.split(".")}
        if read.by_name:
            found = [each for name, each in own.items() if not name.startswith(_FILE)]
        else:
            found = [own[name] for name in wanted if name in own]
        for each in found:
            if id(each) not in followed:
                followed[id(each)] = each
                unread.append(each)
    folders = _folders(path for path, _ in files.values())
    return Sources(files, tuple(sorted(names)), folders, _there(folders, names))


def _own(name: str, module: Any) -> bool:
    """Whether a loaded module is somebody's own code: neither Python's, nor installed, nor lossproof's engine."""
    if not isinstance(module, ModuleType) or name in ("__main__", "__mp_main__"):
        return False
    if (name == "lossproof" or name.startswith("lossproof.")) and not name.startswith(_ADAPTERS):
        return False
    places = [module.__dict__.get("__file__"), *_namespace(module)]
    return any(isinstance(place, str) and not installed(place) for place in places)


def _around(name: str) -> Iterator[str]:
    """The packages around a module."""
    while name := name.rpartition(".")[0]:
        yield name


def _namespace(module: ModuleType) -> list[Any]:
    """Where a package without a file of its own looks for its modules."""
    return [] if module.__dict__.get("__file__") else list(module.__dict__.get("__path__") or ())


def _of_no_adapter(own: Mapping[str, ModuleType]) -> list[ModuleType]:
    """Modules that nothing among one's own imports by a statement."""
    imported: set[str] = set()
    for module in own.values():
        path = _path(module)
        if path is not None:
            imported |= set(_read(path, _stamp(path)).imports(module.__package__ or ""))
    return [
        module
        for name, module in own.items()
        if name not in imported and not _is_adapter(name) and not is_adapter_file(module)
    ]


def _is_adapter(name: str) -> bool:
    return name.startswith((_ADAPTERS, _FILE))


def _path(module: ModuleType) -> str | None:
    """The source of a module; None for a package that has none. Raises Unknown where it is not Python."""
    path = module.__dict__.get("__file__")
    if path is None:
        return None
    if not isinstance(path, str) or not path.endswith(".py") or not os.path.isfile(path):
        raise Unknown
    return os.path.realpath(path)


def _stamp(path: str) -> tuple[int, int]:
    stat = os.stat(path)
    return stat.st_mtime_ns, stat.st_size


@dataclass(frozen=True)
class _Read:
    """A source file: its SHA-256, its statements of import, whether it may import by other means."""

    content: str
    statements: tuple[tuple[int, str, tuple[str, ...]], ...]
    by_name: bool

    def imports(self, package: str) -> Iterator[str]:
        """Names of modules, and of what may be a module, each with the packages around it."""
        for level, module, members in self.statements:
            base = package.rsplit(".", level - 1)[0] if level > 1 else package if level else ""
            whole = ".".join(part for part in (base, module) if part)
            for name in (whole, *(f"{whole}.{member}" for member in members if member != "*")):
                parts = name.split(".")
                yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1) if parts[0])


@functools.lru_cache(maxsize=4 * MOST_FILES)
def _read(path: str, stamp: tuple[int, int]) -> _Read:
    with open(path, "rb") as file:
        text = file.read()
    statements: list[tuple[int, str, tuple[str, ...]]] = []
    by_name = False
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            statements += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            statements.append((node.level, node.module or "", tuple(alias.name for alias in node.names)))
        elif isinstance(node, ast.Name):
            by_name = by_name or node.id in _BY_NAME
        elif isinstance(node, ast.Attribute):
            by_name = by_name or node.attr in _BY_NAME
    return _Read(hashlib.sha256(text).hexdigest(), tuple(dict.fromkeys(statements)), by_name)


def _folders(paths: Iterable[str]) -> tuple[str, ...]:
    """The folders of files and those in which Python looks for modules, without what is installed."""
    places = [os.path.dirname(path) for path in paths]
    places += [os.path.realpath(place) for place in sys.path]
    return tuple(dict.fromkeys(place for place in places if os.path.isdir(place) and not _within(place)))


def _within(folder: str) -> bool:
    return os.path.join(folder, "").startswith(_installed())


def _there(folders: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    wanted = frozenset(names)
    found: list[str] = []
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                each = [
                    entry.name
                    for entry in entries
                    if entry.name.partition(".")[0] in wanted
                    and (entry.name.endswith((".py", ".so", ".pyd")) or entry.is_dir())
                ]
        except OSError:
            continue
        found += sorted(each)
    return tuple(found)
