"""What the project's own runs kept, as files: what their steps logged, and the parts of their models."""

from __future__ import annotations

import mimetypes
import re

from ropewalk.artifacts.artifact import PLAIN_MEDIA, Artifact
from ropewalk.artifacts.paths import of_uri, split
from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.runs import run as runs
from ropewalk.runs.artifacts import artifacts, run_models
from ropewalk.runs.run import REMOTE, Run
from ropewalk.store.database import Reader

_OWNER = re.compile(r"(?:.*?/)?([0-9a-f]{32})/artifacts(?:/.*)?")


def owner(reader: Reader, path: str) -> Run | None:
    """Return the project's own run below whose location a path lies, or None; a client's run is none of ours."""
    found = _OWNER.fullmatch(path)
    if found is None:
        return None
    try:
        run = runs.get(reader, found[1])
        location = of_uri(run.location)
    except (NotFound, Invalid):
        return None
    return run if run.kind != REMOTE and f"{path}/".startswith(f"{location}/") else None


def find(reader: Reader, blobs: Bucket, path: str) -> Artifact | None:
    """Return the file that a run of ours keeps at a path, or None."""
    run = owner(reader, path)
    if run is None:
        return None
    return files(reader, blobs, run).get(path)


def files(reader: Reader, blobs: Bucket, run: Run) -> dict[str, Artifact]:
    """Return all files of a run of ours by their paths.

    What its steps logged lies where they said; where two steps logged different bytes under one name, each stands below
    the name of its step. The parts of a model lie in a folder of the model's name.
    """
    location = of_uri(run.location)
    logged = artifacts(reader, run.id)
    several = {one.path for one in logged for other in logged if one.path == other.path and one.digest != other.digest}
    found: dict[str, Artifact] = {}
    for model in run_models(reader, blobs, run.id):
        for part, digest in model.parts:
            path = f"{location}/{model.name}/{part}"
            found[path] = _file(path, digest, blobs.size(digest) if blobs.has(digest) else 0, run)
    for one in logged:
        path = f"{location}/{one.node}/{one.path}" if one.path in several else f"{location}/{one.path}"
        found[path] = _file(path, one.digest, one.bytes, run)
    return found


def _file(path: str, digest: str, count: int, run: Run) -> Artifact:
    folder, name = split(path)
    media = mimetypes.guess_type(name)[0] or PLAIN_MEDIA
    return Artifact(folder=folder, name=name, digest=digest, bytes=count, media=media, at_us=run.started_us)


def require_foreign(reader: Reader, blobs: Bucket, path: str) -> None:
    """Pass only a path where a client may put or remove files: nothing of ours lies there, above it or below it.

    Raises:
        Conflict: one of our runs keeps a file there, and what it kept stays.
    """
    run = owner(reader, path)
    if run is None:
        return
    for kept in files(reader, blobs, run):
        if f"{kept}/".startswith(f"{path}/") or path.startswith(f"{kept}/"):
            raise Conflict(
                "artifact-kept",
                "What the project's own run has kept stays as it is.",
                where=path[:200],
                why=f"{kept[:200]} was logged by a step of {run.name}",
                fix="choose another name",
            )
