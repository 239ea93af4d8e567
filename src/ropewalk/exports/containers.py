"""A release for Docker: a Dockerfile with all that it needs beside it, a compose file, a stack for Swarm."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ropewalk.blobs.bucket import Bucket
from ropewalk.endpoints.packed import PORT
from ropewalk.exports import image, libraries
from ropewalk.exports.layer import archive
from ropewalk.exports.packing import EMPTY, folder, ourselves
from ropewalk.exports.released import Released
from ropewalk.exports.render import fill


def words() -> Mapping[str, Any]:
    """Return what templates say of every container of ours."""
    return {
        "home": image.HOME,
        "libraries": image.LIBRARIES,
        "user": image.USER,
        "port": PORT,
        "environ": list(image.ENVIRON.items()),
        "entry": list(image.ENTRY),
        "command": list(image.COMMAND),
        "healthy": list(image.HEALTHY),
        "every": image.ASKED_EVERY,
        "within": image.ANSWER_WITHIN,
        "begin": image.BEGIN_WITHIN,
    }


def dockerfile(blobs: Bucket, found: Released) -> dict[str, str | bytes]:
    """Return the files of a folder in which `docker build .` makes the image."""
    ours, theirs = io.BytesIO(), io.BytesIO()
    archive(ourselves(), ours, image.LIBRARIES.lstrip("/"))
    archive(folder(blobs, found), theirs, image.BUNDLE.lstrip("/"), empty=EMPTY)
    text = fill("docker/Dockerfile", {**found.facts(), **words(), "labels": list(image.labels(found).items())})
    return {
        "Dockerfile": text,
        **libraries.files(found, libraries.pins(blobs, found)),
        "ropewalk.tar": ours.getvalue(),
        "bundle.tar": theirs.getvalue(),
        ".gitignore": "*.tar\n",
    }


def bundle(blobs: Bucket, found: Released) -> dict[str, str | bytes]:
    """Return the files of a release's folder, for `ropewalk serve --bundle`."""
    return {piece.path: piece.read() for piece in folder(blobs, found)}


def compose(found: Released, *, swarm: bool) -> dict[str, str | bytes]:
    """Return the compose file, or Swarm's stack."""
    facts = {**found.facts(), **words(), "swarm": swarm, "memory": memory(found)}
    return {f"{found.name}.yaml": fill("docker/compose.yaml", facts)}


def memory(found: Released) -> str:
    """Return the memory of a container as Docker and systemd write it: `1G` for Kubernetes' `1Gi`."""
    return found.deploy.memory.removesuffix("i")
