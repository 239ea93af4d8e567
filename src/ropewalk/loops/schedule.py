"""Schedules: what is due, what has arrived and what was told become starts, each exactly once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ropewalk.errors import Conflict, RopewalkError
from ropewalk.loops.start import Starts
from ropewalk.loops.work import Loop
from ropewalk.observations import alert as alerts
from ropewalk.schedules import fire as fires
from ropewalk.schedules import schedule as schedules
from ropewalk.schedules.declared import RETRAIN, arguments, interval, second
from ropewalk.schedules.due import Decision, due
from ropewalk.schedules.fire import Cause
from ropewalk.schedules.schedule import Schedule
from ropewalk.schedules.spec import ALARM, CANCEL, EVENT, FILES, QUERY, SKIP, Spec
from ropewalk.schedules.steady import Steady
from ropewalk.schedules.triggers import Sight, Stamps, arrived, changed, concerns, files_now, value_now
from ropewalk.site import Site
from ropewalk.store.database import Transaction

LOOK_SECONDS = 1.0
FILES_SECONDS = 2.0
QUERY_SECONDS = 10.0
DECLARED_SECONDS = 10.0
PAGE_EVENTS = 500
READER = "schedules"
# What was decided for a time that lies further ahead was decided by a clock that was wrong.
AHEAD_US = 2 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """What the loop may ask of the house.

    Attributes:
        declared: returns what is declared now, or None when that is what it was the last time.
        starts: runs what is due.
    """

    declared: Callable[[], Sequence[Spec] | None]
    starts: Starts


class Schedules:
    """Decides what starts and hands it on.

    A decision is one transaction: the starts, how far it is decided, and the ledger. Two servers on one store decide
    the same; whoever comes second finds it decided. kill -9 at any point leaves a start made or not made, never twice.

    Args:
        site: the project.
        ways: what is declared, and what runs.
    """

    def __init__(self, site: Site, ways: Ways) -> None:
        self._site = site
        self._ways = ways
        self._steady = Steady(site.clock)
        self._looked: dict[str, float] = {}
        self._next: dict[tuple[str, int, str], int] = {}
        self._files: dict[str, Stamps] = {}
        self._troubled: dict[str, RopewalkError] = {}

    def loop(self, seconds: float = LOOK_SECONDS) -> Loop:
        """Return the loop that does this."""
        starts = self._ways.starts
        made = Loop("schedule", self.turn, seconds=seconds, on_stop=starts.stop, busy=lambda: starts.busy)
        starts.on_end = made.wake
        return made

    def turn(self) -> bool:
        """Decide what is due and start it; return True when more is due at once.

        Raises:
            RopewalkError: the first problem that a schedule had, after all of them were looked at.
        """
        now_us = self._steady.now_us()
        problems: list[RopewalkError] = []
        self._declare(problems)
        with self._site.db.read() as reader:
            active = [one for one in schedules.every(reader) if one.state == schedules.ACTIVE]
        more = False
        for one in active:
            try:
                more = self._look(one, now_us) or more
            except Conflict:
                continue  # somebody else has decided meanwhile
            except RopewalkError as error:
                problems.append(error)
        more = self._events(active) or more
        more = self._ways.starts.turn(now_us) or more
        if problems:
            raise problems[0]
        return more

    # ------------------------------------------------------------------------------------------------- declared
    def _declare(self, problems: list[RopewalkError]) -> None:
        if not self._due("declared", DECLARED_SECONDS):
            return
        try:
            specs = self._ways.declared()
        except RopewalkError as error:
            self._troubled["declared"] = error
        else:
            if specs is not None:
                self._troubled.pop("declared", None)
                with self._site.db.read() as reader:
                    same = schedules.are_declared(reader, specs)
                if not same:
                    self._site.db.write(lambda tx: schedules.declare(tx, self._site, specs))
        if "declared" in self._troubled:  # until it is mended, what was declared before goes on
            problems.append(self._troubled["declared"])

    def _due(self, what: str, seconds: float) -> bool:
        now, last = self._site.clock.monotonic(), self._looked.get(what)
        if last is not None and now - last < seconds:
            return False
        self._looked[what] = now
        return True

    # ---------------------------------------------------------------------------------------------------- looks
    def _look(self, found: Schedule, now_us: int) -> bool:
        spec = found.said
        if spec.timed:
            return self._timed(found, spec, now_us)
        if spec.kind == FILES and self._due(f"files {found.name}", FILES_SECONDS):
            now = files_now(self._site.root, spec)
            sight = arrived(found.seen, now, self._files.get(found.name))
            self._files[found.name] = now
            self._sighted(found, spec, sight, now_us)
        elif spec.kind == QUERY and self._due(f"query {found.name}", QUERY_SECONDS):
            self._sighted(found, spec, changed(found.seen, value_now(self._site.root, spec), now_us), now_us)
        elif spec.kind == ALARM:
            self._alarms(found, spec)
        return False

    def _timed(self, found: Schedule, spec: Spec, now_us: int) -> bool:
        if found.cursor_us > now_us + AHEAD_US and not self._steady.leapt_us:
            self._site.db.write(partial(self._back, found, now_us))
            return True
        known = (found.name, found.cursor_us, found.spec)
        if now_us < self._next.get(known, 0):
            return False
        decision = due(spec, found.cursor_us, now_us)
        if not decision.starts and decision.missed is None:
            # No row says that nothing was due: looking again comes to the same.
            self._next = {key: at_us for key, at_us in self._next.items() if key[0] != found.name}
            self._next[known] = _next(spec, now_us)
            return False
        args = [self._arguments(spec, interval(one.from_us, one.at_us)) for one in decision.starts]
        self._site.db.write(lambda tx: self._decided(tx, found, decision, args))
        return decision.more

    def _back(self, found: Schedule, now_us: int, tx: Transaction) -> None:
        """Take a cursor back that a wrong clock has set; what was started keeps its row, so nothing starts twice."""
        if schedules.decided(tx, found, now_us):
            body = {"from_us": found.cursor_us, "to_us": now_us}
            self._site.record(tx, "schedule.clock", found.subject, body)

    def _decided(self, tx: Transaction, found: Schedule, decision: Decision, args: Sequence[Mapping[str, Any]]) -> None:
        if not schedules.decided(tx, found, decision.cursor_us):
            return  # another server was quicker, and has decided the same
        missed = decision.missed
        if missed is not None:
            told = {"count": missed.count, "first": second(missed.first_us), "last": second(missed.last_us)}
            cause = Cause(
                key=f"missed {missed.first_us} {missed.last_us}",
                cause="schedule",
                due_us=missed.last_us,
                actor=f"schedule:{found.name}",
                told=told,
            )
            note = f"{missed.count} from {told['first']} to {told['last']} while nothing ran"
            fires.add(tx, self._site, found.name, cause, {}, fires.MISSED, note)
        for one, given in zip(decision.starts, args, strict=True):
            cause = Cause(
                key=f"time {one.at_us}",
                cause="schedule",
                due_us=one.at_us,
                not_before_us=one.not_before_us,
                actor=f"schedule:{found.name}",
                interval=(one.from_us, one.at_us),
            )
            admit(tx, self._site, found, cause, given)

    def _sighted(self, found: Schedule, spec: Spec, sight: Sight, now_us: int) -> None:
        if sight.seen == found.seen:
            return
        args = self._arguments(spec, sight.told) if sight.key else {}

        def keep(tx: Transaction) -> None:
            if schedules.looked(tx, found, sight.seen) and sight.key:
                cause = Cause(
                    key=sight.key, cause=spec.kind, due_us=now_us, actor=f"schedule:{found.name}", told=sight.told
                )
                admit(tx, self._site, found, cause, args)

        self._site.db.write(keep)

    def _arguments(self, spec: Spec, told: Mapping[str, Any]) -> dict[str, Any]:
        return arguments(self._site.root, spec, told)

    # --------------------------------------------------------------------------------------------------- events
    def _events(self, active: Sequence[Schedule]) -> bool:
        """Start what the next page of events asks for, in the transaction that notes them as read."""
        listening = [(one, one.said) for one in active if one.kind == EVENT]
        with self._site.db.read() as reader:
            read = reader.value("events.reader", reader=READER)
            seen = read if isinstance(read, int) else 0
            newest_seq = int(str(reader.value("events.newest")))
            page = reader.rows("events.after", seq=seen, count=PAGE_EVENTS) if listening else []
        if not listening:
            # Nobody listens: events are not kept for us, and who listens later hears of what comes later.
            if read is not None and newest_seq - seen > PAGE_EVENTS:
                self._site.db.write(lambda tx: tx.run("events.reader_set", reader=READER, seq=newest_seq))
            return False
        if not page:
            return False
        wanted = [(row, one, spec) for row in page for one, spec in listening if self._concerned(row, one, spec)]
        args = [self._arguments(spec, {"event": _told(row)}) for row, _, spec in wanted]

        def keep(tx: Transaction) -> None:
            if (tx.value("events.reader", reader=READER) or 0) != seen:
                return
            for (row, one, _), given in zip(wanted, args, strict=True):
                cause = Cause(
                    key=f"event {row['seq']}",
                    cause="event",
                    due_us=int(str(row["at_us"])),
                    actor=f"schedule:{one.name}",
                    told={"event": _told(row)},
                )
                admit(tx, self._site, one, cause, given)
            tx.run("events.reader_set", reader=READER, seq=int(str(page[-1]["seq"])))

        self._site.db.write(keep)
        return len(page) == PAGE_EVENTS

    def _concerned(self, row: Mapping[str, object], one: Schedule, spec: Spec) -> bool:
        if int(str(row["seq"])) <= one.since:
            return False
        body = json.loads(str(row["body"]))
        if not concerns(spec, str(row["kind"]), body):
            return False
        run = str(row["subject"]).removeprefix("run:") if str(row["subject"]).startswith("run:") else body.get("run_id")
        with self._site.db.read() as reader:  # what it caused itself does not start it again
            return not run or not fires.started(reader, one.name, str(run))

    def _alarms(self, found: Schedule, spec: Spec) -> None:
        """Start what alarms ask for, and note on each alarm what became of it."""
        with self._site.db.read() as reader:
            known = [(one, fires.of_key(reader, RETRAIN, f"alarm {one.id}")) for one in alerts.to_retrain(reader)]
        for alarm, fire in known:
            if fire is None:
                cause = Cause(
                    key=f"alarm {alarm.id}",
                    cause="alarm",
                    due_us=alarm.opened_us,
                    actor=f"alert:{alarm.monitor}",
                    told={"alert": alarm.id, "monitor": alarm.monitor, "endpoint": alarm.endpoint},
                )
                args = self._arguments(spec, {})
                self._site.db.write(partial(_admitted, site=self._site, found=found, cause=cause, args=args))
            elif fire.state not in fires.OPEN:
                outcome = fire.run if fire.state == fires.DONE else f"{fire.state}: {fire.note}"
                self._site.db.write(partial(_noted, site=self._site, alarm=alarm, outcome=outcome))


def admit(tx: Transaction, site: Site, found: Schedule, cause: Cause, args: Mapping[str, Any]) -> None:
    """Write a start down as the schedule's overlap says: it waits, is skipped, or stops what was before it."""
    if fires.of_key(tx, found.name, cause.key) is not None:
        return
    before = fires.open_of(tx, found.name)
    overlap = found.said.overlap
    if before and overlap == SKIP:
        why = f"the start of {second(before[0].due_us)} is not over"
        fires.add(tx, site, found.name, cause, args, fires.SKIPPED, why)
        return
    if overlap == CANCEL:
        for one in before:
            fires.cancel(tx, site, one, f"the start of {second(cause.due_us)} takes its place")
    fires.add(tx, site, found.name, cause, args)


def _admitted(tx: Transaction, *, site: Site, found: Schedule, cause: Cause, args: Mapping[str, Any]) -> None:
    admit(tx, site, found, cause, args)


def _noted(tx: Transaction, *, site: Site, alarm: alerts.Alert, outcome: str) -> None:
    alerts.note_run(tx, site, alarm, outcome)


def _next(spec: Spec, now_us: int) -> int:
    from ropewalk.schedules.times import times

    return next(times(spec, now_us), 1 << 62)


def _told(row: Mapping[str, object]) -> dict[str, Any]:
    return {"kind": row["kind"], "subject": row["subject"], **json.loads(str(row["body"]))}
