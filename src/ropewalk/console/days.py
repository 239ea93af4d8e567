"""A calendar of what schedules started and will start: a month or a week of days as a zone's clocks have them."""

from __future__ import annotations

import calendar
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from operator import itemgetter
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from ropewalk.errors import Invalid
from ropewalk.schedules import fire as fires
from ropewalk.schedules.schedule import ACTIVE, Schedule
from ropewalk.schedules.times import times
from ropewalk.store.database import Reader

FIRES_MAX = 5000
COMING_MAX = 1000
ENTRIES_SHOWN = 24
NEXT = "next"
SIGNS = {
    "done": "✓",
    "failed": "✕",
    "missed": "!",
    "skipped": "»",
    "cancelled": "‖",
    "running": "▶",
    "waiting": "…",
    NEXT: "○",
}
# Classes of our style sheets, whose tones steps have too.
TONES = {
    "done": "ran",
    "failed": "failed",
    "missed": "missed",
    "running": "running",
    "waiting": "retrying",
    NEXT: "hit",
}
_SECOND_US = 1_000_000
_MONTHS_PER_YEAR = 12
_DAYS_PER_WEEK = 7
_HOURS = 24
_YEARS = range(1971, 9000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One start.

    Attributes:
        at: the time on the clocks of the zone, with its distance from UTC on days on which they are changed.
        schedule: whose.
        state: of the start, `next` for one to come.
        run: id of its run, empty for none.
        note: why it failed, was skipped or was stopped.
    """

    at: str
    schedule: str
    state: str
    run: str = ""
    note: str = ""

    @property
    def sign(self) -> str:
        """The sign of its state."""
        return SIGNS.get(self.state, "·")

    @property
    def css(self) -> str:
        """The tone of its state."""
        return TONES.get(self.state, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day.

    Attributes:
        number: day of the month.
        name: such as `Mon 30 March`.
        today: whether it is this one.
        inside: whether it belongs to the month that is shown.
        marks: state, sign, class and how many starts of the day are in it.
        entries: the starts, where they are shown one by one.
        more: how many of them are not shown.
        hours: how many hours it has.
        told: the same as a sentence, for whoever hears the page.
        address: of its week.
    """

    number: int
    name: str
    today: bool
    inside: bool
    marks: tuple[tuple[str, str, str, int], ...]
    entries: tuple[Entry, ...]
    more: int
    hours: float
    told: str
    address: str


def of_schedules(
    rows: Reader, shown: list[Schedule], now_us: int, query: Mapping[str, str], *, home: str, only: str = ""
) -> dict[str, Any]:
    """Return the calendar that an address asks for.

    Args:
        rows: a view of the store.
        shown: whose times to come are shown.
        now_us: microseconds since the epoch.
        query: `month` (`2026-11`) or `week` (a day of it, `2026-11-30`), and `zone`; nothing for this month, in the
            zone that all schedules have, or UTC.
        home: address of the page.
        only: name of the one schedule whose starts are shown; empty for all.

    Raises:
        Invalid: the month, the day or the zone is none.
    """
    zones = sorted({one.said.timezone for one in shown if one.said.cron})
    zone = _zone(query.get("zone", "") or (zones[0] if len(zones) == 1 else "UTC"))
    today = _day(now_us, zone)
    weekly, first, shown_days = _asked(query, today)
    entries, cut = _entries(rows, shown, now_us, shown_days, zone=zone, only=only)
    cells = [
        _cell(
            day, entries.get(day, []), zone, today, inside=weekly or day.month == first.month, home=home, weekly=weekly
        )
        for day in shown_days
    ]
    when = ("week", str(first)) if weekly else ("month", f"{first:%Y-%m}")
    return {
        "title": f"{first:%-d %B} to {shown_days[-1]:%-d %B %Y}" if weekly else f"{first:%B %Y}",
        "weekly": weekly,
        "weeks": [cells[start : start + _DAYS_PER_WEEK] for start in range(0, len(cells), _DAYS_PER_WEEK)],
        "zone": zone.key,
        "zones": list(dict.fromkeys([zone.key, *zones, "UTC"])),
        "when": when,
        **{word: _address(home, to, zone) for word, to in _ways(first, today, weekly=weekly).items()},
        "query": urlencode([when, ("zone", zone.key)]),
        "cut": cut,
        "changes": [f"{cell.name} has {cell.hours:g} hours" for cell in cells if cell.hours != _HOURS and cell.inside],
        "home": home,
    }


def _asked(query: Mapping[str, str], today: date) -> tuple[bool, date, list[date]]:
    """Return whether a week is asked for, the first day of it or of the month, and the days that are shown."""
    if query.get("week"):
        asked = _read(query["week"], "%Y-%m-%d", "?week=2026-11-30")
        first = asked - timedelta(days=asked.weekday())
        return True, first, [first + timedelta(days=number) for number in range(_DAYS_PER_WEEK)]
    first = _read(query["month"], "%Y-%m", "?month=2026-11") if query.get("month") else today.replace(day=1)
    return (
        False,
        first,
        [day for week in calendar.Calendar().monthdatescalendar(first.year, first.month) for day in week],
    )


def _ways(first: date, today: date, *, weekly: bool) -> dict[str, tuple[str, str]]:
    """Return which month or week is before, after, and beside what is shown."""
    if weekly:
        week = timedelta(days=_DAYS_PER_WEEK)
        month = f"{first + week / 2:%Y-%m}"
        return {"earlier": ("week", str(first - week)), "later": ("week", str(first + week)), "other": ("month", month)}
    at = today if (today.year, today.month) == (first.year, first.month) else first
    return {
        "earlier": ("month", f"{first - timedelta(days=1):%Y-%m}"),
        "later": ("month", f"{_next(first):%Y-%m}"),
        "other": ("week", str(at)),
    }


def _entries(
    rows: Reader, shown: Iterable[Schedule], now_us: int, days: list[date], *, zone: ZoneInfo, only: str
) -> tuple[dict[date, list[Entry]], str]:
    """Return the starts of each day in time, and what is left out."""
    begin_us, end_us = _begin(days[0], zone), _begin(days[-1] + timedelta(days=1), zone)
    odd = {day for day in days if _hours(day, zone) != _HOURS}
    found: dict[date, list[tuple[int, Entry]]] = {}

    def add(at_us: int, **words: str) -> None:
        day = _day(at_us, zone)
        at = datetime.fromtimestamp(at_us / _SECOND_US, zone)
        said = f"{at:%H:%M}{at:%z}" if day in odd else f"{at:%H:%M}"
        found.setdefault(day, []).append((at_us, Entry(at=said, **words)))

    listed = fires.of_time(rows, begin_us, end_us, FIRES_MAX, only)
    cut = [f"The first {FIRES_MAX:,} starts of this time are shown."] if len(listed) == FIRES_MAX else []
    for one in listed:
        add(one.due_us, schedule=one.schedule, state=one.state, run=one.run, note=one.note)
    for one in shown:
        if one.state != ACTIVE or not one.said.timed:
            continue
        coming = times(one.said, max(now_us, one.cursor_us, begin_us - 1))
        coming = list(takewhile(lambda at_us: at_us < end_us, islice(coming, COMING_MAX + 1)))
        cut += [f"Of {one.name}, the next {COMING_MAX:,} times are shown."] if len(coming) > COMING_MAX else []
        for at_us in coming[:COMING_MAX]:
            add(at_us, schedule=one.name, state=NEXT)
    by_day = {day: [entry for _, entry in sorted(own, key=itemgetter(0))] for day, own in found.items()}
    return by_day, " ".join(cut)


def _cell(
    day: date, entries: list[Entry], zone: ZoneInfo, today: date, *, inside: bool, home: str, weekly: bool
) -> Day:
    counted = Counter(one.state for one in entries)
    marks = tuple(
        (state, SIGNS.get(state, "·"), TONES.get(state, ""), counted[state]) for state in [*SIGNS] if counted[state]
    )
    return Day(
        number=day.day,
        name=f"{day:%a %-d %B}",
        today=day == today,
        inside=inside,
        marks=marks,
        entries=tuple(entries[:ENTRIES_SHOWN]) if weekly else (),
        more=max(0, len(entries) - ENTRIES_SHOWN),
        hours=_hours(day, zone),
        told=", ".join(f"{count} {state}" for state, _, _, count in marks) or "nothing",
        address=_address(home, ("week", str(day)), zone),
    )


def _address(home: str, when: tuple[str, str], zone: ZoneInfo) -> str:
    return f"{home}?{urlencode([when, ('zone', zone.key)])}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise Invalid(
            "request-malformed",
            "This is no time zone.",
            where="zone",
            why=f"found {name[:40]!r}",
            fix="?zone=Europe/Berlin",
        ) from None


def _read(text: str, form: str, fix: str) -> date:
    try:
        found = datetime.strptime(text, form).replace(tzinfo=UTC).date()
    except ValueError:
        found = None
    if found is None or found.year not in _YEARS:
        word = fix[1:].partition("=")[0]
        raise Invalid("request-malformed", f"This is no {word}.", where=word, why=f"found {text[:20]!r}", fix=fix)
    return found


def _day(at_us: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at_us / _SECOND_US, zone).date()


def _begin(day: date, zone: ZoneInfo) -> int:
    """Return when a day begins, microseconds since the epoch; where midnight is left out, when the clocks go on."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).timestamp()) * _SECOND_US


def _hours(day: date, zone: ZoneInfo) -> float:
    return (_begin(day + timedelta(days=1), zone) - _begin(day, zone)) / _SECOND_US / 3600


def _next(first: date) -> date:
    return first.replace(year=first.year + first.month // _MONTHS_PER_YEAR, month=first.month % _MONTHS_PER_YEAR + 1)
