"""What a user installs is what is tested: the wheel, outside the checkout, with the core dependencies alone.

The wheel is built from the sdist. The environment holds it and links to the distributions which its
metadata asks for, so that a dependency that is not declared, or a framework that is imported without being
asked for, shows here and nothing is downloaded.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PREFIXES = {
    "harness/lossproof": "lossproof",
    "specs": "lossproof/builtin/specs",
    "adapters": "lossproof/builtin/adapters",
    "reports/templates": "lossproof/builtin/reports/templates",
}

# One worker builds the wheel for all of these tests.
pytestmark = pytest.mark.xdist_group("wheel")


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=300
    )


def release(wheel: Path) -> str:
    """Name and version, as the wheel's file name has them: `lossproof-0.1.0`."""
    return "-".join(wheel.name.split("-")[:2])


def core_dependencies(wheel: Path) -> dict[str, importlib.metadata.Distribution]:
    """What `pip install lossproof` installs, by name: the wheel's requirements without extras, closed."""
    information = zipfile.Path(wheel, f"{release(wheel)}.dist-info/")
    metadata = importlib.metadata.PathDistribution(information)
    wanted = [(Requirement(text), "") for text in metadata.requires or []]
    found: dict[str, importlib.metadata.Distribution] = {}
    done = set()
    while wanted:
        requirement, extra = wanted.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for asked in ("", *requirement.extras):
            if (requirement.name, asked) not in done:
                done.add((requirement.name, asked))
                distribution = importlib.metadata.distribution(requirement.name)
                found[canonicalize_name(requirement.name)] = distribution
                wanted += [(Requirement(text), asked) for text in distribution.requires or []]
    return found


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dist")
    built = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", directory, ROOT, cwd=directory)
    assert built.returncode == 0, built.stdout + built.stderr
    assert len(list(directory.glob("*.tar.gz"))) == 1
    (path,) = directory.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts directory of an environment with the wheel and its core dependencies."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False, symlinks=True)
    scheme = sysconfig.get_paths("venv", vars={"base": str(home), "platbase": str(home)})
    site = Path(scheme["purelib"])
    for distribution in core_dependencies(wheel).values():
        for top in {
            file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")
        }:
            (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    python = Path(scheme["scripts"]) / "python"
    options = ("install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    result = run(sys.executable, "-m", "pip", "--python", python, *options, wheel, cwd=home)
    assert result.returncode == 0, result.stdout + result.stderr
    return python.parent


@pytest.mark.parametrize("source", PREFIXES)
def test_wheel_holds_every_file_of_the_checkout(wheel: Path, source: str) -> None:
    files = {
        f"{PREFIXES[source]}/{path.relative_to(ROOT / source).as_posix()}"
        for path in (ROOT / source).rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".pyo")
    }
    assert files, f"{source}/ is empty"
    assert not files - set(zipfile.ZipFile(wheel).namelist())


def test_wheel_holds_the_package_alone_and_its_types(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"lossproof", f"{release(wheel)}.dist-info"}
    assert "lossproof/py.typed" in names


def test_content_is_found_inside_the_installed_package(installed: Path, tmp_path: Path) -> None:
    code = (
        "import json, lossproof\n"
        "from lossproof.builtin import content\n"
        "import lossproof.builtin.adapters as adapters\n"
        "print(json.dumps([lossproof.__file__, adapters.__file__,"
        " *(str(content(kind)) for kind in ('specs', 'adapters', 'templates'))]))"
    )
    result = run(installed / "python", "-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    package, *places = (Path(name) for name in json.loads(result.stdout))
    assert not package.is_relative_to(ROOT)
    assert all(place.is_relative_to(package.parent / "builtin") for place in places)


def test_list_names_every_loss_and_adapter(installed: Path, tmp_path: Path) -> None:
    result = run(installed / "lossproof", "list", cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    words = set(result.stdout.split())
    losses = {path.stem for path in (ROOT / "specs").glob("*.yaml")}
    files = [path for path in (ROOT / "adapters").glob("[!_]*") if path.suffix in ("", ".py")]
    adapters = {path.stem for path in files}
    assert losses <= words, losses - words
    assert adapters <= words, adapters - words


def test_audit_runs_with_numpy_alone_and_says_what_it_skipped(installed: Path, tmp_path: Path) -> None:
    report = tmp_path / "audit.json"
    options = ("--loss", "mse", "--profile", "quick", "--json", report, "--html", tmp_path / "html")
    result = run(installed / "lossproof", "audit", *options, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    rows = json.loads(report.read_text())["results"]
    assert any(row["framework"] == "numpy" and row["verdict"] == "pass" for row in rows)
    for framework in ("torch", "jax"):
        skipped = [row for row in rows if row["framework"] == framework]
        assert skipped
        assert all(row["verdict"] == "skip" and row["reason"] for row in skipped)
    (page,) = (tmp_path / "html").glob("*.html")
    assert 'id="vega"' in page.read_text(encoding="utf-8")  # what draws the charts comes with the wheel
