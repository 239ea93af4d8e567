"""Times through daylight saving, leap days and month ends, against what the clocks of the place show."""

from __future__ import annotations

from itertools import islice, pairwise

import pytest

from ropewalk.schedules.times import before, between, intervals, newest, times
from schedules.clockwork import DAY, HOUR, SECOND, local, spec, us

BERLIN, NEW_YORK, KOLKATA, LORD_HOWE = "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"


def shown(zone: str, cron: str, first: str, last: str) -> list[str]:
    """Return the times after one local time and until another, as the clocks there show them."""
    return local(between(spec(cron=cron, timezone=zone), us(first, zone), us(last, zone), 100), zone)


@pytest.mark.parametrize(
    ("zone", "cron", "first", "last", "wanted"),
    [
        # The clocks leap from 02:00 to 03:00: what they leap over starts at the first minute after.
        (BERLIN, "30 2 * * *", "2026-03-28 12:00", "2026-03-30 12:00", ["03-29 03:00 CEST", "03-30 02:30 CEST"]),
        (NEW_YORK, "30 2 * * *", "2026-03-07 12:00", "2026-03-09 12:00", ["03-08 03:00 EDT", "03-09 02:30 EDT"]),
        # Two times in one gap are one minute, which is one start.
        (BERLIN, "0,30 2 * * *", "2026-03-29 00:00", "2026-03-29 12:00", ["03-29 03:00 CEST"]),
        # 02:00 to 03:00 comes twice: a time in it starts the first time only, whenever one looks.
        (BERLIN, "30 2 * * *", "2026-10-24 12:00", "2026-10-26 12:00", ["10-25 02:30 CEST", "10-26 02:30 CET"]),
        (BERLIN, "30 2 * * *", "2026-10-25 02:10*", "2026-10-26 12:00", ["10-26 02:30 CET"]),
        (NEW_YORK, "30 1 * * *", "2026-10-31 12:00", "2026-11-02 12:00", ["11-01 01:30 EDT", "11-02 01:30 EST"]),
        # With a star the clocks on the wall are followed: an hour that is not is left out, one that is twice counts.
        (BERLIN, "0 * * * *", "2026-03-29 00:30", "2026-03-29 04:30",
         ["03-29 01:00 CET", "03-29 03:00 CEST", "03-29 04:00 CEST"]),
        (BERLIN, "0 * * * *", "2026-10-25 01:30", "2026-10-25 03:30",
         ["10-25 02:00 CEST", "10-25 02:00 CET", "10-25 03:00 CET"]),
        (NEW_YORK, "*/30 * * * *", "2026-11-01 00:45", "2026-11-01 02:15",
         ["11-01 01:00 EDT", "11-01 01:30 EDT", "11-01 01:00 EST", "11-01 01:30 EST", "11-01 02:00 EST"]),
        (BERLIN, "*/30 2 * * *", "2026-03-28 12:00", "2026-03-30 12:00", ["03-30 02:00 CEST", "03-30 02:30 CEST"]),
        # Half an hour of daylight saving.
        (LORD_HOWE, "15 2 * * *", "2026-10-03 12:00", "2026-10-05 12:00", ["10-04 02:30 +11", "10-05 02:15 +11"]),
        # No daylight saving, and half an hour off the others.
        (KOLKATA, "30 2 * * *", "2026-03-28 12:00", "2026-03-30 12:00", ["03-29 02:30 IST", "03-30 02:30 IST"]),
        # The day of the change itself.
        (BERLIN, "0 0 * * *", "2026-03-28 12:00", "2026-03-30 12:00", ["03-29 00:00 CET", "03-30 00:00 CEST"]),
    ],
)  # fmt: skip
def test_daylight_saving(zone, cron, first, last, wanted):
    assert shown(zone, cron, first, last) == wanted


def test_an_hour_apart_is_an_hour_of_time_whatever_the_clocks_show():
    found = between(spec(cron="0 * * * *", timezone=BERLIN), us("2026-10-24 00:30"), us("2026-10-26 00:30"), 100)

    assert {later - earlier for earlier, later in pairwise(found)} == {HOUR}
    assert len(found) == 48


