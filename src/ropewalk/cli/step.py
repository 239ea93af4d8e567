"""`ropewalk step` runs one step of a run that an orchestrator drives: what the nodes of an exported pipeline call."""

from __future__ import annotations

import argparse
import signal
import threading
from typing import TYPE_CHECKING, Self

from ropewalk.cli.output import Output
from ropewalk.errors import Interrupted, Invalid, RopewalkError, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from ropewalk.house import House
    from ropewalk.pipelines.onestep import Asked, StepResult
    from ropewalk.pipelines.orchestrated import StepLease
    from ropewalk.pipelines.progress import Progress

EXAMPLE = """
ropewalk step fit pipeline.py:train --run airflow:train/manual-1          # one step, once
ropewalk step --end pipeline.py:train --run airflow:train/manual-1        # nothing of this run is to come any more

exit status: 0 the step is done, now or before; 75 try again; anything else: trying again is of no use
"""
# What sysexits.h calls EX_TEMPFAIL.
AGAIN = 75
OF_NO_USE = 1
LOOK_SECONDS = 0.2


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add step, target, arguments and the orchestrator's run."""
    parser.add_argument(
        "words", nargs="*", metavar="STEP [FILE.py:FUNCTION] [NAME=VALUE]", help="the step, the pipeline, its arguments"
    )
    parser.add_argument(
        "--run", required=True, metavar="WHO:ID", help="the orchestrator's run, the same for all of its steps"
    )
    parser.add_argument("--structure", default="", metavar="HEX", help="refuse another graph than the exported one")
    parser.add_argument("--end", action="store_true", help="close the run instead: no step of it is to come any more")


def handle(options: argparse.Namespace, out: Output) -> int:
    """Run it, with what it prints on our stdout, or close the run."""
    from ropewalk.cli import failure
    from ropewalk.cli.project import require_pipeline
    from ropewalk.cli.run import mended, split
    from ropewalk.house import open_house
    from ropewalk.pipelines.onestep import Asked

    words = list(options.words)
    if not options.end and (not words or "=" in words[0] or ":" in words[0]):
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where="ropewalk step",
            why="the step that is to run is named first",
            fix="ropewalk step --help",
        )
    name = "" if options.end else words.pop(0)
    target, args = split(words)
    require_pipeline(options.project, target)
    # Whoever ends a task ends it by SIGTERM: the step is given back then, so that the next attempt need not wait.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with open_house(options.project) as house, mended(words):
            asked = Asked(
                target=target or house.settings.pipeline, args=args, key=options.run, structure=options.structure
            )
            return _end(house, asked, out) if options.end else _run(house, asked, name, out)
    except KeyboardInterrupt:
        failure.show_interrupt(out)
        return AGAIN
    except RopewalkError as error:
        return _refused(error, out)
    finally:
        signal.signal(signal.SIGTERM, before)


def _refused(error: RopewalkError, out: Output) -> int:
    from ropewalk.cli import failure

    status = failure.show(error, (), out)
    later = isinstance(error, Interrupted | Unavailable) and error.code != "run-cancelled"
    return AGAIN if later else status


def _run(house: House, asked: Asked, name: str, out: Output) -> int:
    from ropewalk.house import of_finished
    from ropewalk.pipelines.onestep import run_step

    with _Followed(out) as followed:
        done = run_step(
            house.site,
            asked,
            name,
            on_progress=lambda progress: _tell(progress, out),
            on_wait=lambda lease: _waits(lease, out),
            on_log=followed.follow,
            on_finish=of_finished(house),
        )
    return _show(done, out)


def _tell(progress: Progress, out: Output) -> None:
    if progress.message:
        out.now(f"{progress.node} {progress.state}: {progress.message}")


def _show(done: StepResult, out: Output) -> int:
    from ropewalk.cli import failure

    if done.error is not None:
        status = failure.show(done.error, (), out)
        out.line("the orchestrator may try it again" if done.again else "it has been tried as often as it may be")
        return AGAIN if done.again else status
    row = done.step
    took = "from the cache" if done.hit else f"attempt {row.attempt}"
    out.line(f"{row.node} {row.state}, {took}; {done.run.name} {done.run.state}", style="bold")
    out.result(
        {
            "run": done.run.id,
            "name": done.run.name,
            "run_state": done.run.state,
            "step": row.node,
            "state": row.state,
            "hit": done.hit,
            "attempt": row.attempt,
            "why": list(row.reasons()),
        }
    )
    return 0


def _end(house: House, asked: Asked, out: Output) -> int:
    from ropewalk.house import of_finished
    from ropewalk.pipelines.closing import end_run

    run = end_run(house.site, asked.target, asked.args, asked.key, on_finish=of_finished(house))
    told = f": {run.error}" if run.error else ""
    out.line(f"{run.name} {run.state}{told}", style="bold")
    out.result({"run": run.id, "name": run.name, "run_state": run.state, "error": run.error})
    return 0 if run.state == "finished" else OF_NO_USE


def _waits(lease: StepLease, out: Output) -> None:
    out.now(f"process {lease.pid} on {lease.host} runs {lease.node}; waiting for it")


class _Followed:
    """What a step prints, handed on to our stdout while it runs."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def follow(self, path: Path, begin: int) -> None:
        """Hand on what comes into a file, which need not be there yet, from a place in it on."""
        if not self._out.json:
            self._thread = threading.Thread(target=self._read, args=(path, begin), name="ropewalk-log", daemon=True)
            self._thread.start()

    def _read(self, path: Path, begin: int) -> None:
        while not path.exists():
            if self._over.wait(LOOK_SECONDS) and not path.exists():
                return
        with path.open(errors="replace") as file:
            file.seek(begin)
            begun = ""
            while True:
                over = self._over.wait(LOOK_SECONDS)
                for text in file:
                    begun += text  # a line that is half written is told when it is whole, or when nothing follows
                    if begun.endswith("\n"):
                        self._out.now(begun.rstrip("\n"))
                        begun = ""
                if over:
                    if begun:
                        self._out.now(begun)
                    return
