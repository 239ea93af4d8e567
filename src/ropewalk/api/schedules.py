"""The native routes of schedules: what starts by itself, its starts and backfills, and the door of webhooks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from ropewalk.api.policy import unknown_trigger
from ropewalk.api.routes import Ask, Door, key_of, whole_number
from ropewalk.errors import Conflict, Invalid
from ropewalk.loops.schedule import admit
from ropewalk.refs import canonical, uuid7
from ropewalk.schedules import backfill as backfills
from ropewalk.schedules import fire as fires
from ropewalk.schedules import schedule as schedules
from ropewalk.schedules.declared import arguments, interval
from ropewalk.schedules.fire import Cause
from ropewalk.schedules.schedule import Schedule
from ropewalk.schedules.shown import (
    ShownBackfill,
    ShownFire,
    ShownSchedule,
    shown_backfill,
    shown_backfills,
    shown_fire,
    shown_schedule,
)
from ropewalk.schedules.times import before
from ropewalk.store.database import Transaction

PAGE_MOST = 1000
NEXT_SHOWN = 5
PAYLOAD_BYTES_MAX = 64 << 10
# How senders of webhooks call what stays the same when they send again.
KEYS = ("webhook-id", "x-github-delivery", "x-gitlab-event-uuid")
SIGNATURES = ("x-ropewalk-signature-256", "x-hub-signature-256")


class Range(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A backfill that is asked for.

    Attributes:
        begin: date or time of the first interval, such as `2013-01`.
        end: the year, month or day that is the last one, included.
        parallel: how many intervals run at once.
        again: run the done ones again too.
        dry_run: say what would run, and run nothing.
    """

    begin: str
    end: str
    parallel: int = 1
    again: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A backfill with its intervals; without one where it was a dry run."""

    backfill: ShownBackfill | None
    intervals: tuple[dict[str, str], ...]
    fires: tuple[ShownFire, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FiresPage:
    """Starts, latest first; `next` is given as `after` to get those that follow."""

    fires: tuple[ShownFire, ...]
    next: str


def list_schedules(ask: Ask) -> tuple[ShownSchedule, ...]:
    """Return all schedules that are declared."""
    now_us = ask.house.site.clock.now_us()
    with ask.house.site.db.read() as rows:
        return tuple(shown_schedule(rows, one, now_us) for one in schedules.every(rows, removed=False))


def show_schedule(ask: Ask) -> ShownSchedule:
    """Return one schedule with its next times."""
    with ask.house.site.db.read() as rows:
        found = schedules.get(rows, ask.path["name"])
        return shown_schedule(rows, found, ask.house.site.clock.now_us(), NEXT_SHOWN)


def list_fires(ask: Ask) -> FiresPage:
    """Return the starts of a schedule."""
    count = max(1, whole_number(ask.query, "count", 100, PAGE_MOST))
    with ask.house.site.db.read() as rows:
        found = schedules.get(rows, ask.path["name"])
        after = fires.get(rows, ask.query["after"]) if ask.query.get("after") else None
        page = fires.of_schedule(rows, found.name, count, after)
    return FiresPage(fires=tuple(map(shown_fire, page)), next=page[-1].id if len(page) == count else "")


def pause(ask: Ask) -> ShownSchedule:
    """Let a schedule start nothing until it is resumed."""
    return _moved(ask, schedules.pause)


def resume(ask: Ask) -> ShownSchedule:
    """Let a schedule start again from now on."""
    return _moved(ask, schedules.resume)


def _moved(ask: Ask, act: Callable[..., Schedule]) -> ShownSchedule:
    site = ask.house.site
    site.db.write(lambda tx: act(tx, site, ask.path["name"]))
    return show_schedule(ask)


def start(ask: Ask) -> ShownFire:
    """Start a schedule now."""
    site = ask.house.site
    now_us = site.clock.now_us()
    with site.db.read() as rows:
        found = schedules.live(rows, ask.path["name"])
    last = before(found.said, now_us) if found.said.timed else None
    span = None if last is None else (last, now_us)
    args = arguments(site.root, found.said, interval(*span) if span else {})
    cause = Cause(key=f"manual {uuid7(now_us)}", cause="manual", due_us=now_us, actor=site.actor, interval=span)
    return _admitted(ask, found, cause, args)


def _admitted(ask: Ask, found: Schedule, cause: Cause, args: dict[str, Any]) -> ShownFire:
    site = ask.house.site

    def work(tx: Transaction) -> ShownFire:
        admit(tx, site, found, cause, args)
        made = fires.of_key(tx, found.name, cause.key)
        assert made is not None, "it is there, now or before"
        return shown_fire(made)

    return site.db.write(work)


def begin_backfill(ask: Ask) -> Filled:
    """Begin a backfill, or go on with the one of the same range; `ropewalk up` does the work."""
    site, wanted = ask.house.site, ask.body
    if not 1 <= wanted.parallel <= backfills.PARALLEL_MAX:
        raise Invalid(
            "request-malformed",
            f"'parallel' must be a whole number from 1 to {backfills.PARALLEL_MAX}.",
            where="parallel",
            why=f"found {wanted.parallel}",
        )
    with site.db.read() as rows:
        found = schedules.live(rows, ask.path["name"])
    from_us, until_us, spans = backfills.planned(found, wanted.begin, wanted.end, site.clock.now_us())
    given = {span: arguments(site.root, found.said, interval(*span)) for span in spans}
    told = tuple(interval(*span) for span in spans)
    if wanted.dry_run:
        return Filled(backfill=None, intervals=told, fires=())

    def work(tx: Transaction) -> str:
        return backfills.begin(
            tx,
            site,
            found,
            (from_us, until_us),
            spans,
            parallel=wanted.parallel,
            args_of=lambda span: given[span],
            whole=wanted.again,
        ).id

    return _filled(ask, site.db.write(work))


def _filled(ask: Ask, name: str) -> Filled:
    with ask.house.site.db.read() as rows:
        found = backfills.get(rows, name)
        own = fires.of_backfill(rows, name)
        states = backfills.counts(rows).get(name, {})
    spans = tuple(interval(one.from_us, one.until_us) for one in own if one.from_us is not None and one.until_us)
    return Filled(backfill=shown_backfill(found, states), intervals=spans, fires=tuple(map(shown_fire, own)))


def list_backfills(ask: Ask) -> tuple[ShownBackfill, ...]:
    """Return backfills, newest first."""
    with ask.house.site.db.read() as rows:
        return tuple(shown_backfills(rows, ask.query.get("schedule", "")))


def show_backfill(ask: Ask) -> Filled:
    """Return one backfill with the state of each interval."""
    return _filled(ask, ask.path["backfill"])


def cancel_backfill(ask: Ask) -> Filled:
    """Stop what of a backfill waits or runs."""
    site, name = ask.house.site, ask.path["backfill"]
    site.db.write(lambda tx: backfills.cancel(tx, site, backfills.get(tx, name)))
    return _filled(ask, name)


def trigger(ask: Ask) -> ShownFire:
    """Start a schedule for whoever holds its secret; the same key again gives the start that there is."""
    name, site = ask.path["name"], ask.house.site
    bearer = _bearer(ask.headers.get("authorization", ""))
    signature = next((ask.headers[word] for word in SIGNATURES if word in ask.headers), "")
    with site.db.read() as rows:
        known = schedules.knows(rows, site, name, bearer=bearer, signature=signature, body=ask.raw)
        if not known:
            raise unknown_trigger(f"/api/v1/triggers/{name}")
        found = schedules.live(rows, name)
    if found.state == schedules.PAUSED:
        raise Conflict(
            "schedule-paused",
            "This schedule is paused.",
            where=found.subject,
            why="it starts nothing until it is resumed; nothing of this call was kept",
            fix=f"ropewalk schedule resume {name}",
        )
    if len(canonical(ask.body)) > PAYLOAD_BYTES_MAX:
        raise Invalid(
            "trigger-too-large", "The body is too large to be kept.", why=f"at most {PAYLOAD_BYTES_MAX} bytes"
        )
    now_us = site.clock.now_us()
    key = key_of(ask, *KEYS)
    told = {"payload": ask.body}
    cause = Cause(
        key=f"webhook {key or uuid7(now_us)}", cause="webhook", due_us=now_us, actor=f"webhook:{name}", told=told
    )
    caller = replace(ask.house, site=replace(site, actor=cause.actor))
    return _admitted(replace(ask, house=caller), found, cause, arguments(site.root, found.said, told))


def _bearer(text: str) -> str:
    way, _, value = text.strip().partition(" ")
    return value.strip() if way.lower() == "bearer" else ""


_ONE = "/api/v1/schedules/{name}"
DOORS = (
    Door(
        method="GET",
        path="/api/v1/schedules",
        summary="What starts by itself, with the next time and the latest start of each",
        answer=list_schedules,
        result=tuple[ShownSchedule, ...],
        action="read",
        query={},
    ),
    Door(
        method="GET",
        path=_ONE,
        summary="One schedule with its next times",
        answer=show_schedule,
        result=ShownSchedule,
        action="read",
        query={},
    ),
    Door(
        method="GET",
        path=f"{_ONE}/fires",
        summary="The starts of a schedule, latest first",
        answer=list_fires,
        result=FiresPage,
        action="read",
        query={"count": f"how many, {PAGE_MOST} at most", "after": "`next` of the page before"},
    ),
    Door(
        method="POST",
        path=f"{_ONE}/pause",
        summary="Let a schedule start nothing until it is resumed",
        answer=pause,
        result=ShownSchedule,
        action="write",
        query={},
    ),
    Door(
        method="POST",
        path=f"{_ONE}/resume",
        summary="Let a paused schedule start again from now on",
        answer=resume,
        result=ShownSchedule,
        action="write",
        query={},
    ),
    Door(
        method="POST",
        path=f"{_ONE}/run",
        summary="Start a schedule now",
        answer=start,
        result=ShownFire,
        action="write",
        query={},
    ),
    Door(
        method="POST",
        path=f"{_ONE}/backfills",
        summary="Run a schedule over a range of the past, or go on with that",
        answer=begin_backfill,
        result=Filled,
        action="write",
        query={},
        body=Range,
    ),
    Door(
        method="GET",
        path="/api/v1/backfills",
        summary="Backfills, newest first",
        answer=list_backfills,
        result=tuple[ShownBackfill, ...],
        action="read",
        query={"schedule": "only of this one"},
    ),
    Door(
        method="GET",
        path="/api/v1/backfills/{backfill}",
        summary="One backfill with the state of each interval",
        answer=show_backfill,
        result=Filled,
        action="read",
        query={},
    ),
    Door(
        method="POST",
        path="/api/v1/backfills/{backfill}/cancel",
        summary="Stop what of a backfill waits or runs; what is done stays",
        answer=cancel_backfill,
        result=Filled,
        action="write",
        query={},
    ),
    Door(
        method="POST",
        path="/api/v1/triggers/{name}",
        summary="Start a schedule by its secret, once for each key: Bearer, or HMAC-SHA256 of the body",
        answer=trigger,
        result=ShownFire,
        action="read",
        query={},
        body=dict,
    ),
)
