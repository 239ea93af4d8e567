"""`ropewalk spool` shows and sends what trainings kept while their server was away, and what it then refused."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output

if TYPE_CHECKING:
    from ropewalk.tracking.journal import Journal

EXAMPLE = """
ropewalk spool status
ropewalk spool sync
ropewalk spool retry                           # what the server refused, once more
ropewalk spool drop 0001764500000000-71-a1b2c3-2
ropewalk spool sync --url http://127.0.0.1:8470 --folder /scratch/job-7/.ropewalk/spool
"""
SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do, where the calls lie and where they go."""
    words = "show what is kept, send it, send what was refused once more, or delete what was refused"
    parser.add_argument("verb", choices=("status", "sync", "retry", "drop"), help=words)
    parser.add_argument("name", nargs="?", default="", help="of what was refused; retry takes all of it without one")
    parser.add_argument("--folder", default="", help="where the calls lie (.ropewalk/spool of the project)")
    parser.add_argument("--url", default="", help="another server than the one that they were made to")


def handle(options: argparse.Namespace, out: Output) -> int:
    """Do it; exit status 1 when something is left or was refused."""
    from ropewalk.errors import Invalid
    from ropewalk.tracking.journal import journals

    folder = Path(options.folder) if options.folder else options.project / ".ropewalk" / "spool"
    if (options.name and options.verb in ("status", "sync")) or (not options.name and options.verb == "drop"):
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where=f"ropewalk spool {options.verb}",
            why="drop takes the name of what was refused, retry may, status and sync take none",
            fix="ropewalk spool status",
        )
    if options.verb == "retry":
        return _retry(folder, options.name, options.url, out)
    if options.verb == "drop":
        return _drop(folder, options.name, out)
    found = journals(folder)
    return _sync(folder, found, options.url, out) if options.verb == "sync" else _status(folder, found, out)


def _retry(folder: Path, name: str, url: str, out: Output) -> int:
    from ropewalk.tracking import refused
    from ropewalk.tracking.replay import replay

    wanted = [refused.find(folder, name)] if name else refused.listed(folder)
    sent, away, left = 0, "", list[str]()
    for one in wanted:
        with one.held():
            done = replay(one, url=url)
            again = None if done.waiting else refused.settle(one)
        sent, away = sent + done.sent, done.away or away
        if done.waiting:
            left.append(one.folder.name)
        elif again is not None:
            left.append(again.folder.name)
    _refusals(folder, out)
    out.line(f"{sent} calls sent" if wanted else "nothing was refused")
    if away:
        out.line(f"the server is away ({away})", style="yellow")
    out.result({"sent": sent, "refused": left, "away": away})
    out.next(f"ropewalk spool drop {left[0]}" if left else "ropewalk spool status")
    return 1 if left else 0


def _drop(folder: Path, name: str, out: Output) -> int:
    from ropewalk.tracking import refused

    found = refused.find(folder, name)
    calls = len(found)
    with found.held():
        refused.drop(found)
    out.line(f"{calls} refused calls are deleted")
    out.result({"dropped": calls, "name": name})
    out.next("ropewalk spool status")
    return 0


def _status(folder: Path, found: list[Journal], out: Output) -> int:
    from ropewalk.clock import iso
    from ropewalk.tracking import refused

    rows: list[dict[str, object]] = []
    for journal in found:
        standing, first = journal.standing(), next(journal.calls(), None)
        rows.append(
            {
                "journal": journal.folder.name,
                "server": journal.url,
                "began": iso(first.at_us)[:19] if first else "",
                "alive": _lives(journal.pid),
                "waiting": journal.waiting,
                "refused": dict(standing.refused),
            }
        )
    out.table(
        ("journal", "server", "began", "waiting", "refused", "its process"),
        [
            (
                row["journal"],
                row["server"],
                row["began"],
                row["waiting"],
                len(journal.standing().refused),
                "lives and sends them itself" if row["alive"] else "is gone",
            )
            for row, journal in zip(rows, found, strict=True)
        ],
    )
    lying = refused.listed(folder)
    _refusals(folder, out)
    waiting = sum(journal.waiting for journal in found)
    kept = found or lying
    out.line(f"{waiting} calls wait" if kept else "nothing is kept: every call reached its server")
    shown = [
        {"name": one.folder.name, "server": one.url, "calls": len(one), "words": refused.words(one)} for one in lying
    ]
    out.result({"journals": rows, "waiting": waiting, "refused": shown})
    out.next(*_after(waiting, lying))
    return 0


def _sync(folder: Path, found: list[Journal], url: str, out: Output) -> int:
    from ropewalk.tracking import refused
    from ropewalk.tracking.replay import named, replay

    total = sum(journal.waiting for journal in found)
    sent, lost, away, ids = 0, 0, "", dict[str, str]()
    with out.progress("sending", total) as bar:
        for journal in found:
            with journal.held():
                done = replay(journal, url=url, on_call=lambda _: bar.advance())
                if not done.waiting:
                    refused.bury(journal)
            sent, lost, away = sent + done.sent, lost + done.refused, done.away or away
            ids |= named(journal.standing().ids)
            if not journal.waiting and not _lives(journal.pid):
                journal.remove()
    _refusals(folder, out)
    waiting = total - sent - lost
    out.line(f"{sent} calls sent" + (f", {lost} refused" if lost else ""))
    for mine, theirs in ids.items():
        out.line(f"{mine} is {theirs} on the server", style="dim")
    if away:
        out.line(f"{waiting} calls wait: the server is away ({away})", style="yellow")
    out.result({"sent": sent, "refused": lost, "waiting": waiting, "away": away, "ids": ids})
    out.next(*_after(waiting, refused.listed(folder)))
    return 1 if waiting or lost else 0


def _after(waiting: int, lying: list[Journal]) -> tuple[str, ...]:
    if waiting:
        return ("ropewalk spool sync",)
    if lying:
        return ("ropewalk spool retry", f"ropewalk spool drop {lying[0].folder.name}")
    return ("ropewalk runs",)


def _refusals(folder: Path, out: Output) -> None:
    from ropewalk.tracking import refused

    words = [f"{one.folder.name}: {told}" for one in refused.listed(folder) for told in refused.words(one)]
    for told in words[:SHOWN]:
        out.line(f"refused  {told}", style="red")
    if len(words) > SHOWN:
        out.line(f"... and {len(words) - SHOWN} more, see --json")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid > 0
