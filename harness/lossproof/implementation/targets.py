"""Targets: from a word of the command line to an imported module, and where its code lies.

A target is `file.py`, `file.py:function`, a pattern of files (`losses/*.py`), `module`, `module:function`, the name
of a bundled adapter, or a name that an installed library has registered under the entry point group
`lossproof.adapters`.
"""

from __future__ import annotations

import ast
import functools
import glob
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Literal

from lossproof.builtin import content
from lossproof.errors import AdapterError, Place, UsageError, shown, suggest
from lossproof.frameworks.base import describe
from lossproof.implementation.packages import Home, home_of

ENTRY_POINTS = "lossproof.adapters"


@dataclass(frozen=True)
class Target:
    """kind: file, bundled, registered or module. word: what names the adapter. module: the import name.

    path: the file, for a file. function: the one function that is meant, or None for all.
    """

    kind: Literal["file", "bundled", "registered", "module"]
    word: str
    module: str
    path: str | None = None
    function: str | None = None

    @property
    def adapter(self) -> str:
        """The adapter's name, as it stands in front of a function's."""
        return Path(self.path).stem if self.path else self.word.rpartition(".")[2]


class LibraryMissing(AdapterError):
    """An adapter of an installed package binds a library that is not installed."""

    def __init__(self, library: str) -> None:
        super().__init__(f"{library} is not installed")
        self.library = library


def bundled(*, demonstrations: bool = True) -> tuple[str, ...]:
    """The names of the bundled adapters, in order: files, and packages of files.

    demonstrations=False leaves out those with `DEMONSTRATION = True` at their top level, as an audit does;
    nothing is imported to find out.
    """
    home = content("adapters")
    files = {file.stem: file for file in home.glob("[!_]*.py")}
    files |= {file.parent.name: file for file in home.glob("[!_]*/__init__.py")}
    return tuple(name for name in sorted(files) if demonstrations or not _is_demonstration(files[name]))


def registered() -> dict[str, str]:
    """Adapters that installed libraries have registered: name → module."""
    points = importlib.metadata.entry_points(group=ENTRY_POINTS)
    return {point.name: point.module for point in points}


def parse(text: str) -> Target:
    """Read a target; nothing is imported. Raises UsageError where there is no such file or adapter."""
    word, function = text, None
    head, colon, tail = text.rpartition(":")
    if colon and not os.path.exists(text) and tail.isidentifier():
        word, function = head, tail
    if word.endswith(".py") or os.sep in word or "/" in word:
        if os.path.isdir(word):
            raise UsageError(_directory(word))
        if not os.path.isfile(word):
            folder, name = os.path.split(word)
            beside = [os.path.basename(path) for path in matches(os.path.join(glob.escape(folder), "*.py"))]
            raise UsageError(f"no file '{word}'{suggest(name, beside)}")
        if not word.endswith(".py"):
            raise UsageError(f"'{word}' is no Python file (its name does not end in .py)")
        home = home_of(word)
        module = home.module if home.packaged else _module_name(word)
        return Target("file", word, module, word, function)
    if word in bundled():
        return Target("bundled", word, f"lossproof.builtin.adapters.{word}", None, function)
    if word in registered():
        return Target("registered", word, registered()[word], None, function)
    if os.path.isdir(word) and not os.path.isfile(os.path.join(word, "__init__.py")):
        raise UsageError(_directory(word))
    if all(part.isidentifier() for part in word.split(".")):
        return Target("module", word, word, None, function)
    raise UsageError(f"'{text}' is no file, module or adapter{suggest(word, _adapters())}")


def _directory(word: str) -> str:
    files = sorted(os.path.basename(path) for path in matches(os.path.join(glob.escape(word), "*.py")))
    some = ", ".join(os.path.join(word, file) for file in files[:3]) + (", …" if len(files) > 3 else "")
    inside = f" ({some})" if files else ", of which it has none"
    return f"'{word}' is a directory; name Python files in it{inside} or a pattern, '{os.path.join(word, '*.py')}'"


