"""A real browser follows a run while it goes on: states, time line and log, without loading a page again."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ropewalk.demo.server import Server
from ropewalk.house import open_house
from ropewalk.pipelines.execute import run_pipeline

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
