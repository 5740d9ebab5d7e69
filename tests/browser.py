"""A headless Chromium for the tests of the page, and where it comes from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """The path of an installed Chromium: the variable CHROMIUM, or the first of NAMES on the path."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


@contextmanager
def launched() -> Iterator[Browser]:
    """A running Chromium. Root, which CI is, can have it without its sandbox only; it loads nothing but our pages."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-dev-shm-usage"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=flags)
        yield browser
        browser.close()


@dataclass
class Opened:
    """A page from a file, with what it asked for and complained of on the way."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def draw(self) -> None:
        """Open every loss and bring its charts into view, until all are drawn."""
        self.page.evaluate("for (const each of document.querySelectorAll('details.loss')) each.open = true")
        charts = self.page.locator("figure.chart")
        for i in range(charts.count()):
            charts.nth(i).scroll_into_view_if_needed()
            self.page.wait_for_function(
                "i => ['drawn', 'failed'].includes(document.querySelectorAll('figure.chart')[i].dataset.state)",
                arg=i,
            )


def opened(
    browser: Browser,
    file: Path,
    *,
    tail: str = "",
    width: int = 1600,
    scheme: str = "light",
    scripts: bool = True,
) -> Opened:
    """A file, opened from disk. tail: `?query#fragment`."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
        java_script_enabled=scripts,
        permissions=["clipboard-read", "clipboard-write"],
    )
    found = Opened(context.new_page())
    found.page.on("request", lambda request: found.requests.append(request.url))
    found.page.on("console", lambda said: found.complaints.append(said.text))
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.goto(file.as_uri() + tail)
    return found
