"""When a timed schedule starts: each time once, in order, through daylight saving, from the words alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from ropewalk.schedules.spec import EVERY, SECOND_US, Spec, zone_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# How far is looked back for the time before another one; five fields may be met once in eight years (29 February).
_BACK_SECONDS = (3600, 90_000, 86_400 * 8, 86_400 * 32, 86_400 * 367, 86_400 * 366 * 9, 86_400 * 366 * 41)
_FIRST_US = 0
_LAST_US = 253_370_764_800 * SECOND_US  # the year 9999 begins


def times(spec: Spec, after_us: int) -> Iterator[int]:
    """Give every time of a schedule after one, oldest first, within its start and end.

    Daylight saving, for cron fields whose minute and hour are both named (`30 2 * * *`): a time that the clocks leap
    over starts at the first minute after the gap, a time that comes twice starts the first time. For fields where one
    of the two begins with `*` the clocks on the wall are followed: what they leap over does not start, what they show
    twice starts twice. Intervals know no clocks on the wall.

    Args:
        spec: a schedule of kind `cron` or `every`.
        after_us: microseconds since the epoch; the first time is later than this.
    """
    low = after_us if spec.start_us is None else max(after_us, spec.start_us - 1)
    for at_us in _every(spec, low) if spec.kind == EVERY else _cron(spec, low):
        if at_us >= _LAST_US or (spec.end_us is not None and at_us >= spec.end_us):
            return
        yield at_us


def between(spec: Spec, after_us: int, until_us: int, count: int) -> list[int]:
    """Return the times after one and until another, that one included; so many at most, oldest first."""
    found: list[int] = []
    for at_us in times(spec, after_us):
        if at_us > until_us or len(found) == count:
            break
        found.append(at_us)
    return found


def before(spec: Spec, at_us: int) -> int | None:
    """Return the last time before one, start and end of the schedule left aside; None where there is none."""
    if spec.kind == EVERY:
        anchor = spec.start_us or 0
        return anchor + ((at_us - anchor - 1) // spec.every_us) * spec.every_us
    for back in _BACK_SECONDS:
        low = max(_FIRST_US, at_us - back * SECOND_US)
        last = None
        for one in _cron(spec, low):
            if one >= at_us:
                break
            last = one
        if last is not None or low == _FIRST_US:
            return last
    return None


def newest(spec: Spec, after_us: int, until_us: int) -> int | None:
    """Return the last time after one and until another, that one included, within the schedule's start and end."""
    high = until_us if spec.end_us is None else min(until_us, spec.end_us - 1)
    low = after_us if spec.start_us is None else max(after_us, spec.start_us - 1)
    found = before(spec, high + 1)
    return found if found is not None and found > low else None


def intervals(spec: Spec, from_us: int, until_us: int) -> Iterator[tuple[int, int]]:
    """Give the intervals between two times of a schedule that follow each other, those that begin in a range.

    Start and end of the schedule are left aside: a backfill is about what was before.

    Args:
        spec: a schedule of kind `cron` or `every`.
        from_us: the first interval begins here or later.
        until_us: the last one begins before this.
    """
    free = times(_unbounded(spec), from_us - 1)
    for start_us, end_us in pairwise(free):
        if start_us >= until_us:
            return
        yield start_us, end_us


def _unbounded(spec: Spec) -> Spec:
    from dataclasses import replace

    # The grid of an interval begins at its start; one whole number of intervals earlier it is the same grid.
    if spec.kind == EVERY and spec.start_us is not None:
        return replace(spec, start_us=spec.start_us % spec.every_us, end_us=None)
    return replace(spec, start_us=None, end_us=None)


def _every(spec: Spec, after_us: int) -> Iterator[int]:
    anchor = spec.start_us or 0
    at_us = anchor + max(0, (after_us - anchor) // spec.every_us + 1) * spec.every_us
    while True:
        yield at_us
        at_us += spec.every_us


def _cron(spec: Spec, after_us: int) -> Iterator[int]:
    from cronsim import CronSim

    zone = zone_of(spec)
    begin = (_EPOCH + timedelta(seconds=max(after_us, _FIRST_US) // SECOND_US)).astimezone(
        UTC if _is_utc(spec) else zone
    )
    last_us = after_us
    for at in CronSim(spec.cron, begin):
        at_us = int(at.timestamp()) * SECOND_US
        # Two times in one gap begin at the same minute, and the second showing of an hour is behind the first.
        if at_us > last_us:
            last_us = at_us
            yield at_us


def _is_utc(spec: Spec) -> bool:
    return spec.timezone in ("UTC", "Etc/UTC")
