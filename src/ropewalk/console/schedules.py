"""What the console shows of schedules: a calendar of what ran and what comes, backfills, and the starts of each one."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

from ropewalk.console import days
from ropewalk.house import House
from ropewalk.schedules import backfill as backfills
from ropewalk.schedules import fire as fires
from ropewalk.schedules import schedule as schedules
from ropewalk.schedules.backfill import OPEN
from ropewalk.schedules.fire import Fire
from ropewalk.schedules.shown import ShownBackfill, shown_backfill, shown_backfills, shown_fire, shown_schedule
from ropewalk.store.database import Reader

ROWS_SHOWN = 50
NEXT_SHOWN = 5
BACKFILLS_SHOWN = 20
POINTS_SHOWN = 200


def list_schedules(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather the page of all schedules, with the calendar of a month or a week.

    Raises:
        Invalid: the month, the week or the zone in the address is none.
    """
    now_us = house.site.clock.now_us()
    declared = schedules.every(rows, removed=False)
    return {
        "schedules": [shown_schedule(rows, one, now_us) for one in declared],
        "backfills": [_progress(one) for one in shown_backfills(rows, count=BACKFILLS_SHOWN)],
        "calendar": days.of_schedules(rows, declared, now_us, dict(request.query_params), home="/schedules"),
    }


def show_schedule(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one schedule's page: what is said of it, its calendar, backfills, next times, and starts, latest first.

    Raises:
        NotFound: there is no such schedule or start.
        Invalid: the month, the week or the zone in the address is none.
    """
    found = schedules.get(rows, request.path_params["name"])
    query, now_us = dict(request.query_params), house.site.clock.now_us()
    after = query.get("after", "")
    page = fires.of_schedule(rows, found.name, ROWS_SHOWN + 1, fires.get(rows, after) if after else None)
    shown = [shown_fire(one) for one in page[:ROWS_SHOWN]]
    return {
        "schedule": shown_schedule(rows, found, now_us, NEXT_SHOWN),
        "timed": found.said.timed,
        "fires": [(one, json.dumps(one.args)) for one in shown],
        "more": shown[-1].id if len(page) > ROWS_SHOWN else "",
        "backfills": [_progress(one) for one in shown_backfills(rows, found.name, BACKFILLS_SHOWN)],
        "calendar": days.of_schedules(rows, [found], now_us, query, home=f"/schedules/{found.name}", only=found.name),
    }


def show_backfill(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather one backfill's page: how far it is, and each of its intervals.

    Raises:
        NotFound: there is no such backfill.
    """
    found = backfills.get(rows, request.path_params["backfill"])
    own = fires.of_backfill(rows, found.id)
    states: dict[str, int] = {}
    for one in own:
        states[one.state] = states.get(one.state, 0) + 1
    return {
        "backfill": _progress(shown_backfill(found, states)),
        "parallel": found.parallel,
        "cells": [_point(one) for one in own],
        "points": [_point(one) for one in _worth(own)],
        "more": max(0, len(own) - POINTS_SHOWN),
    }


def _progress(one: ShownBackfill) -> dict[str, Any]:
    told = ", ".join(f"{number:,} {state}" for state, number in sorted(one.intervals.items()))
    return {
        **{name: getattr(one, name) for name in ("id", "schedule", "begin", "end", "state", "actor")},
        "open": one.state == OPEN,
        "done": one.intervals.get("done", 0),
        "total": sum(one.intervals.values()),
        "told": told,
    }


def _worth(own: list[Fire]) -> list[Fire]:
    """Return the intervals that are listed: of many, those first that somebody should look at."""
    if len(own) <= POINTS_SHOWN:
        return own
    order = {fires.FAILED: 0, fires.RUNNING: 1}
    chosen = sorted(own, key=lambda one: (order.get(one.state, 2), one.due_us))[:POINTS_SHOWN]
    return sorted(chosen, key=lambda one: (one.due_us, one.id))


def _point(one: Fire) -> dict[str, Any]:
    shown = shown_fire(one)
    return {
        "from": shown.interval_start or shown.due,
        "to": shown.interval_end or "",
        "state": shown.state,
        "sign": days.SIGNS.get(shown.state, "·"),
        "css": days.TONES.get(shown.state, ""),
        "run": shown.run,
        "note": shown.note,
        "started": shown.started or "",
        "ended": shown.ended or "",
    }
