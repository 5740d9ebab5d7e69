from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import types
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import report_samples as samples
from lossproof.audit import planned
from lossproof.audit.events import CellFinished, RunStarted
from lossproof.audit.results import Run, Verdict
from lossproof.cli import app
from lossproof.cli.adapters import scan
from lossproof.cli.exits import exit_code
from lossproof.cli.options import split
from lossproof.errors import Place, SpecError, UsageError
from lossproof.report import json as report
from lossproof.report.json import write

SRC = Path(__file__).parents[1] / "harness"


@dataclass(frozen=True)
class Options(planned.Options):
    cache: bool = True
    cells: tuple[Any, ...] = ()  # a plan's, for which the options stand in
    problems: list[Any] = field(default_factory=list, compare=False)


@dataclass(frozen=True)
class Proof:
    loss: str
    law: str
    verdict: str = "proved"
    cases: int = 100
    undecided: int = 0
    counterexample: str | None = None
    place: str | None = None

    @property
    def falsehood(self) -> str:
        return f"law '{self.law}' of {self.loss} is false for its definition: {self.counterexample}"


@dataclass
class Engine:
    """Stands in for the engine: remembers what it was asked for and gives what the test wants."""

    run: Run = field(default_factory=samples.clean_run)
    asked: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    proofs: list[Proof] = field(default_factory=list)
    replayed: list[Any] = field(default_factory=list)
    ran: int = 0

    def plan(self, options: Options) -> Options:
        self.asked.append(options)
        if isinstance(self.error, UsageError):
            raise self.error
        return options

    def go(self, plan: Options, listener: Any) -> Run:
        self.ran += 1
        row = samples.result()
        listener(RunStarted(3))
        where = (row.implementation, row.loss, row.framework, row.device, row.mode, row.dtype)
        listener(CellFinished(*where, (row,), (), 0.5))
        if self.error:
            raise self.error
        return self.run

    def prove(self, specs: Any, *, profile: str, seed: int, on_proof: Any) -> list[Proof]:
        self.asked.append((tuple(specs), profile, seed))
        if self.error:
            raise self.error
        named = [Path(spec).stem for spec in specs]
        proofs = [proof for proof in self.proofs if proof.loss in named]
        for proof in proofs:
            on_proof(proof)
        return proofs

    def replay(self, findings: list[Any], finding: str | None, path: Path) -> list[Any]:
        self.asked.append((len(findings), finding, path))
        return self.replayed


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    fake = Engine()
    modules = {
        "plan": {"Options": Options, "plan": fake.plan},
        "run": {"run": fake.go},
        "prove": {"Proof": Proof, "prove": fake.prove},
        "replay": {"replay": fake.replay},
        "worker": {"start": lambda: None},
    }
    for name, content in modules.items():
        module = types.ModuleType(f"lossproof.audit.{name}")
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return fake


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_options_reach_the_engine_repeated_or_separated_by_commas(engine: Engine) -> None:
    result = call(
        *(
            "check",
            "mine.py",
            "textbook",
            "--loss",
            "nll,mse",
            "--loss",
            "softmax",
            "--framework",
            "torch, jax",
        ),
        *("--device", "cpu", "--dtype", "float16", "--mode", "eager", "--regime", "huge,near tie"),
        *("--profile", "deep", "--seed", 5, "--jobs", 2),
    )
    assert result.exit_code == 0
    assert engine.asked == [
        Options(
            targets=("mine.py", "textbook"),
            losses=("nll", "mse", "softmax"),
            frameworks=("torch", "jax"),
            devices=("cpu",),
            dtypes=("float16",),
            modes=("eager",),
            regimes=("huge", "near tie"),
            profile="deep",
            seed=5,
            jobs=2,
        )
    ]


@pytest.mark.parametrize("command", [("check", "mine.py"), ("audit",)], ids=str)
def test_the_cache_is_used_unless_it_is_not_wanted(engine: Engine, command: tuple[str, ...]) -> None:
    call(*command)
    call(*command, "--no-cache")
    assert [asked.cache for asked in engine.asked] == [True, False]


