"""`ropewalk demo` plays the flights of 2013 through the whole line in a folder of its own."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.cli.ship import Teller

if TYPE_CHECKING:
    from ropewalk.demo.story import Ending
    from ropewalk.pipelines.progress import Progress as StepProgress
    from ropewalk.releases.walk import Progress

EXAMPLE = """
ropewalk demo                 # into ./demo
ropewalk demo year --port 0 --fresh
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add folder and port."""
    parser.add_argument("folder", nargs="?", default="demo", metavar="FOLDER", help="made if not there")
    parser.add_argument("--fresh", action="store_true", help="delete what an earlier demo left there")
    parser.add_argument("--port", type=int, default=0, help="of the server; 0 takes a free one")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Play, then show where one prediction came from; on a terminal the console stays up."""
    from ropewalk.demo import project
    from ropewalk.demo.server import Server, on_terminal
    from ropewalk.demo.story import Play

    root = Path(options.folder).resolve()
    project.lay_out(root, fresh=options.fresh)
    out.line(f"A year of flights from New York is played in {options.folder}/ ; about a minute and a half.")
    with Server(root, options.port) as server:
        out.line(f"console {server.url}/  (look while it plays)")
        ending = Play(root, server, Speech(out)).play()
        _evidence(root, ending, out)
        _farewell(options.folder, server.url, ending, out)
        out.result({"url": server.url, "folder": options.folder, "prediction": ending.prediction})
        out.stdout.flush()
        if on_terminal():
            out.line("\nThe console stays up until Ctrl-C.")
            server.stay()
        else:
            out.line(
                f"\nThe server stops now. To bring console and endpoint back: ropewalk --project {options.folder} up"
            )


class Speech:
    """Prints the play.

    Args:
        out: where to.
    """

    def __init__(self, out: Output) -> None:
        self._out = out
        self._teller = Teller(out, "  ")

    def act(self, title: str) -> None:
        """Begin an act."""
        self._out.line()
        self._out.line(title, style="bold")
        self._out.stdout.flush()

    def say(self, text: str) -> None:
        """Say one line."""
        self._out.line(f"  {text}")
        self._out.stdout.flush()

    def stage(self, progress: Progress) -> None:
        """Tell of a stage of a delivery."""
        self._teller.tell(progress)
        self._out.stdout.flush()

    def step(self, progress: StepProgress) -> None:
        """Tell of a step of a pipeline once it has ended."""
        text = step_line(progress)
        if text:
            self.say(text)


def step_line(progress: StepProgress) -> str:
    """Return one line for a step that ended, or nothing."""
    from ropewalk.cli.run import line_of

    return line_of(progress)


def _evidence(root: Path, ending: Ending, out: Output) -> None:
    """Trace the last prediction, answer it again, check everything."""
    from ropewalk.evidence.replay import replay
    from ropewalk.evidence.trace import trace
    from ropewalk.evidence.verify import verify
    from ropewalk.house import open_house, score

    out.line()
    out.line(
        "6. The evidence: where did the last answer come from, is it the same again, does everything hold?",
        style="bold",
    )
    with open_house(root, create=False) as home:
        for link in trace(home.site, ending.prediction).links:
            out.line(f"  {link.kind:<12}{link.title}: {link.told}")
        again = replay(home.site, ending.prediction, score(home))
        out.line(f"  replayed    {'the same bits' if again.equal else 'OTHER BITS'}: {dict(again.now)}")
        report = verify(home.site)
        held = "everything holds" if report.holds else f"{len(report.findings)} things do not hold"
        counts = f"{report.entries:,} ledger entries, {report.blobs:,} blobs, {report.segments:,} captured segments"
        out.line(f"  verified    {held}: {counts}")


def _farewell(folder: str, url: str, ending: Ending, out: Output) -> None:
    out.line()
    out.line(
        f"{ending.predictions:,} predictions answered, {ending.lost} lost, in {ending.seconds:.0f} s; "
        f"{ending.champion} is live."
    )
    out.line()
    out.line(f"console  {url}/")
    body = shlex.quote(json.dumps({"records": [ending.row]}))
    out.line(f"ask it   curl -s {url}/endpoints/flights/predict -H 'Content-Type: application/json' -d {body}")
    prefix = f"ropewalk --project {folder}"
    out.next(f"{prefix} status", f"{prefix} trace {ending.prediction}", f"{prefix} diff train-1 train-2")
