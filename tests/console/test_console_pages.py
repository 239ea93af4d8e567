"""The console's pages show what is there, say what to type where nothing is, and let nobody's words become markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from ropewalk.demo.server import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES = (
    "/",
    "/endpoints",
    "/endpoints/churn",
    "/releases",
    "/releases/churn/1",
    "/runs",
    "/models",
    "/models/churn",
    "/models/churn/1",
    "/prompts",
    "/alerts",
    "/schedules",
    "/ledger",
)


@pytest.fixture
def web(served: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=20, headers={"Accept": "text/html"}) as client:
        yield client


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_whole_and_allows_no_foreign_script(web: httpx.Client, path: str) -> None:
    answer = web.get(path)

    assert answer.status_code == 200
    assert answer.text.rstrip().endswith("</html>")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"(?:src|href)=\"https?://", answer.text) == []
    assert "<script>" not in answer.text
    assert " style=" not in answer.text


def test_the_first_page_shows_the_line_of_the_newest_release(web: httpx.Client) -> None:
    page = web.get("/").text

    for stage in ("commit", "build", "test", "scan", "staging", "migrate", "qa", "canary", "live"):
        assert f"#stage-{stage}" in page
    assert "churn/1" in page
    assert "train-1" in page


def test_a_release_shows_its_evidence_by_digest(web: httpx.Client) -> None:
    page = web.get("/releases/churn/1").text
    digest = re.findall(r"/evidence/(sha256:[0-9a-f]{64})", page)[0]

    assert '"stage": "commit"' in web.get(f"/evidence/{digest}").text.replace("&#34;", '"')


def test_a_run_shows_its_steps_and_metrics(web: httpx.Client) -> None:
    run = re.findall(r"/runs/([0-9a-f]{32})", web.get("/runs").text)[0]
    page = web.get(f"/runs/{run}").text

    assert "roc_auc" in page
    assert "fit" in page
    assert "churn/model.onnx" in page
    assert 'class="lineage"' in page
    assert "release, live" in page


@pytest.mark.parametrize("path", ["/runs/nobody", "/releases/churn/99", "/endpoints/nobody", "/evidence/x", "/nothing"])
def test_what_is_not_there_is_said_in_a_page(web: httpx.Client, path: str) -> None:
    answer = web.get(path)

    assert answer.status_code == 404
    assert "<h1>" in answer.text
    assert "code" in answer.text


def test_an_empty_project_says_what_to_type(tmp_path: Path) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "empty"\n')
    with Server(root, 0) as server, httpx.Client(base_url=server.url, headers={"Accept": "text/html"}) as web:
        first = web.get("/").text
        others = [web.get(path).status_code for path in ("/endpoints", "/releases", "/runs", "/alerts", "/ledger")]

    assert "ropewalk ship" in first
    assert "ropewalk run" in first
    assert others == [200] * 5


@pytest.fixture
def page(chromium: Browser, served: Server) -> Iterator[Page]:
    context = chromium.new_context(base_url=served.url)
    yield context.new_page()
    context.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [400, 1440])
def test_no_page_is_wider_than_the_window_or_complains(page: Page, width: int) -> None:
    complaints: list[str] = []
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_viewport_size({"width": width, "height": 900})

    for path in PAGES:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    assert complaints == []


@pytest.mark.browser
def test_the_form_asks_the_endpoint_and_leads_to_the_line_behind_the_answer(page: Page) -> None:
    page.goto("/endpoints/churn")
    page.get_by_role("button", name="Predict").click()
    page.get_by_role("link", name="Where does this answer come from?").click()
    page.wait_for_url("**/predictions/*")

    assert page.locator(".steps > li").count() >= 8
    assert "commit" in page.locator(".steps").inner_text()


@pytest.mark.browser
def test_the_page_keeps_itself_live(page: Page) -> None:
    page.goto("/endpoints/churn")
    before = page.locator(".figures").inner_text()
    page.get_by_role("button", name="Predict").click()

    page.wait_for_function("text => document.querySelector('.figures').innerText !== text", arg=before, timeout=15_000)
