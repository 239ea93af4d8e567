"""A schedule is paused, resumed, started now and backfilled; a backfill is cancelled."""

from __future__ import annotations

from ropewalk.console.forms import Act, Done, Field, Given, Sheet
from ropewalk.errors import Invalid
from ropewalk.loops.schedule import admit
from ropewalk.refs import uuid7
from ropewalk.schedules import backfill as backfills
from ropewalk.schedules import schedule as schedules
from ropewalk.schedules.declared import arguments, interval
from ropewalk.schedules.fire import Cause
from ropewalk.schedules.shown import shown_backfills
from ropewalk.schedules.times import before
from ropewalk.store.database import Reader, Transaction

HOME = "/schedules/{name}/do"
DATE_LETTERS = 40


def _sheet(given: Given, title: str, button: str, *told: str, fields: tuple[Field, ...] = (), undo: str = "") -> Sheet:
    name = given.path["name"]
    return Sheet(
        title=f"{title} {name}",
        button=button,
        back=f"/schedules/{name}",
        back_word=f"Schedule {name}",
        told=told,
        fields=fields,
        undo=undo,
    )


def _pause(given: Given, rows: Reader) -> Sheet:
    schedules.live(rows, given.path["name"])
    return _sheet(
        given, "Pause", "Pause", "It starts nothing until it is resumed. What runs goes on.", undo="Resume it."
    )


def pause(given: Given, tx: Transaction) -> Done:
    """Let a schedule start nothing until it is resumed."""
    found = schedules.pause(tx, given.site, given.path["name"])
    home = f"/schedules/{found.name}"
    return Done(told=f"{found.name} is paused.", address=home, undo=f"{home}/do/resume")


def _resume(given: Given, rows: Reader) -> Sheet:
    schedules.live(rows, given.path["name"])
    return _sheet(given, "Resume", "Resume", "It starts again from now on; what its pause held back stays undone.")


def resume(given: Given, tx: Transaction) -> Done:
    """Let a schedule start again from now on."""
    found = schedules.resume(tx, given.site, given.path["name"])
    home = f"/schedules/{found.name}"
    return Done(told=f"{found.name} starts again.", address=home, undo=f"{home}/do/pause")


def _run(given: Given, rows: Reader) -> Sheet:
    found = schedules.live(rows, given.path["name"])
    return _sheet(given, "Start", "Start now", f"{found.pipeline} is started once, whatever the time is.")


def run(given: Given, tx: Transaction) -> Done:
    """Start a schedule now."""
    site, found = given.site, schedules.live(tx, given.path["name"])
    now_us = site.clock.now_us()
    last = before(found.said, now_us) if found.said.timed else None
    span = None if last is None else (last, now_us)
    args = arguments(site.root, found.said, interval(*span) if span else {})
    cause = Cause(key=f"manual {uuid7(now_us)}", cause="manual", due_us=now_us, actor=site.actor, interval=span)
    admit(tx, site, found, cause, args)
    return Done(told=f"{found.name} is in line; its run shows up below.", address=f"/schedules/{found.name}")


def _backfill(given: Given, rows: Reader) -> Sheet:
    found = schedules.live(rows, given.path["name"])
    fields = (
        Field(name="begin", label="From", required=True, size=DATE_LETTERS, hint="a year, month, day or time: 2013-01"),
        Field(name="end", label="To, included", required=True, size=DATE_LETTERS, hint="such as 2013-12 or 2013-12-31"),
        Field(
            name="parallel", label="At once", values=("1",), size=3, required=True,
            hint=f"how many intervals run beside each other, 1 to {backfills.PARALLEL_MAX}",
        ),
        Field(name="again", label="Ask the cache for the done ones too", kind="check"),
    )  # fmt: skip
    told = (
        f"{found.pipeline} is run for each interval of the range ({found.said.when}) that is over.",
        "What is done stays done: the same range again goes on where it was, and tries what failed.",
    )
    return _sheet(given, "Backfill", "Begin", *told, fields=fields, undo="Cancel it; what is done stays.")


def backfill(given: Given) -> Done:
    """Begin a backfill, or go on with the one of the same range; the source is read before anything waits."""
    site = given.site
    with site.db.read() as rows:
        found = schedules.live(rows, given.path["name"])
    parallel = given.word("parallel")
    if not (parallel.isascii() and parallel.isdigit() and 1 <= int(parallel[:9]) <= backfills.PARALLEL_MAX):
        raise Invalid(
            "request-malformed",
            "How many run at once is a whole number.",
            where="At once",
            why=f"wanted 1 to {backfills.PARALLEL_MAX}, found {parallel[:20]!r}",
            fix="1",
        )
    from_us, until_us, spans = backfills.planned(found, given.word("begin"), given.word("end"), site.clock.now_us())
    given_args = {span: arguments(site.root, found.said, interval(*span)) for span in spans}

    def work(tx: Transaction) -> str:
        return backfills.begin(
            tx,
            site,
            found,
            (from_us, until_us),
            spans,
            parallel=int(parallel),
            args_of=lambda span: given_args[span],
            whole="again" in given.form,
        ).id

    made = site.db.write(work, key=given.key)
    many = f"{len(spans):,} {'interval' if len(spans) == 1 else 'intervals'}"
    return Done(told=f"The backfill of {many} has begun.", address=f"/backfills/{made}")


def _cancel(given: Given, rows: Reader) -> Sheet:
    found = backfills.get(rows, given.path["backfill"])
    shown = next((one for one in shown_backfills(rows, found.schedule) if one.id == found.id), None)
    states = ", ".join(f"{count:,} {state}" for state, count in sorted(shown.intervals.items())) if shown else ""
    return Sheet(
        title=f"Cancel the backfill of {found.schedule}",
        button="Cancel it",
        back=f"/backfills/{found.id}",
        back_word=f"Backfill of {found.schedule}",
        told=("What waits is cancelled, what runs is stopped, what is done stays done.", f"Its intervals: {states}."),
        undo="Begin the same range again.",
        danger=True,
    )


def cancel(given: Given, tx: Transaction) -> Done:
    """Stop what of a backfill waits or runs."""
    found = backfills.cancel(tx, given.site, backfills.get(tx, given.path["backfill"]))
    return Done(told=f"The backfill of {found.schedule} is cancelled.", address=f"/backfills/{found.id}")


ACTS = (
    Act(path=f"{HOME}/pause", action="write", sheet=_pause, work=pause),
    Act(path=f"{HOME}/resume", action="write", sheet=_resume, work=resume),
    Act(path=f"{HOME}/run", action="write", sheet=_run, work=run),
    Act(path=f"{HOME}/backfill", action="write", sheet=_backfill, alone=backfill, asks=True),
    Act(path="/backfills/{backfill}/do/cancel", action="write", sheet=_cancel, work=cancel, asks=True),
)