def test_values_are_split_and_kept_once() -> None:
    assert split(["a, b", "b", ",", "c"]) == ("a", "b", "c")
    assert split(None) == ()


def test_audit_asks_for_the_defaults(engine: Engine) -> None:
    assert call("audit").exit_code == 0
    assert engine.asked == [Options()]


def test_spec_binds_a_function_in_the_framework_that_is_named(engine: Engine) -> None:
    assert call("check", "m.py:f", "--spec", "mse", "--framework", "jax").exit_code == 0
    assert engine.asked == [Options(targets=("m.py:f",), spec="mse", framework="jax")]


@pytest.mark.parametrize("framework", [[], ["--framework", "jax,torch"]])
def test_spec_without_one_framework_is_wrong_usage(engine: Engine, framework: list[str]) -> None:
    result = call("check", "m.py:f", "--spec", "mse", *framework)
    assert result.exit_code == 2
    assert (
        result.stderr
        == "error: --spec binds a function in one framework: add --framework numpy, torch or jax\n"
    )


@pytest.mark.parametrize(
    ("run", "fail_on", "code"),
    [
        (samples.clean_run(), "fail", 0),
        (samples.run(samples.result(verdict=Verdict.FAIL)), "fail", 1),
        (samples.run(samples.result(verdict=Verdict.ERROR)), "fail", 1),
        (samples.run(samples.result(verdict=Verdict.WAIVED)), "degraded", 0),
        (samples.run(samples.result(verdict=Verdict.DEGRADED)), "fail", 0),
        (samples.run(samples.result(verdict=Verdict.DEGRADED)), "degraded", 1),
        (samples.full_run(), "fail", 2),
        (samples.run(problems=samples.full_run().problems), "fail", 2),
        (samples.run(samples.result(verdict=Verdict.SKIP, reason="no CUDA device")), "fail", 3),
        (samples.run(), "fail", 3),
    ],
)
def test_the_exit_code_says_what_the_run_found(engine: Engine, run: Run, fail_on: str, code: int) -> None:
    engine.run = run
    assert exit_code(run, fail_on) == code
    assert call("audit", "--fail-on", fail_on).exit_code == code


def test_every_report_is_written_where_it_was_asked_for(engine: Engine, tmp_path: Path) -> None:
    engine.run = samples.full_run()
    paths = [tmp_path / "a" / "r.json", tmp_path / "b", tmp_path / "c" / "j.xml"]
    result = call("audit", "--json", paths[0], "--html", paths[1], "--junit", paths[2])
    assert report.read(paths[0]) == engine.run
    assert (paths[1] / "index.html").is_file()
    assert paths[2].read_text().startswith("<?xml")
    assert result.stdout.splitlines()[-3:] == [
        f"results: {paths[0]}",
        f"JUnit: {paths[2]}",
        f"report: {paths[1] / 'index.html'}",
    ]
    assert f"lossproof replay {paths[0]} f1a2" in result.stdout


def test_json_on_standard_output_is_alone_there(engine: Engine) -> None:
    result = call("audit", "--json", "-")
    assert json.loads(result.stdout)["schema"] == 1
    assert "3 checks: 3 pass" in result.stderr