@pytest.mark.parametrize(
    ("cron", "first", "wanted"),
    [
        ("0 6 29 2 *", "2023-01-01", ["2024-02-29", "2028-02-29", "2032-02-29"]),
        ("0 6 29 2 *", "2096-03-01", ["2104-02-29", "2108-02-29", "2112-02-29"]),
        ("0 6 31 * *", "2026-01-31T07", ["2026-03-31", "2026-05-31", "2026-07-31"]),
        ("0 6 L * *", "2024-01-31T07", ["2024-02-29", "2024-03-31", "2024-04-30"]),
        ("0 6 LW * *", "2026-01-01", ["2026-01-30", "2026-02-27", "2026-03-31"]),
        ("0 6 * * MON#1", "2026-01-01", ["2026-01-05", "2026-02-02", "2026-03-02"]),
        # With both days named either of them is enough, as cron has it.
        ("0 6 13 * FRI", "2026-02-01", ["2026-02-06", "2026-02-13", "2026-02-20"]),
    ],
)
def test_leap_days_and_month_ends(cron, first, wanted):
    from datetime import datetime

    after = us(datetime.fromisoformat(first).isoformat(sep=" "))

    assert list(islice(times(spec(cron=cron), after), 3)) == [us(f"{day} 06:00") for day in wanted]


@pytest.mark.parametrize("zone", [BERLIN, NEW_YORK, KOLKATA, LORD_HOWE, "UTC"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "0,30 1,2 * * *", "*/20 * * * *", "0 6 1 * *", "0 0 29 2 *"])
def test_going_back_meets_what_going_forward_has_met(zone, cron):
    one = spec(cron=cron, timezone=zone)
    found = list(islice(times(one, us("2026-03-05 00:00")), 99))

    assert found == sorted(set(found))
    assert [before(one, at_us) for at_us in found[1:]] == found[:-1]
    assert [newest(one, at_us - 1, at_us) for at_us in found[:20]] == found[:20]
    assert [newest(one, at_us, at_us) for at_us in found[:20]] == [None] * 20


def test_a_microsecond_after_a_time_is_after_it():
    one = spec(cron="0 6 * * *")

    assert between(one, us("2026-01-01 06:00") + 1, us("2026-01-02 06:00"), 5) == [us("2026-01-02 06:00")]
    assert between(one, us("2026-01-01 06:00") - 1, us("2026-01-01 06:00"), 5) == [us("2026-01-01 06:00")]


def test_start_and_end_are_a_first_time_that_counts_and_a_last_one_that_does_not():
    one = spec(cron="0 6 * * *", start="2026-01-10T06:00", end="2026-01-12T06:00")

    assert list(times(one, 0)) == [us("2026-01-10 06:00"), us("2026-01-11 06:00")]
    assert newest(one, 0, us("2027-01-01 00:00")) == us("2026-01-11 06:00")


def test_intervals_go_on_from_their_start_and_know_no_clocks_on_the_wall():
    one = spec(every="90m", start="2026-03-29T00:30", timezone=BERLIN)

    found = list(islice(times(one, 0), 4))

    assert local(found, BERLIN) == ["03-29 00:30 CET", "03-29 03:00 CEST", "03-29 04:30 CEST", "03-29 06:00 CEST"]
    assert [before(one, at_us) for at_us in found[1:]] == found[:-1]
    assert list(islice(times(spec(every="15m"), us("2026-01-01 00:07")), 2)) == [
        us("2026-01-01 00:15"),
        us("2026-01-01 00:30"),
    ]


def test_intervals_of_a_range_begin_in_it_and_touch_each_other():
    monthly = spec(cron="0 0 1 * *", start="2020-01-01")

    found = list(intervals(monthly, us("2013-01-01 00:00"), us("2014-01-01 00:00")))

    assert len(found) == 12
    assert found[0] == (us("2013-01-01 00:00"), us("2013-02-01 00:00"))
    assert all(end == begin for (_, end), (begin, _) in pairwise(found))
    assert found[-1][1] == us("2014-01-01 00:00")


def test_intervals_before_the_start_of_an_interval_schedule_lie_on_the_same_grid():
    one = spec(every="1d", start="2026-01-01T03:00")

    found = list(intervals(one, us("2025-01-01 00:00"), us("2025-01-03 00:00")))

    assert found == [(us("2025-01-01 03:00") + n * DAY, us("2025-01-02 03:00") + n * DAY) for n in range(2)]
    assert found[0][1] - found[0][0] == 86_400 * SECOND
