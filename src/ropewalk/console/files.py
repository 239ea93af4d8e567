"""What the console shows of files: the tree of a shelf, the beginning of one, and its bytes to take away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from ropewalk.console import shelves
from ropewalk.console.mlmodel import BYTES_MAX, signature_of
from ropewalk.console.preview import (
    FRAMED,
    FRAMED_BYTES_MAX,
    MARKDOWN,
    TABLE_BYTES_MAX,
    Shown,
    image_kind,
    preview,
)
from ropewalk.console.shelves import FILES_SHOWN, Kept, Shelf
from ropewalk.console.tree import tree
from ropewalk.console.words import size
from ropewalk.errors import NotFound, RopewalkError
from ropewalk.house import House
from ropewalk.runs import run as runs
from ropewalk.source.snapshot import read_manifest
from ropewalk.store.database import Reader

HEAD_BYTES = 32
# A file is somebody else's words: it is drawn as an image or taken away, and never runs on the console's own address.
RAW_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, max-age=60",
    "Cross-Origin-Resource-Policy": "same-origin",
}


# In the frame of our page nothing runs, nothing is sent and nothing is loaded; a place of its own, not the console's.
FRAMED_HEADERS = {
    **RAW_HEADERS,
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
}


def listed(house: House, rows: Reader, shelf: Shelf) -> dict[str, Any]:
    """Return the tree of a shelf; files of a run of ours or of a client, whoever put them there."""
    found = shelves.files(house, rows, shelf)
    return {
        "tree": tree((one.path, one.bytes, shelf.address("files", one.path)) for one in found[:FILES_SHOWN]),
        "more_files": len(found) > FILES_SHOWN,
        "shown_files": FILES_SHOWN,
    }


def one(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what a file's page shows.

    Raises:
        NotFound: there is no such shelf or file.
        Invalid: the path is none, or a folder's.
    """
    shelf, name = shelves.asked(house, rows, request), request.path_params["path"]
    found = shelves.find(house, rows, shelf, name)
    raw_address, here = shelf.address("raw", name), shelf.address("files", name)
    ways = _ways(found)
    way = request.query_params.get("as", "")
    way = way if way in ways else ""
    return {
        "name": name,
        "back": f"{shelf.home}#files",
        "back_word": shelf.word,
        "digest": found.digest,
        "size": size(found.bytes),
        "raw": raw_address,
        "shown": _shown(house, found, raw_address, way),
        "ways": [(word, f"{here}?as={word}" if word else here, word == way) for word in ways],
    }


def _ways(found: Kept) -> tuple[str, ...]:
    """Return in which ways a file may be looked at, the usual one first and nameless."""
    ending = PurePosixPath(found.path.lower()).suffix
    if ending in FRAMED and found.bytes <= FRAMED_BYTES_MAX:
        return ("", "page")
    return ("", "text") if ending in MARKDOWN else ()


def _shown(house: House, found: Kept, raw_address: str, way: str) -> Shown:
    if way == "page":
        told = "Its scripts do not run, and nothing is loaded from elsewhere."
        return Shown(kind="frame", address=f"{raw_address}?framed=1", told=told)
    # A large file is not brought here from where it lies to look at its beginning.
    if found.bytes > TABLE_BYTES_MAX:
        return Shown(kind="none", told="The file is too large to be shown here; download it.")
    file = house.site.blobs.fetch(found.digest)
    shown = preview(PurePosixPath(found.path).name, file, found.bytes, f"{raw_address}?drawn=1")
    return replace(shown, kind="text") if way == "text" and shown.kind == "markdown" else shown


def raw(house: House, rows: Reader, request: Request) -> Response:
    """Return a file's bytes: to be kept as a file, or drawn when they are an image.

    Raises:
        NotFound: there is no such shelf or file.
        Invalid: the path is none, or a folder's.
    """
    found = shelves.find(house, rows, shelves.asked(house, rows, request), request.path_params["path"])
    file, name = house.site.blobs.fetch(found.digest), PurePosixPath(found.path).name
    if request.query_params.get("framed") == "1" and "page" in _ways(found):
        kind = "image/svg+xml" if name.lower().endswith(".svg") else "text/html"
        return FileResponse(file, media_type=f"{kind}; charset=utf-8", headers=FRAMED_HEADERS)
    if request.query_params.get("drawn") == "1":
        with file.open("rb") as stream:
            kind = image_kind(name, stream.read(HEAD_BYTES))
        if kind:
            return FileResponse(file, media_type=kind, headers=RAW_HEADERS)
    return FileResponse(file, media_type="application/octet-stream", filename=name, headers=RAW_HEADERS)


def code(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what the page of one file of a run's code shows.

    Raises:
        NotFound: there is no such run, or its code has no such file.
    """
    run, wanted = runs.get(rows, request.path_params["run"]), request.path_params["path"]
    held = {path: digest for path, digest, _ in read_manifest(house.site.blobs, run.code)} if run.code else {}
    if wanted not in held:
        raise NotFound("artifact-not-found", "The run's code has no such file.", where=wanted[:200])
    file, digest = house.site.blobs.fetch(held[wanted]), held[wanted]
    return {
        "name": wanted,
        "back": f"/runs/{run.id}#code",
        "back_word": run.name,
        "digest": digest,
        "size": "",
        "raw": "",
        "ways": [],
        "shown": preview(PurePosixPath(wanted).name, file, house.site.blobs.size(digest)),
    }


def signature(house: House, rows: Reader, shelf: Shelf) -> list[tuple[str, list[dict[str, str]]]]:
    """Return the signature that the `MLmodel` file on a shelf tells; empty where there is none."""
    try:
        found = shelves.find(house, rows, shelf, "MLmodel")
        return signature_of(house.site.blobs.get(found.digest).decode()) if found.bytes <= BYTES_MAX else []
    except (RopewalkError, UnicodeDecodeError):
        return []
