"""`ropewalk demo` plays the flights of 2013 through the whole line in a folder of its own."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.cli.ship import LETTERS_MAX, Teller
from ropewalk.cli.typed import as_typed

if TYPE_CHECKING:
    from ropewalk.demo.server import Server
    from ropewalk.demo.story import Ending
    from ropewalk.pipelines.progress import Progress as StepProgress
    from ropewalk.releases.walk import Progress

EXAMPLE = """
ropewalk demo                 # into ./demo
ropewalk demo year --port 0 --fresh
"""
SERVER_PORT = 8470


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add folder and port."""
    parser.add_argument("folder", nargs="?", default="demo", metavar="FOLDER", help="made if not there")
    parser.add_argument("--fresh", action="store_true", help="delete what an earlier demo left there")
    parser.add_argument("--port", type=int, default=None, help="of the server; 8470 or a free one when left out")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Play, then show where one prediction came from; on a terminal the console stays up."""
    from ropewalk.demo import project
    from ropewalk.demo.server import Server, free_port, on_terminal
    from ropewalk.demo.story import Play

    root = Path(options.folder).resolve()
    project.lay_out(root, fresh=options.fresh)
    # The example's tests need no plugin of whoever's environment it is played in, and loading them all takes seconds.
    os.environ.setdefault("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    out.line(f"A year of flights from New York is played in {options.folder}/ ; it takes two to three minutes.")
    with Server(root, free_port(SERVER_PORT) if options.port is None else options.port) as server:
        out.now(f"console {server.url}/  (look while it plays)")
        ending = Play(root, server, Speech(out)).play()
        _evidence(root, ending, out)
        _farewell(options.folder, server, ending, out)
        out.result({"url": server.url, "folder": options.folder, "prediction": ending.prediction})
        if on_terminal():
            out.now("\nConsole and endpoint stay up until Ctrl-C.")
            server.stay()
        else:
            out.now("\nThe server stops now. This brings console and endpoint back:")
            out.now(f"  {as_typed(_up(options.folder, server))}")


def _up(folder: str, server: Server) -> str:
    port = "" if server.port == SERVER_PORT else f" --port {server.port}"
    return f"ropewalk --project {folder} up{port}"


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
        self._out.now(title, style="bold")

    def say(self, text: str) -> None:
        """Say one line."""
        self._out.now(f"  {text}")

    def stage(self, progress: Progress) -> None:
        """Tell of a stage of a delivery; looks at a canary that change nothing are left out."""
        if not progress.text.startswith("keep watching"):
            self._teller.tell(progress)

    def step(self, progress: StepProgress) -> None:
        """Tell of a step of a pipeline once it has ended."""
        from ropewalk.cli.run import line_of

        text = line_of(progress)
        if text:
            self.say(text)


def _evidence(root: Path, ending: Ending, out: Output) -> None:
    """Trace the last prediction, answer it again, check everything."""
    from ropewalk.evidence.replay import replay
    from ropewalk.evidence.trace import trace
    from ropewalk.evidence.verify import verify
    from ropewalk.house import open_house, score

    out.line()
    out.now("6. The evidence: where does the last answer come from, is it the same again, does all hold?", style="bold")
    with open_house(root, create=False) as home:
        for link in trace(home.site, ending.prediction).links:
            text = f"{link.title}: {link.told}"
            out.line(f"  {link.kind:<12}{text if len(text) <= LETTERS_MAX else text[: LETTERS_MAX - 4] + ' ...'}")
        again = replay(home.site, ending.prediction, score(home))
        out.line(f"  replayed    {'the same bits' if again.equal else 'OTHER BITS'}: {dict(again.now)}")
        report = verify(home.site)
        held = "everything holds" if report.holds else f"{len(report.findings)} things do not hold"
        counts = f"{report.entries:,} ledger entries, {report.blobs:,} blobs, {report.segments:,} captured segments"
        out.line(f"  verified    {held}: {counts}")


def _farewell(folder: str, server: Server, ending: Ending, out: Output) -> None:
    out.line()
    out.line(
        f"{ending.predictions:,} predictions answered, {ending.lost} lost, in {ending.seconds:.0f} s; "
        f"{ending.champion} is live."
    )
    out.line()
    out.line(f"console  {server.url}/")
    body = shlex.quote(json.dumps({"records": [ending.row]}))
    out.line(f"ask it   curl -s {server.url}/endpoints/flights/predict -H 'Content-Type: application/json' -d {body}")
    prefix = f"ropewalk --project {folder}"
    out.next(f"{prefix} status", f"{prefix} trace {ending.prediction}", f"{prefix} diff train-1 train-2")
