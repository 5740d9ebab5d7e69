"""Waivers whose implementation is nearly one that was checked, and is surely no other one that was not."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from lossproof.audit.results import Run, Verdict, blamed
from lossproof.errors import nearest
from lossproof.implementation import bundled, registered
from lossproof.waivers import Waiver

NEAR = 0.8
"""How like two names are of which one is the other misspelt: a letter or two apart."""

Sources = Mapping[str, Collection[Path]]
"""The files of adapters, by their names."""

_MADE = re.compile(r"""\bname\s*=(?!=)\s*(?!["'\s])""")
"""A name that is worked out, which cannot be looked for in a file."""


def meant(waiver: Waiver, run: Run, fail_on: str, sources: Sources) -> str | None:
    """The implementation that a waiver is about but for its spelling; None where that is not certain.

    A name that is none of this run may be that of an implementation which was not asked for. So the file of an adapter
    that was checked must not know it; and an adapter of another name must be nowhere about, and accept what failed.
    """
    rows = [row for row in run.results if row.check != "*" and row.verdict is not Verdict.SKIP]
    planned = {each.implementation for each in run.implementations} | {row.implementation for row in rows}
    checked = {row.implementation for row in rows if row.loss == waiver.loss}
    if waiver.implementation in planned:
        return None
    adapter, _, function = waiver.implementation.rpartition(".")
    beside = [name.rpartition(".")[2] for name in checked if name.rpartition(".")[0] == adapter]
    if beside:
        its = nearest(function, beside, NEAR, None)
        return f"{adapter}.{its}" if its and _unknown(function, adapter, sources.get(adapter, ())) else None
    other = nearest(
        adapter,
        [name.rpartition(".")[0] for name in checked if name.rpartition(".")[2] == function],
        NEAR,
        None,
    )
    if other is None:
        return None
    near = f"{other}.{function}"
    failed = any(
        waiver.model_copy(update={"implementation": near}).is_about(near, row.loss, row.check, row.dtype)
        for row in rows
        if row.implementation == near and row.verdict in blamed(fail_on)
    )
    adapters = {name.rpartition(".")[0] for name in planned}
    known = adapter in adapters or _about(adapter, sources.get(other, ()))
    return near if failed and not known else None


def _unknown(function: str, adapter: str, files: Collection[Path]) -> bool:
    """Whether the files of an adapter surely have no implementation of a name."""
    package = [path.parent.glob("*.py") for path in files if path.stem != adapter]
    every = {*files, *(path for each in package for path in each)}
    try:
        texts = [path.read_text(encoding="utf-8") for path in every]
    except (OSError, UnicodeDecodeError):
        return False
    word = re.compile(rf"\b{re.escape(function)}\b")
    return bool(texts) and not any(word.search(text) or _MADE.search(text) for text in texts)


def _about(adapter: str, files: Collection[Path]) -> bool:
    """Whether there is an adapter of a name, as far as one can see from files beside which it would lie."""
    if not files or adapter in bundled() or adapter in registered():
        return True
    folders = {*(path.absolute().parent for path in files), Path.cwd()}
    return any((folder / f"{adapter}.py").exists() or (folder / adapter).is_dir() for folder in folders)
