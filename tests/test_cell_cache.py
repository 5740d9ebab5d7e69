"""Cells that an earlier run has examined: when they are taken from there, and when they must not be."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
import textwrap
import time
import types
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import lossproof
from lossproof.audit import worker
from lossproof.audit.events import CellFinished, Event
from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Run, Verdict
from lossproof.audit.reuse import cell_cache, surroundings
from lossproof.audit.reuse.cell_cache import specs_of
from lossproof.audit.reuse.sources import sources_of
from lossproof.audit.reuse.store import ABANDONED, Store
from lossproof.audit.run import run
from lossproof.builtin import content
from lossproof.implementation import discover
from lossproof.report import json as report
from lossproof.waivers import Waiver

HARNESS = Path(__file__).parents[1] / "harness"

SQUARES = """
import numpy as np
from lossproof import implements

@implements("mse", framework="numpy")
def squares(prediction, target):
    return np.square(prediction - target).mean(axis=-1)
"""

WRONG = """
@implements("mse", framework="numpy")
def wrong(prediction, target):
    with np.errstate(all="ignore"):
        return (np.square(prediction) - 2 * prediction * target + np.square(target)).mean(axis=-1)
"""

OWN_SPEC = """
loss: NAME
title: Twice the input
inputs:
  x: {shape: [N], domain: real}
independent: N
definition: 2 * x
laws:
  odd: NAME(-x) == -NAME(x)
"""

OWN = """
from lossproof import implements

@implements("NAME.yaml", framework="numpy")
def doubled(x):
    return x + x
"""

Write = Callable[..., str]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of a test, empty at first."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    # the other tests of this process may have been there before somebody's edit
    monkeypatch.setattr(surroundings, "LOADED", time.time_ns())
    return tmp_path / "cache" / "lossproof"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of the given text; gives its path."""

    def written(text: str, name: str = "mine.py") -> str:
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return str(path)

    return written


def check(*targets: str, **options: Any) -> Run:
    options = {"jobs": 1, "dtypes": ("float32",), "regimes": ("ordinary",), "cache": True} | options
    return run(plan(Options(targets, **options)), lambda event: None)


def document(found: Run) -> Any:
    """What a run found, as it is written."""
    return {key: part for key, part in report.document(found).items() if key != "timing"}


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`lossproof check` in a process of its own, with few cases."""
    few = ("--dtype", "float32", "--regime", "ordinary", "--json", "-")
    paths = (str(HARNESS), environment.pop("PYTHONPATH", ""), os.environ.get("PYTHONPATH", ""))
    return subprocess.run(
        [sys.executable, "-m", "lossproof", "check", *arguments, *few],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **environment},
        check=False,
    )


def from_cache(done: subprocess.CompletedProcess[str]) -> list[bool]:
    """Of each cell that was announced, whether it was taken from the cache."""
    assert json.loads(done.stdout)["problems"] == [], done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("[")]
    assert lines
    return [line.endswith("from the cache") for line in lines]


# ---- the same again


def test_what_is_unchanged_comes_from_the_cache_and_is_the_same_to_the_bit(write: Write) -> None:
    target = write(SQUARES + WRONG)
    events: list[Event] = []
    first, plain = check(target, regimes=()), check(target, regimes=(), cache=False)
    again = run(plan(Options((target,), jobs=1, dtypes=("float32",), cache=True)), events.append)
    assert (first.cells, first.cached) == (2, 0)
    assert (again.cells, again.cached) == (2, 2)
    assert first.findings
    assert repr(again.results) == repr(first.results) == repr(plain.results)
    assert repr(again.findings) == repr(first.findings)
    assert document(again) == document(first)
    done = [event for event in events if isinstance(event, CellFinished)]
    assert [each.cached for each in done] == [True, True]


BOUND = """
import numpy as np
from lossproof import implements

def _power(logits, labels, gamma):
    log_p = logits - logits.max(1, keepdims=True)
    log_p = (log_p - np.log(np.exp(log_p).sum(1, keepdims=True)))[np.arange(len(labels)), labels]
    return -((-np.expm1(log_p)) ** np.float32(gamma)) * log_p

@implements("focal", framework="numpy", dtypes=["float32"], gamma=1.0, alpha=1)
def fixed(logits, labels):
    return _power(logits, labels, 1)

@implements("focal", framework="numpy", dtypes=["float32"])
def taken(logits, labels, *, gamma=2.0):
    return _power(logits, labels, gamma)