def is_pattern(text: str) -> bool:
    """Whether a target stands for the files that match it (`losses/*.py`)."""
    return any(letter in text for letter in "*?[") and not os.path.exists(text)


def matches(pattern: str) -> tuple[str, ...]:
    """The Python files that match a pattern, in order."""
    return tuple(sorted(path for path in glob.glob(pattern, recursive=True) if path.endswith(".py")))


def whole(text: str) -> str:
    """The target of a whole adapter, of a target that may name one function of it."""
    head, colon, tail = text.rpartition(":")
    return head if colon and not os.path.exists(text) and tail.isidentifier() else text


def files_of(target: Target) -> tuple[Path, ...]:
    """The source of a bundled adapter, all files of a package, its own first; nothing is imported."""
    own = content("adapters") / f"{target.word}.py"
    if own.is_file():
        return (own,)
    package = content("adapters") / target.word
    return tuple(sorted(package.rglob("*.py"), key=lambda file: (file != package / "__init__.py", file)))


def load(target: Target) -> ModuleType:
    """Import what a target names.

    Raises AdapterError with the place where the import fails, LibraryMissing where a bundled or registered
    adapter lacks the library that it binds, UsageError where there is no such module.
    """
    if target.path is not None:
        return _load_file(target.path, target.module)
    before = list(sys.path)
    if target.kind == "module":
        sys.path.insert(0, os.getcwd())  # as `python -m` does; a console script has its own directory there
    try:
        return importlib.import_module(target.module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if target.module == missing or target.module.startswith(f"{missing}."):
            if target.kind == "registered":
                raise UsageError(
                    f"the installed adapter '{target.word}' is registered as {target.module}, "
                    f"and there is no module {missing}"
                ) from None
            raise UsageError(
                f"no module, file or adapter '{target.word}'{suggest(target.word, _adapters())}"
            ) from None
        if target.kind != "module" and missing.partition(".")[0] != target.module.partition(".")[0]:
            raise LibraryMissing(missing.partition(".")[0]) from error
        raise _failed(error, None) from error
    except (Exception, SystemExit) as error:
        raise _failed(error, None) from error
    finally:
        sys.path[:] = before


@contextmanager
def importable(target: str) -> Iterator[None]:
    """What an adapter could import while it was loaded can be imported inside: a function may import when called."""
    try:
        parsed = parse(target) if target else None
    except UsageError:  # the file is gone, and what it had is loaded
        parsed = None
    loaded = sys.modules.get(parsed.module) if parsed is not None else None
    if parsed is None or (parsed.kind == "file" and _STAMP not in getattr(loaded, "__dict__", ())):
        yield
    elif parsed.path is not None:
        with _siblings(Path(os.path.realpath(parsed.path)).parent, home_of(parsed.path)):
            yield
    else:
        before = list(sys.path)
        if parsed.kind == "module":
            sys.path.insert(0, os.getcwd())
        try:
            yield
        finally:
            sys.path[:] = before


_STAMP = "__lossproof_stamp__"
"""On a module: when its file was written, and how long it is."""


def is_adapter_file(module: ModuleType) -> bool:
    """Whether a module was loaded as the file of an adapter."""
    return _STAMP in module.__dict__


def _load_file(path: str, name: str) -> ModuleType:
    real = os.path.realpath(path)
    stat = os.stat(real)
    stamp = (stat.st_mtime_ns, stat.st_size)
    home = home_of(path)
    with _siblings(Path(real).parent, home):
        if home.packaged:
            _import_package(home, path)
        loaded = sys.modules.get(name)
        # one that its own package has imported is as new as the package
        if loaded is not None and getattr(loaded, _STAMP, stamp if home.packaged else None) == stamp:
            loaded.__dict__[_STAMP] = stamp
            return loaded
        loader = _Loader(name, real)
        inside = (
            [os.path.dirname(real)] if home.packaged and os.path.basename(path) == "__init__.py" else None
        )
        spec = importlib.util.spec_from_file_location(
            name, real, loader=loader, submodule_search_locations=inside
        )
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # before it runs, as for any import: dataclasses and pickle look there
        try:
            loader.exec_module(module)
        except (Exception, SystemExit) as error:
            sys.modules.pop(name, None)
            raise _failed(error, path) from error
        if home.package:
            setattr(sys.modules[home.package], name.rpartition(".")[2], module)
    module.__dict__[_STAMP] = stamp
    return module


def _import_package(home: Home, path: str) -> None:
    """Import the package around a file. Raises AdapterError where it fails, or has the name of another one."""
    package = home.package or home.module
    try:
        if home.package:
            importlib.import_module(package)
    except (Exception, SystemExit) as error:
        raise _failed(error, None) from error
    module = sys.modules.get(package)
    folder = Path(os.path.abspath(path)).parent
    if module is not None and not any(
        os.path.samefile(folder, each) for each in getattr(module, "__path__", ())
    ):
        where = getattr(module, "__file__", None)
        raise AdapterError(
            f"the package '{package}' is imported already{f' from {shown(where)}' if where else ''}; "
            "rename one of the two",
            Place(shown(path)),
        )


class _Loader(importlib.machinery.SourceFileLoader):
    """Compiles the file each time: a cached .pyc is compared to the second, and a user edits faster."""

    def get_code(self, fullname: str) -> CodeType | None:
        return self.source_to_code(self.get_data(self.path), self.path)


_imported_beside: dict[str, Path] = {}


@contextmanager
def _siblings(beside: Path, home: Home) -> Iterator[None]:
    """The folder beside a file, or around its package, first on sys.path. A module of the same name that an adapter
    in another folder has imported from there makes room."""
    directory = home.root.resolve() if home.packaged else beside
    for name, other in list(_imported_beside.items()):
        taken = (directory / f"{name}.py").exists() or (directory / name).is_dir()
        if other != directory and taken:
            for each in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
                del sys.modules[each]
            del _imported_beside[name]
    known = set(sys.modules)
    before = list(sys.path)
    sys.path.insert(0, str(directory))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = before
        for name in {key.partition(".")[0] for key in set(sys.modules) - known}:
            file = getattr(sys.modules.get(name), "__file__", None)
            if file and Path(file).resolve().is_relative_to(directory):
                _imported_beside[name] = directory


def _failed(error: BaseException, path: str | None) -> AdapterError:
    """Where an import failed: in the adapter's file, or else where the exception was raised."""
    if isinstance(error, SyntaxError) and error.filename:
        return AdapterError(f"SyntaxError: {error.msg}", Place(shown(error.filename), error.lineno))
    frames = traceback.extract_tb(error.__traceback__)
    if path is not None:
        own = [frame for frame in frames if os.path.realpath(frame.filename) == os.path.realpath(path)]
        return AdapterError(describe(error), Place(shown(path), own[-1].lineno if own else None))
    outside = [frame for frame in frames if not frame.filename.startswith("<") and frame.filename != __file__]
    outside = [frame for frame in outside if Path(frame.filename).parent.name != "importlib"]
    place = Place(shown(outside[-1].filename), outside[-1].lineno) if outside else None
    return AdapterError(describe(error), place)


def _module_name(path: str) -> str:
    """A name of its own for each file, so that two adapters `losses.py` do not meet."""
    real = os.path.realpath(path)
    digest = hashlib.sha256(real.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    stem = "".join(letter if letter.isalnum() else "_" for letter in Path(real).stem)
    return f"_lossproof_adapter_{stem}_{digest}"


@functools.cache
def _is_demonstration(file: Path) -> bool:
    try:
        body = ast.parse(file.read_bytes()).body
    except (SyntaxError, ValueError):
        return False
    return any(
        isinstance(each, ast.Assign)
        and any(isinstance(name, ast.Name) and name.id == "DEMONSTRATION" for name in each.targets)
        and isinstance(each.value, ast.Constant)
        and each.value.value is True
        for each in body
    )


def _adapters() -> tuple[str, ...]:
    return (*bundled(), *registered())
