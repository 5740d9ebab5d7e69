"""The page's own script, what draws the charts, and the policy that lets these run and nothing else.

Nothing is fetched. The script may run since the policy names its hash; the chart library lies in the page compressed,
is unpacked by the script when a chart comes into view, and may run since the policy names the hash of its text.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import zlib
from dataclasses import dataclass

from markupsafe import Markup

from lossproof.builtin import content

_ALWAYS = ("page.js", "links.js", "filters.js", "copy.js")
_OF_CHARTS = ("unpack.js", "charts.js", "stability.js", "tolerance.js")
_CHARTS = ("stability", "tolerance")


@dataclass(frozen=True)
class Parts:
    """policy: the Content-Security-Policy. script: the text of the one inline script. libraries: elements beside it."""

    policy: Markup
    script: Markup
    libraries: Markup


@functools.cache
def parts(*, charts: bool) -> Parts:
    """What a page needs with charts or without; the chart library comes along only with them.

    The files are our own content, so they are markup as they are; that none holds `</script` is looked at here.
    """
    home = content("templates")
    names = _ALWAYS + (_OF_CHARTS if charts else ())
    texts = [(home / "script" / name).read_text(encoding="utf-8") for name in names]
    script = "\n(() => {\n'use strict';\n" + "\n".join(texts) + "})();\n"
    assert "</script" not in script
    allowed, libraries = [_hash(script)], ""
    if charts:
        library = (home / "vendor" / "vega.min.js").read_text(encoding="utf-8")
        allowed.append(_hash(library))
        specs = {
            name: json.loads((home / "charts" / f"{name}.vl.json").read_text(encoding="utf-8"))
            for name in _CHARTS
        }
        libraries = _element("vega", library) + "\n" + _element("chart-specs", json.dumps(specs))
    sources = " ".join(f"'sha256-{each}'" for each in allowed)
    policy = f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return Parts(Markup(policy), Markup(script), Markup(libraries))


def _element(name: str, text: str) -> str:
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return f'<template id="{name}">{packed}</template>'


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
