"""A quota is never passed by two at once, lets in what was made room for, and a minute holds what it may."""

from __future__ import annotations

import pickle
import threading
from dataclasses import replace
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.errors import Unavailable
from ropewalk.workspaces.account import Account, Level, Throttled
from ropewalk.workspaces.meter import OTHERS, USERS_MAX, Meter
from ropewalk.workspaces.quota import Quota
from ropewalk.workspaces.usage import held, used


class Now:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def account(quota: Quota, store: list[Level], now: Now) -> Account:
    return Account("team-a", quota, lambda: store[-1], now)


def test_two_that_are_under_way_do_not_both_take_the_last():
    now, store = Now(), [Level(runs=9)]
    found = account(Quota(runs_max=10), store, now)
    found.recount()
    one = Level(runs=1)

    assert found.fits(one)
    found.take(one)
    now.seconds += 10
    found.recount()  # the store does not know of it yet

    assert not found.fits(one)
    found.give_back(one)
    assert found.fits(one)


def test_what_was_deleted_makes_room_once_it_is_counted():
    now, store = Now(), [Level(bytes=10)]
    found = account(Quota(bytes_max=10), store, now)
    found.recount()
    assert not found.fits(Level(bytes=1))
    store.append(Level(bytes=4))

    assert not found.stale()
    now.seconds += 1
    assert found.stale()
    found.recount()

    assert found.fits(Level(bytes=6))
    assert not found.fits(Level(bytes=7))


def test_what_is_forgotten_while_it_is_counted_is_counted_again():
    now, counts = Now(), []

    def count():
        counts.append(len(counts))
        if len(counts) == 1:  # an experiment with eight runs comes back after this count has begun
            found.forget()
            return Level(runs=1)
        return Level(runs=9)

    found = Account("team-a", Quota(runs_max=10), count, now)

    assert found.recount() == Level(runs=9)
    assert found.level == Level(runs=9)
    assert len(counts) == 2


class Slow(Level):
    """A level to which somebody else adds in the very moment in which it is reckoned with."""

    meanwhile: ClassVar[list[threading.Thread]] = []

    def plus(self, other, times=1):
        if self.meanwhile:
            thread = self.meanwhile.pop()
            thread.start()
            thread.join(0.2)  # where it has to wait for us it ends afterwards
        return super().plus(other, times)


def test_what_is_settled_in_the_moment_in_which_a_count_ends_is_not_lost():
    now, one = Now(), Level(points=1)
    found = account(Quota(points_max=10), [Level(points=5)], now)
    found.take(one)
    found._added = Slow(points=5)
    settling = threading.Thread(target=found.settle, args=(one,))
    Slow.meanwhile.append(settling)

    found.recount()
    settling.join(10)

    assert found.level == Level(points=6)


def test_nobody_knows_before_the_first_count():
    assert account(Quota(points_max=1), [Level()], Now()).fits(Level(points=1)) is None


def test_a_refusal_names_what_is_full_and_the_command():
    found = account(Quota(points_max=5), [Level(points=5)], Now())
    found.recount()

    told = found.refusal(Level(points=2))

    assert told.code == "quota-reached"
    assert "5 of 5" in told.why
    assert "--points" in told.fix


@given(st.integers(1, 120), st.lists(st.floats(0.0, 20.0), max_size=300))
def test_no_minute_holds_more_than_twice_the_quota_and_the_wait_that_is_told_is_enough(most, waits):
    now = Now()
    found = account(Quota(requests_max=most), [Level()], now)
    passed: list[float] = []
    for wait in waits:
        now.seconds += wait
        try:
            found.request()
            passed.append(now.seconds)
        except Throttled as told:
            now.seconds += told.seconds
            found.request()
            passed.append(now.seconds)

    for first in passed:  # a full bucket, and what flowed into it meanwhile
        assert sum(first <= at < first + 60 for at in passed) <= 2 * most


def test_a_full_minute_may_come_at_once_and_not_one_more():
    now = Now()
    found = account(Quota(requests_max=30), [Level()], now)
    for _ in range(30):
        found.request()

    with pytest.raises(Throttled) as caught:
        found.request()

    assert caught.value.seconds == 2
    assert pickle.loads(pickle.dumps(caught.value)).seconds == 2


def test_usage_is_written_once_and_added_up_by_day(site):
    meter = Meter(site)
    meter.add("default", "ann", 200, 10, 20, 3_000_000)
    meter.add("default", "ann", 404, 1, 2, 1_000_000)
    meter.add_runs("default", "ann", 1)
    meter.write({"default": Level(bytes=7, runs=1)})
    meter.add("default", "ann", 200, 1, 1, 1_000)
    meter.write()

    assert meter.write() == 0
    with site.db.read() as rows:
        (one,) = used(rows)
        (level,) = held(rows)
    assert (one.requests, one.refused, one.bytes_in, one.bytes_out, one.busy_us, one.runs) == (3, 1, 12, 23, 4001, 1)
    assert (level.bytes, level.runs) == (7, 1)
    site.clock.advance(86_400)
    meter.add("default", "ann", 200, 1, 1, 1)
    meter.write()
    with site.db.read() as rows:
        assert len(used(rows)) == 2
        assert len(used(rows, since=one.day + 1)) == 1


def test_usage_that_could_not_be_written_is_kept_for_the_next_time(site):
    meter = Meter(site)
    meter.add("nobody-knows-it", "ann", 200, 0, 0, 0)
    with pytest.raises(Exception, match=r"."):
        meter.write()
    assert meter.workspaces() == {"nobody-knows-it"}


class Forgetful:
    """A database that writes, and whose answer is lost once."""

    def __init__(self, db) -> None:
        self.db = db
        self.lose = True

    def write(self, work, /, **more):
        found = self.db.write(work, **more)
        if self.lose:
            self.lose = False
            raise Unavailable("store-unreachable", "The server does not answer.")
        return found


def test_usage_whose_answer_was_lost_is_not_added_twice(site):
    meter = Meter(replace(site, db=Forgetful(site.db)))
    meter.add("default", "ann", 200, 1, 1, 1_000)
    with pytest.raises(Unavailable):
        meter.write()
    meter.add("default", "ann", 200, 1, 1, 1_000)
    before = meter.workspaces()

    meter.write()

    assert before == {"default"}
    assert meter.workspaces() == frozenset()
    with site.db.read() as rows:
        (one,) = used(rows)
    assert one.requests == 2


def test_names_without_end_take_no_memory_without_end(site):
    meter = Meter(site)
    for number in range(USERS_MAX + 5):
        meter.add("default", f"user-{number}", 200, 0, 0, 0)
    meter.write()

    with site.db.read() as rows:
        found = {one.user_name: one.requests for one in used(rows)}
    assert len(found) == USERS_MAX + 1
    assert found[OTHERS] == 5
