"""Schedules in rows: each start once, whatever the clock, the other server and the kernel do."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from ropewalk.errors import Interrupted, NotFound, Unavailable
from ropewalk.loops.schedule import AHEAD_US
from ropewalk.schedules import schedule as schedules
from ropewalk.schedules.fire import CANCELLED, DONE, FAILED, MISSED, RUNNING, SKIPPED, WAITING, Fire
from ropewalk.schedules.spec import Spec
from ropewalk.schedules.steady import BELIEVED_SECONDS
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock
from schedules.clockwork import DAY, HOUR, SECOND, Works, spec, us

START = us("2026-01-01 00:00")  # where SetClock stands
HOURLY = spec(cron="0 * * * *")


@pytest.fixture
def works(site: Site) -> Works:
    made = Works(site, [HOURLY])
    made.turn()
    return made


def test_a_time_that_has_come_starts_once_with_its_interval(works: Works, clock: SetClock) -> None:
    clock.advance(3599)
    works.turn()
    assert works.started == []
    clock.advance(1)
    works.turn()
    works.turn()

    (one,) = works.all()
    assert (one.cause, one.state, one.due_us) == ("schedule", DONE, START + HOUR)
    assert (one.from_us, one.until_us) == (START, START + HOUR)
    assert one.arguments() == {"interval_start": "2026-01-01T00:00:00Z"}
    assert one.actor == "schedule:nightly"


def test_looking_when_nothing_is_due_writes_nothing(works: Works, clock: SetClock, site: Site) -> None:
    before = site.db.version()

    for _ in range(100):
        clock.advance(1)
        works.turn()

    assert site.db.version() == before


@pytest.mark.parametrize(
    ("catch_up", "wanted"),
    [
        ("last", [MISSED, DONE]),
        ("all", [DONE] * 5),
        ("none", [MISSED]),
    ],
)
def test_what_was_missed_while_nothing_ran(site: Site, clock: SetClock, catch_up: str, wanted: list[str]) -> None:
    Works(site, [spec(cron="0 * * * *", catch_up=catch_up)]).turn()

    clock.advance(5 * 3600 + 600)
    again = Works(site, [spec(cron="0 * * * *", catch_up=catch_up)])
    again.turn()

    assert [state for _, state in again.states()] == wanted
    assert [one.due_us for one in again.started] == sorted(one.due_us for one in again.started)


@pytest.mark.parametrize("leap", [3600, -3600, 400 * 86_400, -400 * 86_400])
def test_a_clock_that_leaps_and_comes_back_starts_nothing_early_and_nothing_twice(
    works: Works, clock: SetClock, leap: int
) -> None:
    clock.advance(1800)
    clock.jump(leap)
    for _ in range(20):
        clock.advance(15)
        works.turn()
    assert works.started == []
    clock.jump(-leap)
    for _ in range(6):
        clock.advance(600)
        works.turn()

    assert [one.due_us for one in works.started] == [START + HOUR]


def test_during_a_leap_schedules_go_on_by_the_clock_that_was(works: Works, clock: SetClock) -> None:
    clock.advance(3500)
    clock.jump(400 * 86_400)
    clock.advance(101)
    works.turn()

    assert [one.due_us for one in works.started] == [START + HOUR]


@pytest.mark.parametrize("leap", [3600, 400 * 86_400])
def test_a_leap_ahead_that_stays_is_believed_and_taken_back_without_starting_twice(
    works: Works, clock: SetClock, leap: int
) -> None:
    clock.jump(leap)
    works.turn()
    clock.advance(BELIEVED_SECONDS + 1)
    works.turn()
    assert len(works.started) == 1
    clock.jump(-leap)
    for _ in range(40):
        clock.advance(300)
        works.turn()

    due = [one.due_us for one in works.all() if one.state == DONE]
    assert len(due) == len(set(due))
    # The hours that really came afterwards have started, whatever the clock had said before.
    assert {START + 2 * HOUR, START + 3 * HOUR} <= set(due)


def test_a_server_that_starts_under_a_wrong_clock_does_not_stall_the_next_one(site: Site, clock: SetClock) -> None:
    Works(site, [HOURLY]).turn()
    clock.jump(400 * 86_400)
    Works(site, [HOURLY]).turn()
    clock.jump(-400 * 86_400)
    third = Works(site, [HOURLY])
    third.turn()
    clock.advance(3600)
    third.turn()

    assert [one.due_us for one in third.started] == [START + HOUR]
    assert AHEAD_US < 400 * DAY


def test_overlap_skip_leaves_out_what_comes_while_the_last_one_runs(site: Site, clock: SetClock) -> None:
    gate = threading.Event()
    works = Works(site, [HOURLY], lambda fire, halt: gate.wait(30) and "run")
    works.schedules.turn()

    for _ in range(2):
        clock.advance(3600)
        works.schedules.turn()
    gate.set()
    works.wait()

    assert [(one.state, one.note) for one in works.all()] == [
        (DONE, ""),
        (SKIPPED, "the start of 2026-01-01T01:00:00Z is not over"),
    ]


def test_overlap_queue_runs_them_one_after_the_other(site: Site, clock: SetClock) -> None:
    gate = threading.Event()
    running: list[str] = []
    most: list[int] = []

    def start(fire: Fire, halt: threading.Event) -> str:
        running.append(fire.id)
        most.append(len(running))
        gate.wait(30)
        running.remove(fire.id)
        return "run"

    works = Works(site, [spec(cron="0 * * * *", overlap="queue")], start)
    works.schedules.turn()
    for _ in range(3):
        clock.advance(3600)
        works.schedules.turn()
    assert [one.state for one in works.all()] == [RUNNING, WAITING, WAITING]
    gate.set()
    works.turn()

    assert [one.state for one in works.all()] == [DONE] * 3
    assert max(most) == 1


def test_overlap_cancel_running_stops_what_runs_and_drops_what_waits(site: Site, clock: SetClock) -> None:
    stopped: list[int] = []

    def start(fire: Fire, halt: threading.Event) -> str:
        if fire.due_us < START + 3 * HOUR:
            assert halt.wait(30)
            stopped.append(fire.due_us)
            raise Interrupted("fire-broken-off", "It was ended.")
        return "run"

    works = Works(site, [spec(cron="0 * * * *", overlap="cancel-running")], start)
    works.schedules.turn()
    for _ in range(3):
        clock.advance(3600)
        works.schedules.turn()
    works.turn()

    assert [one.state for one in works.all()] == [CANCELLED, CANCELLED, DONE]
    assert stopped == [START + HOUR]
    assert works.all()[1].note == "the start of 2026-01-01T03:00:00Z takes its place"


def test_jitter_waits_and_keeps_the_order(site: Site, clock: SetClock) -> None:
    works = Works(site, [spec(cron="0 * * * *", jitter="30m")])
    works.turn()
    clock.advance(3600)
    works.turn()
    (one,) = works.all()
    assert (one.state, one.due_us < one.not_before_us) == (WAITING, True)

    clock.advance((one.not_before_us - one.due_us) / SECOND)
    works.turn()

    assert works.all()[0].state == DONE


def test_a_paused_schedule_starts_nothing_and_owes_nothing_when_it_is_resumed(works: Works, clock: SetClock) -> None:
    site = works.site
    site.db.write(lambda tx: schedules.pause(tx, site, "nightly"))
    clock.advance(5 * 3600)
    works.turn()
    assert works.all() == []
    site.db.write(lambda tx: schedules.resume(tx, site, "nightly"))
    works.turn()
    clock.advance(3600)
    works.turn()

    assert [one.due_us for one in works.all()] == [START + 6 * HOUR]


def test_start_and_end_dates_bound_it(site: Site, clock: SetClock) -> None:
    works = Works(site, [spec(cron="0 * * * *", start="2026-01-01T02:00", end="2026-01-01T04:00", catch_up="all")])
    for _ in range(8):
        works.turn()
        clock.advance(3600)

    assert [one.due_us for one in works.all()] == [START + 2 * HOUR, START + 3 * HOUR]


def test_other_words_find_no_starts_in_the_past_and_a_schedule_taken_away_stops(works: Works, clock: SetClock) -> None:
    clock.advance(3600)
    works.turn()
    clock.advance(14 * 3600)
    works.specs = [spec(cron="30 3 * * *")]
    works.turn()
    assert len(works.all()) == 1
    works.specs = []
    clock.advance(86_400)
    works.turn()

    assert len(works.all()) == 1
    with works.site.db.read() as rows:
        assert schedules.get(rows, "nightly").state == schedules.REMOVED


def test_what_fails_is_noted_and_the_next_time_comes_nonetheless(site: Site, clock: SetClock) -> None:
    def start(fire: Fire, halt: threading.Event) -> str:
        if fire.due_us == START + HOUR:
            raise Unavailable("disk-full", "The disk is full.")
        raise BlockingIOError(11, "no more processes")

    works = Works(site, [HOURLY], start)
    works.turn()
    for _ in range(2):
        clock.advance(3600)
        works.turn()

    assert [(one.state, one.note) for one in works.all()] == [
        (FAILED, "disk-full: The disk is full."),
        (FAILED, "internal: BlockingIOError: [Errno 11] no more processes"),
    ]


def test_a_pipeline_that_is_not_there_is_a_problem_of_its_schedule_alone(site: Site, clock: SetClock) -> None:
    works = Works(site, [spec(name="lost", pipeline="gone.py:train", cron="0 * * * *"), HOURLY])
    works.turn()
    clock.advance(3600)

    with pytest.raises(NotFound, match="cannot be found"):
        works.schedules.turn()
    works.wait()

    assert works.states() == [("schedule", DONE)]
    assert works.all("lost") == []


def test_code_that_cannot_be_understood_leaves_what_was_declared_before(works: Works, clock: SetClock) -> None:
    def broken() -> list[Spec]:
        raise Unavailable("nothing", "The settings are not valid.")

    works.schedules._ways = replace(works.schedules._ways, declared=broken)
    clock.advance(3600)

    with pytest.raises(Unavailable, match="settings"):
        works.schedules.turn()
    works.wait()

    assert works.states() == [("schedule", DONE)]
