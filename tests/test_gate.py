"""The gate of a user's repository: what it reads, when it is red, and what it says about waivers."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

import repository as repo
from lossproof import waivers
from lossproof.audit.results import Result, Run, Verdict
from lossproof.errors import UsageError
from lossproof.gate import config
from lossproof.gate.drafts import draft
from lossproof.report.json import read
from repository import TODAY, YESTERDAY, Repository, call, repository

ONE = """
from lossproof import implements
from .util import square

@implements("mse", framework="numpy")
def {}(prediction, target):
    return square(prediction - target).mean(axis=-1)
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return repository(tmp_path)


def gate(*arguments: object) -> tuple[int, str]:
    result = call("gate", "--no-cache", *arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def test_it_is_red_green_with_a_waiver_and_red_again_when_that_expires(mine: Repository) -> None:
    assert gate()[0] == 1
    mine.waive()
    assert gate()[0] == 0
    mine.waive(expires=TODAY)
    assert gate()[0] == 0
    mine.waive(expires=YESTERDAY)
    code, said = gate()
    assert code == 1
    assert (
        f"lossproof-waivers.yaml:2:3: the waiver for my_losses.expanded (mse), * expired on {YESTERDAY}"
        in said
    )
    mine.write("my_losses.py", repo.REPAIRED)
    assert gate()[0] == 1  # it has expired, whatever it is about
    (mine.root / "lossproof-waivers.yaml").unlink()
    assert gate()[0] == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"implementation": "my_losses.right"}, "matches nothing: accuracy"),
        ({"implementation": "my_losses.expandet"}, "did you mean 'my_losses.expanded'"),
        ({"loss": "mae"}, "there is no loss 'mae'"),
        ({"checks": "[acuracy]"}, "there is no check acuracy; did you mean 'accuracy'"),
        (
            {"checks": "[acuracy, 'law:*', accuracy]"},
            "matches nothing in part: there is no check acuracy; did you mean 'accuracy'?",
        ),
        (
            {"checks": "['*', 'law:nonegative']"},
            "in part: there is no check law:nonegative; did you mean 'law:nonnegative'?",
        ),
        ({"checks": "[accuracy, 'lwa:*']"}, "in part: there is no check lwa:*"),
        (
            {"checks": "['*', purity, 'shape*']"},
            "in part: purity is right now; take it out; shape* is right now",
        ),
        ({"dtypes": "[float64]"}, "matches nothing: the dtypes that ran are float32"),
        ({"bits": 1}, "accepts 1 bits, and"),
        ({"reason": "TODO say why this is accepted"}, "gives no reason"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_waiver_that_does_not_hold_is_named(mine: Repository, changes: dict[str, str], said: str) -> None:
    mine.waive(**changes)
    code, output = gate()
    assert code == 1
    assert "lossproof-waivers.yaml:2:3: the waiver for" in output
    assert said in output


def test_each_part_of_a_waiver_that_accepts_something_is_left_alone(mine: Repository) -> None:
    mine.waive(checks="['*', accuracy, 'law:*', 'acc*']")
    assert gate()[0] == 0


def test_of_a_part_of_a_run_only_names_that_no_run_can_have_are_told(mine: Repository) -> None:
    mine.waive(checks="['*', purity]")
    assert gate("--regime", "near_equal")[0] == 0
    mine.waive(checks="['*', puritty]")
    assert "there is no check puritty; did you mean 'purity'?" in gate("--regime", "near_equal")[1]


def test_a_waiver_of_what_was_left_out_on_purpose_is_not_blamed(mine: Repository) -> None:
    mine.waive(dtypes="[float32]")
    assert gate("--dtype", "float64")[1].count("matches nothing") == 0
    assert gate("--loss", "mse", "--dtype", "float32")[0] == 0


def test_drafted_waivers_keep_what_is_there_and_need_a_reason(mine: Repository) -> None:
    mine.write("lossproof-waivers.yaml", "# ours\n")
    code, said = gate("--write-waivers")
    assert (code, said.endswith(" drafted in lossproof-waivers.yaml: fill in the reasons")) == (
        1,
        True,
    )
    drafted = (mine.root / "lossproof-waivers.yaml").read_text()
    assert drafted.startswith("# ours\n")
    assert "implementation: my_losses.expanded" in drafted
    assert "my_losses.right" not in drafted
    code, said = gate()
    assert (code, "gives no reason" in said) == (1, True)
    mine.write("lossproof-waivers.yaml", drafted.replace("TODO say why this is accepted", "we know"))
    assert gate()[0] == 0
    before = (mine.root / "lossproof-waivers.yaml").read_text()
    assert (
        "no waiver to draft: there is no finding beside those that are waived" in gate("--write-waivers")[1]
    )
    assert (mine.root / "lossproof-waivers.yaml").read_text() == before


def test_a_draft_follows_the_style_of_the_file(mine: Repository) -> None:
    path = mine.waive(implementation="my_losses.expanded", checks="[accuracy]  # for now")
    path.write_text(
        path.read_text().replace("\n- ", "\n  - ").replace("\n  ", "\n    ").replace("    - ", "  - ")
    )
    before = path.read_text()
    gate("--write-waivers")
    assert path.read_text().startswith(before)
    assert "\n  - implementation: my_losses.expanded\n    loss: mse\n" in path.read_text()[len(before) :]


ENTRY = """\
implementation: my_losses.expanded
    loss: mse
    checks: [purity]
    reason: known
    expires: 2999-01-01"""
BLOCK = "  - " + ENTRY
FLOW = "{" + re.sub(r"\s*\n\s*", ", ", ENTRY) + "}"


@pytest.mark.parametrize(
    ("written", "known"),
    [
        ("", 0),
        ("[]", 0),
        ("# ours\n[]\n# more\n", 0),
        ("--- []  # none yet\n", 0),
        ("[ # none yet\n]\n", 0),
        ("---\n# ours\n", 0),
        ("---\n# ours\n...\n", 0),
        ("# ours\n...\n# more\n", 0),
        ("---\n# ours\n[]\n...\n# more\n", 0),
        (f"{BLOCK}\n...\n", 1),
        (f"---\n# ours\n{BLOCK}\n# more\n...  # the end\n# after it\n", 1),
        (f"---\n{BLOCK}\n\n# more", 1),
        (f"  -\n    {ENTRY}\n", 1),
        (f"[{FLOW}]\n", 1),
        (f"--- # ours\n[\n  {FLOW}, # this one\n  # more\n]\n...\n", 1),
        (f"\ufeff# ours\n{BLOCK}\n", 1),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_drafts_leave_a_file_valid_and_its_comments_and_line_ends_as_they_are(
    written: str, known: int, end: str
) -> None:
    written = written.replace("\n", end)
    text, count = draft(failing(("accuracy", 9.0), ("gradient", math.inf)), "fail", written)
    assert count == 2
    assert len(waivers.parse(text.removeprefix("\ufeff"), "w.yaml")) == known + 2
    assert re.findall(r"#[^\r\n]*", written) == [
        each for each in re.findall(r"#[^\r\n]*", text) if each in written
    ]
    assert text.startswith("\ufeff") is written.startswith("\ufeff")
    if written.count("\n"):
        assert text.count(end) == text.count("\n")
    assert not re.search(r"[ \t]+\r?$", text, re.MULTILINE)
    again, _ = draft(failing(("purity", None)), "fail", text)
    assert len(waivers.parse(again.removeprefix("\ufeff"), "w.yaml")) == known + 3


def test_long_lists_of_checks_are_drafted_without_blanks_at_the_ends_of_lines() -> None:
    text, _ = draft(failing(*((f"law:a_law_of_a_long_name_{number}", None) for number in range(20))), "fail")
    assert not re.search(r"[ \t]+$", text, re.MULTILINE)
    assert len(waivers.parse(text, "w.yaml")[0].checks) == 20


def test_no_check_is_in_two_drafts_and_only_those_without_a_number_of_bits_are_unbounded() -> None:
    found = failing(
        ("accuracy", 9.2), ("accuracy", math.inf), ("gradient", 3.5), ("gradient", 134.2), ("law:sum", None)
    )
    unbounded, bounded = waivers.parse(draft(found, "fail")[0], "w.yaml")
    assert (unbounded.bits, set(unbounded.checks)) == (None, {"accuracy", "law:sum"})
    assert (bounded.bits, set(bounded.checks)) == (135, {"gradient"})


def test_the_gate_drafts_into_a_file_of_another_system(mine: Repository) -> None:
    path = mine.root / "lossproof-waivers.yaml"
    path.write_bytes(b"# ours\r\n[]\r\n")
    gate("--write-waivers")
    drafted = path.read_bytes()
    assert drafted.startswith(b"# ours\r\n")
    assert drafted.count(b"\n") == drafted.count(b"\r\n")
    assert "gives no reason" in gate()[1]


def failing(*found: tuple[str, float | None]) -> Run:
    """A run in which these checks have lost so many bits."""
    rows = [
        Result(
            "mse",
            "my_losses.expanded",
            "numpy",
            "cpu",
            "eager",
            "float32",
            check,
            "ordinary",
            Verdict.FAIL,
            bits_lost=bits,
        )
        for check, bits in found
    ]
    return Run("0", 0, "quick", {}, rows)


def test_an_adapter_that_does_not_import_is_the_only_thing_said(mine: Repository) -> None:
    mine.waive()
    mine.write("my_losses.py", "import nope_of_mine\n")
    code, said = gate()
    assert code == 2
    assert "nope_of_mine" in said
    assert "matches nothing" not in said


def test_worker_processes_know_the_waivers(mine: Repository) -> None:
    mine.write("pyproject.toml", repo.TABLE.replace('"float32"', '"float32", "float64"'))
    assert gate("--jobs", 2)[0] == 1
    mine.waive()
    assert gate("--jobs", 2)[0] == 0


# ---- what README shows


def blocks(language: str) -> list[str]:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)


def test_the_table_and_the_waiver_of_the_readme_are_read() -> None:
    (table,) = blocks("toml")
    assert config.read(table, Path("p.toml"), "p.toml") is not None
    (waiver,) = waivers.parse(blocks("yaml")[0], "w.yaml")
    assert set(waivers.Waiver.model_fields) - set(YAML().load(blocks("yaml")[0])[0]) == {"where"}
    assert waiver.covers("my_losses.my_loss", "cross_entropy", "law:shift_invariance", "float32")


def test_the_action_and_the_hook_of_the_readme_exist() -> None:
    root, yaml = Path(__file__).parents[1], YAML(typ="safe")
    action = yaml.load((root / "action.yml").read_text())
    *_, hooks = map(yaml.load, blocks("yaml"))
    assert {step.get("shell") for step in action["runs"]["steps"]} == {"bash"}
    known = {hook["id"]: hook for hook in yaml.load((root / ".pre-commit-hooks.yaml").read_text())}
    (hook,) = hooks["repos"][0]["hooks"]
    assert known[hook["id"]]["entry"] == "lossproof gate"


# ---- configuration


def test_the_table_is_found_from_below_and_outputs_lie_where_one_works(
    mine: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = mine.root / "src"
    below.mkdir()
    monkeypatch.chdir(below)
    assert gate("--json", "found.json", "--markdown", "said.md")[0] == 1
    assert {row.implementation for row in read(below / "found.json").results} == {
        "my_losses.right",
        "my_losses.expanded",
    }
    assert "my\\_losses.expanded" in (below / "said.md").read_text()


def test_a_pull_request_cannot_loosen_its_own_gate(mine: Repository) -> None:
    mine.commit()
    mine.write("pyproject.toml", repo.TABLE + 'losses = ["nll"]\n')
    assert gate()[0] == 2  # no target has it
    mine.waive()
    assert gate("--config-from", "main")[0] == 1
    assert gate("--config-from", "main", "--waivers", "lossproof-waivers.yaml")[0] == 2
    mine.write("pyproject.toml", repo.TABLE)
    mine.commit()
    (mine.root / "lossproof-waivers.yaml").unlink()
    assert gate("--config-from", "main")[0] == 0


def test_what_is_wrong_at_the_reference_is_told_with_its_name(mine: Repository) -> None:
    mine.write("lossproof-waivers.yaml", "- implementation: my_losses.expanded\n  los: mse\n")
    mine.commit()
    code, said = gate("--config-from", "main")
    assert code == 2
    assert "main:lossproof-waivers.yaml:2:3: unknown key 'los'; did you mean 'loss'" in said
    assert "git knows no reference 'nope'" in gate("--config-from", "nope")[1]
    assert gate("--config-from", "--output=x")[0] == 2


def test_outside_of_a_repository_there_is_no_reference(mine: Repository) -> None:
    code, said = gate("--config-from", "main")
    assert (code, "is in no git repository" in said) == (2, True)


def test_a_pattern_names_the_files_that_declare_something(mine: Repository) -> None:
    mine.write("losses/__init__.py", "")
    mine.write("losses/util.py", "import numpy as np\nsquare = np.square\n")
    mine.write("losses/b.py", ONE.format("b"))
    mine.write("losses/a.py", ONE.format("a"))
    mine.write("pyproject.toml", "[tool.lossproof]\ntargets = ['losses/*.py']\ndtypes = ['float32']\n")
    assert gate("--json", "run.json")[0] == 0
    found = read(Path("run.json"))
    assert (list(dict.fromkeys(row.implementation for row in found.results)), found.problems) == (
        ["a.a", "b.b"],
        [],
    )
    mine.write("losses/c.py", ONE.format("c"))
    assert call("gate", "--json", "run.json").exit_code == 0
    assert {row.implementation for row in read(Path("run.json")).results} == {"a.a", "b.b", "c.c"}


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("loses/*.py", "loses/*.py: no Python file matches 'loses/*.py'"),
        ("losses/u*.py", "losses/u*.py: no function in losses/util.py has @implements"),
    ],
)
def test_a_pattern_that_names_nothing_is_an_error(mine: Repository, pattern: str, said: str) -> None:
    mine.write("losses/util.py", "")
    mine.write("pyproject.toml", f"[tool.lossproof]\ntargets = ['{pattern}']\n")
    assert gate() == (2, f"error: {said}")


def test_options_override_the_table(mine: Repository) -> None:
    gate("--dtype", "float64", "--seed", 3, "--json", "found.json")
    found = read(mine.root / "found.json")
    assert ({row.dtype for row in found.results}, found.seed) == ({"float64"}, 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (repo.TABLE + "profil = 'quick'\n", "p.toml:5:1: unknown key 'profil'; did you mean 'profile'"),
        (repo.TABLE + "fail_on = 'fail'\n", "p.toml:5:1: unknown key 'fail_on'; did you mean 'fail-on'"),
        (
            repo.TABLE + "profile = 'quik'\n",
            "p.toml:5:12: 'profile' has an unknown word 'quik'; did you mean 'quick'",
        ),
        (repo.TABLE + "modes = [\n  'eager',\n  'jit']\n", "p.toml:7:4: 'modes' has an unknown word 'jit'"),
        (repo.TABLE + "seed = -1\n", "p.toml:5:1: 'seed' is a whole number from 0 on, not -1"),
        (repo.TABLE + "losses = 3\n", "p.toml:5:1: 'losses' is a list of words, not 3"),
        ("[tool.lossproof]\n", "p.toml:1:1: [tool.lossproof] needs the key 'targets'"),
        ("[tool.other]\nprofil = 1\n[tool.lossproof]\nprofil = 1\n", "p.toml:4:1: unknown key 'profil'"),
        ("[tool]\nlossproof = 3\n", "tool.lossproof is a table, not 3"),
        ("[tool.lossproof\n", "p.toml:1:16: not TOML"),
    ],
    ids=lambda value: str(value)[-30:],
)
def test_a_mistake_in_the_table_is_told_with_its_place(text: str, said: str) -> None:
    with pytest.raises(UsageError) as error:
        config.read(text, Path("p.toml"), "p.toml")
    assert said in str(error.value)


