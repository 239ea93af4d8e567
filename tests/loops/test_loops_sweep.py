"""What was kept for a while goes when its while is over, and not before."""

from __future__ import annotations

import pytest

from ropewalk.loops import sweep as sweep_room
from ropewalk.loops.sweep import ANSWER_SECONDS, EVENT_SECONDS, Sweep
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock


def announce(site: Site, count: int) -> None:
    def write(tx) -> None:
        for number in range(count):
            site.announce(tx, "check", f"subject:{number}", {})

    site.db.write(write)


def events(site: Site) -> int:
    with site.db.read() as reader:
        return len(reader.rows("events.after", seq=0, count=100))


def test_an_answer_is_kept_for_a_day_and_then_forgotten(site: Site, clock: SetClock) -> None:
    said: list[int] = []
    site.db.write(lambda _tx: said.append(1) or {"n": 1}, key="k")
    clock.advance(ANSWER_SECONDS - 1)
    Sweep(site).turn()
    site.db.write(lambda _tx: said.append(2) or {"n": 2}, key="k")

    clock.advance(2)
    Sweep(site).turn()
    site.db.write(lambda _tx: said.append(3) or {"n": 3}, key="k")

    assert said == [1, 3]


def test_an_event_stays_until_every_reader_has_read_it_and_a_week_is_over(site: Site, clock: SetClock) -> None:
    announce(site, 3)
    site.db.write(lambda tx: tx.run("events.reader_set", reader="slow", seq=2))

    Sweep(site).turn()
    young = events(site)
    clock.advance(EVENT_SECONDS + 1)
    Sweep(site).turn()

    assert young == 3
    assert events(site) == 1


def test_a_turn_takes_some_and_says_whether_there_are_more(
    site: Site, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_room, "ROWS_MAX", 2)
    announce(site, 5)
    clock.advance(EVENT_SECONDS + 1)

    more = [Sweep(site).turn() for _ in range(4)]

    assert more == [True, True, False, False]
    assert events(site) == 0
