"""What the console shows of schedules: a calendar of what ran and what comes, backfills, and the starts of each one."""

from __future__ import annotations

import calendar
import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

from starlette.requests import Request

from ropewalk.errors import Invalid
from ropewalk.house import House
from ropewalk.schedules import fire as fires
from ropewalk.schedules import schedule as schedules
from ropewalk.schedules.schedule import ACTIVE, Schedule
from ropewalk.schedules.shown import shown_backfills, shown_fire, shown_schedule
from ropewalk.schedules.times import times
from ropewalk.store.database import Reader

FIRES_MAX = 5000
COMING_MAX = 1000
ROWS_SHOWN = 50
BACKFILLS_SHOWN = 20
_DAY_US = 86_400_000_000
_MONTHS_PER_YEAR = 12
_EPOCH = date(1970, 1, 1)
_YEARS = range(1970, 9000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day of a calendar.

    Attributes:
        number: day of the month.
        today: whether it is this one.
        marks: pairs of a state and how many starts of the day are in it, those to come as `next`.
        told: the same as a sentence, for whoever hears the page.
    """

    number: int
    today: bool
    marks: tuple[tuple[str, int], ...]
    told: str


def list_schedules(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather the page of all schedules, with the calendar of a month in UTC."""
    now_us = house.site.clock.now_us()
    declared = schedules.every(rows, removed=False)
    first = _month(request.query_params.get("month", ""), now_us)
    filled = [
        {
            **{name: getattr(one, name) for name in ("schedule", "begin", "end", "state", "actor")},
            "done": one.intervals.get("done", 0),
            "total": sum(one.intervals.values()),
            "told": ", ".join(f"{number} {state}" for state, number in sorted(one.intervals.items())),
        }
        for one in shown_backfills(rows, count=BACKFILLS_SHOWN)
    ]
    return {
        "schedules": [shown_schedule(rows, one, now_us) for one in declared],
        "backfills": filled,
        "month": f"{first:%B %Y}",
        "this": f"{first:%Y-%m}",
        "earlier": f"{first - timedelta(days=1):%Y-%m}",
        "later": f"{_next(first):%Y-%m}",
        "weeks": _weeks(rows, declared, first, now_us),
    }


def show_schedule(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one schedule's page: what is said of it, its next times and its starts, latest first."""
    found = schedules.get(rows, request.path_params["name"])
    after = request.query_params.get("after", "")
    page = fires.of_schedule(rows, found.name, ROWS_SHOWN + 1, fires.get(rows, after) if after else None)
    shown = [shown_fire(one) for one in page[:ROWS_SHOWN]]
    return {
        "schedule": shown_schedule(rows, found, house.site.clock.now_us(), 5),
        "fires": [(one, json.dumps(one.args)) for one in shown],
        "more": shown[-1].id if len(page) > ROWS_SHOWN else "",
    }


def _month(text: str, now_us: int) -> date:
    if not text:
        return _day(now_us).replace(day=1)
    try:
        found = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC).date()
    except ValueError:
        found = None
    if found is None or found.year not in _YEARS:
        raise Invalid(
            "request-malformed", "This is not a month.", where="month", why=f"found {text[:20]!r}", fix="?month=2026-11"
        )
    return found


def _weeks(rows: Reader, declared: list[Schedule], first: date, now_us: int) -> list[list[Day | None]]:
    """Return the weeks of a month, Monday first; None for days of other months."""
    begin_us, end_us = _us(first), _us(_next(first))
    marks: dict[int, Counter[str]] = {}
    for one in fires.of_time(rows, begin_us, end_us, FIRES_MAX):
        marks.setdefault(_day(one.due_us).day, Counter())[one.state] += 1
    for one in declared:
        if one.state == ACTIVE and one.said.timed:
            for at_us in islice(times(one.said, max(now_us, one.cursor_us, begin_us - 1)), COMING_MAX):
                if at_us >= end_us:
                    break
                marks.setdefault(_day(at_us).day, Counter())["next"] += 1
    today = _day(now_us)
    return [
        [_cell(first, number, today, marks.get(number, Counter())) if number else None for number in week]
        for week in calendar.Calendar().monthdayscalendar(first.year, first.month)
    ]


def _cell(first: date, number: int, today: date, marks: Counter[str]) -> Day:
    found = tuple(sorted(marks.items()))
    told = ", ".join(f"{count} {state}" for state, count in found) or "nothing"
    return Day(number=number, today=first.replace(day=number) == today, marks=found, told=told)


def _next(first: date) -> date:
    return first.replace(year=first.year + first.month // _MONTHS_PER_YEAR, month=first.month % _MONTHS_PER_YEAR + 1)


def _day(at_us: int) -> date:
    return _EPOCH + timedelta(days=at_us // _DAY_US)


def _us(day: date) -> int:
    return (day - _EPOCH).days * _DAY_US
