"""What a command asks of the folder it works in before anything is written there, and how to ask what serves."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.errors import NotFound

if TYPE_CHECKING:
    from ropewalk.site import Site

SETTINGS = "ropewalk.toml"


def require_pipeline(root: Path, target: str) -> None:
    """Pass only when the pipeline's file is there: a command typed in the wrong folder leaves nothing behind.

    Args:
        root: the project's folder.
        target: `FILE.py:FUNCTION`; the project's own pipeline when empty.

    Raises:
        NotFound: there is no such file.
        Invalid: `ropewalk.toml` is not valid.
    """
    wanted = target
    if not wanted:
        from ropewalk.settings import read_settings

        wanted = read_settings(root).pipeline
    file = wanted.partition(":")[0]
    if (root / file).is_file():
        return
    if (root / SETTINGS).exists():
        fix = f"write {file}, or name another file in {SETTINGS}: pipeline = " + '"FILE.py:FUNCTION"'
    else:
        fix = "ropewalk init" if not target else "name a file of this project: ropewalk run FILE.py:FUNCTION"
    raise NotFound(
        "pipeline-file-not-found",
        f"The project has no file {file!r}.",
        where=root.name or str(root),
        why=f"the pipeline is {wanted}, relative to the project's folder",
        fix=fix,
    )


def is_project(root: Path) -> bool:
    """Say whether a folder holds settings or records."""
    return (root / SETTINGS).exists() or (root / ".ropewalk" / "ropewalk.db").exists()


def require_project(root: Path) -> None:
    """Pass only in a folder that is a project.

    Raises:
        NotFound: it holds neither settings nor records.
    """
    if not is_project(root):
        raise NotFound(
            "project-empty",
            "This folder is not a project yet.",
            where=root.name or str(root),
            why=f"it holds neither {SETTINGS} nor records",
            fix="ropewalk init",
        )


def endpoint_of(site: Site, model: str, environment: str) -> tuple[str, Mapping[str, object]]:
    """Return the endpoint that a model has in an environment, with a real row to ask it; both empty if none is live."""
    from ropewalk.endpoints.served import read_served
    from ropewalk.releases import release, traffic

    name = traffic.endpoint_name(model, environment)
    with site.db.read() as rows:
        now = traffic.current(rows, name)
        if now is None or not now.champion:
            return "", {}
        champion = release.get(rows, now.champion)
    return name, read_served(site.blobs, champion.id, champion.bundle, environment).example


def curl(url: str, endpoint: str, row: Mapping[str, object]) -> str:
    """Return a command that asks an endpoint for one prediction, ready to be pasted into a shell."""
    body = shlex.quote(json.dumps({"records": [dict(row)]}))
    return f"curl -s {url}/endpoints/{endpoint}/predict -H 'Content-Type: application/json' -d {body}"
