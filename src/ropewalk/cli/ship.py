"""`ropewalk ship` walks a model through the nine stages; a killed walk goes on where it stopped."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.cli.output import Progress as Bar

if TYPE_CHECKING:
    from ropewalk.house import House
    from ropewalk.releases.release import Release
    from ropewalk.releases.walk import Progress

EXAMPLE = """
ropewalk ship
ropewalk ship flights/4 --no-wait
ropewalk ship models:/churn@champion       # what MLflow's client logged: by its signature and its input example
ropewalk ship models:/churn/3 --rows holdout.parquet --target churned       # judged by rows with labels
ropewalk ship model.joblib --rows holdout.csv --target churned              # a model file: docs/guides/formats.md
ropewalk ship --release flights/4          # go on, after an approval or a failed stage
"""
LETTERS_MAX = 160
MARKS = {"passed": "+", "failed": "x", "skipped": "-", "waiting": "~"}
NEXT = {
    "waiting": (),
    "canary": ("ropewalk up", "ropewalk status"),
    "live": ("ropewalk up", "ropewalk status", "ropewalk rollback"),
}
WAITING = (
    "it climbs while requests come in: keep `ropewalk up` running in another terminal",
    "Ctrl-C leaves it where it is; `ropewalk status` shows it, `ropewalk rollback` takes it back",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what to ship and where."""
    parser.add_argument(
        "model",
        nargs="?",
        default="",
        metavar="MODEL",
        help="NAME/VERSION or a version, newest if none; models:/NAME@ALIAS or runs:/RUN/PATH of MLflow's client",
    )
    parser.add_argument("--rows", type=Path, default=None, metavar="FILE", help="Parquet or CSV to judge it by")
    parser.add_argument("--target", default="", metavar="COLUMN", help="the column of labels in it")
    parser.add_argument("--release", default="", metavar="RELEASE", help="go on with this release")
    parser.add_argument("--environment", default="production", help="where it is to serve")
    parser.add_argument("--no-wait", action="store_true", help="leave as soon as the canary has begun")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Print each stage as it ends."""
    from ropewalk.house import open_house, ship
    from ropewalk.models.adopt import Labelled
    from ropewalk.releases import outcome

    with open_house(options.project, create=False) as house:
        with out.progress("shipping") as bar:
            done = ship(
                house,
                model=options.model,
                release=options.release,
                environment=options.environment,
                labelled=Labelled(file=options.rows and options.rows.resolve(), target=options.target),
                on_progress=Teller(out, bar=bar, title=partial(_title, house), waits=not options.no_wait).tell,
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
    out.next(*NEXT.get(done.state, ("ropewalk status",)), *_after(done))


def _after(done: Release) -> tuple[str, ...]:
    """Return what somebody else, or the same person later, types for a release that waits for people."""
    if done.state != "waiting":
        return ()
    return (f"ropewalk approve {done.id}   # somebody other than {done.author}", f"ropewalk ship --release {done.id}")


def _title(house: House, name: str) -> str:
    """Return the line above a release's stages: a release and a model both count up and must not be mixed up."""
    from ropewalk.releases import release

    with house.site.db.read() as rows:
        found = release.get(rows, name)
    return f"release {found.id} of model {found.model}/{found.version} for {found.environment}"


class Teller:
    """Prints a line for each stage when it ends, and what a canary shows while it climbs.

    Args:
        out: where to.
        indent: before each line.
        bar: shows what is being done between the lines; None for nothing.
        title: makes the line above a release's stages of its id.
        waits: whether the command stays until the canary is decided, and says what that takes.
    """

    def __init__(
        self,
        out: Output,
        indent: str = "",
        *,
        bar: Bar | None = None,
        title: Callable[[str], str] = str,
        waits: bool = False,
    ) -> None:
        self._out = out
        self._indent = indent
        self._bar = bar
        self._title = title
        self._waits = waits
        self._named = ""

    def tell(self, progress: Progress) -> None:
        """Print one line of progress, where there is something to say."""
        from ropewalk.releases.outcome import STAGES

        if progress.release != self._named:
            self._named = progress.release
            self._out.now(f"{self._indent}{self._title(progress.release)}", style="bold")
        number = STAGES.index(progress.stage) + 1
        if self._bar is not None and progress.state in ("begins", "doing"):
            self._bar.note(f"stage {number}, {progress.stage} {progress.text}".rstrip())
        if not progress.text or progress.state == "begins":
            return
        if progress.state == "doing" and progress.stage not in ("canary", "live"):
            return
        mark = MARKS.get(progress.state, " ")
        text = progress.text if len(progress.text) <= LETTERS_MAX else progress.text[: LETTERS_MAX - 4] + " ..."
        self._out.now(f"{self._indent}  {mark} {number} {progress.stage:<8} {text}")
        begins = progress.state == "waiting" and progress.stage == "canary" and "must approve" not in text
        if self._waits and (begins or text.endswith("is canary already")):
            for line in WAITING:
                self._out.now(f"{self._indent}             {line}")
