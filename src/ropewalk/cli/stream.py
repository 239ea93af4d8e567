"""`ropewalk stream` shows the topics that are scored, `ropewalk stream NAME` scores one until Ctrl-C."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.errors import NotFound

if TYPE_CHECKING:
    from ropewalk.house import House
    from ropewalk.parts import Stream

EXAMPLE = """
ropewalk stream                     # what is scored, how much waits, what is dead
ropewalk stream scores              # score the topic until Ctrl-C
ropewalk stream scores --pause
ropewalk stream scores --resume
ropewalk stream scores --dead       # messages that could not be scored, and why
ropewalk stream scores --replay ID ID
"""
SHOWN = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the stream and what to do with it."""
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="a stream of ropewalk.toml")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--pause", action="store_true", help="let its consumers take nothing more")
    what.add_argument("--resume", action="store_true", help="let them go on")
    what.add_argument("--dead", action="store_true", help="list messages that could not be scored")
    what.add_argument("--replay", nargs="+", default=[], metavar="ID", help="let dead messages be scored again")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Show, change, or consume."""
    from ropewalk.house import open_house
    from ropewalk.streams import outcome

    with open_house(options.project, create=False) as house:
        if not options.name:
            _list(house, out)
            return
        stream = _named(house, options.name)
        db, site = house.site.db, house.site
        if options.pause or options.resume:
            db.write(lambda tx: outcome.pause(tx, site, stream.name, paused=options.pause))
            out.line(f"{stream.name} is paused" if options.pause else f"{stream.name} goes on")
            out.result({"name": stream.name, "paused": options.pause})
            out.next("ropewalk stream")
        elif options.replay:
            db.write(lambda tx: [outcome.revive(tx, site, stream.name, one) for one in options.replay])
            out.line(f"{len(options.replay)} messages will be scored again by the stream's consumer")
            out.result({"name": stream.name, "again": options.replay})
            out.next("ropewalk stream")
        elif options.dead:
            _dead(house, stream, out)
        else:
            _consume(house, stream, out)


def _named(house: House, name: str) -> Stream:
    found = {one.name: one for one in house.settings.streams}.get(name)
    if found is None:
        raise NotFound(
            "stream-not-found",
            "ropewalk.toml has no such stream.",
            where=name[:80],
            why=f"it has {', '.join(one.name for one in house.settings.streams) or 'none'}",
            fix="write [[streams]] into ropewalk.toml",
        )
    return found


def _list(house: House, out: Output) -> None:
    from ropewalk.clock import iso
    from ropewalk.streams.outcome import Seen

    told: list[dict[str, object]] = []
    with house.site.db.read() as rows:
        for one in house.settings.streams:
            seen = rows.get(Seen, "streams.stream", name=one.name)
            counts = {str(row["state"]): row["messages"] for row in rows.rows("streams.counts", stream=one.name)}
            told.append(
                {
                    "name": one.name,
                    "topic": one.topic,
                    "paused": bool(seen and seen.paused),
                    "lag": seen.lag if seen else None,
                    "position": seen.position if seen else "",
                    "seen": iso(seen.seen_us) if seen and seen.seen_us else "",
                    "problem": seen.problem if seen else "",
                    **{state: counts.get(state, 0) for state in ("done", "trying", "again", "dead")},
                }
            )
    columns = tuple(told[0]) if told else ("name", "topic")
    out.table(columns, [list(one.values()) for one in told])
    out.result(told)
    out.next("ropewalk stream NAME", "ropewalk stream NAME --dead")


def _dead(house: House, stream: Stream, out: Output) -> None:
    from ropewalk.streams.outcome import DEAD, Outcome

    with house.site.db.read() as rows:
        found = rows.all(Outcome, "streams.in_state", stream=stream.name, state=DEAD, count=SHOWN)
    out.table(("message", "attempts", "error", "body"), [(o.message, o.attempts, o.error, o.body[:80]) for o in found])
    out.result([asdict(one) for one in found])
    out.next(f"ropewalk stream {stream.name} --replay ID")


def _consume(house: House, stream: Stream, out: Output) -> None:
    from ropewalk.cli import logline
    from ropewalk.streams.connect import connect
    from ropewalk.streams.consume import Consumer, serve

    logline.begin()
    broker = connect(stream)
    out.now(f"{stream.name} scores {stream.topic}; Ctrl-C stops it when the batch that was begun is finished")
    serve(Consumer(house.site, house.settings, stream, broker))
    out.line("stopped")
    out.result({"name": stream.name})
    out.next("ropewalk stream")
