"""`ropewalk spool status|sync` shows and sends the calls that trainings kept while their tracking server was away."""

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
ropewalk spool sync --url http://127.0.0.1:8470 --folder /scratch/job-7/.ropewalk/spool
"""
SHOWN = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to do, where the calls lie and where they go."""
    parser.add_argument("verb", choices=("status", "sync"), help="show what is kept, or send it")
    parser.add_argument("--folder", default="", help="where the calls lie (.ropewalk/spool of the project)")
    parser.add_argument("--url", default="", help="another server than the one that they were made to")


def handle(options: argparse.Namespace, out: Output) -> int:
    """Do it; exit status 1 when something is left or was refused."""
    from ropewalk.tracking.journal import journals

    folder = Path(options.folder) if options.folder else options.project / ".ropewalk" / "spool"
    found = journals(folder)
    return _sync(found, options.url, out) if options.verb == "sync" else _status(found, out)


def _status(found: list[Journal], out: Output) -> int:
    from ropewalk.clock import iso

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
    _refusals(found, out)
    waiting = sum(journal.waiting for journal in found)
    out.line(f"{waiting} calls wait" if found else "nothing is kept: every call reached its server")
    out.result({"journals": rows, "waiting": waiting})
    out.next("ropewalk spool sync" if waiting else "ropewalk runs")
    return 0


def _sync(found: list[Journal], url: str, out: Output) -> int:
    from ropewalk.tracking.replay import named, replay

    total = sum(journal.waiting for journal in found)
    sent, refused, away, ids = 0, 0, "", dict[str, str]()
    with out.progress("sending", total) as bar:
        for journal in found:
            with journal.held():
                done = replay(journal, url=url, on_call=lambda _: bar.advance())
            sent, refused, away = sent + done.sent, refused + done.refused, done.away or away
            ids |= named(journal.standing().ids)
            if not journal.waiting and not journal.standing().refused and not _lives(journal.pid):
                journal.remove()
    _refusals(found, out)
    waiting = total - sent - refused
    out.line(f"{sent} calls sent" + (f", {refused} refused" if refused else ""))
    for mine, theirs in ids.items():
        out.line(f"{mine} is {theirs} on the server", style="dim")
    if away:
        out.line(f"{waiting} calls wait: the server is away ({away})", style="yellow")
    out.result({"sent": sent, "refused": refused, "waiting": waiting, "away": away, "ids": ids})
    out.next("ropewalk spool sync" if waiting else "ropewalk runs")
    return 1 if waiting or refused else 0


def _refusals(found: list[Journal], out: Output) -> None:
    words = [f"{number}: {told}" for journal in found for number, told in journal.standing().refused.items()]
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