def test_every_key_is_read() -> None:
    text = """
    [tool.lossproof]
    targets = "my_losses.py"
    losses = ["mse"]
    frameworks = ["numpy"]
    devices = ["cpu"]
    dtypes = ["float64"]
    modes = ["eager"]
    regimes = ["huge"]
    profile = "deep"
    seed = 3
    jobs = 2
    fail-on = "degraded"
    waivers = "ours.yaml"
    """
    found = config.read(text, Path("p.toml"), "p.toml")
    assert found is not None
    assert {key: getattr(found, key.replace("-", "_")) for key in config.KEYS} == {
        "targets": ("my_losses.py",),
        "losses": ("mse",),
        "frameworks": ("numpy",),
        "devices": ("cpu",),
        "dtypes": ("float64",),
        "modes": ("eager",),
        "regimes": ("huge",),
        "profile": "deep",
        "seed": 3,
        "jobs": 2,
        "fail-on": "degraded",
        "waivers": "ours.yaml",
    }


def test_without_a_table_it_says_what_to_write(mine: Repository) -> None:
    mine.write("pyproject.toml", "[project]\nname = 'x'\n")
    code, said = gate()
    assert code == 2
    assert "no [tool.lossproof] in pyproject.toml" in said


def test_a_waivers_file_that_is_named_has_to_be_there(mine: Repository) -> None:
    mine.write("pyproject.toml", repo.TABLE + 'waivers = "ours.yaml"\n')
    code, said = gate()
    assert code == 2
    assert "there is no file of waivers 'ours.yaml'" in said


