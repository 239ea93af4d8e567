"""What `ropewalk schedule` tells of one schedule, and the work that it starts: a run now, or a backfill."""

from __future__ import annotations

import argparse
from collections import Counter
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.cli.schedule import fire as plain_fire
from ropewalk.cli.schedule import plain, upcoming
from ropewalk.errors import Invalid

if TYPE_CHECKING:
    from ropewalk.house import House
    from ropewalk.schedules.backfill import Backfill, Interval
    from ropewalk.schedules.fire import Fire
    from ropewalk.schedules.schedule import Schedule

HISTORY_SHOWN = 20
INTERVALS_SHOWN = 12


def show(house: House, options: argparse.Namespace, out: Output) -> None:
    """Print one schedule whole."""
    from ropewalk.schedules import backfill as backfills
    from ropewalk.schedules import fire as fires
    from ropewalk.schedules import schedule as schedules
    from ropewalk.schedules.declared import words_of

    now_us = house.site.clock.now_us()
    with house.site.db.read() as rows:
        one = schedules.get(rows, options.name)
        last = next(iter(fires.of_schedule(rows, one.name, 1)), None)
        filled = backfills.listed(rows, one.name, INTERVALS_SHOWN)
        counted = backfills.counts(rows)
    words = {name.removesuffix("_us"): value for name, value in words_of(one.said).items()}
    out.fields(
        {
            **{name: str(value) for name, value in words.items()},
            "starts": one.said.when,
            "state": one.state,
            "overlap": one.said.overlap,
            "next": ", ".join(upcoming(one, now_us, 3)) or "-",
            "last": "never" if last is None else f"{_told(last)}",
        }
    )
    if filled:
        out.line()
        out.table(("backfill", "from", "until", "state", "intervals"), [_row(item, counted) for item in filled])
    out.result({**plain(one, now_us, last), "backfills": [plain_backfill(item, counted) for item in filled]})
    out.next(f"ropewalk schedule history {one.name}", f"ropewalk schedule run {one.name}")


def plain_backfill(one: Backfill, counted: dict[str, dict[str, int]]) -> dict[str, object]:
    """Return what a machine is told of a backfill."""
    from ropewalk.schedules.declared import second

    return {
        "id": one.id,
        "schedule": one.schedule,
        "from": second(one.from_us),
        "until": second(one.until_us),
        "state": one.state,
        "parallel": one.parallel,
        "intervals": counted.get(one.id, {}),
    }


def _row(one: Backfill, counted: dict[str, dict[str, int]]) -> tuple[object, ...]:
    told = plain_backfill(one, counted)
    states = counted.get(one.id, {})
    return (one.id[:13], told["from"], told["until"], one.state, f"{states.get('done', 0)}/{sum(states.values())}")


def _told(one: Fire) -> str:
    from ropewalk.schedules.declared import second

    return f"{second(one.due_us)} {one.cause} {one.state}" + (f": {one.note}" if one.note else "")


def history(house: House, options: argparse.Namespace, out: Output) -> None:
    """Print the starts of a schedule, latest first."""
    from ropewalk.schedules import fire as fires
    from ropewalk.schedules import schedule as schedules
    from ropewalk.schedules.declared import second

    with house.site.db.read() as rows:
        one = schedules.get(rows, options.name)
        found = fires.of_schedule(rows, one.name, options.count or HISTORY_SHOWN)
    if found:
        table = [(second(it.due_us), it.cause, it.state, it.run[:13], _interval(it), it.note) for it in found]
        out.table(("due (UTC)", "cause", "state", "run", "interval", "note"), table)
    else:
        out.line(f"{one.name} has started nothing yet")
    out.result([plain_fire(it) for it in found])
    ran = next((it.run for it in found if it.run), "")
    out.next(f"ropewalk runs {ran}" if ran else f"ropewalk schedule run {one.name}")


def _interval(one: Fire) -> str:
    from ropewalk.schedules.declared import second

    if one.from_us is None or one.until_us is None:
        return ""
    return f"{second(one.from_us)} .. {second(one.until_us)}"


def run(house: House, options: argparse.Namespace, out: Output) -> None:
    """Start a schedule now; what it would do at its time is what it does."""
    from ropewalk.house import carry_out
    from ropewalk.loops.schedule import admit
    from ropewalk.refs import uuid7
    from ropewalk.schedules import fire as fires
    from ropewalk.schedules import schedule as schedules
    from ropewalk.schedules.declared import arguments, interval
    from ropewalk.schedules.fire import Cause
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
            carry_out(house, lambda found: found.schedule == one.name and not found.backfill)
    with house.site.db.read() as rows:
        made = fires.of_key(rows, one.name, key)
    assert made is not None, "it was written above"
    out.line(f"{one.name}: {made.state}" + (f": {made.note}" if made.note else f", run {made.run}" if made.run else ""))
    out.result(plain_fire(made))
    _require_done(made)
    out.next(f"ropewalk runs {made.run}" if made.run else "ropewalk up", f"ropewalk schedule history {one.name}")


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
    from ropewalk.house import carry_out
    from ropewalk.schedules import fire as fires

    told = 0
    with out.progress(f"backfill of {made.schedule}", total) as bar:

        def tell() -> None:
            nonlocal told
            with house.site.db.read() as rows:
                over = sum(it.state not in fires.OPEN for it in fires.of_backfill(rows, made.id))
            bar.advance(over - told)
            told = over

        carry_out(house, lambda it: it.backfill == made.id, tell=tell)


def _show(house: House, made: Backfill, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.schedules import backfill as backfills
    from ropewalk.schedules import fire as fires

    with house.site.db.read() as rows:
        now = backfills.get(rows, made.id)
        own = fires.of_backfill(rows, made.id)
    states = Counter(it.state for it in own)
    if len(own) <= INTERVALS_SHOWN:
        out.table(("interval", "state", "run", "note"), [(_interval(it), it.state, it.run[:13], it.note) for it in own])
    told = ", ".join(f"{number} {state}" for state, number in states.items())
    out.line(f"backfill of {now.schedule} {now.state}: {len(own)} interval{'s' if len(own) != 1 else ''}, {told}")
    out.result({**plain_backfill(now, {now.id: dict(states)}), "fires": [plain_fire(it) for it in own]})
    bad = next((it for it in own if it.state == fires.FAILED), None)
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
