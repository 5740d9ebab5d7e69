"""The pytest plugin end to end: what a user writes, what pytest then collects, says and writes."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import shutil
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest

import lossproof
from lossproof import checks, floats, frameworks, inputs, waivers
from lossproof.pytest_plugin import cells, collect, fixture, options  # noqa: F401
from lossproof.report import digest, html  # noqa: F401

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
GOLDEN = Path(__file__).parent / "golden"

LOSSES = """
import numpy as np
from lossproof import implements

@implements("mse", framework="numpy", dtypes=["float32"])
def right(prediction, target):
    return np.square(prediction - target).mean(axis=-1)

@implements("mse", framework="numpy", dtypes=["float32"])
def wrong(prediction, target):
    return np.square(prediction - target).sum(axis=-1)
"""
NEARLY = """
import numpy as np
from lossproof import implements

@implements("mse", framework="numpy", dtypes=["float32"])
def nearly(prediction, target):
    return np.square(prediction - target).mean(axis=-1) * np.float32(1 + 2e-5)
"""
WAIVERS = """
- implementation: {implementation}
  loss: mse
  checks: [accuracy, "law:*"]
  reason: a sum is wanted here
  since: 2020-01-01
  expires: {expires}
"""
FAILING = {"wrong[float32]::accuracy", "wrong[float32]::law:two_copies"}


@pytest.fixture(scope="module", autouse=True)
def _engine_loaded() -> None:
    """pytester takes back what a run in this process has imported; NumPy and PyTorch cannot be imported twice."""
    with contextlib.suppress(ImportError):
        importlib.import_module("torch")
    lossproof.check(lambda x, y: np.square(x - y).mean(-1), "mse", framework="numpy", dtypes="float32")


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The entry point of this checkout, whatever is installed, and no options of the run that runs these tests."""
    home = tmp_path_factory.mktemp("installed")
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    metadata = home / "this_checkout-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: this-checkout\nVersion: 0\n")
    said = "".join(f"{name} = {module}\n" for name, module in points.items())
    (metadata / "entry_points.txt").write_text(f"[pytest11]\n{said}")
    monkeypatch.syspath_prepend(home)
    path = [str(home), str(ROOT / "harness"), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    for name in (
        "PYTEST_ADDOPTS",
        "PYTEST_XDIST_WORKER",
        "PYTEST_XDIST_WORKER_COUNT",
        "PYTEST_XDIST_TESTRUNUID",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def losses(pytester: pytest.Pytester) -> Path:
    return pytester.makepyfile(my_losses=LOSSES)


def results(path: str | Path) -> dict[str, object]:
    """A file of results without what two equal runs may differ in."""
    found: dict[str, object] = json.loads(Path(path).read_text(encoding="utf-8"))
    del found["timing"]
    return found


def failed(result: pytest.RunResult) -> set[str]:
    """The names of failed items, of the lines of the short summary."""
    lines = [line for line in result.outlines if line.startswith("FAILED ")]
    return {line.split()[1].partition("::")[2].partition("@")[0] for line in lines}


def items(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if "::" in line]


# ---- silent until it is used


def test_a_run_that_does_not_use_it_imports_nothing_of_it_and_prints_nothing(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_imports():
            own = {name for name in sys.modules if name.split(".")[0] == "lossproof"}
            plugin = "lossproof.pytest_plugin"
            own_light = {plugin + "." + name for name in ("accepted", "options", "record")}
            assert own == {"lossproof", plugin} | own_light
            heavy = {"numpy", "scipy", "flint", "pydantic", "ruamel", "jinja2", "rich", "typer", "torch", "jax"}
            assert not heavy & set(sys.modules)
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*= lossproof =*")
    assert not result.stderr.str()


def test_its_words_in_the_ini_do_not_load_the_engine(pytester: pytest.Pytester) -> None:
    pytester.makeini(
        "[pytest]\nlossproof_profile = standard\nlossproof_dtype = float32 float64\nlossproof_seed = 3\n"
    )
    pytester.makepyfile("import sys\ndef test_imports(): assert 'numpy' not in sys.modules\n")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_collecting_imports_the_adapter_and_no_oracle(pytester: pytest.Pytester, losses: Path) -> None:
    pytester.makeconftest(
        """
        import sys

        def pytest_collection_finish(session):
            heavy = {"flint", "hypothesis", "scipy", "torch", "jax", "lossproof.oracle", "lossproof.audit.run"}
            print("loaded:", sorted(heavy & set(sys.modules)))
        """
    )
    result = pytester.runpytest_subprocess(
        "--collect-only",
        "-q",
        "-p",
        "no:hypothesispytest",
        "--lossproof",
        losses,
        "--lossproof-report",
        "out",
    )
    result.stdout.fnmatch_lines(["my_losses.py::right[[]float32]::accuracy", "loaded: []"])
    assert not Path("out").exists()


def test_the_words_of_the_options_are_those_of_the_engine() -> None:
    assert set(options.PROFILES) == set(inputs.PROFILES)
    assert set(options.DTYPES) == set(floats.DTYPES)
    assert set(options.DEVICES) == set(frameworks.DEVICES)
    assert set(options.MODES) == set(frameworks.MODES)
    assert set(digest.CHECKS) - {"law"} == set(checks.NAMES)


# ---- the fixture and the marker


def test_the_fixture_passes_what_is_right_and_shows_the_minimal_case_of_what_is_wrong(
    pytester: pytest.Pytester, losses: Path
) -> None:
    pytester.makepyfile(
        """
        import my_losses

        def test_right(lossproof):
            lossproof.verify(my_losses.right, "mse")
            assert lossproof.check(my_losses.right, "mse") == []

        def test_findings(lossproof):
            assert {f.check for f in lossproof.check(my_losses.wrong, "mse")} == {"accuracy", "law:two_copies"}

        def test_wrong(lossproof):
            lossproof.verify(my_losses.wrong, "mse")
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*lossproof.verify(my_losses.wrong, *mse*)",
            "E*AssertionError: my_losses.wrong · numpy float32 eager · accuracy FAILS: * bits lost",
            "E*expected *",
            "E*got *",
            "E*also *law two_copies*",
            "E*│ from my_losses import wrong",
            "test_*.py:11: AssertionError",
            "*= lossproof =*",
            "*fail*profile quick, seed 0",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_plugin*.py:*")


def test_a_mistake_in_a_call_is_told_in_our_words_without_our_frames(
    pytester: pytest.Pytester, losses: Path
) -> None:
    pytester.makepyfile(
        """
        import my_losses

        def test_unknown(lossproof):
            lossproof.verify(my_losses.right, "mze")
        """
    )
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *no spec of the name 'mze'; did you mean 'mse'?"])
    result.stdout.no_fnmatch_line("*api.py*")


def test_the_marker_and_then_the_options_say_what_a_call_does_not(
    pytester: pytest.Pytester, losses: Path
) -> None:
    Path("accepted.yaml").write_text(WAIVERS.format(implementation="my_losses.wrong", expires="2999-01-01"))
    pytester.makepyfile(
        test_marked="""
        import pytest, my_losses

        pytestmark = pytest.mark.lossproof(dtypes=["float64"])

        def test_from_the_module(lossproof):
            lossproof.verify(my_losses.right, "mse")

        @pytest.mark.lossproof(dtypes="float32", waivers="accepted.yaml")
        def test_waived(lossproof):
            lossproof.verify(my_losses.wrong, "mse")
        """,
        test_unmarked="""
        def squares(prediction, target):
            return ((prediction - target) ** 2).mean(-1)

        def others(prediction, target):
            return ((prediction - target) ** 2).mean(-1)

        def test_from_the_options(lossproof):
            lossproof.verify(squares, "mse")

        def test_said_in_the_call(lossproof):
            lossproof.verify(others, "mse", dtypes=["float64"])
        """,
    )
    result = pytester.runpytest(
        "--strict-markers", "--lossproof-dtype=float32", "--lossproof-json=x.json", "--lossproof-seed=5"
    )
    result.assert_outcomes(passed=4)
    found = results("x.json")
    rows = found["results"]
    assert isinstance(rows, list)
    assert {(row["implementation"], row["dtype"]) for row in rows} == {
        ("my_losses.right", "float64"),
        ("test_unmarked.squares", "float32"),
        ("test_unmarked.others", "float64"),
        ("my_losses.wrong", "float32"),
    }
    waived = {row["check"] for row in rows if row["verdict"] == "waived"}
    assert waived == {"accuracy", "law:two_copies"}
    assert found["seed"] == 5


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        ("profil='deep'", "unknown argument 'profil'; did you mean 'profile'?*"),
        ("profile='depp'", "unknown profile 'depp'; did you mean 'deep'?*"),
        ("dtypes=['float23']", "unknown dtype 'float23'; did you mean 'float32'?*"),
        ("waivers='none.yaml'", "no file '*none.yaml'"),
    ],
)
def test_a_mistake_in_a_marker_is_one_line(pytester: pytest.Pytester, marker: str, said: str) -> None:
    pytester.makepyfile(f"import pytest\n@pytest.mark.lossproof({marker})\ndef test_one(lossproof): ...\n")
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"marker lossproof: {said}"])
    result.stdout.no_fnmatch_line("*fixture.py*")


# ---- adapter files


def test_an_adapter_file_gives_an_item_for_each_implementation_dtype_and_check(
    pytester: pytest.Pytester, losses: Path
) -> None:
    result = pytester.runpytest(
        "--lossproof", "my_losses.py", "--collect-only", "-q", "--lossproof-dtype=float64,float16"
    )
    found = items(result)
    assert found[0] == "my_losses.py::right[float64]::accuracy"
    assert "my_losses.py::wrong[float16]::law:two_copies" in found
    assert len(found) == len(set(found)) == 4 * (len(checks.NAMES) + 8)


def test_items_tell_what_is_unusual_about_their_setting(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        my_losses="""
        from lossproof import implements

        @implements("mse", framework="torch", dtypes=["float32"])
        @implements("mse", framework="numpy", dtypes=["float32"])
        def both(prediction, target): ...
        """
    )
    result = pytester.runpytest(
        "--lossproof=my_losses.py", "--collect-only", "-q", "-k", "purity",
        "--lossproof-mode=eager,compiled", "--lossproof-device", "cuda",
    )  # fmt: skip
    assert items(result) == [
        f"my_losses.py::both[float32-cuda-{more}]::purity"
        for more in ("torch", "compiled-torch", "numpy", "compiled-numpy")
    ]


def test_each_item_has_the_verdict_of_its_check(pytester: pytest.Pytester, losses: Path) -> None:
    result = pytester.runpytest("--lossproof", losses, "-p", "no:cacheprovider", "-rsf")
    result.assert_outcomes(passed=24, failed=2, skipped=4)
    assert failed(result) == FAILING
    result.stdout.fnmatch_lines(
        [
            "my_losses.wrong · numpy float32 eager · accuracy FAILS: * bits lost",
            "  expected *",
            "  got *",
            "    │ from my_losses import wrong",
            "SKIPPED*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*.py:*: Failed")


def test_a_cell_is_examined_once_and_only_where_an_item_of_it_runs(
    pytester: pytest.Pytester, losses: Path
) -> None:
    result = pytester.runpytest(
        "--lossproof", losses, "-k", "right and (accuracy or finiteness)", "--lossproof-json=x.json"
    )
    assert result.parseoutcomes()["passed"] == 2
    rows = results("x.json")["results"]
    assert isinstance(rows, list)
    assert {row["implementation"] for row in rows} == {"my_losses.right"}
    keys = [(row["check"], row["regime"]) for row in rows]
    assert len(keys) == len(set(keys))


def test_a_node_id_and_last_failed_select_items(pytester: pytest.Pytester, losses: Path) -> None:
    chosen = "my_losses.py::wrong[float32]::accuracy"
    pytester.makeini("[pytest]\nlossproof_files = my_*.py\n")
    pytester.runpytest(chosen).assert_outcomes(failed=1)
    pytester.runpytest("my_losses.py::right").assert_outcomes(passed=13, skipped=2)
    pytester.runpytest().assert_outcomes(passed=24, failed=2, skipped=4)
    again = pytester.runpytest("--lf")
    again.assert_outcomes(failed=2)
    assert failed(again) == FAILING
    pytester.runpytest("-x").assert_outcomes(passed=13, failed=1, skipped=2)


def test_a_node_id_beside_its_file_is_all_that_runs_of_it(pytester: pytest.Pytester) -> None:
    home = pytester.mkdir("a")
    (home / "losses.py").write_text(LOSSES)
    (pytester.path / "other.py").write_text(LOSSES)
    chosen = "a/losses.py::wrong[float32]::accuracy"
    quiet = ("--collect-only", "-q", "--lossproof", "a/losses.py")
    assert items(pytester.runpytest(*quiet, chosen)) == [chosen]
    assert len(items(pytester.runpytest(*quiet, chosen, "--lossproof", "other.py"))) == 31
    assert len(items(pytester.runpytest(*quiet, "a/losses.py"))) == 30
    pytester.runpytest("--lossproof", "a/losses.py", chosen).assert_outcomes(failed=1)


def test_the_ini_names_files_beside_the_tests_and_a_typed_path_stands_alone(
    pytester: pytest.Pytester,
) -> None:
    home = pytester.mkdir("losses")
    (home / "mine.py").write_text(LOSSES)
    (pytester.mkdir("tests") / "test_one.py").write_text("def test_one(): ...\n")
    quiet = ("--collect-only", "-q")
    pytester.makeini("[pytest]\ntestpaths = tests\nlossproof_files = losses/*.py\n")
    both = items(pytester.runpytest(*quiet))
    assert both[0] == "tests/test_one.py::test_one"
    assert len(both) == 31
    assert all(line.startswith("losses/mine.py::") for line in both[1:])
    assert len(items(pytester.runpytest(*quiet, "losses"))) == 30
    assert items(pytester.runpytest(*quiet, "tests")) == both[:1]
    assert items(pytester.runpytest(*quiet, "--lossproof", "losses/mine.py")) == both[1:]
    assert len(items(pytester.runpytest(*quiet, "--lossproof", "losses/mine.py", "tests"))) == 31
    pytester.makeini("[pytest]\ntestpaths = tests\naddopts = --lossproof losses/mine.py\n")
    assert items(pytester.runpytest(*quiet)) == both


def test_files_of_a_pattern_that_declare_nothing_are_left_out_and_named_ones_are_not(
    pytester: pytest.Pytester,
) -> None:
    home = pytester.mkdir("losses")
    (home / "mine.py").write_text(LOSSES.replace("import numpy as np", "from .util import np"))
    (home / "util.py").write_text("import numpy as np\n")
    (home / "__init__.py").write_text("from .mine import right\n")
    pytester.makeini("[pytest]\nlossproof_files = losses/*.py\n")
    found = pytester.runpytest("--collect-only", "-q")
    assert found.ret == 0
    assert len(items(found)) == 30
    assert all(line.startswith("losses/mine.py::") for line in items(found))
    pytester.runpytest("--lossproof=losses/util.py").assert_outcomes(errors=1)
    pytester.makeini("[pytest]\n")
    both = ("--lossproof=losses/__init__.py", "--lossproof=losses/mine.py", "--collect-only", "-q")
    assert len(items(pytester.runpytest(*both))) == 30
    pytester.runpytest("--lossproof=losses/__init__.py").assert_outcomes(errors=1)
    pytester.makeini("[pytest]\nlossproof_files = losses/util.py\n")
    pytester.runpytest().assert_outcomes(errors=1)


def test_degraded_passes_unless_it_is_asked_to_fail(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(my_losses=NEARLY)
    pytester.makepyfile(
        "import my_losses\ndef test_nearly(lossproof): lossproof.verify(my_losses.nearly, 'mse')\n"
    )
    arguments = ("--lossproof=my_losses.py", ".", "-k", "accuracy or test_nearly")
    pytester.runpytest(*arguments).assert_outcomes(passed=2, deselected=14)
    result = pytester.runpytest(*arguments, "--lossproof-fail-on", "degraded")
    result.assert_outcomes(failed=2, deselected=14)
    result.stdout.fnmatch_lines(
        ["my_losses.nearly · numpy float32 eager · accuracy * degraded: * bits lost*"]
    )


def test_waived_items_are_expected_failures_until_the_waiver_expires(
    pytester: pytest.Pytester, losses: Path
) -> None:
    accepted = Path("accepted.yaml")
    arguments = ("--lossproof", losses, "--lossproof-waivers", accepted, "-rx")
    accepted.write_text(WAIVERS.format(implementation="my_losses.wrong", expires="2999-01-01"))
    result = pytester.runpytest(*arguments)
    result.assert_outcomes(passed=24, xfailed=2, skipped=4)
    result.stdout.fnmatch_lines(["XFAIL *accuracy - *a sum is wanted here"])
    accepted.write_text(WAIVERS.format(implementation="my_losses.wrong", expires="2020-01-02"))
    result = pytester.runpytest(*arguments)
    result.assert_outcomes(passed=24, failed=2, skipped=4)
    result.stdout.fnmatch_lines(
        [
            "Waivers that do not hold in this run:",
            "  *accepted.yaml:*:3: the waiver for my_losses.wrong * expired on 2020-01-02*",
        ]
    )


def test_a_file_of_waivers_is_read_once_in_a_run(
    pytester: pytest.Pytester, losses: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    load = waivers.load
    monkeypatch.setattr(waivers, "load", lambda path: [read.append(path), *load(path)][1:])
    Path("accepted.yaml").write_text(WAIVERS.format(implementation="my_losses.wrong", expires="2999-01-01"))
    pytester.makepyfile(
        """
        import my_losses, pytest
        @pytest.mark.parametrize("n", [1, 2])
        def test_wrong(lossproof, n): assert not lossproof.check(my_losses.wrong, "mse", dtypes="float32")
        """
    )
    arguments = ("--lossproof", losses, "--lossproof-waivers", "accepted.yaml")
    pytester.runpytest(*arguments, *pytester.path.glob("test_*.py")).assert_outcomes(
        passed=26, xfailed=2, skipped=4
    )
    assert [path.name for path in read] == ["accepted.yaml"]


@pytest.mark.parametrize("where", ["any(q == 0, D)", "q = 0"])
def test_a_where_that_is_no_condition_is_one_collection_error(
    pytester: pytest.Pytester, losses: Path, where: str
) -> None:
    pytester.makepyfile(others=LOSSES)
    accepted = Path("accepted.yaml")
    written = WAIVERS.format(implementation="my_losses.wrong", expires="2999-01-01")
    accepted.write_text(f"{written}  where: {where}\n")
    arguments = ("--lossproof", losses, "--lossproof", "others.py", "--lossproof-waivers", accepted)
    result = pytester.runpytest(*arguments)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*accepted.yaml:*: 'where' of the waiver for my_losses.wrong (mse), *"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_law_that_is_false_of_its_own_definition_fails_with_its_place(pytester: pytest.Pytester) -> None:
    for name in ("pinball.yaml", "pinball_losses.py"):
        shutil.copy(Path(__file__).parent / "new_user" / name, name)
    spec = Path("pinball.yaml")
    spec.write_text(spec.read_text().replace(">= 0", ">= 1", 1))
    result = pytester.runpytest_subprocess(
        "--lossproof=pinball_losses.py", "-k", "nonnegative and float32 and not swapped"
    )
    assert result.parseoutcomes()["failed"] == 1
    result.stdout.fnmatch_lines(
        ["*pinball.yaml:14:3: law 'nonnegative' of pinball is false for its definition*"]
    )


def test_torch_runs_eager_on_the_cpu_unless_more_is_asked_for(pytester: pytest.Pytester) -> None:
    pytest.importorskip("torch")
    path = pytester.makepyfile(
        my_losses="""
        from lossproof import implements

        @implements("mse", framework="torch", dtypes=["float32"])
        def squares(prediction, target):
            return (prediction - target).square().mean(-1)
        """
    )
    result = pytester.runpytest_subprocess("--lossproof", path, "-k", "accuracy or gradient or purity")
    assert result.parseoutcomes() == {"passed": 4, "deselected": 11}


# ---- pytest-xdist, the report and the JSON


@pytest.mark.parametrize("dist", ["load", "loadgroup"])
def test_xdist_gives_the_same_verdicts_one_report_and_the_same_results(
    pytester: pytest.Pytester, losses: Path, dist: str
) -> None:
    pytester.makepyfile(
        "import my_losses\n"
        "def test_right(lossproof): lossproof.verify(my_losses.right, 'mse', dtypes=['float64'])\n"
    )
    arguments = ("--lossproof", losses, ".")
    pytester.runpytest(*arguments, "--lossproof-json=one.json").assert_outcomes(
        passed=25, failed=2, skipped=4
    )
    result = pytester.runpytest_subprocess(*arguments, "-n2", f"--dist={dist}", "--lossproof-report=out")
    result.assert_outcomes(passed=25, failed=2, skipped=4)
    assert failed(result) == FAILING
    assert len([line for line in result.outlines if "= lossproof =" in line]) == 1
    assert results("out/results.json") == results("one.json")
    page = Path("out/index.html").read_text(encoding="utf-8")
    assert "my_losses.<wbr>wrong" in page or "my_losses.wrong" in page


@pytest.mark.parametrize("dist", ["load", "loadgroup"])
def test_xdist_has_each_dtype_of_an_implementation_examined_by_one_worker(
    pytester: pytest.Pytester, dist: str
) -> None:
    path = pytester.makepyfile(
        counted="""
        import os
        import lossproof as lp

        @lp.implements("mse", framework="numpy")
        def mse(prediction, target):
            with open("calls", "a") as file:
                print(prediction.dtype, os.getpid(), file=file)
            return ((prediction - target) ** 2).mean(-1)
        """
    )
    pytester.makepyfile("def test_one(): ...\ndef test_two(): ...")
    result = pytester.runpytest_subprocess("--lossproof", path, ".", "-n2", f"--dist={dist}")
    result.assert_outcomes(passed=28, skipped=4)
    calls = {tuple(line.split()) for line in Path("calls").read_text().splitlines()}
    assert sorted(dtype for dtype, _ in calls) == ["float32", "float64"]


def test_a_report_of_nothing_says_so_and_one_that_cannot_be_written_stops_the_run(
    pytester: pytest.Pytester,
) -> None:
    pytester.makepyfile("def test_one(): ...")
    result = pytester.runpytest("--lossproof-report=out")
    result.stdout.fnmatch_lines(["nothing was checked; profile quick, seed 0", "report: *index.html"])
    Path("taken").write_text("")
    stopped = pytester.runpytest("--lossproof-report=taken")
    assert stopped.ret == pytest.ExitCode.USAGE_ERROR
    stopped.stderr.fnmatch_lines(["ERROR: *taken: cannot be written: *"])


def test_a_project_with_its_own_hypothesis_profile_gets_the_same_results_and_keeps_it(
    pytester: pytest.Pytester, losses: Path
) -> None:
    pytester.makepyfile(
        """
        import my_losses
        from hypothesis import settings

        def test_deep(lossproof):
            few = dict(profile="deep", regimes=["ordinary", "huge"], dtypes=["float32"])
            lossproof.verify(my_losses.right, "mse", **few)

        def test_profile():
            assert settings.default.max_examples in (100, 2)
        """
    )
    pytester.runpytest_subprocess("--lossproof-json=plain.json").assert_outcomes(passed=2)
    pytester.makeconftest(
        """
        from hypothesis import Phase, settings

        settings.register_profile("own", max_examples=2, derandomize=True, deadline=1, phases=[Phase.explicit])
        settings.load_profile("own")
        """
    )
    pytester.runpytest_subprocess("--lossproof-json=own.json").assert_outcomes(passed=2)
    assert results("own.json") == results("plain.json")


# ---- mistakes


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ('"mze", framework="numpy"', "my_losses.py:*: no spec of the name 'mze'; did you mean 'mse'?"),
        ('"mse", framework="numpy", reducton="mean"', "my_losses.py:*: unknown parameter 'reducton' of mse*"),
        ('"mse", framework="nunpy"', "my_losses.py:*: unknown framework 'nunpy'; did you mean 'numpy'?*"),
    ],
)
def test_a_mistake_in_an_adapter_is_a_collection_error_in_one_line(
    pytester: pytest.Pytester, declared: str, said: str
) -> None:
    pytester.makepyfile(
        my_losses=f"from lossproof import implements\n@implements({declared})\ndef loss(prediction, target): ...\n"
    )
    result = pytester.runpytest("--lossproof", "my_losses.py")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*ERROR collecting my_losses.py*", said])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*harness*")


def test_a_keyword_that_is_nearly_a_parameter_is_a_warning_of_the_collection(
    pytester: pytest.Pytester,
) -> None:
    text = """
        from lossproof import implements
        @implements("bce_with_logits", framework="numpy")
        def bce(logits, targets, weight=2.0): ...
        """
    pytester.makepyfile(my_losses=text)
    pytester.makepyfile(
        """
        import my_losses
        def test_bce(lossproof): lossproof.check(my_losses.bce, "bce_with_logits", dtypes="float32")
        """
    )
    said = "bce has a keyword 'weight'*did you mean 'pos_weight'*"
    arguments = ("--lossproof=my_losses.py", "--collect-only", "-q")
    found = pytester.runpytest(*arguments, "-W", "default")
    assert found.ret == 0
    found.stdout.fnmatch_lines(f"*my_losses.py:2: PytestCollectionWarning: {said}")
    found = pytester.runpytest(*arguments, "-W", "error")
    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(f"my_losses.py:2: {said}")
    found = pytester.runpytest("-W", "default")
    found.stdout.fnmatch_lines(["*test_a_keyword_that*.py:2: UserWarning:*"])


def test_two_adapters_may_not_have_one_name(pytester: pytest.Pytester) -> None:
    for home in ("a", "b"):
        (pytester.mkdir(home) / "losses.py").write_text(LOSSES)
    result = pytester.runpytest("--lossproof=a/losses.py", "--lossproof=b/losses.py", "--collect-only")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["b*losses.py:5: 'losses.right' is in *losses.py too; rename one of the files*"]
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--lossproof-profile=quik"], "--lossproof-profile: unknown profile 'quik'; did you mean 'quick'?*"),
        (
            ["--lossproof-dtype=float32,flaot64"],
            "--lossproof-dtype: unknown dtype 'flaot64'; did you mean 'float64'?*",
        ),
        (["--lossproof-device=gpu"], "--lossproof-device: unknown device 'gpu'; did you mean 'cuda'?*"),
        (["--lossproof-mode=compile"], "--lossproof-mode: unknown mode 'compile'; did you mean 'compiled'?*"),
        (
            ["--lossproof-fail-on=degarded"],
            "--lossproof-fail-on: unknown verdict 'degarded'; did you mean 'degraded'?*",
        ),
        (["--lossproof-seed=-1"], "--lossproof-seed: '-1' is no whole number of 0 or more"),
        (["--lossproof-waivers=none.yaml"], "--lossproof-waivers: no file '*none.yaml'"),
        (["--lossproof=my_loses.py"], "--lossproof: no file 'my_loses.py'; did you mean 'my_losses.py'?*"),
        (["--lossproof=."], "--lossproof: '.' is no Python file; name an adapter file"),
        (
            ["-o", "lossproof_profile=quik"],
            "lossproof_profile: unknown profile 'quik'; did you mean 'quick'?*",
        ),
        (
            ["-o", "lossproof_dtype=float32 flaot64"],
            "lossproof_dtype: unknown dtype 'flaot64'; did you mean 'float64'?*",
        ),
        (
            ["-o", "lossproof_fail_on=degarded"],
            "lossproof_fail_on: unknown verdict 'degarded'; did you mean 'degraded'?*",
        ),
        (["-o", "lossproof_seed=x"], "lossproof_seed: 'x' is no whole number of 0 or more"),
        (["-o", "lossproof_waivers=none.yaml"], "lossproof_waivers: no file '*none.yaml'"),
        (
            ["-o", "lossproof_profile=quick", "--lossproof-profile=quik"],
            "--lossproof-profile: unknown profile 'quik'; did you mean 'quick'?*",
        ),
        (["-o", "lossproof_files=loses/*.py"], "lossproof_files: no Python file matches 'loses/[*].py' in *"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_a_wrong_word_is_a_usage_error_with_the_nearest_right_one(
    pytester: pytest.Pytester, losses: Path, arguments: list[str], said: str
) -> None:
    result = pytester.runpytest(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {said}"])


# ---- what the README and the help say


def test_the_readme_names_every_option_and_its_tests_run(pytester: pytest.Pytester) -> None:
    section = (
        (ROOT / "README.md")
        .read_text(encoding="utf-8")
        .partition("## In your tests")[2]
        .partition("\n## ")[0]
    )
    written, ini = (
        textwrap.dedent(block) for block in re.findall(r"(?:^ {4}.*\n|^\n(?= {4}))+", section, re.M)
    )
    flags = set(re.findall(r"--lossproof[a-z-]*", section))
    assert flags == set(re.findall(r"--lossproof[a-z-]*", (GOLDEN / "pytest_help.txt").read_text()))
    pytester.makepyfile(test_as_written=written)
    pytester.makepyprojecttoml(ini)
    home = pytester.mkdir("losses")
    (home / "mine.py").write_text(LOSSES.replace("wrong", "my_loss"))
    pytester.makepyfile(
        my_losses="""
        import numpy as np

        def my_loss(logits, labels):
            top = logits.max(-1, keepdims=True)
            gaps = top - np.take_along_axis(logits, labels[:, None], -1)
            return np.log(np.exp(logits - top).sum(-1)) + gaps[:, 0] + 1
        """
    )
    result = pytester.runpytest("--collect-only", "-q")
    assert {"test_as_written.py::test_my_loss", "losses/mine.py::my_loss[float32]::gradient"} <= set(
        items(result)
    )
    told = pytester.runpytest("test_as_written.py", "--lossproof-dtype=float32")
    told.assert_outcomes(failed=1)
    told.stdout.fnmatch_lines(["E *AssertionError: my_losses.my_loss*", "E *expected *", "E *got *"])


def shown(text: str, name: str) -> None:
    """Hold a help text to the file that a reader has seen; LOSSPROOF_GOLDEN=1 writes the file anew."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("LOSSPROOF_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_the_help_of_pytest_is_as_it_was_seen(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    lines = pytester.runpytest_subprocess("--help").outlines
    start = lines.index("lossproof: verification of loss functions:")
    section = lines[start : lines.index("", start)]
    ini = [line for line in lines if line.startswith("  lossproof_")]
    assert {line.split()[0] for line in ini} >= {
        "lossproof_" + word.split("=")[0].removeprefix("--lossproof-").replace("-", "_")
        for word in " ".join(section).split()
        if word.startswith("--lossproof-")
    }
    shown("\n".join(section) + "\n", "pytest_help")


def test_the_help_of_the_command_is_as_it_was_seen(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    result = pytester.runpython_c(
        "from lossproof.cli import main; import sys; sys.argv = ['lossproof', '--help']; main()"
    )
    shown(textwrap.dedent(result.stdout.str()).strip("\n") + "\n", "lossproof_help")
