"""`ropewalk restore RUN --into FOLDER` writes out code, data and model of a run, byte for byte."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk restore train-1 --into ../train-1     # beside the project, so that its tests stay its own
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the run and the folder."""
    parser.add_argument("run", metavar="RUN", help="id, its first letters, or name")
    parser.add_argument("--into", required=True, metavar="FOLDER", help="a folder that is not there yet, or is empty")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Write it, each file checked against its digest."""
    from ropewalk.house import open_house
    from ropewalk.runs import run as runs
    from ropewalk.runs.restore import restore

    with open_house(options.project, create=False) as house:
        with house.site.db.read() as rows:
            run = runs.find(rows, options.run)
        with out.progress(f"writing {run.name}"):
            done = restore(house.site, run.id, Path(options.into))
    out.table(("file", "sha256"), [(file.path, file.digest.removeprefix("sha256:")[:16]) for file in done.files])
    out.line(f"code, data and models of {run.name} stand in {options.into}, every digest checked")
    out.result({"run": run.id, "folder": options.into, "files": {file.path: file.digest for file in done.files}})
    out.next(f"ls {shlex.quote(options.into)}", f"ropewalk runs {run.id}")
