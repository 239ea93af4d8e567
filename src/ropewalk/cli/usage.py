"""`ropewalk usage` shows what each workspace was used for, by user and day, as the server wrote it."""

from __future__ import annotations

import argparse
import csv
import io
from dataclasses import asdict

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk usage                                  # thirty days, every workspace
ropewalk usage --workspace team-a --since 2026-11-01
ropewalk usage --csv > november.csv
"""

# Usage is kept by the host: `--workspace` says which one is shown, not where to work.
OF_HOST = True


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add since when, and in which form; `--workspace` names one of them."""
    parser.add_argument("--since", default="", metavar="DAY", help="such as 2026-11-01; thirty days ago if left out")
    parser.add_argument("--csv", action="store_true", help="comma-separated values with a head line")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Print one line for each workspace, user and day."""
    from ropewalk.api.workspaces import days, since_of
    from ropewalk.house import open_house
    from ropewalk.workspaces import workspace

    with open_house(options.project, create=False) as house, house.site.db.read() as rows:
        named = [workspace.get(rows, options.workspace)] if options.workspace else workspace.listed(rows, deleted=True)
        found = days(rows, named, since=since_of(options.since, house.site.clock.now_us()))
    columns = ("day", "workspace", "user", "requests", "refused", "bytes_in", "bytes_out", "busy_ms", "runs")
    lines = [tuple(getattr(one, name) for name in columns) for one in found]
    if options.csv and not options.json:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows([columns, *map(_harmless, lines)])
        out.stdout.write(text.getvalue())
        return
    if lines:
        out.table(tuple(name.replace("_", " ") for name in columns), lines)
    else:
        out.line("nothing was used in this time: usage is written while `ropewalk up` serves")
    out.result([asdict(one) for one in found])
    out.next("ropewalk usage --csv" if lines else "ropewalk up")


def _harmless(line: tuple[object, ...]) -> list[object]:
    """Return a line in which no text begins like a formula of a spreadsheet."""
    return [f"'{one}" if isinstance(one, str) and one[:1] in "=+-@\t\r" and one else one for one in line]
