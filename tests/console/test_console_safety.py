"""Nobody's words become markup or run on any page, and no address breaks one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx
import pytest

from console import laboratory
from console.addresses import WIDE, pages, runs_of
from console.laboratory import EVIL, EVIL_MODEL
from console.payloads import PAYLOADS, as_name
from ropewalk import __version__

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(("width", "scheme"), [(400, "light"), (1440, "dark")])
def test_no_page_is_too_wide_or_complains_and_nobodys_words_become_markup(look: Page, lab, width, scheme):
    look.emulate_media(color_scheme=scheme)
    look.set_viewport_size({"width": width, "height": 900})

    for path in pages(lab):
        answer = look.goto(path, wait_until="load")
        assert answer is not None
        assert answer.status == 200, path
        assert look.evaluate(WIDE), path
        assert look.evaluate("window.hit") is None, path
        assert f"Ropewalk {__version__} ·" in look.locator("footer").inner_text(), path
        assert look.locator("main img[src=x], main script, main svg[onload]").count() == 0, path


def test_none_of_sixty_payloads_runs_on_any_page(look: Page, lab):
    listed = runs_of(lab, "/runs?experiment=5&sort=attributes.start_time&up=1")
    names = [as_name(payload) for payload in PAYLOADS]
    shown = "&".join(
        f"show={quote(scope + payload)}" for payload in PAYLOADS[:13] for scope in ("metrics.", "params.", "tags.")
    )
    paths = [
        "/", "/runs?experiment=5", f"/runs?experiment=5&{shown}", f"/runs/{listed[0]}",
        *(f"/runs?filter={quote(payload)}" for payload in PAYLOADS[::6]),
        *(f"/runs/{listed[0]}/metric/{quote(payload)}" for payload in PAYLOADS[::6]),
        *(f"/runs/{run}" for run in listed[1::4]),
        *(f"/runs/{listed[0]}/files/{quote(as_name(payload))}" for payload in PAYLOADS[::4]),
        *(f"/compare?{'&'.join(f'run={run}' for run in listed[start : start + 20])}" for start in (0, 20, 30)),
        "/models", *(f"/models/{quote(name)}" for name in names[::5]),
        *(f"/models/{quote(name)}/1" for name in names[::5]),
        "/prompts", *(f"/prompts/{quote(f'p {name}')}" for name in names[::5]),
        "/traces", *(f"/traces/tr-{number + 3:032x}" for number in range(0, 60, 5)),
    ]  # fmt: skip

    assert len(listed) == 50
    for path in paths:
        answer = look.goto(path)
        assert answer is not None
        assert answer.status == 200, path
        look.locator("details").evaluate_all("all => all.forEach(item => { item.open = true; })")
        assert look.evaluate("window.hit") is None, path
        assert (
            look.locator("main script, main iframe, main object, main embed, main [onerror], main [onload]").count()
            == 0
        ), path
        assert look.locator("a[href^='javascript:' i]").count() == 0, path


def test_nobodys_words_become_markup_in_what_is_said_of_a_thing_that_is_not_there(chromium, lab):
    page = chromium.new_page(base_url=lab.url, viewport={"width": 400, "height": 900})
    for path in (
        f"/models/{quote('x' + EVIL_MODEL, safe='')}",
        f"/runs/x{quote(EVIL_MODEL)}",
        f"/traces/{quote(EVIL)}",
    ):
        answer = page.goto(path)
        assert answer.status == 404
        assert page.evaluate(WIDE)
        assert page.evaluate("window.hit") is None
    page.close()


@pytest.mark.parametrize("name", ["report.html", "drawing.svg", "plots/not-an-image.png"])
@pytest.mark.parametrize("drawn", ["", "?drawn=1"])
def test_bytes_of_markup_leave_the_server_only_as_a_download_in_a_sandbox(lab, name, drawn):
    answer = httpx.get(f"{lab.url}/runs/{lab.evil}/raw/{name}{drawn}")

    assert answer.content == laboratory.PAGE
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"


@pytest.mark.parametrize("path", ["../../../etc/passwd", "%2e%2e/x", "plots", "nobody.txt", "a%00b", "a//b"])
def test_paths_that_lead_nowhere_are_told_so(lab, path):
    for way in ("files", "raw"):
        answer = httpx.get(f"{lab.url}/runs/{lab.evil}/{way}/{path}", headers={"Accept": "text/html"})
        assert answer.status_code in (400, 404)
        assert "root:" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/runs?sort=attributes.nonsense",
        "/runs?experiment=abc",
        "/runs?experiment=99999999999999999999999",
        "/runs?after=x",
        "/runs?experiment=4711&view=deleted",
        "/runs?show=attributes.nonsense",
        "/runs?show=metrics.%F0%9F%92%A9&sort=tags.%27",
        "/models?after=x",
        "/models?filter=%27",
        "/models/flights?before=99999999999999&at=0000-00-00",
        "/traces?after=x",
        "/traces?experiment=abc",
        "/live/runs?filter=%22",
        "/prompts/answer?from=x&to=-1",
    ],
)
def test_addresses_that_make_no_sense_are_pages_all_the_same(lab, path):
    answer = httpx.get(f"{lab.url}{path}", headers={"Accept": "text/html"})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/runs?filter=%00", "/runs?named=a%00", "/runs/%00", "/models/a%00", "/traces?filter=%00"]
)
def test_addresses_with_a_nul_character_are_refused(lab, path):
    answer = httpx.get(f"{lab.url}{path}", headers={"Accept": "text/html"})

    assert answer.status_code == 400
    assert "text-with-nul" in answer.text


@pytest.mark.parametrize("query", ["", "run=x", "&".join(f"run={number}" for number in range(21))])
def test_comparing_too_few_too_many_or_unknown_runs_is_refused_with_words(lab, query):
    answer = httpx.get(f"{lab.url}/compare?{query}", headers={"Accept": "text/html"})

    assert answer.status_code == 400
    assert "compare-count" in answer.text


def test_files_are_shown_and_never_run(look: Page, lab):
    look.goto(f"/runs/{lab.evil}")
    look.get_by_role("link", name="roc.png").click()
    look.wait_for_function("() => document.querySelector('.preview img').naturalWidth === 1")
    look.go_back()
    look.get_by_role("link", name="table.csv", exact=True).click()
    look.locator(".preview td").first.wait_for()
    assert look.locator(".preview td").all_inner_texts() == ["1", "<img src=x onerror=window.hit=1>"]
    look.go_back()
    look.get_by_role("link", name="report.html", exact=True).click()

    assert "<script>" in look.locator("pre.lines").inner_text()


@pytest.mark.parametrize("name", ["report.html", "drawing.svg"])
def test_a_page_of_somebody_is_drawn_in_a_frame_where_nothing_of_it_runs(chromium, lab, name):
    page = chromium.new_page(base_url=lab.url)
    page.goto(f"/runs/{lab.evil}/files/{name}")
    page.get_by_role("link", name="as a page").click()
    page.locator("iframe.framed").wait_for()
    page.wait_for_function("() => document.readyState === 'complete'")
    raw = httpx.get(f"{lab.url}/runs/{lab.evil}/raw/{name}?framed=1")

    assert page.locator("iframe.framed").get_attribute("sandbox") == ""
    assert page.evaluate("window.hit") is None
    assert raw.headers["content-security-policy"].startswith("sandbox; default-src 'none'; style-src")
    assert "frame-ancestors 'self'" in raw.headers["content-security-policy"]
    page.close()


def test_only_pages_and_drawings_are_framed(lab):
    answer = httpx.get(f"{lab.url}/runs/{lab.evil}/raw/table.csv?framed=1")

    assert answer.headers["content-disposition"].startswith("attachment")


def test_markdown_is_read_as_written_and_never_as_markup(look: Page, lab):
    look.goto(f"/runs/{lab.evil}/files/notes/deep/er/readme.md")

    assert look.locator(".markdown h2").inner_text() == "hello <script>window.hit=1</script>"
    look.get_by_role("link", name="as text").click()
    assert look.locator("pre.lines").inner_text().startswith("# hello")
