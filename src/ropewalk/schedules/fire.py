"""A start: made once for each schedule and key, held by who runs it, and over with its run in one transaction."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ropewalk.errors import Conflict, Interrupted, NotFound
from ropewalk.leases import Lease
from ropewalk.records import fields_of
from ropewalk.refs import canonical, uuid7
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

WAITING, RUNNING, DONE, FAILED, SKIPPED, MISSED, CANCELLED = (
    "waiting", "running", "done", "failed", "skipped", "missed", "cancelled"
)  # fmt: skip
MOVES: dict[str, frozenset[str]] = {
    WAITING: frozenset({RUNNING, CANCELLED}),
    RUNNING: frozenset({WAITING, DONE, FAILED, CANCELLED}),
    DONE: frozenset({WAITING}),
    FAILED: frozenset({WAITING}),
    CANCELLED: frozenset({WAITING}),
    SKIPPED: frozenset(),
    MISSED: frozenset(),
}
OPEN = frozenset({WAITING, RUNNING})
ALWAYS_US = 1 << 62
# So many of one backfill may start at once; a queue of ten thousand is not read at every look.
EACH_MAX = 64
# Tags of a run that was started by itself.
SCHEDULE_TAG, CAUSE_TAG, FIRE_TAG = "ropewalk.schedule", "ropewalk.cause", "ropewalk.fire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """One start of a schedule.

    Attributes:
        id: UUID version 7.
        schedule: whose.
        key: what makes it the only one: its time, the event's number, what the caller of a webhook said.
        cause: `schedule`, `files`, `query`, `event`, `alarm`, `webhook`, `manual` or `backfill`.
        actor: whose name its run bears.
        backfill: id of the backfill that it belongs to, else empty.
        due_us: its time on the schedule, microseconds since the epoch.
        not_before_us: its time with its jitter.
        from_us: where its interval begins; None where there is none.
        until_us: where its interval ends.
        args: canonical JSON of the pipeline's arguments.
        told: canonical JSON of what caused it.
        state: a key of `MOVES`.
        cancel: 1 when it is to be stopped.
        note: why it failed, was skipped or was stopped.
        run: id of its run, empty before it has begun.
        host: host name of who runs it.
        boot: boot id of that host.
        pid: its process.
        born: start of that process.
        expires_us: end of the lease, microseconds since the epoch.
        fence: number of the holder; results count only with the current one.
        created_us: microseconds since the epoch.
        started_us: microseconds since the epoch, None before it began.
        ended_us: microseconds since the epoch, None before its end.
    """

    id: str
    schedule: str
    key: str
    cause: str
    actor: str
    backfill: str
    due_us: int
    not_before_us: int
    from_us: int | None
    until_us: int | None
    args: str
    told: str
    state: str
    cancel: int
    note: str
    run: str
    host: str
    boot: str
    pid: int
    born: int
    expires_us: int
    fence: int
    created_us: int
    started_us: int | None
    ended_us: int | None

    @property
    def lease(self) -> Lease:
        """Who runs it, or ran it last."""
        return Lease(**{name: getattr(self, name) for name in fields_of(Lease)})

    @property
    def subject(self) -> str:
        """How the ledger names it."""
        return f"fire:{self.id}"

    def arguments(self) -> dict[str, Any]:
        """Return the pipeline's arguments."""
        return json.loads(self.args)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a schedule starts.

    Attributes:
        key: what makes the start the only one of its schedule.
        cause: see `Fire`.
        due_us: its time, microseconds since the epoch.
        actor: whose name the run bears.
        not_before_us: its time with its jitter; 0 for its time.
        interval: begin and end, or None.
        told: what caused it, JSON-able.
        backfill: id of the backfill, else empty.
    """

    key: str
    cause: str
    due_us: int
    actor: str
    not_before_us: int = 0
    interval: tuple[int, int] | None = None
    told: Mapping[str, Any] | None = None
    backfill: str = ""


def add(  # noqa: PLR0917 - the transaction, the site, and what becomes of which cause
    tx: Transaction,
    site: Site,
    schedule: str,
    cause: Cause,
    args: Mapping[str, Any],
    state: str = WAITING,
    note: str = "",
) -> Fire | None:
    """Write a start down with its ledger entry; None when there is one with this key already.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        schedule: whose start it is.
        cause: why.
        args: the pipeline's arguments.
        state: `waiting`, or `skipped` or `missed` for one that is over at once.
        note: why it is over.
    """
    now_us = site.clock.now_us()
    name = uuid7(now_us)
    (begins, ends), told = cause.interval or (None, None), dict(cause.told or {})
    made = tx.run(
        "schedules.fire_insert",
        id=name,
        schedule=schedule,
        key=cause.key,
        cause=cause.cause,
        actor=cause.actor,
        backfill=cause.backfill,
        due_us=cause.due_us,
        not_before_us=cause.not_before_us or cause.due_us,
        from_us=begins,
        until_us=ends,
        args=canonical(args).decode(),
        told=canonical(told).decode(),
        state=state,
        note=note,
        created_us=now_us,
        ended_us=None if state == WAITING else now_us,
    )
    if not made:
        return None
    body = {"schedule": schedule, "key": cause.key, "cause": cause.cause, "due_us": cause.due_us, "told": told}
    body |= {"args": dict(args), "backfill": cause.backfill, "note": note, "by": cause.actor}
    body |= {"from_us": begins, "until_us": ends}
    site.record(tx, f"fire.{state}", f"fire:{name}", body)
    return get(tx, name)


def get(reader: Reader, name: str) -> Fire:
    """Return a start by its id.

    Raises:
        NotFound: there is none.
    """
    found = reader.get(Fire, "schedules.fire", id=name)
    if found is None:
        raise NotFound("fire-not-found", "There is no such start.", where=name[:80], fix="ropewalk schedule list")
    return found


def of_key(reader: Reader, schedule: str, key: str) -> Fire | None:
    """Return the start of a schedule with a key, or None."""
    return reader.get(Fire, "schedules.fire_of_key", schedule=schedule, key=key)


def started(reader: Reader, schedule: str, run: str) -> bool:
    """Say whether a run is one that a schedule started."""
    return reader.value("schedules.fire_of_run", schedule=schedule, run=run) is not None


def open_fires(reader: Reader) -> list[Fire]:
    """Return what runs, and of what waits the oldest of each schedule and backfill; oldest first."""
    return reader.all(Fire, "schedules.fires_open", each=EACH_MAX)


def open_of(reader: Reader, schedule: str) -> list[Fire]:
    """Return what of a schedule waits or runs, backfills left out, oldest first."""
    return reader.all(Fire, "schedules.fires_open_of", schedule=schedule)


def of_schedule(reader: Reader, schedule: str, count: int, after: Fire | None = None) -> list[Fire]:
    """Return the starts of a schedule, latest first; those behind one when it is given."""
    due_us, name = (ALWAYS_US, "") if after is None else (after.due_us, after.id)
    return reader.all(Fire, "schedules.fires_of", schedule=schedule, due_us=due_us, id=name, count=count)


def of_time(reader: Reader, from_us: int, until_us: int, count: int, schedule: str = "") -> list[Fire]:
    """Return starts that are due in a time, oldest first; of one schedule when it is named."""
    values = {"from_us": from_us, "until_us": until_us, "count": count}
    if schedule:
        return reader.all(Fire, "schedules.fires_between_of", schedule=schedule, **values)
    return reader.all(Fire, "schedules.fires_between", **values)


def of_backfill(reader: Reader, backfill: str) -> list[Fire]:
    """Return the starts of a backfill, oldest first."""
    return reader.all(Fire, "schedules.fires_of_backfill", backfill=backfill)


def claim(tx: Transaction, found: Fire, lease: Lease, now_us: int) -> Fire:
    """Take a start that waits, or whose holder is dead; its fence grows by one.

    Raises:
        Conflict: somebody else was quicker.
    """
    held = {name: getattr(lease, name) for name in ("host", "boot", "pid", "born", "expires_us")}
    if tx.run("schedules.fire_claim", id=found.id, fence=found.fence, started_us=now_us, **held) != 1:
        raise Conflict("fire-held", "Somebody else runs this start.", where=found.subject, fix="ropewalk schedule list")
    return get(tx, found.id)


def attach(tx: Transaction, site: Site, fire: str, fence: int, run: str) -> Fire:
    """Note which run a start has become, in the transaction that begins the run.

    Raises:
        Interrupted: the start belongs to somebody else by now, or is over.
    """
    if tx.run("schedules.fire_run", id=fire, fence=fence, run=run) != 1:
        raise lost(fire, str(fence))
    found = get(tx, fire)
    body = {"schedule": found.schedule, "cause": found.cause, "run": run, "fence": fence, "backfill": found.backfill}
    site.record(tx, "fire.started", found.subject, body)
    return found


def lost(fire: str, fence: str) -> Interrupted:
    """Return the error of who holds an old fence of a start."""
    return Interrupted(
        "fire-lost",
        "Another process runs this start by now.",
        where=f"fire:{fire[:80]}",
        why=f"this one holds fence {fence[:20]}",
        fix="ropewalk schedule list",
    )


def settle(tx: Transaction, site: Site, found: Fire, state: str, note: str = "") -> Fire | None:
    """End a start, or give it back with `waiting`; None when it is somebody else's by now.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        found: the start as its holder knows it; its fence has to be the current one.
        state: where to.
        note: why, for people.
    """
    assert state in MOVES[found.state], f"{found.state} to {state}"
    ended_us = None if state == WAITING else site.clock.now_us()
    moved = tx.run(
        "schedules.fire_move",
        id=found.id,
        fence=found.fence,
        before=found.state,
        state=state,
        note=note[:1000],
        ended_us=ended_us,
    )
    if not moved:
        return None
    now = get(tx, found.id)
    if state != WAITING:
        body = {"schedule": now.schedule, "from": found.state, "run": now.run, "note": now.note, "fence": now.fence}
        site.record(tx, f"fire.{state}", now.subject, body)
    return now


def cancel(tx: Transaction, site: Site, found: Fire, why: str) -> None:
    """Stop a start: one that waits at once, one that runs as soon as its holder looks."""
    if found.state == WAITING:
        settle(tx, site, found, CANCELLED, why)
    elif found.state == RUNNING and tx.run("schedules.fire_cancel", id=found.id):
        site.record(tx, "fire.cancel", found.subject, {"schedule": found.schedule, "why": why})


def again(tx: Transaction, site: Site, found: Fire) -> None:
    """Let a start that is over wait once more; its next run finds in the cache what is done already."""
    assert WAITING in MOVES[found.state], found.state
    if tx.run("schedules.fire_again", id=found.id, before=found.state):
        site.record(tx, "fire.again", found.subject, {"schedule": found.schedule, "from": found.state})