"""


def test_what_a_kept_plan_says_of_its_implementations_is_the_same(write: Write) -> None:
    target = write(BOUND)
    first, again = check(target), check(target)
    assert (first.cells, first.cached, again.cached) == (2, 0, 2)
    assert {
        each.implementation.rpartition(".")[2]: (each.fixed, each.takes) for each in first.implementations
    } == {
        "fixed": ({"gamma": 1.0, "alpha": 1.0}, ()),
        "taken": ({}, ("gamma",)),
    }
    assert repr(again.implementations) == repr(first.implementations)
    assert document(again) == document(first)


def test_maps_are_kept_and_what_was_kept_with_maps_serves_a_run_without(write: Write) -> None:
    target = write(SQUARES)
    first = check(target, maps=True)
    assert first.maps
    again, without = check(target, maps=True), check(target)
    assert (again.cached, without.cached) == (1, 1)
    assert document(again) == document(first)
    assert document(without) == document(first) | {"planes": [], "maps": []}


def test_a_cell_that_was_kept_without_maps_is_examined_where_they_are_wanted(write: Write) -> None:
    target = write(SQUARES)
    assert not check(target).maps
    found = check(target, maps=True)
    assert found.maps
    assert found.cached == 0


def test_worker_processes_keep_what_they_examine(write: Write) -> None:
    target = write(SQUARES)
    dtypes = ("float32", "float64")
    first = check(target, dtypes=dtypes, jobs=2)
    again = check(target, dtypes=dtypes, jobs=2)
    assert (first.cached, again.cached) == (0, 2)
    assert document(again) == document(first)


def test_a_library_that_sets_a_variable_when_it_is_imported_does_no_harm(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = write("import os\nos.environ['TF_CPP_MIN_LOG_LEVEL'] = '1'\n" + SQUARES)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    check(target)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    assert check(target).cached == 1


def test_only_what_is_new_is_examined(write: Write) -> None:
    target = write(SQUARES)
    check(target)
    assert check(target, dtypes=("float32", "float64")).cached == 1


def test_one_function_of_an_adapter_is_the_same_cell(write: Write) -> None:
    target = write(SQUARES + WRONG)
    check(target)
    assert check(f"{target}:squares").cached == 1


# ---- what a cell depends on


@pytest.mark.parametrize(
    "options", [{"seed": 1}, {"profile": "standard"}, {"regimes": ("ordinary", "huge")}], ids=str
)
def test_other_options_are_other_cells(write: Write, options: dict[str, Any]) -> None:
    target = write(SQUARES)
    check(target)
    assert check(target, **options).cached == 0
    assert check(target).cached == 1


def test_an_edited_adapter_is_examined_again_and_the_one_beside_it_is_not(write: Write) -> None:
    mine, other = write(SQUARES), write(SQUARES, "other.py")
    check(mine, other)
    write(SQUARES + "\n# edited\n")
    found = check(mine, other)
    assert (found.cells, found.cached) == (2, 1)
    write(SQUARES)
    assert check(mine, other).cached == 2


@pytest.mark.parametrize("loaded", [True, False])
def test_a_bundled_package_depends_on_each_of_its_files(
    loaded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert discover("portable")[0]
    if not loaded:  # as where its library is missing
        monkeypatch.delitem(sys.modules, "lossproof.builtin.adapters.portable")
    found = sources_of("portable")
    assert found is not None
    assert found.unchanged
    package = (content("adapters") / "portable").resolve()
    assert set(package.glob("*.py")) <= {Path(path) for path, _ in found.files.values()}
    for name, (path, _) in found.files.items():
        edited = replace(found, files={**found.files, name: (path, "another")})
        assert not edited.unchanged
        assert edited.content != found.content


def test_an_adapter_that_imports_by_name_does_not_depend_on_another(write: Write) -> None:
    mine = write(SQUARES)
    other = write("import importlib\nimportlib.import_module('json')\n" + SQUARES, "other.py")
    check(mine, other)
    write(SQUARES + "\n# edited\n")
    assert check(mine, other).cached == 1


@pytest.mark.parametrize(
    "adapter",
    [
        "from package.losses import squared",
        "import importlib\nsquared = importlib.import_module('package.losses').squared",
        "def squared(x):\n    from package.losses import squared\n    return squared(x)",
    ],
)
def test_an_edited_module_that_the_adapter_imports_is_seen(write: Write, adapter: str) -> None:
    target = write(
        SQUARES.replace("np.square(", "squared(").replace(
            "import numpy as np", f"import numpy as np\n{adapter}"
        )
    )
    write("from . import deeper\nsquared = deeper.squared\n", "package/losses.py")
    write("def squared(x):\n    return x * x\n", "package/deeper.py")
    path = str(Path(target).parent)  # where a function still finds it when it is called
    first = command(target, PYTHONPATH=path)
    assert from_cache(first) == [False]
    assert from_cache(command(target, PYTHONPATH=path)) == [True]
    write("def squared(x):\n    return x * x + 1\n", "package/deeper.py")
    again = command(target, PYTHONPATH=path)
    assert from_cache(again) == [False]
    assert (first.returncode, again.returncode) == (0, 1)


def test_a_module_that_an_adapter_can_do_without_is_seen_when_it_comes(write: Write) -> None:
    optional = "try:\n    from fast import squared\nexcept ImportError:\n    def squared(x): return x * x\n"
    target = write(optional + SQUARES.replace("np.square(", "squared("))
    command(target)
    assert from_cache(command(target)) == [True]
    write("", "of_no_interest.py")
    assert from_cache(command(target)) == [True]
    write("def squared(x):\n    return x * x + 1\n", "fast.py")
    again = command(target)
    assert (from_cache(again), again.returncode) == ([False], 1)


def test_a_module_from_another_place_on_the_path_is_seen(write: Write, tmp_path: Path) -> None:
    target = write("from helper import squared\n" + SQUARES.replace("np.square(", "squared("))
    right = write("def squared(x):\n    return x * x\n", "right/helper.py")
    wrong = write("def squared(x):\n    return x * x + 1\n", "wrong/helper.py")
    paths = [str(Path(each).parent) for each in (right, wrong)]
    assert [command(target, PYTHONPATH=path).returncode for path in paths * 2] == [0, 1, 0, 1]
    assert from_cache(command(target, PYTHONPATH=paths[0])) == [True]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("_processor", lambda: "another processor"),
        ("_cores", lambda: 1000),
        ("_distributions", lambda: [["numpy-99.dist-info", ""]]),
        ("_package", lambda: [("errors.py", "")]),
        ("gpus", lambda: ("another GPU",)),
    ],
)
def test_other_surroundings_are_another_cell(
    write: Write, monkeypatch: pytest.MonkeyPatch, name: str, changed: Any
) -> None:
    target = write(SQUARES)
    check(target)
    with monkeypatch.context() as patch:
        patch.setattr(surroundings, name, changed)
        assert check(target).cached == 0
    assert check(target).cached == 1


def test_a_variable_that_a_library_reads_is_part_of_the_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    before = surroundings.surroundings()
    monkeypatch.setenv("OF_NO_INTEREST", "1")
    assert surroundings.surroundings() == before
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    assert surroundings.surroundings() != before


def test_a_gpu_is_named_by_its_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surroundings, "DRIVER", tmp_path)
    information = tmp_path / "gpus" / "0000:01:00.0" / "information"
    information.parent.mkdir(parents=True)
    information.write_text("Model: \t NVIDIA H100 80GB HBM3\nIRQ:   \t 57\n")
    (tmp_path / "version").write_text(
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54\nGCC version: 12\n"
    )
    surroundings.gpus.cache_clear()
    found = surroundings.gpus()
    surroundings.gpus.cache_clear()
    assert found == ("NVIDIA H100 80GB HBM3", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54")


@pytest.mark.parametrize(
    ("status", "names", "expected"),
    [
        (0, ["NVIDIA H100", "NVIDIA L4"], ("NVIDIA H100", "NVIDIA L4", "550.54")),
        (0, [], ()),
        (9, ["NVIDIA H100"], None),  # a driver that is there and does not answer
    ],
)
def test_a_gpu_is_named_by_the_drivers_library(
    monkeypatch: pytest.MonkeyPatch, status: int, names: list[str], expected: Any
) -> None:
    def driver(text: Any, size: int) -> int:
        text.value = b"550.54"
        return 0

    def count(found: Any) -> int:
        found._obj.value = len(names)
        return 0

    def handle(index: int, found: Any) -> int:
        found._obj.value = index
        return 0

    def name(device: Any, text: Any, size: int) -> int:
        text.value = names[device.value or 0].encode()
        return 0

    library = types.SimpleNamespace(
        nvmlInit_v2=lambda: status,
        nvmlSystemGetDriverVersion=driver,
        nvmlDeviceGetCount_v2=count,
        nvmlDeviceGetHandleByIndex_v2=handle,
        nvmlDeviceGetName=name,
        nvmlShutdown=lambda: 0,
    )
    monkeypatch.setattr(surroundings.ctypes, "CDLL", lambda path: library)
    assert surroundings._by_nvml() == expected


def test_a_cell_depends_on_its_spec_and_on_those_that_this_names() -> None:
    assert set(specs_of("cross_entropy")) >= {"cross_entropy", "nll", "log_softmax"}
    assert set(specs_of("mse")) == {"mse"}


def own(write: Write, name: str, law: str = "") -> str:
    """An adapter with a spec of its own. name: another in each test, since a process knows one file of a loss."""
    write((OWN_SPEC + law).replace("NAME", name), f"{name}.yaml")
    return write(OWN.replace("NAME", name))


def test_an_edited_spec_of_ones_own_is_seen(write: Write) -> None:
    target = own(write, "doubled")
    first = check(target, regimes=())
    assert check(target, regimes=()).cached == 1
    own(write, "doubled", "  zero: NAME(0 * x) == 0 * x\n")
    again = check(target, regimes=())
    assert again.cached == 0
    laws = [{row.check for row in found.results if row.check.startswith("law:")} for found in (first, again)]
    assert laws == [{"law:odd"}, {"law:odd", "law:zero"}]


def test_a_false_law_of_ones_own_spec_is_told_again_with_its_counterexample(write: Write) -> None:
    target = own(write, "twofold", "  even: NAME(-x) == NAME(x)\n")
    first, again = check(target, regimes=()), check(target, regimes=())
    assert again.cached == 1
    assert "law 'even' of twofold is false for its definition: x = " in first.problems[0].message
    assert document(again) == document(first)


def test_a_waiver_counts_as_long_as_it_is_in_force(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    today = datetime.date.today()
    day = datetime.timedelta(days=1)
    waiver = Waiver(
        implementation="mine.wrong",
        loss="mse",
        checks=("*",),
        reason="known",
        since=today - day,
        expires=today,
    )
    target = write(SQUARES + WRONG)

    def with_waivers(*waivers: Waiver) -> Run:
        monkeypatch.setattr(worker, "_waivers", lambda: waivers)
        return check(target, regimes=())

    def verdicts(found: Run) -> set[Verdict]:
        return {finding.verdict for finding in found.findings}

    assert verdicts(with_waivers()) == {Verdict.FAIL}
    # a waiver of another implementation, and one that is over, change nothing
    assert with_waivers(waiver.model_copy(update={"loss": "nll"})).cached == 2
    assert with_waivers(waiver.model_copy(update={"expires": today - day})).cached == 2
    waived = with_waivers(waiver)
    assert (waived.cached, verdicts(waived)) == (1, {Verdict.WAIVED})
    assert with_waivers(waiver).cached == 2


# ---- what is not kept


def test_a_cell_that_raised_is_examined_again(write: Write) -> None:
    target = write(
        """
        import numpy as np
        from lossproof import implements

        @implements("mse", framework="numpy")
        def raises(prediction, target):
            raise ValueError("no")
        """
    )
    assert {row.verdict for row in check(target).results} >= {Verdict.ERROR}
    assert check(target).cached == 0


def test_a_function_without_a_file_is_examined_again(write: Write) -> None:
    target = write(
        """
        import numpy as np
        from lossproof import implements

        made = {"np": np}
        exec("def squares(a, b): return np.square(a - b).mean(axis=-1)", made)
        squares = implements("mse", framework="numpy")(made["squares"])
        """
    )
    check(target)
    assert check(target).cached == 0


def test_an_adapter_with_a_module_in_another_language_is_examined_again(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = types.ModuleType("built_by_hand")
    built.__file__ = write("", "built_by_hand.so")
    monkeypatch.setitem(sys.modules, "built_by_hand", built)
    target = write("import built_by_hand\n" + SQUARES)
    check(target)
    assert sources_of(target) is None
    assert check(target).cached == 0


def test_a_file_that_is_written_while_its_cell_is_examined_keeps_it_from_being_kept(write: Write) -> None:
    target = write(SQUARES.replace("return", "import os; os.utime(__file__); return"))
    check(target)
    assert check(target).cached == 0


def test_a_cell_on_a_gpu_that_has_no_name_has_no_key(write: Write) -> None:
    target = write(SQUARES)
    planned = plan(Options((target,), dtypes=("float32",), cache=True))
    keys = [
        cell_cache.CellCache(surroundings.Surroundings("", "", gpus), planned.sources, {}, ()).key(
            replace(planned.cells[0], device="cuda")
        )
        for gpus in (None, (), ("NVIDIA H100",))
    ]
    assert [key is not None for key in keys] == [False, False, True]


def test_a_plan_with_a_problem_is_made_again(write: Write) -> None:
    target = write(SQUARES + '@implements("mess", framework="numpy")\ndef wrong(a, b): ...\n')
    for _ in range(2):
        found = check(target)
        assert "did you mean 'mse'" in found.problems[0].message
    assert found.cached == 1


def test_an_option_leaves_the_cache_alone(write: Write, cache: Path) -> None:
    target = write(SQUARES)
    assert from_cache(command(target, "--no-cache")) == [False]
    assert not (cache / "cells").exists()
    command(target)
    assert from_cache(command(target, "--no-cache")) == [False]
    assert from_cache(command(target)) == [True]


def test_a_check_from_python_keeps_nothing(cache: Path) -> None:
    def squares(prediction: Any, target: Any) -> Any:
        return ((prediction - target) ** 2).mean(axis=-1)

    assert lossproof.check(squares, "mse", framework="numpy", dtypes=["float32"], regimes=["ordinary"]) == []
    assert not cache.exists()


# ---- files that are not as they should be


def damaged(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def foreign(path: Path) -> None:
    path.write_bytes(b"\x80\x04not what it seems")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def of_another_cell(path: Path) -> None:
    entry = json.loads(zlib.decompress(path.read_bytes()))
    path.write_bytes(zlib.compress(json.dumps(entry | {"key": "0" * 64}).encode()))


def of_another_form(path: Path) -> None:
    entry = json.loads(zlib.decompress(path.read_bytes()))
    value = {name: [{"loss": 1}] for name in entry["value"]}
    path.write_bytes(zlib.compress(json.dumps(entry | {"value": value}).encode()))


def of_no_form(path: Path) -> None:
    entry = json.loads(zlib.decompress(path.read_bytes()))
    path.write_bytes(zlib.compress(json.dumps(entry | {"value": 3}).encode()))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil", [damaged, foreign, empty, of_another_cell, of_another_form, of_no_form], ids=lambda f: f.__name__
)
def test_a_file_that_is_no_entry_is_ignored_and_written_anew(write: Write, cache: Path, spoil: Any) -> None:
    target = write(SQUARES)
    first = check(target)
    for path in list(cache.rglob("*.json.z")):
        spoil(path)
    again = check(target)
    assert again.cached == 0
    assert document(again) == document(first)
    assert check(target).cached == 1


def test_a_folder_in_place_of_an_entry_is_no_error(write: Write, cache: Path) -> None:
    target = write(SQUARES)
    check(target)
    for path in list(cache.rglob("*.json.z")):
        a_folder(path)
    assert check(target).cached == 0


def test_without_a_folder_that_can_be_written_everything_is_examined(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = write(SQUARES)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert [check(target).cached for _ in range(2)] == [0, 0]
    assert check(target).results


# ---- the folder


def test_two_runs_at_once_do_not_disturb_each_other(write: Write) -> None:
    target = write(SQUARES + WRONG)
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: command(target), range(3)))
    documents = [json.loads(each.stdout) | {"timing": None} for each in done]
    assert all(each == documents[0] for each in documents)
    assert from_cache(command(target)) == [True, True]


def test_a_reader_meets_the_whole_entry_or_none(tmp_path: Path) -> None:
    store = Store(tmp_path, 2**30)
    key, values = "ab" * 32, [[n] * 5000 for n in range(2)]

    def writes(n: int) -> None:
        for _ in range(50):
            store.write(key, values[n])

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(writes, n) for n in range(2)]
        met = [store.read(key) for _ in range(300)]
        for each in running:
            each.result()
    assert all(value is None or value in values for value in met)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{key[2:]}.json.z"]


def test_the_oldest_go_first_where_the_folder_is_full(tmp_path: Path) -> None:
    store = Store(tmp_path, 0)
    keys = [f"{n:064x}" for n in range(4)]
    for age, key in enumerate(keys):
        store.write(key, key)
        (path,) = tmp_path.rglob(f"*{key[-8:]}.json.z")
        os.utime(path, (1e9 - age, 1e9 - age))
    assert store.read(keys[3]) == keys[3]  # the oldest, until now
    size = path.stat().st_size
    Store(tmp_path, 2 * size).prune()
    assert [store.read(key) is not None for key in keys] == [True, False, False, True]


def test_what_a_dead_process_left_is_dropped(tmp_path: Path) -> None:
    store = Store(tmp_path, 2**20)
    store.write("a" * 64, 1)
    old, new = (tmp_path / "aa" / name for name in (".1.new", ".2.new"))
    for path, age in ((old, 2 * ABANDONED), (new, 0)):
        path.write_bytes(b"")
        os.utime(path, (time.time() - age, time.time() - age))
    store.prune()
    assert (old.exists(), new.exists()) == (False, True)
    assert store.read("a" * 64) == 1


def test_without_a_home_nothing_is_kept() -> None:
    store = Store(None, 1)
    store.write("a" * 64, 1)
    store.prune()
    assert store.read("a" * 64) is None
