"""The native routes of workspaces: who holds what, within which limits, and what each was used for."""

from __future__ import annotations

from dataclasses import dataclass, fields

import msgspec

from ropewalk.access.roles import ADMIN, KNOWN
from ropewalk.api.mlflow.workspaces import readable
from ropewalk.api.routes import Ask, Door
from ropewalk.errors import Invalid
from ropewalk.store.database import Reader
from ropewalk.workspaces import usage, workspace
from ropewalk.workspaces.meter import DAY_US
from ropewalk.workspaces.quota import Quota
from ropewalk.workspaces.workspace import Workspace


class QuotaSaid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits that are to change; 0 takes one away, what is left out stays."""

    bytes_max: int | None = None
    runs_max: int | None = None
    points_max: int | None = None
    requests_max: int | None = None
    tokens_max: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A workspace with its limits and what it holds.

    Attributes:
        name: by which callers mean it.
        description: what it is for.
        state: `open` or `archived`.
        quota: its limits, 0 for none.
        held: what it held when it was last looked at; None before its first use.
        tokens: that were given for it alone and are still worth something.
    """

    name: str
    description: str
    state: str
    quota: Quota
    held: usage.Held | None
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """What one user did in one workspace on one day.

    Attributes:
        workspace: its name.
        user: who.
        day: such as `2026-11-30`, UTC.
        requests: that came, of which `refused` were answered with a status of 400 or more.
        bytes_in: of bodies that came.
        bytes_out: of bodies that went.
        busy_ms: from heads of requests to ends of answers, summed up.
        runs: that were made.
    """

    workspace: str
    user: str
    day: str
    requests: int
    refused: int
    bytes_in: int
    bytes_out: int
    busy_ms: float
    runs: int


def standings(rows: Reader, now_us: int, found: list[Workspace]) -> tuple[Standing, ...]:
    """Return workspaces with what they hold."""
    return tuple(
        Standing(
            name=one.name,
            description=one.description,
            state=one.state,
            quota=one.quota,
            held=usage.newest(rows, one.id),
            tokens=int(str(rows.value("workspaces.tokens", project=one.name, now_us=now_us))),
        )
        for one in found
    )


def days(rows: Reader, found: list[Workspace], *, since: int) -> tuple[Day, ...]:
    """Return what workspaces were used for since a day, the newest first."""
    names = {one.id: one.name for one in found}
    only = found[0].id if len(found) == 1 else ""
    return tuple(
        Day(
            workspace=names[one.workspace],
            user=one.user_name,
            day=usage.spoken(one.day),
            requests=one.requests,
            refused=one.refused,
            bytes_in=one.bytes_in,
            bytes_out=one.bytes_out,
            busy_ms=one.busy_us / 1000,
            runs=one.runs,
        )
        for one in usage.used(rows, workspace=only, since=since)
        if one.workspace in names
    )


def since_of(text: str, now_us: int) -> int:
    """Return the day from which usage is wanted; thirty days ago when nothing is said."""
    return usage.day_of(text) if text else now_us // DAY_US - usage.DAYS_SHOWN + 1


def list_workspaces(ask: Ask) -> tuple[Standing, ...]:
    """Return the workspaces that the caller may read."""
    with ask.house.site.db.read() as rows:
        return standings(rows, ask.house.site.clock.now_us(), _readable(ask, rows))


def show_usage(ask: Ask) -> tuple[Day, ...]:
    """Return what the workspaces that the caller may read were used for; a viewer sees himself alone."""
    since = since_of(ask.query.get("since", ""), ask.house.site.clock.now_us())
    wanted = ask.query.get("workspace", "")
    with ask.house.site.db.read() as rows:
        found = [one for one in _readable(ask, rows) if wanted in ("", one.name)]
        if wanted and not found:
            raise workspace.missing(wanted)
        told = days(rows, found, since=since) if found else ()
    return tuple(one for one in told if one.user == ask.caller.name or ask.caller.may(ADMIN))


def set_quota(ask: Ask) -> Standing:
    """Give a workspace other limits."""
    site, said = ask.house.site, ask.body
    given = {one.name: getattr(said, one.name) for one in fields(Quota) if getattr(said, one.name) is not None}
    if not given:
        raise Invalid("request-malformed", "No limit is named.", where="body", fix='{"runs_max": 1000}')

    with site.db.read() as rows:
        before = workspace.get(rows, ask.path["name"]).quota
    quota = Quota(**{one.name: given.get(one.name, getattr(before, one.name)) for one in fields(Quota)})
    changed = site.db.write(lambda tx: workspace.set_quota(tx, site, ask.path["name"], quota))
    with site.db.read() as rows:
        return standings(rows, site.clock.now_us(), [changed])[0]


def _readable(ask: Ask, rows: Reader) -> list[Workspace]:
    return [one for one in workspace.listed(rows) if readable(ask.caller, one.name, ask.house.settings.name)]


DOORS = (
    Door(
        method="GET",
        path="/api/v1/workspaces",
        summary="Workspaces that the caller may read, with their quotas and what they hold",
        answer=list_workspaces,
        result=tuple[Standing, ...],
        action=KNOWN,
        query={},
    ),
    Door(
        method="PUT",
        path="/api/v1/workspaces/{name}/quota",
        summary="Limit a workspace; 0 takes a limit away",
        answer=set_quota,
        result=Standing,
        action=ADMIN,
        query={},
        body=QuotaSaid,
    ),
    Door(
        method="GET",
        path="/api/v1/usage",
        summary="What workspaces were used for, by user and day; all users for administrators, else the caller alone",
        answer=show_usage,
        result=tuple[Day, ...],
        action=KNOWN,
        query={"workspace": "only this one", "since": "a day, such as 2026-11-01; thirty days ago when left out"},
    ),
)
