"""What workspaces were used for, by user and day, as it was written."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from ropewalk.errors import Invalid
from ropewalk.store.database import Reader

DAYS_SHOWN = 30
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_EPOCH = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one user did in one workspace on one day.

    Attributes:
        workspace: its id.
        user_name: who; `(nobody)` for those who were not known.
        day: days since 1970-01-01, UTC.
        requests: that came.
        refused: those of them that were answered with a status of 400 or more.
        bytes_in: of bodies that came.
        bytes_out: of bodies that went.
        busy_us: from each request's head to its answer's end, summed up, in microseconds.
        runs: that were made.
    """

    workspace: str
    user_name: str
    day: int
    requests: int
    refused: int
    bytes_in: int
    bytes_out: int
    busy_us: int
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a workspace held when it was last looked at on a day.

    Attributes:
        workspace: its id.
        day: days since 1970-01-01, UTC.
        bytes: of artifacts that were named; with those of traces and captured predictions where bytes have a quota.
        runs: that were not deleted.
        points: of metrics; 0 where they have no quota, for then nobody counts them.
        at_us: when.
    """

    workspace: str
    day: int
    bytes: int
    runs: int
    points: int
    at_us: int


def used(rows: Reader, *, workspace: str = "", since: int = 0) -> list[Usage]:
    """Return usage by user and day, the newest day first; of one workspace where its id is given."""
    return rows.all(Usage, "workspaces.usage", workspace=workspace, since=since)


def days(rows: Reader, *, workspace: str = "", since: int = 0) -> dict[str, dict[int, Usage]]:
    """Return usage by workspace and day, all users together."""
    found: dict[str, dict[int, Usage]] = {}
    for row in rows.rows("workspaces.usage_days", workspace=workspace, since=since):
        numbers = {name: int(str(value)) for name, value in row.items() if name != "workspace"}
        one = Usage(workspace=str(row["workspace"]), user_name="", **numbers)
        found.setdefault(one.workspace, {})[one.day] = one
    return found


def held(rows: Reader, *, workspace: str = "", since: int = 0) -> list[Held]:
    """Return what workspaces held, day by day."""
    return rows.all(Held, "workspaces.levels", workspace=workspace, since=since)


def newest(rows: Reader, workspace: str) -> Held | None:
    """Return what a workspace held when it was last looked at."""
    return rows.get(Held, "workspaces.level", workspace=workspace)


def day_of(text: str) -> int:
    """Return a day, such as `2026-11-30`, as days since 1970-01-01.

    Raises:
        Invalid: it is none.
    """
    try:
        found = dt.date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None:
        raise Invalid(
            "day-invalid", "This is no day.", where=text[:40], why="a day is YEAR-MONTH-DAY", fix="--since 2026-11-01"
        )
    return (found - _EPOCH).days


def spoken(day: int) -> str:
    """Return a day as `2026-11-30`."""
    return (_EPOCH + dt.timedelta(days=day)).isoformat()
