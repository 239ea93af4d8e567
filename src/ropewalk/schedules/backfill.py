"""A backfill: a schedule's intervals of a range of the past as one thing, each interval with a state of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.refs import uuid7
from ropewalk.schedules import fire as fires
from ropewalk.schedules.fire import Cause, Fire
from ropewalk.schedules.schedule import Schedule
from ropewalk.schedules.spec import moment, zone_of
from ropewalk.schedules.times import intervals
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

OPEN, DONE, FAILED, CANCELLED = "open", "done", "failed", "cancelled"
INTERVALS_MAX = 10_000
PARALLEL_MAX = fires.EACH_MAX
Interval = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """One backfill.

    Attributes:
        id: UUID version 7.
        schedule: whose intervals.
        from_us: the first interval begins here or later, microseconds since the epoch.
        until_us: the last one begins before this.
        parallel: how many run at once.
        state: `open`, `done`, `failed` (some interval is) or `cancelled`.
        actor: who asked for it.
        created_us: microseconds since the epoch.
        ended_us: microseconds since the epoch, None while it is open.
    """

    id: str
    schedule: str
    from_us: int
    until_us: int
    parallel: int
    state: str
    actor: str
    created_us: int
    ended_us: int | None

    @property
    def subject(self) -> str:
        """How the ledger names it."""
        return f"backfill:{self.id}"


def planned(schedule: Schedule, first: str, last: str, now_us: int) -> tuple[int, int, tuple[Interval, ...]]:
    """Return the range that two dates mean, and the schedule's intervals that begin in it and are over.

    Args:
        schedule: one that the clock starts.
        first: date or time, such as `2013-01`, in the schedule's zone.
        last: the year, month or day that is the last one, included; a time is where it ends.
        now_us: the time: an interval that is not over has no data yet.

    Raises:
        Invalid: the schedule has no intervals, the dates are none, or there are none or too many intervals.
    """
    spec = schedule.said
    if not spec.timed:
        raise _unfit(schedule, f"it is started by {spec.when}, which has no intervals", "backfill a schedule of times")
    zone = zone_of(spec)
    try:
        from_us, until_us = moment(first, zone), moment(last, zone, after=True)
    except (ValueError, OverflowError):
        raise _unfit(
            schedule, f"wanted dates such as 2013-01 or 2013-01-31, found {first[:40]!r}, {last[:40]!r}"
        ) from None
    found: list[Interval] = []
    for begins, ends in intervals(spec, from_us, until_us):
        if ends > now_us:
            break
        found.append((begins, ends))
        if len(found) > INTERVALS_MAX:
            raise _unfit(schedule, f"the range holds more than {INTERVALS_MAX:,} intervals", "take a shorter range")
    if not found:
        raise _unfit(schedule, "no interval begins in that range and is over", "take a longer range")
    return from_us, until_us, tuple(found)


def begin(
    tx: Transaction,
    site: Site,
    schedule: Schedule,
    span: tuple[int, int],
    found: Sequence[Interval],
    *,
    parallel: int,
    args_of: Callable[[Interval], Mapping[str, Any]],
    whole: bool = False,
) -> Backfill:
    """Begin a backfill, or go on with the one of the same range: what is done stays done, what failed is tried again.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        schedule: whose intervals.
        span: begin and end of the range.
        found: the intervals.
        parallel: how many run at once.
        args_of: gives the pipeline's arguments of an interval.
        whole: run the done ones again too; what their code and inputs left unchanged comes from the cache.
    """
    before = tx.get(Backfill, "schedules.backfill_of_range", schedule=schedule.name, from_us=span[0], until_us=span[1])
    name = before.id if before is not None else uuid7(site.clock.now_us())
    body: dict[str, object] = {"from_us": span[0], "until_us": span[1], "parallel": parallel, "intervals": len(found)}
    if before is None:
        tx.run(
            "schedules.backfill_insert",
            id=name,
            schedule=schedule.name,
            from_us=span[0],
            until_us=span[1],
            parallel=parallel,
            actor=site.actor,
            created_us=site.clock.now_us(),
        )
    else:
        tx.run("schedules.backfill_move", id=name, state=OPEN, parallel=parallel, ended_us=None)
    site.record(tx, "backfill.open", f"backfill:{name}", {"schedule": schedule.name, **body})
    for interval in found:
        _interval(tx, site, schedule.name, name, interval, args_of(interval))
    again = (fires.FAILED, fires.CANCELLED, *((fires.DONE,) if whole else ()))
    for one in fires.of_backfill(tx, name) if before is not None else ():
        if one.state in again:
            fires.again(tx, site, one)
    return settled(tx, site, get(tx, name))


def _interval(  # noqa: PLR0917 - the transaction, the site, and the four things that an interval is
    tx: Transaction, site: Site, schedule: str, backfill: str, interval: Interval, args: Mapping[str, Any]
) -> None:
    cause = Cause(
        key=f"backfill {backfill} {interval[0]}",
        cause="backfill",
        due_us=interval[1],
        actor=site.actor,
        interval=interval,
        backfill=backfill,
    )
    fires.add(tx, site, schedule, cause, args)


def settled(tx: Transaction, site: Site, found: Backfill) -> Backfill:
    """Close a backfill whose intervals are all over; return it as it is now."""
    states = Counter(
        {str(row["state"]): int(str(row["fires"])) for row in tx.rows("schedules.fires_counted_of", backfill=found.id)}
    )
    if found.state != OPEN or any(states[state] for state in fires.OPEN):
        return found
    state = FAILED if states[fires.FAILED] else CANCELLED if states[fires.CANCELLED] else DONE
    tx.run("schedules.backfill_move", id=found.id, state=state, parallel=found.parallel, ended_us=site.clock.now_us())
    site.record(tx, f"backfill.{state}", found.subject, {"schedule": found.schedule, "intervals": dict(states)})
    return get(tx, found.id)


def cancel(tx: Transaction, site: Site, found: Backfill) -> Backfill:
    """Stop what of a backfill waits or runs; what is done stays done.

    Raises:
        Conflict: it is over.
    """
    if found.state != OPEN:
        raise Conflict(
            "backfill-over", "This backfill is over.", where=found.subject, why=f"it is {found.state}", fix=_fix(found)
        )
    for one in fires.of_backfill(tx, found.id):
        fires.cancel(tx, site, one, f"{site.actor} has cancelled the backfill")
    return settled(tx, site, found)


def get(reader: Reader, name: str) -> Backfill:
    """Return a backfill by its id.

    Raises:
        NotFound: there is none.
    """
    found = reader.get(Backfill, "schedules.backfill", id=name)
    if found is None:
        raise NotFound(
            "backfill-not-found", "There is no such backfill.", where=name[:80], fix="ropewalk schedule list"
        )
    return found


def listed(reader: Reader, schedule: str = "", count: int = 100) -> list[Backfill]:
    """Return backfills, newest first; of one schedule when it is named."""
    if schedule:
        return reader.all(Backfill, "schedules.backfills_of", schedule=schedule, count=count)
    return reader.all(Backfill, "schedules.backfills", count=count)


def counts(reader: Reader) -> dict[str, dict[str, int]]:
    """Return how many intervals of each backfill are in which state."""
    found: dict[str, dict[str, int]] = {}
    for row in reader.rows("schedules.fires_counted"):
        found.setdefault(str(row["backfill"]), {})[str(row["state"])] = int(str(row["fires"]))
    return found


def waiting(found: Backfill, own: Sequence[Fire]) -> list[Fire]:
    """Return which intervals of a backfill may start now, oldest first, from how many of its own run."""
    running = sum(one.state == fires.RUNNING for one in own)
    return [one for one in own if one.state == fires.WAITING][: max(0, found.parallel - running)]


def _fix(found: Backfill) -> str:
    return f"ropewalk schedule history {found.schedule}"


def _unfit(schedule: Schedule, why: str, fix: str = "") -> Invalid:
    return Invalid(
        "backfill-invalid",
        "This backfill cannot be made.",
        where=schedule.subject,
        why=why,
        fix=fix or f"ropewalk schedule backfill {schedule.name} --from 2013-01 --to 2013-12",
    )
