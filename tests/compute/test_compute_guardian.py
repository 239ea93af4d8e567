"""What stands on a node: it tells what becomes of a job even where the node fails it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from ropewalk.compute import guardian
from ropewalk.compute.guardian import Guardian

ORDER = {"id": 1, "message": {}, "log": "step.log", "printed": 0, "timeout": None, "secrets": {}}
SECONDS_MAX = 30


@pytest.fixture
def place(monkeypatch, tmp_path):
    monkeypatch.setattr(guardian, "_own_place", lambda: tmp_path)
    return tmp_path


def test_a_node_that_can_keep_no_log_says_so_and_nobody_waits_for_ever(place):
    facts = {"module": "platform", "cwd": "/", "log": "", "gpu": 0, "environ": {}, "token": [str(place / "none"), "x"]}
    before = set(threading.enumerate())
    made = Guardian(facts)
    (kept,) = (thread for thread in set(threading.enumerate()) - before if thread.name == "guardian")
    (place / "job.log").mkdir()

    with ThreadPoolExecutor() as threads:
        first = threads.submit(made.do, ORDER)
        with pytest.raises(RuntimeError, match=r"Is a directory|not permitted"):
            first.result(SECONDS_MAX)
        with pytest.raises(RuntimeError, match=r"Is a directory|not permitted"):
            threads.submit(made.more).result(SECONDS_MAX)

    kept.join(SECONDS_MAX)
    assert made.stop(), "all that it had started is gone"
