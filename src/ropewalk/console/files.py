"""What the console shows of a run's files: the tree, the beginning of one, and its bytes to take away."""

from __future__ import annotations

from itertools import islice
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from ropewalk.artifacts import artifact, native, paths, shown
from ropewalk.artifacts.artifact import Artifact
from ropewalk.console.preview import TABLE_BYTES_MAX, Shown, image_kind, preview
from ropewalk.console.tree import tree
from ropewalk.console.words import size
from ropewalk.errors import Invalid, NotFound
from ropewalk.house import House
from ropewalk.runs import run as runs
from ropewalk.runs.states import REMOTE, Run
from ropewalk.source.snapshot import read_manifest
from ropewalk.store.database import Reader

FILES_SHOWN = 500
HEAD_BYTES = 32
# A file is somebody else's words: it is drawn as an image or taken away, and never runs on the console's own address.
RAW_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=60",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def below(rows: Reader, house: House, run: Run) -> tuple[str, list[Artifact]]:
    """Return where a run's files lie and the files, one more than is shown.

    A run whose files lie at an address that its client chose has none here.
    """
    try:
        location = paths.of_uri(run.location)
    except Invalid:
        return "", []
    found = {one.path: one for one in islice(artifact.walk(rows, location), FILES_SHOWN + 1)}
    if run.kind != REMOTE:
        found |= native.files(rows, house.site.blobs, run)
    return location, [found[path] for path in sorted(found)]


def listed(rows: Reader, house: House, run: Run) -> dict[str, Any]:
    """Return the tree of a run's files."""
    location, found = below(rows, house, run)
    return {
        "tree": tree(
            (one.path.removeprefix(f"{location}/"), one.bytes, _address(run, "files", one.path, location))
            for one in found[:FILES_SHOWN]
        ),
        "more_files": len(found) > FILES_SHOWN,
        "shown_files": FILES_SHOWN,
    }


def _address(run: Run, way: str, path: str, location: str) -> str:
    return f"/runs/{run.id}/{way}/{quote(path.removeprefix(f'{location}/'))}"


def one(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what a file's page shows.

    Raises:
        NotFound: there is no such run or file.
        Invalid: the path is none, or a folder's.
    """
    run, found = _found(house, rows, request)
    name = request.path_params["path"]
    raw = f"/runs/{run.id}/raw/{quote(name)}"
    return {
        "name": name,
        "back": f"/runs/{run.id}#files",
        "back_word": run.name,
        "digest": found.digest,
        "size": size(found.bytes),
        "raw": raw,
        "shown": _shown(house, found, raw),
    }


def _shown(house: House, found: Artifact, raw: str) -> Shown:
    # A large file is not brought here from where it lies to look at its beginning.
    if found.bytes > TABLE_BYTES_MAX:
        return Shown(kind="none", told="The file is too large to be shown here; download it.")
    return preview(found.name, house.site.blobs.fetch(found.digest), found.bytes, f"{raw}?drawn=1")


def _found(house: House, rows: Reader, request: Request) -> tuple[Run, Artifact]:
    run = runs.get(rows, request.path_params["run"])
    path = paths.checked(f"{paths.of_uri(run.location)}/{request.path_params['path']}")
    return run, shown.get(rows, house.site.blobs, path)


def raw(house: House, rows: Reader, request: Request) -> Response:
    """Return a file's bytes: to be kept as a file, or drawn when they are an image.

    Raises:
        NotFound: there is no such run or file.
        Invalid: the path is none, or a folder's.
    """
    _, found = _found(house, rows, request)
    file = house.site.blobs.fetch(found.digest)
    if request.query_params.get("drawn") == "1":
        with file.open("rb") as stream:
            kind = image_kind(found.name, stream.read(HEAD_BYTES))
        if kind:
            return FileResponse(file, media_type=kind, headers=RAW_HEADERS)
    return FileResponse(file, media_type="application/octet-stream", filename=found.name, headers=RAW_HEADERS)


def code(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what the page of one file of a run's code shows.

    Raises:
        NotFound: there is no such run, or its code has no such file.
    """
    run, wanted = runs.get(rows, request.path_params["run"]), request.path_params["path"]
    files = {path: digest for path, digest, _ in read_manifest(house.site.blobs, run.code)} if run.code else {}
    if wanted not in files:
        raise NotFound("artifact-not-found", "The run's code has no such file.", where=wanted[:200])
    file, digest = house.site.blobs.fetch(files[wanted]), files[wanted]
    return {
        "name": wanted,
        "back": f"/runs/{run.id}#code",
        "back_word": run.name,
        "digest": digest,
        "size": "",
        "raw": "",
        "shown": preview(PurePosixPath(wanted).name, file, house.site.blobs.size(digest)),
    }
