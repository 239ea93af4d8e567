"""`ropewalk export` writes the pipeline out for an orchestrator, or runs, files and models as MLflow keeps them."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.errors import Invalid

if TYPE_CHECKING:
    from ropewalk.exchange.depart import Target

EXAMPLE = """
ropewalk export airflow                          # the project's pipeline, to exports/airflow/
ropewalk export argo pipeline.py:train leaves=7,15 --image registry.example/flights:1
ropewalk export prefect pipeline.py:train --check          # exit status 1 when the file is not current
ropewalk export mlflow ./mlruns                  # MLFLOW_ALLOW_FILE_STORE=true lets MLflow read it
mlflow migrate-filestore --source ./mlruns --target sqlite:///mlflow.db        # and this makes a database of it
ropewalk export mlflow http://127.0.0.1:5000
"""


MLFLOW = "mlflow"
TARGETS = ("airflow", "argo", "kubeflow", "prefect")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the target."""
    parser.add_argument("kind", choices=(*TARGETS, MLFLOW), help="who is to read it")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[FILE.py:FUNCTION] [NAME=VALUE]",
        help="the pipeline and its arguments; for mlflow: a folder that is not there yet, or the address of a server",
    )
    parser.add_argument(
        "--output", default="", metavar="FILE", help="relative to the project; exports/WHO/ if not said"
    )
    parser.add_argument("--image", default="", metavar="IMAGE", help="container image with Ropewalk and the project")
    parser.add_argument(
        "--secret", default="", metavar="NAME", help="Kubernetes Secret with the variables of the steps"
    )
    parser.add_argument("--schedule", default="", metavar="NAME", help="which schedule is meant; none for none")
    parser.add_argument("--check", action="store_true", help="write nothing; say whether the file is current")


def handle(options: argparse.Namespace, out: Output) -> int:
    """Write it out; exit status 1 when something was left out, or when a checked file is not current."""
    if options.kind != MLFLOW:
        from ropewalk.cli.exported import pipeline

        return pipeline(options, out)
    if len(options.words) != 1:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where="ropewalk export mlflow",
            why="one folder or address is named",
            fix="ropewalk export mlflow ./mlruns",
        )
    (target,) = options.words
    from ropewalk.cli.import_ import report
    from ropewalk.exchange.depart import depart
    from ropewalk.exchange.ours import ProjectSource
    from ropewalk.house import open_house

    with open_house(options.project, create=False) as house, out.progress("exporting") as bar:

        def on_step(text: str) -> None:
            bar.note(text)
            bar.advance()

        tally = depart(ProjectSource(house.site), _target(target), on_step=on_step)
    out.result({"target": target, **report(tally, "went", out)})
    if "://" not in target:
        out.next(f"MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {shlex.quote(target)}")
    return 1 if tally.refused else 0


def _target(text: str) -> Target:
    from urllib.parse import urlsplit

    if urlsplit(text).scheme in ("http", "https"):
        from ropewalk.exchange.towards import ServerTarget

        return ServerTarget(text)
    from ropewalk.exchange.mlruns import FolderTarget
    from ropewalk.exchange.opened import path_of

    return FolderTarget(path_of(text))
