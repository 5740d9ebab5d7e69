"""README.md is true: its code runs, its output is what comes out, and the commands in it exist."""

from __future__ import annotations

import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import typer
from ruamel.yaml import YAML
from typer.core import TyperGroup

from lossproof.audit.plan import Options, plan
from lossproof.audit.results import Run, Verdict
from lossproof.audit.run import run
from lossproof.checks.distribution import FIXED
from lossproof.cli import app
from repository import call

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "harness/README.md", "specs/README.md"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def commands() -> dict[str, Any]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group.commands


def check(path: Path, source: str) -> Run:
    path.write_text(source)
    return run(plan(Options(targets=(str(path),), jobs=1)), lambda event: None)


def test_the_first_loss_gives_the_output_that_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    (source,), (shown,) = blocks("python"), blocks("text")
    monkeypatch.chdir(tmp_path)
    Path("my_losses.py").write_text(source)
    printed = call("check", "my_losses.py", "--no-cache", "--jobs", 1).output.splitlines()
    for line in shown.splitlines():
        # what is left out depends on how many cases are drawn
        start, more, _ = line.partition("  …")
        assert any(each.startswith(start) if more else each.rstrip() == start for each in printed), line


def test_the_repaired_loss_passes(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (source,) = blocks("python")
    repaired = re.search(r"`(-torch.log_softmax[^`]+)` passes", README)
    assert repaired
    head = source.partition("    p = ")[0]
    found = check(tmp_path / "my_losses.py", f"{head}    return {repaired[1]}\n")
    assert {row.verdict for row in found.results} == {Verdict.PASS, Verdict.SKIP}


@pytest.mark.parametrize("page", PAGES)
def test_commands_options_and_targets_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    known = commands()
    named = set(re.findall(r"(?:^ {4}(?:\$ )?|`)lossproof ([a-z]+)", text, re.MULTILINE))
    assert named <= set(known), named - set(known)
    options = {option for command in known.values() for each in command.params for option in each.opts}
    options |= set(re.findall(r"--lossproof[a-z-]*", (ROOT / "tests/golden/pytest_help.txt").read_text()))
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--index-url", "--strict", "--lf", "--dist"}
    assert used <= options, used - options
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wanted = set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", text, re.MULTILINE))
    assert wanted <= targets, wanted - targets


def test_readme_names_every_command_and_every_option_of_check() -> None:
    known = commands()
    assert set(re.findall(r"`lossproof ([a-z]+)", README)) >= set(known)
    assert {
        option for each in known["check"].params for option in each.opts if option.startswith("--")
    } <= set(re.findall(r"--[a-z][a-z-]+", README))


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_repository_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        if not target.startswith("http"):
            assert ((ROOT / page).parent / target).exists(), target


def test_the_json_that_is_described_is_the_schema() -> None:
    schema = json.loads(resources.files("lossproof.report").joinpath("results.schema.json").read_text())
    described = README.partition("## JSON")[2].partition("## Limits")[0]
    keys = set(re.findall(r'"(\w+)"', described))
    counted = schema["$defs"]["tolerance"]["properties"]["fixed"]["additionalProperties"]["properties"]
    allowed = {*schema["properties"], "kind", "text", *counted, *FIXED, "exact", "inf"}
    parts = (
        "result",
        "finding",
        "problem",
        "bound",
        "breakdown",
        "worst",
        "tolerance",
        "axis",
        "plane",
        "map",
    )
    for part in parts:
        allowed |= set(schema["$defs"][part]["properties"])
        assert set(schema["$defs"][part]["required"]) <= keys
    assert keys <= allowed


def workflow() -> tuple[dict[str, Any], dict[str, Any]]:
    """The workflow that is shown, and the action of this repository."""
    (shown,) = [block for block in blocks("yaml") if "jobs:" in block]
    reader = YAML(typ="safe")
    return reader.load(shown), reader.load(ROOT / "action.yml")


def test_the_workflow_is_a_whole_one_and_says_to_the_action_what_it_takes() -> None:
    shown, action = workflow()
    assert set(shown) == {"name", "on", "permissions", "jobs"}
    assert set(shown["on"]) == {"push", "pull_request"}
    (job,) = shown["jobs"].values()
    assert job["runs-on"] == "ubuntu-latest"
    used = {step.get("uses", "").partition("@")[0]: step for step in job["steps"]}
    order = [name for name in used if name]
    assert order == [
        "actions/checkout", "actions/setup-python", "OWNER/lossproof", "github/codeql-action/upload-sarif",
    ]  # fmt: skip
    given = used["OWNER/lossproof"]["with"]
    assert set(given) <= set(action["inputs"])
    assert given["config-from"].startswith("origin/")
    assert used["actions/checkout"]["with"]["fetch-depth"] == 0
    sarif = used["github/codeql-action/upload-sarif"]
    assert sarif["with"]["sarif_file"] == action["inputs"]["sarif"]["default"]
    assert sarif["with"]["sarif_file"] in sarif["if"]
    assert shown["permissions"]["security-events"] == "write"


def test_the_table_of_the_action_has_its_inputs_and_their_defaults() -> None:
    _, action = workflow()
    rows = re.findall(r"^\| `([a-z-]+)` \| (none|`[^`]+`) \| .+ \|$", README, re.MULTILINE)
    told = {name: "" if default == "none" else default.strip("`") for name, default in rows}
    assert told == {name: each["default"] for name, each in action["inputs"].items()}
