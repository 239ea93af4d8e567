"""The writer and whoever takes turns with it work one after the other, and neither waits for the other for long."""

from __future__ import annotations

import threading
from time import monotonic

import pytest

from ropewalk.store import turns
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.store.turns import Turns


def standing(found: Turns, done: threading.Event) -> threading.Thread:
    """Return a writer that has begun to wait for its turn, and says when it got it."""

    def work() -> None:
        found.begin()
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    while not found._stands:
        threading.Event().wait(0.001)
    return thread


def test_the_writer_works_when_it_wants_to_while_nobody_takes_turns() -> None:
    began = monotonic()
    Turns().begin()

    assert monotonic() - began < turns.TURN_SECONDS_MAX


def test_a_turn_lasts_until_the_writer_needs_the_interpreter_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS_MAX", 10.0)
    found, begun = Turns(), threading.Event()
    first = found.give()  # it has nothing to do
    writer = standing(found, begun)
    waited_for_it = not begun.is_set()
    given: list[float] = []
    loop = threading.Thread(target=lambda: given.append(found.give()))

    loop.start()
    assert begun.wait(10)
    over_before_it_said_so = bool(given)
    found.end()
    loop.join(10)
    writer.join(10)

    assert first == 0
    assert waited_for_it
    assert not over_before_it_said_so
    assert 0 < given[0] < 10


def test_nobody_waits_for_ever() -> None:
    found, begun = Turns(), threading.Event()
    found.give()
    writer = standing(found, begun)
    assert begun.wait(10)  # nobody gave it a turn
    writer.join(10)
    writer = standing(found, threading.Event())

    waited = found.give()  # and this one never says that it is over
    writer.join(10)

    assert waited + 0.001 >= turns.TURN_SECONDS_MAX
    assert waited < 10


def test_whoever_stops_lets_the_writer_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS_MAX", 60.0)
    found, begun = Turns(), threading.Event()
    found.give()
    writer = standing(found, begun)

    found.stop()

    assert begun.wait(10)
    writer.join(10)


@pytest.mark.parametrize("stops", [False, True])
def test_what_is_written_between_turns_is_written_all_the_same(tmp_path, clock, stops) -> None:
    db = SqliteDatabase(tmp_path / "rows.db", clock)
    paces = [db.pace()]
    waited = db.take_turns(on=True)

    done = [db.submit(lambda _tx, number=number: number) for number in range(300)]
    db.take_turns(on=True)
    if stops:
        db.take_turns(on=False)
    results = [one.result(20) for one in done]
    paces.append(db.pace())
    db.close()

    assert waited == 0
    assert results == list(range(300))
    assert paces[0] == 0
    assert 0 < paces[1] < 10
