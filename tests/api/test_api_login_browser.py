"""The login in a real browser: its form, its cookie, the page that one wanted, and the way out."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from api.asked import PASSWORD, Asked, person
from ropewalk.access.roles import Grant
from ropewalk.clock import SystemClock
from ropewalk.endpoints.server import address_of, listen, make
from ropewalk.site import Site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    now = replace(site, clock=SystemClock())
    person(now, "ann", Grant(role="viewer"))
    server = Asked(now, enabled=True)
    server.close()
    with listen("127.0.0.1", 0) as listener:
        running = make(server.app, drain_seconds_max=2)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not running.started:
                assert thread.is_alive()
                threading.Event().wait(0.02)
            yield address_of(listener)
        finally:
            running.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
def test_a_person_logs_in_sees_what_he_wanted_and_logs_out(url: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(base_url=url)
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))

        page.goto("/runs")
        asked = page.locator("h1").inner_text()
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill("wrong wrong wrong")
        page.get_by_role("button", name="Log in").click()
        wrong = page.get_by_role("alert").inner_text()
        page.get_by_label("Name").fill("ann")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"{url}/runs")
        landed = page.url
        heading = page.locator("h1").first.inner_text()
        seen_by_scripts = page.evaluate("document.cookie")
        kept = page.context.cookies()
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url(f"{url}/login**")
        left = page.url
        page.goto("/runs")
        again = page.locator("h1").inner_text()
        browser.close()

    assert asked == again == "Log in"
    assert wrong == "Name or password is wrong."
    assert landed == f"{url}/runs"
    assert heading != "Log in"
    assert seen_by_scripts == ""
    assert [(one["name"], one["httpOnly"], one["sameSite"]) for one in kept] == [("ropewalk", True, "Strict")]
    assert left == f"{url}/login"
    assert [line for line in said if "Content Security Policy" in line] == []
