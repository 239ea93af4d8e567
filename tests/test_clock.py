"""Times go to text and back without losing a millisecond."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropewalk.clock import SystemClock, from_iso, iso
from ropewalk.testing.fakes import SetClock


@given(st.integers(0, 4_102_444_800_000))
def test_a_time_reads_back_to_the_millisecond(millis):
    assert from_iso(iso(millis * 1000)) == millis * 1000


@pytest.mark.parametrize(
    ("text", "at_us"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:00.000001Z", 1),
        ("1970-01-01T01:00:00+01:00", 0),
        ("2013-09-01T06:00:00", 1_378_015_200_000_000),
    ],
)
def test_a_time_without_a_zone_is_utc(text, at_us):
    assert from_iso(text) == at_us


def test_what_is_no_time_is_refused():
    with pytest.raises(ValueError, match="isoformat"):
        from_iso("yesterday")


def test_the_machine_clock_counts_microseconds_of_this_century():
    assert 1_700_000_000_000_000 < SystemClock().now_us() < 4_000_000_000_000_000


def test_the_set_clock_moves_only_when_told():
    clock = SetClock(at_us=5)
    clock.advance(2)
    clock.jump(-1)

    assert clock.now_us() == 1_000_005
    assert clock.monotonic() == 2.0
