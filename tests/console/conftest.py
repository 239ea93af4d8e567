"""A browser, and servers for it to look at: one with everything that tracking keeps, one with nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from api.asked import Asked
from console import laboratory
from console.pressing import Pressed
from ropewalk.demo.server import Server
from ropewalk.site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A server, its folder, and the run whose words look like markup."""

    url: str
    root: Path
    evil: str


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    root = tmp_path_factory.mktemp("console") / "lab"
    evil = laboratory.build(root)
    with Server(root, 0) as server:
        yield Lab(url=server.url, root=root, evil=evil)


# Closed at the end of each file: a process has one Playwright at a time, and other folders open their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: pages are not looked at in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def look(chromium: Browser, lab: Lab) -> Iterator[Page]:
    """A page on the laboratory's server; at the end nothing was complained of and no word of anybody ran."""
    context = chromium.new_context(base_url=lab.url, viewport={"width": 1440, "height": 900})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(f"dialog {dialog.message}"))
    yield page
    assert page.evaluate("window.hit") is None
    context.close()
    assert complaints == []


@pytest.fixture
def one(site: Site) -> Iterator[Pressed]:
    """The one who works here, of whom nobody asks who he is."""
    asked = Asked(site)
    yield Pressed(asked=asked)
    asked.close()
