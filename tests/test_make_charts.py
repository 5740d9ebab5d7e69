"""What the report draws with is what `make charts` makes."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest

REPORTS = Path(__file__).parents[1] / "reports"


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    spec = importlib.util.spec_from_file_location("make_charts", REPORTS / "make_charts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_files_are_up_to_date(maker: ModuleType) -> None:
    for name, text in maker.files().items():
        assert (REPORTS / "templates" / name).read_text(encoding="utf-8") == text, (
            f"{name}: run `make charts`"
        )


@pytest.mark.parametrize("name", ["stability", "tolerance"])
def test_the_specifications_name_no_address_and_have_the_colours_of_both_themes(name: str) -> None:
    text = (REPORTS / "templates" / "charts" / f"{name}.vl.json").read_text(encoding="utf-8")
    assert "http" not in text
    assert len(json.loads(text)["usermeta"]["dark"]) == 6
