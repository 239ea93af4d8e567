"""A real browser follows a run while it goes on: states, time line and log, without loading a page again."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from ropewalk.demo.server import Server
from ropewalk.errors import Interrupted
from ropewalk.house import open_house
from ropewalk.pipelines.execute import run_pipeline
from ropewalk.runs import run as runs

PIPELINE = """
from ropewalk import pipeline, step

@step
def slow(n: int) -> int:
    print("before the gate", flush=True)
    open("gate").read()
    print("<i>behind</i> the gate", flush=True)
    return n

@step
def after(n: int) -> int:
    return n

@pipeline
def train(n: int = 1):
    after(slow(n))
"""

QUICK = """
from ropewalk import pipeline, step

@step
def one() -> int:
    return 1

@step
def two(n: int) -> int:
    return n

@pipeline
def train():
    two(one())
"""


@pytest.mark.browser
def test_a_run_and_its_log_are_followed_with_the_keyboard_until_they_end(chromium, tmp_path: Path) -> None:
    root, begun, told = tmp_path / "live", threading.Event(), []
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "live"\n')
    (root / "pipeline.py").write_text(PIPELINE)
    os.mkfifo(root / "gate")

    def tell(progress) -> None:
        told.append(progress.run_id)
        begun.set()

    def run() -> None:
        with open_house(root) as house:
            run_pipeline(house.site, target="pipeline.py:train", args={}, on_progress=tell)

    with Server(root, 0) as server:
        runner = threading.Thread(target=run)
        runner.start()
        context = chromium.new_context(base_url=server.url, viewport={"width": 1440, "height": 900})
        try:
            assert begun.wait(60)
            complaints: list[str] = []
            page, log = context.new_page(), context.new_page()
            for one in (page, log):
                one.on("pageerror", lambda error: complaints.append(str(error)))
            page.goto(f"/runs/{told[0]}")
            page.wait_for_selector(".graph .running")
            page.focus("#box-1")
            assert page.inner_text(".tip").startswith("slow: running")
            log.goto(f"/runs/{told[0]}")
            log.focus("#box-1")
            log.keyboard.press("Enter")
            log.wait_for_selector("h1:has-text('slow')")
            log.click("#whole-log")
            log.wait_for_selector("#printed:has-text('before the gate')")
            assert log.is_checked("#follow-log")
        finally:
            (root / "gate").open("w").close()
            runner.join()
        log.wait_for_selector("#printed:has-text('<i>behind</i> the gate')")
        log.wait_for_selector("#log-told:has-text('ended')")
        page.bring_to_front()
        page.wait_for_selector("section[data-live$=pipeline][data-period='0']")
        assert page.locator(".graph .ran").count() == 2
        assert page.evaluate("document.activeElement.id") == "box-1"
        assert complaints == []
        context.close()


@pytest.mark.browser
def test_an_interrupted_run_is_asked_for_now_and_then_and_a_server_that_is_away_less_and_less_often(
    chromium, tmp_path: Path
) -> None:
    root = tmp_path / "rests"
    root.mkdir()
    (root / "ropewalk.toml").write_text('name = "rests"\n')
    (root / "pipeline.py").write_text(QUICK)

    def stop(progress) -> None:
        if progress.state == "done":
            raise KeyboardInterrupt

    with open_house(root) as house:
        with pytest.raises(Interrupted):
            run_pipeline(house.site, target="pipeline.py:train", args={}, on_progress=stop)
        with house.site.db.read() as rows:
            address = f"/runs/{runs.find(rows, 'train-1').id}"
    with Server(root, 0) as server:
        context = chromium.new_context(base_url=server.url)
        page, away = context.new_page(), context.new_page()
        page.goto(address)
        asked: list[str] = []
        away.route("**/live/**", lambda route: (asked.append(route.request.url), route.abort()))
        away.clock.install()
        away.goto(address)
        for _ in range(60):
            away.clock.run_for(1000)
            away.wait_for_timeout(10)

        for part in ("head", "pipeline", "metrics"):
            page.wait_for_selector(f"[data-live$={part}][data-period='15000']", state="attached")
        page.set_viewport_size({"width": 400, "height": 900})
        assert page.evaluate(
            "[...document.querySelectorAll('.scroll:has(table.steps)')].every(at => at.scrollWidth <= at.clientWidth)"
        )
        assert page.locator("table.steps .because").first.is_visible()
        counts = Counter(url.rpartition("/")[2] for url in asked)
        assert away.locator("#stale").is_visible()
        assert {3 <= count <= 7 for count in counts.values()} == {True}, counts
        context.close()
