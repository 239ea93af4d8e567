"""`ropewalk ship` walks a model through the nine stages; a killed walk goes on where it stopped."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output

if TYPE_CHECKING:
    from ropewalk.releases.walk import Progress

EXAMPLE = """
ropewalk ship
ropewalk ship flights/4 --no-wait
ropewalk ship --release flights/4          # go on, after an approval or a failed stage
"""
LETTERS_MAX = 160
MARKS = {"passed": "+", "failed": "x", "skipped": "-", "waiting": "~"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to ship and where."""
    parser.add_argument(
        "model", nargs="?", default="", metavar="MODEL", help="NAME/VERSION or a version; newest if none"
    )
    parser.add_argument("--release", default="", metavar="RELEASE", help="go on with this release")
    parser.add_argument("--environment", default="production", help="where it is to serve")
    parser.add_argument("--no-wait", action="store_true", help="leave as soon as the canary has begun")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Print each stage as it ends."""
    from ropewalk.house import open_house, ship
    from ropewalk.releases import outcome

    with open_house(options.project, create=False) as house:
        done = ship(
            house,
            model=options.model,
            release=options.release,
            environment=options.environment,
            on_progress=Teller(out).tell,
            wait=not options.no_wait,
        )
        with house.site.db.read() as rows:
            stages = outcome.outcomes(rows, done.id)
    out.line()
    out.line(f"{done.id} is {done.state}", style="bold")
    out.result(
        {
            "release": done.id,
            "state": done.state,
            "bundle": done.bundle,
            "stages": [{"stage": one.stage, "state": one.state, "evidence": one.evidence} for one in stages],
        }
    )
    if done.state == "waiting":
        out.next(f"ropewalk approve {done.id}", f"ropewalk ship --release {done.id}")
    elif done.state == "canary":
        out.next("ropewalk up", "ropewalk status")
    else:
        out.next("ropewalk up", "ropewalk status", "ropewalk rollback")


class Teller:
    """Prints a line for each stage when it ends, and what a canary shows while it climbs.

    Args:
        out: where to.
        indent: before each line.
    """

    def __init__(self, out: Output, indent: str = "") -> None:
        self._out = out
        self._indent = indent
        self._named = ""

    def tell(self, progress: Progress) -> None:
        """Print one line of progress, where there is something to say."""
        from ropewalk.releases.outcome import STAGES

        if progress.release != self._named:
            self._named = progress.release
            self._out.line(f"{self._indent}{progress.release}", style="bold")
        if progress.state == "begins" or not progress.text:
            return
        number = STAGES.index(progress.stage) + 1
        if progress.state == "doing" and progress.stage != "canary":
            return
        mark = MARKS.get(progress.state, " ")
        text = progress.text if len(progress.text) <= LETTERS_MAX else progress.text[: LETTERS_MAX - 4] + " ..."
        self._out.line(f"{self._indent}  {mark} {number} {progress.stage:<8} {text}")