def test_a_place_that_cannot_be_written_is_said_before_anything_runs(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for option, path in (
        ("--json", tmp_path),
        ("--html", tmp_path / "file"),
        ("--junit", tmp_path / "file" / "x"),
    ):
        result = call("audit", option, path)
        assert result.exit_code == 2
        assert result.stderr.startswith(f"error: {path}")
        assert len(result.stderr.splitlines()) == 1
    assert engine.ran == 0


def test_a_run_of_nothing_but_problems_is_a_line_for_each(engine: Engine, tmp_path: Path) -> None:
    engine.run = samples.run(problems=samples.full_run().problems)
    result = call("check", "mine.py", "--json", tmp_path / "r.json")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[1:] == ["error: mine.py:3: cannot be imported: No module named 'nope'"]
    assert result.stdout == ""
    assert report.read(tmp_path / "r.json").problems == engine.run.problems


def test_a_broken_adapter_does_not_keep_the_others_from_being_reported(engine: Engine) -> None:
    engine.run = samples.full_run()
    result = call("audit")
    assert result.exit_code == 2
    assert "textbook.cross_entropy_epsilon · torch float32 eager · accuracy FAILS" in result.stdout
    assert "mine.py:3: cannot be imported" in result.stdout


def test_a_mistake_of_the_user_is_one_line_without_a_traceback(engine: Engine) -> None:
    engine.error = UsageError("unknown loss 'mess'; did you mean 'mse'?", Place("mine.py", 3, 1))
    result = call("audit", "--loss", "mess")
    assert result.exit_code == 2
    assert result.stderr == "error: mine.py:3:1: unknown loss 'mess'; did you mean 'mse'?\n"
    assert result.stdout == ""


def test_an_unknown_verdict_to_fail_on_names_the_nearest(engine: Engine) -> None:
    result = call("audit", "--fail-on", "degrade")
    assert result.exit_code == 2
    assert "did you mean 'degraded'?" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["check"],
        ["adit"],
        ["audit", "--sed", "1"],
        ["audit", "--seed", "x"],
        ["audit", "--jobs", "0"],
        ["replay"],
    ],
)
def test_wrong_arguments_exit_with_2(engine: Engine, arguments: list[str]) -> None:
    assert call(*arguments).exit_code == 2
    assert engine.asked == []


def test_an_interrupt_keeps_what_is_finished_and_says_that_it_is_not_all(
    engine: Engine, tmp_path: Path
) -> None:
    engine.error = KeyboardInterrupt()
    result = call("audit", "--json", tmp_path / "r.json")
    assert result.exit_code == 130
    kept = report.read(tmp_path / "r.json")
    assert kept.results == [samples.result()]
    assert kept.problems[0].message == "interrupted after 1 of 3 cells"
    assert "Not everything was checked" in result.stdout


def test_proved_laws_are_a_line_per_loss(engine: Engine) -> None:
    engine.proofs = [Proof("mse", "a"), Proof("mse", "b", undecided=7), Proof("nll", "a")]
    result = call("prove", "mse", "nll.yaml", "--profile", "deep", "--seed", 3)
    assert result.exit_code == 0
    assert engine.asked == [(("mse",), "deep", 3), (("nll.yaml",), "deep", 3)]
    assert result.stdout.splitlines() == [
        "✓ mse  2 laws proved  200 cases, 7 undecided",
        "✓ nll  1 law proved  100 cases",
        "3 laws of 2 losses: 3 proved",
    ]


def test_a_false_law_is_a_mistake_of_its_spec(engine: Engine) -> None:
    engine.proofs = [
        Proof("mse", "a", "false", counterexample="x = 1", place="mse.yaml:9:3"),
        Proof("mse", "b"),
    ]
    result = call("prove")
    assert result.exit_code == 2
    assert result.stderr == "error: mse.yaml:9:3: law 'a' of mse is false for its definition: x = 1\n"
    assert "✗ mse  1 of 2 laws proved" in result.stdout


def test_an_undecided_law_is_told_and_does_not_count_as_proved(engine: Engine) -> None:
    engine.proofs = [Proof("mse", "a", "undecided", undecided=100), Proof("mse", "b")]
    result = call("prove")
    assert result.exit_code == 0
    assert "law 'a' of mse is undecided in all its cases" in result.stdout
    assert "2 laws of 1 loss: 1 proved, 1 undecided" in result.stdout
    engine.proofs = engine.proofs[:1]
    assert call("prove").exit_code == 3


