"""`ropewalk schedule` shows what starts by itself and when, pauses, resumes, starts now, and backfills the past."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import msgspec

from ropewalk.cli.output import Output
from ropewalk.cli.parse import count
from ropewalk.errors import Invalid

if TYPE_CHECKING:
    from ropewalk.house import House
    from ropewalk.schedules.schedule import Schedule

EXAMPLE = """
ropewalk schedule                       # what starts by itself, and when next
ropewalk schedule next monthly --count 5
ropewalk schedule pause monthly && ropewalk schedule resume monthly
ropewalk schedule run monthly           # now, without waiting for its time
ropewalk schedule backfill monthly --from 2013-01 --to 2013-12 --parallel 2 --dry-run
ropewalk schedule history monthly
ropewalk schedule secret on-push        # the secret of a webhook, shown once
"""
ACTIONS = ("list", "show", "next", "pause", "resume", "run", "backfill", "history", "secret")
NEXT_SHOWN = 5


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do, with which schedule, and the range of a backfill."""
    parser.add_argument("action", nargs="?", default="list", choices=ACTIONS)
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="of the schedule")
    parser.add_argument("--count", type=count, default=0, help="how many: times of next, starts of history")
    parser.add_argument("--from", dest="first", default="", metavar="DATE", help="backfill: the first, such as 2013-01")
    parser.add_argument("--to", dest="last", default="", metavar="DATE", help="backfill: the last, included")
    parser.add_argument("--parallel", type=count, default=1, help="backfill: how many intervals run at once")
    parser.add_argument("--dry-run", action="store_true", help="backfill: say what would run, and run nothing")
    parser.add_argument("--again", action="store_true", help="backfill: ask the cache for the done ones too")
    parser.add_argument("--detach", action="store_true", help="run, backfill: leave the work to `ropewalk up`")
    parser.add_argument("--cancel", action="store_true", help="backfill: stop what of it waits or runs")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Read what is declared, then do it."""
    from ropewalk.cli import scheduled
    from ropewalk.cli.project import require_project
    from ropewalk.house import open_house
    from ropewalk.schedules.declared import renewed

    require_project(options.project)
    _complete(options)
    with open_house(options.project) as house:
        found = renewed(house.site, house.settings)
        if options.action == "list":
            _list(house, found, out)
            return
        act = {
            "show": scheduled.show,
            "next": _next,
            "pause": _pause,
            "resume": _resume,
            "run": scheduled.run,
            "backfill": scheduled.backfill,
            "history": scheduled.history,
            "secret": _secret,
        }[options.action]
        act(house, options, out)


def _complete(options: argparse.Namespace) -> None:
    ranged = options.action == "backfill"
    if bool(options.name) == (options.action == "list"):
        why = "list takes no name, everything else takes the NAME of a schedule"
    elif ranged and not (options.first and options.last):
        why = "a backfill takes --from and --to"
    elif not ranged and (options.first or options.last or options.cancel or options.dry_run or options.again):
        why = "--from, --to, --dry-run, --again and --cancel belong to backfill"
    else:
        return
    raise Invalid(
        "usage",
        "The command line is not understood.",
        where=f"ropewalk schedule {options.action}",
        why=why,
        fix="ropewalk schedule --help",
    )


def _list(house: House, found: list[Schedule], out: Output) -> None:
    from ropewalk.schedules.schedule import REMOVED
    from ropewalk.schedules.shown import shown_backfills, shown_schedule

    now_us = house.site.clock.now_us()
    with house.site.db.read() as rows:
        shown = [shown_schedule(rows, one, now_us) for one in found if one.state != REMOVED]
        filled = [one for one in shown_backfills(rows) if one.state == "open"]
    if not shown:
        out.line("nothing starts by itself yet; say when in the code or in ropewalk.toml:")
        out.line('  @pipeline(schedule="0 6 * * *", timezone="Europe/Berlin")')
        out.line('  [[schedules]]\n  name = "nightly"\n  cron = "0 6 * * *"')
    else:
        out.table(
            ("schedule", "starts", "pipeline", "state", "next", "last"),
            [
                (
                    one.name,
                    one.starts,
                    one.pipeline,
                    one.state,
                    one.next[0] if one.next else "-",
                    f"{one.last.due} {one.last.state}" if one.last else "never",
                )
                for one in shown
            ],
        )
    for one in filled:
        done = one.intervals.get("done", 0)
        out.line(f"backfill of {one.schedule}: {done} of {sum(one.intervals.values())} intervals are done")
    out.result(msgspec.to_builtins(shown))
    if shown:
        out.next(f"ropewalk schedule show {shown[0].name}", f"ropewalk schedule run {shown[0].name}", "ropewalk up")
    else:
        out.next("ropewalk run")


def _next(house: House, options: argparse.Namespace, out: Output) -> None:
    from datetime import UTC, datetime, timedelta

    from ropewalk.schedules import schedule as schedules
    from ropewalk.schedules.declared import second
    from ropewalk.schedules.shown import upcoming
    from ropewalk.schedules.spec import zone_of

    now_us = house.site.clock.now_us()
    with house.site.db.read() as rows:
        one = schedules.live(rows, options.name)
    found = upcoming(one, now_us, options.count or NEXT_SHOWN)
    zone, epoch = zone_of(one.said), datetime(1970, 1, 1, tzinfo=UTC)
    if found:
        local = [(epoch + timedelta(microseconds=at_us)).astimezone(zone) for at_us in found]
        told = [(second(at_us), f"{at:%a %Y-%m-%d %H:%M:%S %Z}") for at_us, at in zip(found, local, strict=True)]
        out.table(("next (UTC)", f"in {one.said.timezone}"), told)
    elif one.state == schedules.PAUSED:
        out.line(f"{one.name} is paused: it starts nothing until it is resumed")
    elif one.said.timed:
        out.line(f"{one.name} has no time left before its end")
    else:
        out.line(f"{one.name} is started by {one.said.when}, at no time of its own")
    out.result({"schedule": one.name, "state": one.state, "next": [second(at_us) for at_us in found]})
    out.next(f"ropewalk schedule {'resume' if one.state == schedules.PAUSED else 'show'} {one.name}")


def _pause(house: House, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.schedules import schedule as schedules

    one = house.site.db.write(lambda tx: schedules.pause(tx, house.site, options.name))
    out.line(f"{one.name} is paused: what runs goes on, and nothing new starts")
    out.result({"schedule": one.name, "state": one.state})
    out.next(f"ropewalk schedule resume {one.name}")


def _resume(house: House, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.schedules import schedule as schedules
    from ropewalk.schedules.declared import second
    from ropewalk.schedules.shown import upcoming

    one = house.site.db.write(lambda tx: schedules.resume(tx, house.site, options.name))
    found = [second(at_us) for at_us in upcoming(one, house.site.clock.now_us(), 1)]
    out.line(f"{one.name} starts again from now on" + "".join(f"; next: {at}" for at in found))
    out.result({"schedule": one.name, "state": one.state, "next": found})
    out.next(f"ropewalk schedule next {one.name}", "ropewalk up")


def _secret(house: House, options: argparse.Namespace, out: Output) -> None:
    from ropewalk.schedules import schedule as schedules

    secret = house.site.db.write(lambda tx: schedules.renew_secret(tx, house.site, options.name))
    path = f"/api/v1/triggers/{options.name}"
    out.line(secret)
    out.line("it is not shown again; the one before it is worth nothing any more")
    out.result({"schedule": options.name, "secret": secret, "path": path})
    url = f"http://127.0.0.1:{house.settings.serve.port}{path}"
    head = "-H 'Content-Type: application/json' -H 'Idempotency-Key: 1'"
    out.next(f"curl -X POST {url} -H 'Authorization: Bearer {secret}' {head} -d '{{}}'", "ropewalk up")