# ---- outputs


def test_the_summary_of_the_step_is_added_to(mine: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = mine.write("summary.md", "before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    mine.waive(expires=YESTERDAY)
    gate("--junit", "j.xml", "--json", "r.json")
    text = summary.read_text()
    assert text.startswith("before\n## ❌ lossproof")
    assert f"expired on {YESTERDAY}" in text
    assert 'type="expired"' in (mine.root / "j.xml").read_text()
    (objection,) = json.loads((mine.root / "r.json").read_text())["objections"]
    assert objection["kind"] == "expired"


def test_degraded_rows_get_findings_and_waivers_where_they_count(mine: Repository) -> None:
    a_little_off = "* np.float32(1 + 2**-16)\n"
    mine.write("my_losses.py", repo.REPAIRED.rstrip() + f" {a_little_off}")
    assert gate()[0] == 0
    assert gate("--fail-on", "degraded", "--json", "r.json")[0] == 1
    found = read(mine.root / "r.json")
    rows = [row for row in found.results if row.verdict is Verdict.DEGRADED]
    known = {finding.id: finding for finding in found.findings}
    assert rows
    assert all(row.finding in known and known[row.finding].verdict is Verdict.DEGRADED for row in rows)
    assert all(finding.inputs and finding.snippet for finding in known.values())
    mine.waive(bits=8)
    assert gate("--fail-on", "degraded")[0] == 0
    mine.waive(bits=2)
    assert gate("--fail-on", "degraded")[0] == 1


@pytest.mark.parametrize("first", ["losses/__init__.py", "./losses/__init__.py"])
def test_the_files_that_a_shell_puts_in_the_place_of_a_pattern_may_hold_an_init_that_declares_nothing(
    mine: Repository, first: str
) -> None:
    mine.write("losses/__init__.py", "")
    mine.write("losses/util.py", "import numpy as np\nsquare = np.square\n")
    mine.write("losses/one.py", ONE.format("one"))
    arguments = ("check", "--no-cache", "--dtype", "float32", "--regime", "ordinary")
    found = call(*arguments, first, "losses/one.py")
    assert (found.exit_code, "@implements" in found.output) == (0, False)
    # a file of another name is named for what it declares, and so is an `__init__.py` by itself
    for files in ([first, "losses/util.py"], [first], [first, "losses/one.py", "losses/util.py"]):
        found = call(*arguments, *files)
        assert found.exit_code == 2
        assert f"{files[-1]}: no function here has @implements" in found.output
    mine.write("more/__init__.py", "")
    found = call(*arguments, first, "more/__init__.py")
    assert found.exit_code == 2
    assert found.output.count("no function here has @implements") == 2
    mine.write("losses/__init__.py", "this is no Python")
    assert call(*arguments, first, "losses/one.py").exit_code == 2
