"""What is told of schedules, their starts and backfills, to people and programs alike: times in UTC, ISO 8601."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from ropewalk.schedules import backfill as backfills
from ropewalk.schedules import fire as fires
from ropewalk.schedules.backfill import Backfill
from ropewalk.schedules.declared import second
from ropewalk.schedules.fire import Fire
from ropewalk.schedules.schedule import ACTIVE, Schedule
from ropewalk.schedules.times import times
from ropewalk.store.database import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFire:
    """A start.

    Attributes:
        id: its own.
        schedule: whose.
        cause: `schedule`, `files`, `query`, `event`, `alarm`, `webhook`, `manual` or `backfill`.
        actor: whose name its run bears.
        state: `waiting`, `running`, `done`, `failed`, `skipped`, `missed` or `cancelled`.
        run: id of its run, empty before it has begun.
        args: arguments of the pipeline.
        told: what caused it.
        note: why it failed, was skipped or was stopped.
        backfill: id of the backfill that it belongs to, else empty.
        due: its time.
        interval_start: begin of its interval, None where there is none.
        interval_end: end of its interval.
        started: None before it began.
        ended: None before its end.
    """

    id: str
    schedule: str
    cause: str
    actor: str
    state: str
    run: str
    args: Mapping[str, Any]
    told: Mapping[str, Any]
    note: str
    backfill: str
    due: str
    interval_start: str | None
    interval_end: str | None
    started: str | None
    ended: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSchedule:
    """A schedule.

    Attributes:
        name: how people call it.
        pipeline: `FILE.py:FUNCTION`.
        kind: `cron`, `every`, `files`, `query`, `event`, `webhook` or `alarm`.
        starts: what starts it, in a few words.
        state: `active`, `paused` or `removed`.
        timezone: of cron fields.
        overlap: `skip`, `queue` or `cancel-running`.
        catch_up: `last`, `all` or `none`.
        origin: where it is declared: `code`, `settings` or `monitors`.
        args: arguments of the pipeline.
        next: its next times; none for one that the clock does not start, or that is paused.
        last: its latest start, None before the first.
    """

    name: str
    pipeline: str
    kind: str
    starts: str
    state: str
    timezone: str
    overlap: str
    catch_up: str
    origin: str
    args: Mapping[str, Any]
    next: tuple[str, ...]
    last: ShownFire | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownBackfill:
    """A backfill.

    Attributes:
        id: its own.
        schedule: whose intervals.
        begin: the first interval begins here or later.
        end: the last one begins before this.
        state: `open`, `done`, `failed` or `cancelled`.
        parallel: how many run at once.
        actor: who asked for it.
        intervals: how many are in which state.
    """

    id: str
    schedule: str
    begin: str
    end: str
    state: str
    parallel: int
    actor: str
    intervals: Mapping[str, int]


def shown_fire(one: Fire) -> ShownFire:
    """Return what is told of a start."""
    return ShownFire(
        id=one.id,
        schedule=one.schedule,
        cause=one.cause,
        actor=one.actor,
        state=one.state,
        run=one.run,
        args=one.arguments(),
        told=json.loads(one.told),
        note=one.note,
        backfill=one.backfill,
        due=second(one.due_us),
        interval_start=_second(one.from_us),
        interval_end=_second(one.until_us),
        started=_second(one.started_us),
        ended=_second(one.ended_us),
    )


def shown_schedule(reader: Reader, one: Schedule, now_us: int, count: int = 1) -> ShownSchedule:
    """Return what is told of a schedule, with so many of its next times."""
    said = one.said
    last = next(iter(fires.of_schedule(reader, one.name, 1)), None)
    return ShownSchedule(
        name=one.name,
        pipeline=one.pipeline,
        kind=one.kind,
        starts=said.when,
        state=one.state,
        timezone=said.timezone,
        overlap=said.overlap,
        catch_up=said.catch_up,
        origin=said.origin,
        args=said.args,
        next=tuple(second(at_us) for at_us in upcoming(one, now_us, count)),
        last=None if last is None else shown_fire(last),
    )


def shown_backfills(reader: Reader, schedule: str = "", count: int = 100) -> list[ShownBackfill]:
    """Return backfills, newest first; of one schedule when it is named."""
    counted = backfills.counts(reader)
    return [shown_backfill(one, counted.get(one.id, {})) for one in backfills.listed(reader, schedule, count)]


def shown_backfill(one: Backfill, states: Mapping[str, int]) -> ShownBackfill:
    """Return what is told of a backfill."""
    return ShownBackfill(
        id=one.id,
        schedule=one.schedule,
        begin=second(one.from_us),
        end=second(one.until_us),
        state=one.state,
        parallel=one.parallel,
        actor=one.actor,
        intervals=states,
    )


def upcoming(one: Schedule, now_us: int, count: int) -> list[int]:
    """Return the next times of a schedule, microseconds since the epoch; none for what no clock starts, or paused."""
    said = one.said
    if not said.timed or one.state != ACTIVE:
        return []
    return list(islice(times(said, max(now_us, one.cursor_us)), count))


def _second(at_us: int | None) -> str | None:
    return None if at_us is None else second(at_us)
