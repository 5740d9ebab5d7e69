"""Items for adapter files: `my_losses.py::my_ce[float32]::gradient`, one for each implementation, dtype and check.

Collecting imports the adapter and holds its declarations against the specs; the engine comes with the first item
that runs.
"""

from __future__ import annotations

import fnmatch
import warnings
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lossproof.pytest_plugin.accepted import Accepted
from lossproof.pytest_plugin.options import Asked, Files
from lossproof.pytest_plugin.record import RUNS

if TYPE_CHECKING:
    from xdist.remote import Producer

    from lossproof.implementation import Implementation
    from lossproof.pytest_plugin.cells import Cells
    from lossproof.pytest_plugin.distribute import CellScheduling
    from lossproof.waivers import Waiver


@dataclass(frozen=True)
class Setting:
    """Where an implementation is checked."""

    device: str
    mode: str
    dtype: str


class Collecting:
    """Registered where there are adapter files; keeps what their items share."""

    def __init__(self, files: Files, asked: Asked, accepted: Accepted) -> None:
        self.files, self.asked, self._accepted = files, asked, accepted
        self.taken: dict[tuple[str, str, str], Path] = {}
        self._cells: Cells | None = None
        self._told: set[str] = set()

    @property
    def cells(self) -> Cells:
        if self._cells is None:
            from lossproof.pytest_plugin.cells import Cells

            self._cells = Cells(self.asked, self.waivers)
        return self._cells

    @property
    def waivers(self) -> Sequence[Waiver]:
        """The waivers of the run. Raises UsageError where one of their files cannot be used."""
        return self._accepted.of(self.asked.waivers)

    def mistaken(self, losses: Iterable[str]) -> str | None:
        """What is wrong with the waivers of the run, as far as they are about these losses; each mistake once."""
        from lossproof.errors import LossproofError

        try:
            if accepted := self.waivers:
                from lossproof.waivers import require_conditions

                require_conditions(accepted, losses)
        except LossproofError as error:
            said = str(error)
            if said not in self._told:
                self._told.add(said)
                return said
        return None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(self, config: pytest.Config, log: Producer) -> CellScheduling | None:
        if config.getvalue("dist") not in ("load", "loadgroup"):
            return None
        from lossproof.pytest_plugin.distribute import CellScheduling

        return CellScheduling(config, log, self.files.every)

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path, parent: pytest.Collector
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        others = yield
        if file_path.resolve() not in self.files.every:
            return others
        # pytest takes any file that an argument names for one of tests
        tests = any(fnmatch.fnmatch(file_path.name, name) for name in parent.config.getini("python_files"))
        own: Adapter = Adapter.from_parent(parent, path=file_path, collecting=self)
        return [own, *(each for each in others if tests or not isinstance(each, pytest.Module))]


class Adapter(pytest.File):
    """An adapter file."""

    def __init__(self, *, collecting: Collecting, **arguments: object) -> None:
        super().__init__(**arguments)  # type: ignore[arg-type]
        self.collecting = collecting

    def collect(self) -> Iterator[Check]:
        from lossproof.errors import shown
        from lossproof.implementation import Undeclared, discover
        from lossproof.report.digest import CHECKS
        from lossproof.spec import library

        implementations, problems = discover(shown(str(self.path)))
        if self.path.resolve() in self.collecting.files.matched:
            problems = [each for each in problems if not isinstance(each, Undeclared)]
        said = [f"{problem.where}: {problem.message}" for problem in problems]
        said += [taken for each in implementations if (taken := self._taken(each))]
        if mistake := self.collecting.mistaken(each.loss for each in implementations):
            said.append(mistake)
        for each in implementations:
            for remark, placed in zip(each.remarks, each.remarked, strict=True):
                warning = pytest.PytestCollectionWarning(remark)
                try:
                    warnings.warn_explicit(warning, None, each.path or str(self.path), each.line)
                except pytest.PytestCollectionWarning:  # as `-W error` asks for
                    said.append(placed)
        if said:
            raise self.CollectError("\n".join(dict.fromkeys(said)))
        names = Counter(each.name for each in implementations)
        frameworks = Counter((each.name, each.framework) for each in implementations)
        for each in implementations:
            more = []
            if names[each.name] > 1:
                one = frameworks[each.name, each.framework] == 1
                more = [each.framework] if one else [each.framework, each.loss]
            laws = [f"law:{name}" for name in library.get(each.loss).laws]
            checks = [name for check in CHECKS for name in (laws if check == "law" else [check])]
            for setting in self._settings(each):
                called = f"{each.name.rpartition('.')[2]}[{_words(setting, more)}]"
                for check in checks:
                    name = f"{called}::{check}"
                    # as text: pytest then reads it as it reads what it has kept of a failure, or got from a worker
                    yield Check.from_parent(
                        self, name=name, nodeid=f"{self.nodeid}::{name}", check=check, implementation=each,
                        declared=implementations, setting=setting,
                    )  # fmt: skip

    def _settings(self, implementation: Implementation) -> Iterable[Setting]:
        asked = self.collecting.asked
        for device in asked.devices or implementation.devices or ("cpu",):
            for mode in asked.modes:
                for dtype in asked.dtypes or implementation.dtypes:
                    yield Setting(device, mode, dtype)

    def _taken(self, each: Implementation) -> str | None:
        """Results are told by name, so that no two files may have one name for two things."""
        first = self.collecting.taken.setdefault((each.name, each.loss, each.framework), self.path)
        if first == self.path:
            return None
        return (
            f"{each.path}:{each.line}: '{each.name}' is in {first} too; rename one of the files, or say name="
        )


class Check(pytest.Item):
    """One check of one implementation at one dtype, device and mode."""

    def __init__(
        self,
        *,
        check: str,
        implementation: Implementation,
        declared: Sequence[Implementation],
        setting: Setting,
        **arguments: object,
    ) -> None:
        super().__init__(**arguments)  # type: ignore[arg-type]
        self.check, self.implementation, self.declared, self.setting = (
            check, implementation, declared, setting,
        )  # fmt: skip

    def runtest(self) -> None:
        from lossproof.errors import LossproofError

        parent = self.parent
        assert isinstance(parent, Adapter)
        collecting = parent.collecting
        try:
            cell, new = collecting.cells(self.implementation, self.declared, self.setting)
        except LossproofError as error:
            pytest.fail(str(error), pytrace=False)
        if new:
            self.stash.setdefault(RUNS, []).append(cell.run)
        verdict, said = cell.outcome(self.check, collecting.asked.fail_on)
        if verdict == "fail":
            pytest.fail(said, pytrace=False)
        if verdict == "skip":
            pytest.skip(said)
        if verdict == "waived":
            pytest.xfail(said)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        line = self.implementation.line
        return self.path, line - 1 if line else None, self.name


def _words(setting: Setting, more: Sequence[str]) -> str:
    """What stands in the brackets: the dtype, and whatever else is not as usual."""
    unusual = [word for word in (setting.device, setting.mode) if word not in ("cpu", "eager")]
    return "-".join([setting.dtype, *unusual, *more])
