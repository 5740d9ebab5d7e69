"""The fixture `lossproof`: one function checked inside a test."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from lossproof.api import checked
from lossproof.audit.results import Finding, Run, Verdict
from lossproof.errors import LossproofError
from lossproof.pytest_plugin import options
from lossproof.pytest_plugin.accepted import ACCEPTED
from lossproof.pytest_plugin.options import Asked
from lossproof.pytest_plugin.record import RUNS
from lossproof.report import complaint

MARKED = ("profile", "dtypes", "waivers")


class Lossproof:
    """Checks functions as `lossproof.check` and `lossproof.verify` do.

    What a call does not say comes from the marker `lossproof`, and then from the options of pytest and its ini.
    """

    def __init__(self, item: pytest.Item, asked: Asked) -> None:
        self._item, self._asked = item, asked

    def check(self, function: Callable[..., Any], loss: str, **given: Any) -> list[Finding]:
        """The findings of a function against the spec of a loss: empty where nothing is wrong.

        Arguments and exceptions as for `lossproof.check`.
        """
        __tracebackhide__ = True
        found = self._run(function, loss, given)
        return [finding for finding in found.findings if finding.verdict is not Verdict.WAIVED]

    def verify(self, function: Callable[..., Any], loss: str, **given: Any) -> None:
        """Raise AssertionError with the minimal case of what is wrong. Arguments as for `lossproof.check`."""
        __tracebackhide__ = True
        found = self._run(function, loss, given)
        if said := complaint.of_rows(found, found.results, self._asked.fail_on):
            raise AssertionError(said)

    def _run(self, function: Callable[..., Any], loss: str, given: dict[str, Any]) -> Run:
        __tracebackhide__ = True
        asked = self._asked
        usual = {
            "profile": asked.profile, "seed": asked.seed, "dtypes": asked.dtypes,
            "devices": asked.devices or ("cpu",), "modes": asked.modes,
        }  # fmt: skip
        try:
            accepted = self._item.config.stash[ACCEPTED].of(asked.waivers)
            usual |= {"waivers": accepted, "fail_on": asked.fail_on}
            found = checked(function, loss, **{**usual, **given})
        except LossproofError as error:
            # the words are for the person who wrote the test; where in lossproof they were found is not
            raise error.with_traceback(None) from None
        self._item.stash.setdefault(RUNS, []).append(found)
        return found


def of_test(item: pytest.Item) -> Lossproof:
    """The fixture of a test. Fails the test where its marker cannot be used."""
    asked = item.config.stash[options.ASKED]
    marked: dict[str, Any] = {}
    for marker in reversed(list(item.iter_markers("lossproof"))):
        marked |= marker.kwargs
        if marker.args:
            pytest.fail(f"marker lossproof: {marker.args[0]!r} has no name; write profile=…", pytrace=False)
    changes: dict[str, Any] = {}
    for key, value in marked.items():
        if key not in MARKED:
            pytest.fail(f"marker lossproof: {options.unknown('argument', key, MARKED)}", pytrace=False)
        words = _listed(value)
        known = {"profile": options.PROFILES, "dtypes": options.DTYPES}.get(key, ())
        for word in words if known else ():
            if word not in known:
                kind = key.removesuffix("s")
                pytest.fail(f"marker lossproof: {options.unknown(kind, str(word), known)}", pytrace=False)
        changes[key] = value if key == "profile" else tuple(words)
    if "waivers" in changes:
        files = tuple(item.config.rootpath / str(path) for path in changes["waivers"])
        changes["waivers"] = (*asked.waivers, *files)
        for path in files:
            if not path.is_file():
                pytest.fail(f"marker lossproof: no file '{path}'", pytrace=False)
    return Lossproof(item, replace(asked, **changes))


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
