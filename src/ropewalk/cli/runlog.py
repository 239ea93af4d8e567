"""What `ropewalk runs cancel` and `ropewalk runs logs` do."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.errors import Invalid, NotFound

if TYPE_CHECKING:
    from ropewalk.runs.run import Run
    from ropewalk.site import Site

LOOK_SECONDS = 0.2
PIECE_BYTES = 64 << 10


def cancel(words: list[str], options: argparse.Namespace, out: Output) -> None:
    """Cancel a run: `ropewalk runs cancel RUN`."""
    from ropewalk.cli.run import command_of
    from ropewalk.house import open_house
    from ropewalk.pipelines.cancel import cancel as cancel_run
    from ropewalk.runs import run as runs

    (name,) = _words(words, 1, 1, "ropewalk runs cancel RUN")
    with open_house(options.project, create=False) as house:
        with house.site.db.read() as rows:
            found = runs.find(rows, name)
        done = cancel_run(house.site, found.id)
    out.line(f"{done.run.name} {done.run.state}: its steps were ended, what has finished is kept", style="bold")
    out.result({"id": done.run.id, "name": done.run.name, "state": done.run.state, "ended": done.ended})
    out.next(command_of(done.run))


def logs(words: list[str], options: argparse.Namespace, out: Output) -> None:
    """Print what a run's steps printed, and with -f what they print from now on: `ropewalk runs logs RUN [STEP]`."""
    from ropewalk.house import open_house
    from ropewalk.runs import run as runs

    name, step = (*_words(words, 1, 2, "ropewalk runs logs RUN [STEP]"), "")[:2]
    with open_house(options.project, create=False) as house:
        with house.site.db.read() as rows:
            found = runs.find(rows, name)
        told: dict[str, str] = {}
        for node, text in _pieces(house.site, found, step, follow=options.follow):
            if node not in told and not step:
                out.line(f"== {node}", style="bold")
            told[node] = told.get(node, "") + text
            out.now(text.rstrip("\n"))
    out.result({"run": found.id, "name": found.name, "logs": told})
    out.next(f"ropewalk runs {found.name}", f"ropewalk runs logs {found.name} -f")


def _words(words: list[str], least: int, most: int, usage: str) -> list[str]:
    if not least <= len(words) <= most:
        raise Invalid(
            "usage", "The command line is not understood.", where=usage, why="a run is named", fix="ropewalk runs"
        )
    return words


def _pieces(site: Site, run: Run, step: str, *, follow: bool) -> Iterator[tuple[str, str]]:
    """Yield what steps printed, a node and a text at a time; of steps that run, as it comes."""
    from ropewalk.pipelines import outcomes
    from ropewalk.pipelines.logs import logs_of
    from ropewalk.runs import run as runs

    read: dict[str, int] = {}
    folder = site.hidden / "logs" / run.id
    while True:
        with site.db.read() as rows:
            now = runs.get(rows, run.id)
            running = now.state == runs.RUNNING and now.alive(site.clock.now_us())
            steps = outcomes.steps_of(rows, run.id, running=running)
            kept = logs_of(rows, run.id)
        nodes = [item.node for item in steps if step in ("", item.node)]
        if step and not nodes and not (follow and running):
            raise NotFound(
                "step-not-found",
                f"The run {run.name} has no step {step[:80]!r}.",
                why=f"it has {', '.join(item.node for item in steps[:10]) or 'none'}",
                fix=f"ropewalk runs logs {run.name}",
            )
        for node in nodes:
            if node in kept and not read.get(node):
                read[node] = max(1, kept[node].bytes)
                yield node, kept[node].text(site.blobs)
            else:
                yield from ((node, text) for text in _tail(folder / f"{node}.log", read, node))
        if not (follow and running):
            return
        time.sleep(LOOK_SECONDS)


def _tail(path: Path, read: dict[str, int], node: str) -> Iterator[str]:
    """Yield what a file holds beyond what was read of it."""
    try:
        with path.open("rb") as file:
            file.seek(read.get(node, 0))
            while piece := file.read(PIECE_BYTES):
                read[node] = read.get(node, 0) + len(piece)
                yield piece.decode(errors="replace")
    except OSError:
        return
