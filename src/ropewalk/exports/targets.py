"""The targets of exports: what each is called, the file it gets, and who writes it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk.errors import Invalid
from ropewalk.exports.names import PYTHON
from ropewalk.exports.pipeline import Exported, read
from ropewalk.exports.render import Wanted
from ropewalk.exports.write import Written, compare, write
from ropewalk.settings import Settings
from ropewalk.site import Site

AIRFLOW, ARGO, KUBEFLOW, PREFECT = TARGETS = ("airflow", "argo", "kubeflow", "prefect")
FOLDER = "exports"
SECRET = "ropewalk"  # noqa: S105 - the name of a Kubernetes Secret, which holds what nobody writes into a file
_IN_CONTAINERS = frozenset({ARGO, KUBEFLOW})
_SECRET = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")  # RFC 1123, as Kubernetes names a Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What was asked for.

    Attributes:
        target: one of `TARGETS`.
        pipeline: `FILE.py:FUNCTION`.
        args: the pipeline's arguments.
        output: file, relative to the project; empty for `exports/TARGET/FUNCTION.py`.
        image: container image; empty for none.
        secret: name of the Kubernetes Secret; empty for `ropewalk`.
        schedule: name of the schedule, `none` for none; empty for the only one.
    """

    target: str
    pipeline: str
    args: Mapping[str, Any]
    output: str = ""
    image: str = ""
    secret: str = ""
    schedule: str = ""

    def command(self, pipeline: str) -> str:
        """Return the command that says the same."""
        words = ["ropewalk", "export", self.target, pipeline]
        words += [f"{name}={value}" for name, value in self.args.items()]
        for name in ("schedule", "image", "secret", "output"):
            value = getattr(self, name)
            words += [f"--{name}", value] if value else []
        return shlex.join(words)


def export(site: Site, settings: Settings, order: Order, *, check: bool = False) -> tuple[Written, Exported]:
    """Write a pipeline out for a target, or say whether what stands there is what would be written.

    Args:
        site: the project.
        settings: of the project.
        order: what is asked for.
        check: write nothing.

    Raises:
        NotFound: there is no such pipeline.
        Invalid: it cannot be said in the target's words; nothing is written.
    """
    if order.target in _IN_CONTAINERS and not order.image:
        raise Invalid(
            "export-image",
            f"The steps run in containers at {order.target}, and no image is named.",
            where=order.pipeline,
            why="it has to hold Ropewalk and the project",
            fix=f"{order.command(order.pipeline)} --image REGISTRY/NAME:TAG",
        )
    if order.secret and not _SECRET.fullmatch(order.secret):
        raise Invalid(
            "export-secret",
            "No Secret of Kubernetes is called so.",
            where="--secret",
            why=f"wanted lower-case letters, digits, - and ., found {order.secret[:80]!r}",
            fix="kubectl get secrets",
        )
    exported = read(site, settings, order.pipeline, order.args, order.schedule)
    path, text = told(site.root, order, exported)
    return (compare if check else write)(path, text), exported


def told(root: Path, order: Order, exported: Exported) -> tuple[Path, str]:
    """Return which file is to hold what.

    Args:
        root: the project's folder.
        order: what is asked for.
        exported: the pipeline.

    Raises:
        Invalid: it cannot be said in the target's words.
    """
    path = root / (order.output or f"{FOLDER}/{order.target}/{_file(order.target, exported)}")
    wanted = Wanted(
        command=order.command(exported.pipeline),
        project=Path(os.path.relpath(root, path.parent)).as_posix(),
        image=order.image,
        secret=order.secret or SECRET,
    )
    return path, _written(order, exported, wanted)


def _file(target: str, exported: Exported) -> str:
    return PYTHON.made(exported.function) + (".yaml" if target == ARGO else ".py")


def _written(order: Order, exported: Exported, wanted: Wanted) -> str:
    match order.target:
        case "airflow":
            from ropewalk.exports.airflow import airflow

            return airflow(exported, wanted)
        case "argo":
            from ropewalk.exports.argo import argo

            return argo(exported, wanted)
        case "kubeflow":
            from ropewalk.exports.kubeflow import kubeflow

            return kubeflow(exported, wanted, secret=bool(order.secret))
        case _:
            from ropewalk.exports.prefect import prefect

            return prefect(exported, wanted)
