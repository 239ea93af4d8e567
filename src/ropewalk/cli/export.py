"""`ropewalk export` writes plain files: a pipeline for an orchestrator, a release for containers, runs for MLflow."""

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
ropewalk export --list                           # who may read it
ropewalk export kubernetes                       # the live release, to exports/kubernetes/
ropewalk export compose churn/3 --dry-run        # exit status 1 when what lies there is something else
ropewalk export image churn/3 --base base.tar    # an image, built without Docker
ropewalk export prometheus ml.example.org:8470   # configuration and alerts, to exports/prometheus/
ropewalk export grafana                          # a board, to exports/grafana/
ropewalk export mlflow ./mlruns                  # MLFLOW_ALLOW_FILE_STORE=true lets MLflow read it
mlflow migrate-filestore --source ./mlruns --target sqlite:///mlflow.db        # and this makes a database of it
ropewalk export mlflow http://127.0.0.1:5000
"""


MLFLOW = "mlflow"
TARGETS = ("airflow", "argo", "kubeflow", "prefect")
# What each is, as `--list` says it.
RELEASES = {
    "bundle": "a folder that `ropewalk serve --bundle` answers with, without a project",
    "image": "an image as an OCI archive, built without Docker or root; needs --base",
    "dockerfile": "a folder in which `docker build .` makes the image",
    "compose": "a compose file",
    "swarm": "a stack for Docker Swarm",
    "kubernetes": "Deployment, Service, HPA, PodDisruptionBudget, NetworkPolicy",
    "helm": "the same as a chart",
    "kserve": "an InferenceService of KServe",
    "sagemaker": "inputs of SageMaker's create-model, create-endpoint-config, create-endpoint",
    "vertex": "the body of Vertex AI's models:upload",
    "nginx": "a site of Nginx before `ropewalk serve --bundle`",
    "systemd": "a unit that runs `ropewalk serve --bundle`",
    "postman": "a collection that newman runs",
    "jmeter": "a plan that loads the endpoint",
}
SERVERS = {
    "prometheus": "its configuration and alerts for the server, checked by promtool",
    "grafana": "a board over what the server's /metrics says",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the target."""
    parser.add_argument(
        "kind",
        nargs="?",
        choices=(*TARGETS, *RELEASES, *SERVERS, MLFLOW),
        metavar="WHO",
        help="who is to read it; see --list",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[RELEASE | FILE.py:FUNCTION] [NAME=VALUE]",
        help="a release, what is live if none; the pipeline and its arguments for orchestrators; for mlflow: a folder "
        "that is not there yet, or the address of a server",
    )
    parser.add_argument("--list", action="store_true", help="say who may read what is exported")
    parser.add_argument(
        "--output", default="", metavar="PATH", help="relative to the project; exports/WHO/ if not said"
    )
    parser.add_argument("--environment", default="production", help="whose live release is meant")
    parser.add_argument("--base", default="", metavar="FILE", help="for an image: OCI archive or layout, or rootfs tar")
    parser.add_argument("--image", default="", metavar="IMAGE", help="the container image, by which files name it")
    parser.add_argument(
        "--secret", default="", metavar="NAME", help="Kubernetes Secret with the variables of the steps"
    )
    parser.add_argument("--schedule", default="", metavar="NAME", help="which schedule is meant; none for none")
    parser.add_argument(
        "--check", "--dry-run", action="store_true", dest="check", help="write nothing; say how what lies there differs"
    )


def handle(options: argparse.Namespace, out: Output) -> int:
    """Write it out; exit status 1 when something was left out, or when a checked file is not current."""
    if options.list:
        return _list(out)
    if options.kind is None:
        raise Invalid(
            "usage",
            "The command line is not understood.",
            where="ropewalk export",
            why="nobody is named who is to read it",
            fix="ropewalk export --list",
        )
    if options.kind in RELEASES:
        from ropewalk.cli.delivered import release

        return release(options, out)
    if options.kind in SERVERS:
        from ropewalk.cli.watchers import watcher

        return watcher(options, out)
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


def _list(out: Output) -> int:
    rows = [(name, "a pipeline", "one node a step, in plain files") for name in TARGETS]
    rows += [(name, "a release", what) for name, what in RELEASES.items()]
    rows += [(name, "the server", what) for name, what in SERVERS.items()]
    rows.append((MLFLOW, "runs", "runs, files and models as MLflow keeps them"))
    out.table(("who", "exports", "what"), rows)
    out.result({"targets": [{"name": name, "exports": exports, "what": what} for name, exports, what in rows]})
    out.next("ropewalk export kubernetes --dry-run")
    return 0


def _target(text: str) -> Target:
    from urllib.parse import urlsplit

    if urlsplit(text).scheme in ("http", "https"):
        from ropewalk.exchange.towards import ServerTarget

        return ServerTarget(text)
    from ropewalk.exchange.mlruns import FolderTarget
    from ropewalk.exchange.opened import path_of

    return FolderTarget(path_of(text))
