"""What is due: nothing lost, nothing twice, in order, for any outages and any leaps of the clock."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropewalk.schedules.due import GRACE_US, PAGE, due, jittered
from ropewalk.schedules.spec import Spec
from ropewalk.schedules.times import between
from schedules.clockwork import DAY, HOUR, SECOND, spec, us

BEGIN = us("2026-03-01 00:00")
CRONS = ["30 2 * * *", "0 */3 * * *", "*/40 5 * * *", "0 6 1 * *", "0,30 1-3 * * 0"]
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]


def looks(one: Spec, moments: list[int]) -> tuple[list[int], list[int], int]:
    """Decide at each moment; return what started, what was missed, and up to where it is decided."""
    cursor, started, missed = BEGIN, list[int](), list[int]()
    for now in moments:
        more = True
        while more:
            found = due(one, cursor, now)
            assert found.cursor_us >= cursor
            started += [start.at_us for start in found.starts]
            if found.missed is not None:
                missed += between(one, found.missed.first_us - 1, found.missed.last_us, 10_000)
            cursor, more = found.cursor_us, found.more
    return started, missed, cursor


moments = st.lists(st.integers(-2 * HOUR, 40 * DAY), min_size=1, max_size=12).map(
    lambda gaps: [BEGIN + sum(gaps[: n + 1]) for n in range(len(gaps))]
)


@settings(max_examples=60)
@given(moments=moments, cron=st.sampled_from(CRONS), zone=st.sampled_from(ZONES))
def test_with_all_nothing_is_lost_and_nothing_comes_twice_and_the_order_is_kept(moments, cron, zone):
    one = spec(cron=cron, timezone=zone, catch_up="all")

    started, missed, _ = looks(one, moments)

    assert started == between(one, BEGIN, max(BEGIN, *moments), 1_000_000)
    assert missed == []


@settings(max_examples=60)
@given(moments=moments, cron=st.sampled_from(CRONS), zone=st.sampled_from(ZONES))
def test_with_last_each_outage_gives_its_newest_and_tells_of_the_others(moments, cron, zone):
    one = spec(cron=cron, timezone=zone)
    whole = between(one, BEGIN, max(BEGIN, *moments), 1_000_000)

    started, missed, _ = looks(one, moments)

    assert started == sorted(set(started))
    assert set(started) | set(missed) == set(whole)
    assert not set(started) & set(missed)
    assert not whole or started[-1] == whole[-1]


@settings(max_examples=60)
@given(moments=moments, cron=st.sampled_from(CRONS))
def test_with_none_only_what_is_fresh_starts(moments, cron):
    one = spec(cron=cron, catch_up="none")
    whole = between(one, BEGIN, max(BEGIN, *moments), 1_000_000)

    started, missed, _ = looks(one, moments)

    assert set(started) | set(missed) == set(whole)
    assert all(any(0 <= now - at_us <= GRACE_US for now in moments) for at_us in started)


def test_each_start_knows_the_interval_that_it_closes():
    one = spec(cron="0 6 * * *", catch_up="all")

    found = due(one, us("2026-03-01 12:00"), us("2026-03-03 12:00"))

    assert [(start.from_us, start.at_us) for start in found.starts] == [
        (us("2026-03-01 06:00"), us("2026-03-02 06:00")),
        (us("2026-03-02 06:00"), us("2026-03-03 06:00")),
    ]


def test_more_than_a_page_comes_in_pages():
    one = spec(cron="* * * * *", catch_up="all")

    found = due(one, BEGIN, BEGIN + DAY)

    assert (len(found.starts), found.more, found.cursor_us) == (PAGE, True, found.starts[-1].at_us)


def test_a_clock_that_went_back_is_owed_nothing():
    one = spec(cron="* * * * *", catch_up="all")

    found = due(one, BEGIN, BEGIN - 400 * DAY)

    assert (found.starts, found.missed, found.cursor_us) == ((), None, BEGIN)


def test_what_was_missed_is_counted_with_its_first_and_last():
    found = due(spec(cron="0 * * * *"), BEGIN, BEGIN + 5 * HOUR + 1)

    assert [start.at_us for start in found.starts] == [BEGIN + 5 * HOUR]
    assert found.missed is not None
    assert (found.missed.count, found.missed.first_us, found.missed.last_us) == (4, BEGIN + HOUR, BEGIN + 4 * HOUR)


def test_jitter_is_the_same_everywhere_and_no_longer_than_it_says():
    one = spec(cron="0 * * * *", jitter="5m")

    waits = [jittered(one, BEGIN + n * HOUR) - BEGIN - n * HOUR for n in range(200)]

    assert waits == [jittered(one, BEGIN + n * HOUR) - BEGIN - n * HOUR for n in range(200)]
    assert 0 <= min(waits) < 60 * SECOND
    assert 240 * SECOND < max(waits) <= 300 * SECOND
    assert jittered(spec(cron="0 * * * *"), BEGIN) == BEGIN


@pytest.mark.parametrize("catch_up", ["last", "all", "none"])
def test_looking_often_comes_to_the_same_as_the_clock(catch_up):
    one = spec(cron="*/5 * * * *", catch_up=catch_up)

    started, missed, _ = looks(one, [BEGIN + n * 10 * SECOND for n in range(720)])

    assert started == between(one, BEGIN, BEGIN + 7190 * SECOND, 1000)
    assert missed == []
