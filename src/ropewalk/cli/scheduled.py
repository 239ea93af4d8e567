"""What `ropewalk schedule` tells of one schedule, and the work that it starts: a run now, or a backfill."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from ropewalk.cli.output import Output
from ropewalk.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from ropewalk.house import House
    from ropewalk.schedules.backfill import Backfill, Interval
    from ropewalk.schedules.fire import Fire
    from ropewalk.schedules.schedule import Schedule
    from ropewalk.schedules.shown import ShownBackfill, ShownFire

HISTORY_SHOWN = 20
INTERVALS_SHOWN = 12
NEXT_SHOWN = 3


def show(house: House, options: argparse.Namespace, out: Output) -> None:
    """Print one schedule whole."""
    from ropewalk.schedules import schedule as schedules
    from ropewalk.schedules.shown import shown_backfills, shown_schedule

    with house.site.db.read() as rows:
        found = schedules.get(rows, options.name)
        one = shown_schedule(rows, found, house.site.clock.now_us(), NEXT_SHOWN)
        filled = shown_backfills(rows, found.name, INTERVALS_SHOWN)
    last = one.last
    out.fields(
        {
            "schedule": one.name,
            "starts": one.starts,
            "pipeline": one.pipeline,
            "arguments": " ".join(f"{name}={value}" for name, value in one.args.items()) or "its own defaults",
            "state": one.state,
            "declared": {"code": "in the code", "settings": "in ropewalk.toml"}.get(one.origin, "by a monitor"),
            "overlap": one.overlap,
            "catch up": one.catch_up,
            "next": ", ".join(one.next) or "-",
            "last": "never" if last is None else f"{last.due} {last.cause} {last.state} {last.note}".rstrip(),
        }
    )
    if filled:
        out.line()
        out.table(("backfill", "begin", "end", "state", "done"), [_row(item) for item in filled])
    out.result({**msgspec.to_builtins(one), "backfills": msgspec.to_builtins(filled)})
    out.next(f"ropewalk schedule history {one.name}", f"ropewalk schedule run {one.name}")


def _row(one: ShownBackfill) -> tuple[object, ...]:
    done = f"{one.intervals.get('done', 0)} of {sum(one.intervals.values())}"
    return (one.id[:13], one.begin, one.end, one.state, done)


def history(house: House, options: argparse.Namespace, out: Output) -> None:
    """Print the starts of a schedule, latest first."""
    from ropewalk.schedules import fire as fires
    from ropewalk.schedules import schedule as schedules
    from ropewalk.schedules.shown import shown_fire

    with house.site.db.read() as rows:
        one = schedules.get(rows, options.name)
        found = [shown_fire(it) for it in fires.of_schedule(rows, one.name, options.count or HISTORY_SHOWN)]
    if found:
        table = [(it.due, it.cause, it.state, it.run[:13], _interval(it), it.note) for it in found]
        out.table(("due (UTC)", "cause", "state", "run", "interval", "note"), table)
    else:
        out.line(f"{one.name} has started nothing yet")
    out.result(msgspec.to_builtins(found))
    ran = next((it.run for it in found if it.run), "")
    out.next(f"ropewalk runs {ran}" if ran else f"ropewalk schedule run {one.name}")


def _interval(one: ShownFire) -> str:
    return f"{one.interval_start} .. {one.interval_end}" if one.interval_start and one.interval_end else ""


def run(house: House, options: argparse.Namespace, out: Output) -> None:
    """Start a schedule now; what it would do at its time is what it does."""
    from ropewalk.loops.schedule import admit
    from ropewalk.refs import uuid7
    from ropewalk.schedules import fire as fires
    from ropewalk.schedules import schedule as schedules
    from ropewalk.schedules.declared import arguments, interval
    from ropewalk.schedules.fire import Cause
    from ropewalk.schedules.shown import shown_fire
    from ropewalk.schedules.times import before

    now_us = house.site.clock.now_us()
    with house.site.db.read() as rows:
        one = schedules.live(rows, options.name)
    spec = one.said
    span = _span(before(spec, now_us), now_us) if spec.timed else None
    args = arguments(house.site.root, spec, interval(*span) if span else {})
    key = f"manual {uuid7(now_us)}"
    cause = Cause(key=key, cause="manual", due_us=now_us, actor=house.site.actor, interval=span)
    house.site.db.write(lambda tx: admit(tx, house.site, one, cause, args))
    if not options.detach:
        with out.progress(f"running {one.pipeline}"):
            _until_over(house, lambda found: found.schedule == one.name and not found.backfill)
    with house.site.db.read() as rows:
        made = fires.of_key(rows, one.name, key)
    assert made is not None, "it was written above"
    out.line(f"{one.name}: {made.state}" + (f": {made.note}" if made.note else f", run {made.run}" if made.run else ""))
    out.result(msgspec.to_builtins(shown_fire(made)))
    _require_done(made)
    out.next(f"ropewalk runs {made.run}" if made.run else "ropewalk up", f"ropewalk schedule history {one.name}")


def _until_over(house: House, only: Callable[[Fire], bool], tell: Callable[[], None] = lambda: None) -> None:
    from ropewalk.house import starts
    from ropewalk.loops.start import carry_out

    carry_out(house.site, starts(house, only=only), only, tell=tell)


def _span(last: int | None, now_us: int) -> tuple[int, int] | None:
    return None if last is None else (last, now_us)


def _require_done(made: Fire) -> None:
    if made.state == "failed":
        raise Invalid(
            "fire-failed",
            "What the schedule started has failed.",
            where=made.subject,
            why=made.note,
            fix=f"ropewalk runs {made.run}" if made.run else f"ropewalk schedule history {made.schedule}",
        )


def backfill(house: House, options: argparse.Namespace, out: Output) -> None:
    """Run a schedule over a range of the past; the same command goes on where it was stopped."""
    from ropewalk.schedules import backfill as backfills
    from ropewalk.schedules import schedule as schedules
    from ropewalk.schedules.declared import arguments, interval

    site = house.site
    with site.db.read() as rows:
        one = schedules.live(rows, options.name)
    from_us, until_us, found = backfills.planned(one, options.first, options.last, site.clock.now_us())
    if options.cancel:
        _cancel(house, one, (from_us, until_us), out)
        return
    given = {span: arguments(site.root, one.said, interval(*span)) for span in found}
    if options.dry_run:
        _dry(one, given, options, out)
        return
    made = site.db.write(
        lambda tx: backfills.begin(
            tx,
            site,
            one,
            (from_us, until_us),
            found,
            parallel=min(options.parallel, backfills.PARALLEL_MAX),
            args_of=lambda span: given[span],
            whole=options.again,
        )
    )
    if not options.detach:
        _carry_out(house, made, len(found), out)
    _show(house, made, options, out)


def _carry_out(house: House, made: Backfill, total: int, out: Output) -> None:
    from ropewalk.schedules import fire as fires

    told = 0
    with out.progress(f"backfill of {made.schedule}", total) as bar:

        def tell() -> None:
            nonlocal told
            with house.site.db.read() as rows:
                over = sum(it.state not in fires.OPEN for it in fires.of_backfill(rows, made.id))
            bar.advance(over - told)
            told = over

        _until_over(house, lambda it: it.backfill == made.id, tell)


def _show(house: House, made: Backfill, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.schedules import backfill as backfills
    from ropewalk.schedules import fire as fires
    from ropewalk.schedules.shown import shown_backfill, shown_fire

    with house.site.db.read() as rows:
        now = backfills.get(rows, made.id)
        made_of = fires.of_backfill(rows, made.id)
    own = [shown_fire(it) for it in made_of]
    states = Counter(it.state for it in own)
    if len(own) <= INTERVALS_SHOWN:
        out.table(("interval", "state", "run", "note"), [(_interval(it), it.state, it.run[:13], it.note) for it in own])
    told = ", ".join(f"{number} {state}" for state, number in states.items())
    out.line(f"backfill of {now.schedule} {now.state}: {len(own)} interval{'s' if len(own) != 1 else ''}, {told}")
    out.result({**msgspec.to_builtins(shown_backfill(now, states)), "fires": msgspec.to_builtins(own)})
    bad = next((it for it in made_of if it.state == fires.FAILED), None)
    if bad is not None:
        _require_done(bad)
    same = f"ropewalk schedule backfill {now.schedule} --from {options.first} --to {options.last}"
    out.next(f"ropewalk schedule history {now.schedule}", same if now.state == backfills.OPEN else "ropewalk runs")


def _dry(one: Schedule, given: dict[Interval, dict[str, object]], options: argparse.Namespace, out: Output) -> None:
    from ropewalk.schedules.declared import interval

    told = [{**interval(*span), "args": args} for span, args in given.items()]
    out.table(
        ("interval_start", "interval_end", "arguments"),
        [(it["interval_start"], it["interval_end"], it["args"]) for it in told[:INTERVALS_SHOWN]],
    )
    if len(told) > INTERVALS_SHOWN:
        out.line(f"... and {len(told) - INTERVALS_SHOWN} more")
    out.line(f"{len(told)} run{'s' if len(told) != 1 else ''} of {one.pipeline}; nothing was started")
    out.result({"schedule": one.name, "intervals": told})
    out.next(f"ropewalk schedule backfill {one.name} --from {options.first} --to {options.last}")


def _cancel(house: House, one: Schedule, span: Interval, out: Output) -> None:
    from ropewalk.errors import NotFound
    from ropewalk.schedules import backfill as backfills

    with house.site.db.read() as rows:
        same = [it for it in backfills.listed(rows, one.name) if (it.from_us, it.until_us) == span]
    if not same:
        raise NotFound(
            "backfill-not-found",
            "There is no such backfill.",
            where=f"backfill of {one.name}",
            why="none was begun with this range",
            fix=f"ropewalk schedule show {one.name}",
        )
    now = house.site.db.write(lambda tx: backfills.cancel(tx, house.site, same[0]))
    out.line(f"backfill of {one.name}: what waits is cancelled, what runs is stopped, what is done stays")
    out.result({"id": now.id, "state": now.state})
    out.next(f"ropewalk schedule history {one.name}")
