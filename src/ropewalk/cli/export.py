"""`ropewalk export mlflow TARGET` writes runs, files and models out as MLflow keeps them."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output

if TYPE_CHECKING:
    from ropewalk.exchange.depart import Target

EXAMPLE = """
ropewalk export mlflow ./mlruns                  # MLFLOW_ALLOW_FILE_STORE=true lets MLflow read it
mlflow migrate-filestore --source ./mlruns --target sqlite:///mlflow.db        # and this makes a database of it
ropewalk export mlflow http://127.0.0.1:5000
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the target."""
    parser.add_argument("kind", choices=("mlflow",), help="who is to read it")
    parser.add_argument("target", metavar="TARGET", help="a folder that is not there yet, or the address of a server")


def handle(options: argparse.Namespace, out: Output) -> int:
    """Write it out; exit status 1 when something was left out."""
    from ropewalk.cli.import_ import report
    from ropewalk.exchange.depart import depart
    from ropewalk.exchange.ours import ProjectSource
    from ropewalk.house import open_house

    with open_house(options.project, create=False) as house, out.progress("exporting") as bar:

        def on_step(text: str) -> None:
            bar.note(text)
            bar.advance()

        tally = depart(ProjectSource(house.site), _target(options.target), on_step=on_step)
    out.result({"target": options.target, **report(tally, "went", out)})
    if "://" not in options.target:
        out.next(f"MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {shlex.quote(options.target)}")
    return 1 if tally.refused else 0


def _target(text: str) -> Target:
    from urllib.parse import urlsplit

    if urlsplit(text).scheme in ("http", "https"):
        from ropewalk.exchange.towards import ServerTarget

        return ServerTarget(text)
    from ropewalk.exchange.mlruns import FolderTarget
    from ropewalk.exchange.opened import path_of

    return FolderTarget(path_of(text))