def test_a_broken_spec_is_one_line(engine: Engine) -> None:
    engine.error = SpecError("unknown key 'lawz'; did you mean 'laws'?", Place("mse.yaml", 4, 1))
    result = call("prove", "mse.yaml")
    assert result.exit_code == 2
    assert result.stderr == "error: mse.yaml:4:1: unknown key 'lawz'; did you mean 'laws'?\n"


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.FAIL, 1), (Verdict.PASS, 0), (Verdict.SKIP, 3)])
def test_replay_says_whether_a_finding_is_still_there(
    engine: Engine, verdict: Verdict, code: int, tmp_path: Path
) -> None:
    results = tmp_path / "x.json"
    write(samples.full_run(), results)
    got = [(27.5).hex()]
    engine.replayed = [
        types.SimpleNamespace(finding=samples.finding(), verdict=verdict, reason="why", got=got)
    ]
    result = call("replay", str(results), "f1a2")
    assert engine.asked == [(len(samples.full_run().findings), "f1a2", results)]
    assert result.exit_code == code
    assert "f1a2" in result.stdout
    assert "[27.5]" in result.stdout
    assert f"1 finding: {int(code == 1)} still there, {int(code == 0)} gone" in result.stdout


def test_replay_tells_no_value_where_there_was_none(engine: Engine, tmp_path: Path) -> None:
    results = tmp_path / "x.json"
    write(samples.full_run(), results)
    raised = samples.finding(verdict=Verdict.ERROR, expected=None, got=None, bits_lost=None)
    engine.replayed = [
        types.SimpleNamespace(finding=raised, verdict=Verdict.ERROR, reason="ValueError: no", got=None)
    ]
    told = call("replay", str(results)).stdout
    assert "ValueError: no" in told
    assert "None" not in told


def test_replay_of_nothing_says_so(engine: Engine, tmp_path: Path) -> None:
    results = tmp_path / "x.json"
    write(samples.clean_run(), results)
    assert call("replay", str(results)).exit_code == 3


def test_an_adapter_is_read_without_being_imported(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        '"""Losses of mine.\n\nMore."""\nimport no_such_module\nfrom lossproof import implements\n'
        '@implements("mse", framework="torch")\ndef a(x): ...\n@both("nll")\ndef b(x): print("cosine")\n'
        'implements("mse", framework="numpy")(a)\n'
    )
    beside = tmp_path / "beside.py"
    beside.write_text('"""Others."""\nimplements("mae", framework="jax")\n')
    found = scan("mine", [path], frozenset({"mse", "nll", "mae"}))
    assert (found.name, found.summary) == ("mine", "Losses of mine.")
    assert found.losses == ("mse", "nll")
    assert found.frameworks == ("numpy", "torch")
    package = scan("mine", [path, beside], frozenset({"mse", "nll", "mae"}))
    assert (package.summary, package.losses) == ("Losses of mine.", ("mae", "mse", "nll"))
    assert package.frameworks == ("numpy", "torch", "jax")
    path.write_text("def (")
    assert scan("mine", [path], frozenset()).summary.startswith("cannot be read")


def fresh(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    path = os.pathsep.join([str(SRC), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-m", "lossproof", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONPATH": path, **environment},
        check=False,
    )


def test_help_names_every_command() -> None:
    result = fresh("--help")
    assert result.returncode == 0
    assert all(name in result.stdout for name in ("check", "audit", "prove", "replay", "list", "show"))


def test_list_names_losses_and_adapters() -> None:
    result = fresh("list")
    assert result.returncode == 0, result.stderr
    assert "cross_entropy" in result.stdout
    assert "torch_functional" in result.stdout


def test_show_tells_inputs_parameters_definition_and_laws() -> None:
    result = fresh("show", "cross_entropy")
    assert result.returncode == 0, result.stderr
    for part in (
        "logits",
        "[N, V] extended real",
        "reduction",
        "one of none, mean, sum",
        "Definition",
        "Laws",
    ):
        assert part in result.stdout


def test_show_of_an_unknown_loss_names_the_nearest() -> None:
    result = fresh("show", "cross_entrpy")
    assert result.returncode == 2
    assert "did you mean 'cross_entropy'?" in result.stderr
    assert "Traceback" not in result.stderr


def test_output_that_cannot_show_a_symbol_is_no_traceback() -> None:
    result = fresh("show", "cross_entropy", PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert "Traceback" not in result.stderr


def test_the_console_of_a_string_is_plain() -> None:
    from lossproof.report.console import is_plain

    assert is_plain(io.StringIO())
