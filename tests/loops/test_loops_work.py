"""Loops take turns, survive what their turns raise, and stop."""

from __future__ import annotations

import itertools
import logging
import threading

import pytest

from ropewalk.errors import Unavailable
from ropewalk.loops import work
from ropewalk.loops.work import Loop, Loops


def test_it_takes_its_first_turn_at_once_and_the_next_when_it_is_woken() -> None:
    loop = Loop("count", lambda: False, seconds=3600)

    with Loops([loop]):
        assert loop.wait_turns(1, seconds=10)
        loop.wake()
        assert loop.wait_turns(2, seconds=10)


def test_it_goes_on_at_once_while_there_is_more_to_do() -> None:
    left = [True, True, True, False]
    loop = Loop("more", lambda: left.pop(0) if left else False, seconds=3600)

    with Loops([loop]):
        assert loop.wait_turns(4, seconds=10)

    assert not left


def test_an_error_is_logged_and_tried_again_and_forgotten_once_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    outcomes: list[Exception | None] = [ValueError("odd"), Unavailable("store-busy", "The store is busy."), None]

    def turn() -> bool:
        outcome = outcomes.pop(0) if outcomes else None
        if outcome is not None:
            raise outcome
        return False

    loop = Loop("weak", turn, seconds=0.001)
    with caplog.at_level(logging.ERROR), Loops([loop]) as loops:
        assert loop.wait_turns(3, seconds=10)
        problems = loops.problems()

    assert problems == {}
    assert [record.getMessage() for record in caplog.records] == [
        "loop weak: ValueError: odd",
        "loop weak: store-busy: The store is busy.",
    ]
    assert "Traceback" in caplog.text


def test_a_problem_is_shown_while_it_lasts_and_the_pause_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    def turn() -> bool:
        raise Unavailable("store-busy", "The store is busy.")

    loop = Loop("weak", turn, seconds=2.0)
    wait = loop._wake.wait

    def note(seconds: float) -> bool:
        pauses.append(seconds)
        return wait(0)

    monkeypatch.setattr(loop._wake, "wait", note)
    with Loops([loop]) as loops:
        assert loop.wait_turns(9, seconds=10)
        assert loops.problems() == {"weak": "store-busy: The store is busy."}

    assert pauses[:4] == [4.0, 8.0, 16.0, 32.0]
    assert max(pauses) == work.BACKOFF_SECONDS_MAX


def test_stopping_lets_the_running_turn_finish() -> None:
    began, go_on, ended = threading.Event(), threading.Event(), []

    def turn() -> bool:
        began.set()
        go_on.wait(10)
        ended.append(1)
        return True

    loop = Loop("slow", turn, seconds=3600)
    loop.start()
    began.wait(10)
    stopper = threading.Thread(target=loop.stop)
    stopper.start()
    go_on.set()
    stopper.join(10)

    assert ended == [1]
    assert not loop._thread.is_alive()


def test_a_loop_that_never_started_stops_at_once() -> None:
    Loop("idle", lambda: False, seconds=1).stop()


def test_after_a_long_turn_it_rests_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks, pauses = itertools.count(0, 30), []
    monkeypatch.setattr(work, "monotonic", lambda: next(ticks))
    loop = Loop("long", lambda: False, seconds=1)
    monkeypatch.setattr(loop._wake, "wait", pauses.append)

    with Loops([loop]):
        assert loop.wait_turns(3, seconds=10)

    assert set(pauses) == {work.REST * 30}
