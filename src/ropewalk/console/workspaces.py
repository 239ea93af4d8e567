"""The page of workspaces: what each holds of its quota, and what it was used for in the last thirty days."""

from __future__ import annotations

from typing import Any, cast

from starlette.requests import Request

from ropewalk.access.roles import ADMIN, KNOWN, Caller
from ropewalk.api.addressed import base_of
from ropewalk.api.mlflow.workspaces import OWN_DESCRIPTION, readable
from ropewalk.api.routes import CALLER
from ropewalk.api.workspaces import Standing, standings
from ropewalk.console.charts import spark
from ropewalk.console.words import size
from ropewalk.house import House
from ropewalk.store.database import Reader
from ropewalk.workspaces import usage, workspace
from ropewalk.workspaces.meter import DAY_US
from ropewalk.workspaces.names import DEFAULT
from ropewalk.workspaces.usage import Usage
from ropewalk.workspaces.workspace import OPEN, Workspace

PATH = "/workspaces"
# Whoever is known may look: what he may not read is not there.
ACTION = KNOWN
USERS_SHOWN = 20


def gather(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Gather the page."""
    caller = cast("Caller | None", request.scope.get(CALLER))
    now_us = house.site.clock.now_us()
    today = now_us // DAY_US
    since = today - usage.DAYS_SHOWN + 1
    found = [one for one in workspace.listed(rows) if caller is None or readable(caller, one.name, house.settings.name)]
    used = usage.days(rows, since=since)
    told = standings(rows, now_us, found)
    head = caller is None or caller.may(ADMIN)
    return {
        "spaces": [
            _row(one, standing, used.get(one.id, {}), range(since, today + 1))
            for one, standing in zip(found, told, strict=True)
        ],
        "alone": len(found) == 1 and found[0].name == DEFAULT,
        "administrator": head,
        "users": _users(rows, found, since) if head else [],
        "days": usage.DAYS_SHOWN,
    }


def _row(one: Workspace, standing: Standing, used: dict[int, Usage], days: range) -> dict[str, Any]:
    held = standing.held
    quota = one.quota
    whole = [used[day] for day in days if day in used]
    return {
        "name": one.name,
        "description": one.description or (OWN_DESCRIPTION if one.name == DEFAULT else ""),
        "state": one.state,
        "address": "" if one.state != OPEN else "/" if one.name == DEFAULT else f"{base_of(one.name)}/",
        "bars": [
            _bar("bytes", held.bytes if held else 0, quota.bytes_max, sized=True),
            _bar("runs", held.runs if held else 0, quota.runs_max),
            *([_bar("points", held.points if held else 0, quota.points_max)] if quota.points_max else []),
            *([_bar("tokens", standing.tokens, quota.tokens_max)] if quota.tokens_max else []),
        ],
        "rate": f"{quota.requests_max:,} a minute" if quota.requests_max else "",
        "requests": f"{sum(day.requests for day in whole):,}",
        "refused": f"{sum(day.refused for day in whole):,}",
        "runs": f"{sum(day.runs for day in whole):,}",
        "came": size(sum(day.bytes_in for day in whole)),
        "went": size(sum(day.bytes_out for day in whole)),
        "busy": f"{sum(day.busy_us for day in whole) / 1e6:,.1f} s",
        "spark": spark([float(used[day].requests) if day in used else 0.0 for day in days]) if whole else "",
    }


def _bar(word: str, value: int, most: int, *, sized: bool = False) -> dict[str, Any]:
    said = size if sized else "{:,}".format
    return {
        "word": word,
        "value": value,
        "most": most,
        "told": f"{said(value)} of {said(most)}" if most else said(value),
        "full": bool(most) and value >= most,
    }


def _users(rows: Reader, found: list[Workspace], since: int) -> list[dict[str, Any]]:
    """Return who used what most, all days together."""
    names = {one.id: one.name for one in found}
    whole: dict[tuple[str, str], list[int]] = {}
    for one in usage.used(rows, since=since):
        if one.workspace in names:
            sums = whole.setdefault((names[one.workspace], one.user_name), [0] * 5)
            for place, more in enumerate((one.requests, one.refused, one.bytes_in, one.bytes_out, one.runs)):
                sums[place] += more
    most = sorted(whole.items(), key=lambda pair: -pair[1][0])[:USERS_SHOWN]
    return [
        {
            "workspace": space,
            "user": user,
            "requests": f"{sums[0]:,}",
            "refused": f"{sums[1]:,}",
            "came": size(sums[2]),
            "went": size(sums[3]),
            "runs": f"{sums[4]:,}",
        }
        for (space, user), sums in most
    ]
