"""A release as an image: libraries, Ropewalk and the release, each a layer, upon a base that has a Python."""

from __future__ import annotations

import json
import platform
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ropewalk import __version__
from ropewalk.blobs.bucket import Bucket
from ropewalk.clock import iso
from ropewalk.endpoints.packed import PORT
from ropewalk.errors import Invalid
from ropewalk.exports import libraries
from ropewalk.exports.foundation import FIX, Base, read_base
from ropewalk.exports.layer import Layer, pack
from ropewalk.exports.oci import Built, write_image
from ropewalk.exports.packing import EMPTY, folder, ourselves
from ropewalk.exports.released import Released

HOME = "/srv/ropewalk"
LIBRARIES, BUNDLE = f"{HOME}/lib", f"{HOME}/bundle"
# Nobody's own number, so that it is nobody on the machine outside either.
USER = 10001
ENVIRON = {
    "PYTHONPATH": LIBRARIES,
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "ROPEWALK_BUNDLE": BUNDLE,
    "ROPEWALK_HOST": "0.0.0.0",  # noqa: S104 - within the container's own network
    "HOME": "/tmp",  # noqa: S108 - in a container there is nobody else
}
ENTRY, COMMAND = ("python3", "-m", "ropewalk"), ("serve",)
HEALTHY = (*ENTRY, "serve", "--probe")
# Seconds: how often the container is asked how it is, how long it may take to say so, and how long to begin with.
ASKED_EVERY, ANSWER_WITHIN, BEGIN_WITHIN = 10, 5, 60
_NANO = 1_000_000_000
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What became of an image.

    Attributes:
        path: the archive.
        built: what was built.
        changed: whether another image lay there, or none.
    """

    path: Path
    built: Built
    changed: bool


def build(
    blobs: Bucket,
    found: Released,
    base: Path,
    path: Path,
    *,
    dry: bool = False,
    on_step: Callable[[str], None] | None = None,
    install: Callable[[Released, dict[str, str], Path], None] = libraries.install,
) -> Image:
    """Build a release's image and write it, unless it lies there already.

    Args:
        blobs: where the release's parts are.
        found: the release.
        base: what is built upon; see `foundation.read_base`.
        path: the archive that is to be written.
        dry: write nothing there.
        on_step: told what is being done.
        install: brings the libraries into a folder.

    Raises:
        Invalid: the base is no image, or has another Python.
        Unavailable: the libraries cannot be had.
    """
    say = on_step or _unsaid
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".image-", dir=path.parent) as name:
        scratch = Path(name)
        say("reading the base")
        lower = read_base(base, scratch, _MACHINES.get(platform.machine(), platform.machine()))
        _require_python(lower, base)
        say("installing libraries")
        install(found, libraries.pins(blobs, found), scratch / "lib")
        say("packing")
        made = scratch / "image.tar"
        built = write_image(
            lower,
            _layers(blobs, found, scratch),
            running(),
            name=found.image.partition("@")[0],
            created=_created(found),
            labels=labels(found),
            into=made,
        )
        changed = not _lies(path, built.digest)
        if changed and not dry:
            made.replace(path)
    return Image(path=path, built=built, changed=changed)


def _layers(blobs: Bucket, found: Released, scratch: Path) -> dict[str, Layer]:
    """Return our layers, what changes least lowest; the libraries lie in the scratch folder's `lib`."""
    inner, place = LIBRARIES.lstrip("/"), BUNDLE.lstrip("/")
    return {
        "libraries": pack(libraries.brought(scratch / "lib"), scratch / "libraries.layer", inner),
        f"Ropewalk {__version__}": pack(ourselves(), scratch / "ropewalk.layer", inner),
        f"release {found.release.id}": pack(folder(blobs, found), scratch / "bundle.layer", place, empty=EMPTY),
    }


def _require_python(lower: Base, base: Path) -> None:
    if lower.pythons and sys.version_info.minor not in lower.pythons:
        raise Invalid(
            "image-base",
            f"The base has no Python 3.{sys.version_info.minor}.",
            where=base.name,
            why=f"the libraries are those of this Python; found 3.{', 3.'.join(map(str, sorted(lower.pythons)))}",
            fix=FIX,
        )


def _unsaid(_text: str) -> None:
    """Say nothing."""


def _created(found: Released) -> str:
    return iso(found.bundle.created_us)


def _lies(path: Path, digest: str) -> bool:
    """Say whether an archive is there that names this image."""
    try:
        with tarfile.open(path) as tar:
            file = tar.extractfile("index.json")
            said: Any = {} if file is None else json.loads(file.read())
    except (OSError, tarfile.TarError, KeyError, ValueError):
        return False
    return [one.get("digest") for one in said.get("manifests", [])] == [digest]


def running() -> dict[str, Any]:
    """Return how a container of it runs."""
    return {
        "User": f"{USER}:{USER}",
        "WorkingDir": "/",
        "Env": [f"{name}={value}" for name, value in ENVIRON.items()],
        "Entrypoint": list(ENTRY),
        "Cmd": list(COMMAND),
        "ExposedPorts": {f"{PORT}/tcp": {}},
        "StopSignal": "SIGTERM",
        # Not of OCI's own words, but Docker's, which looks for it here too.
        "Healthcheck": {
            "Test": ["CMD", *HEALTHY],
            "Interval": ASKED_EVERY * _NANO,
            "Timeout": ANSWER_WITHIN * _NANO,
            "StartPeriod": BEGIN_WITHIN * _NANO,
            "Retries": 3,
        },
    }


def labels(found: Released) -> Mapping[str, str]:
    """Return what an image says of itself."""
    return {
        "org.opencontainers.image.title": found.endpoint,
        "org.opencontainers.image.version": str(found.release.number),
        "org.opencontainers.image.revision": found.bundle.commit,
        "org.opencontainers.image.created": _created(found),
        "io.ropewalk.release": found.release.id,
        "io.ropewalk.bundle": found.release.bundle,
    }
