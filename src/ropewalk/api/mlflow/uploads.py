"""Files as MLflow's clients send them: whole, in parts, or by an address that the object store signs."""

from __future__ import annotations

import asyncio
import posixpath
import re
from collections.abc import Callable
from typing import Any

import msgspec

from ropewalk.api.mlflow.artifacts import run_location, with_rows
from ropewalk.api.mlflow.message import Message, Nothing
from ropewalk.api.mlflow.route import Action, Call, How, Route
from ropewalk.api.mlflow.transfer import Received, header, take
from ropewalk.artifacts import artifact, native, paths, shown, upload
from ropewalk.artifacts.artifact import Artifact
from ropewalk.artifacts.upload import Upload
from ropewalk.blobs.bucket import Writer
from ropewalk.endpoints.problems import Receive, Scope, Send, answer_json
from ropewalk.errors import Invalid, Missing
from ropewalk.store.database import Reader, Transaction

SMALL_BYTES_MAX = 10 << 20
LINK_SECONDS = 900
_SEPARATORS = re.compile(r"[/\\]")


class RunFile(Message, frozen=True, kw_only=True):
    """Which file of which run."""

    run_uuid: str = ""
    path: str = ""


class BeginParts(Message, frozen=True, kw_only=True):
    """A file that will come in parts: its name on the client's disk, and how many parts."""

    path: str
    num_parts: int = 1


class Credential(Message, frozen=True, kw_only=True):
    """Where one part goes.

    Attributes:
        url: PUT the part there.
        part_number: its number, from 1.
        headers: to be sent with it.
    """

    url: str
    part_number: int
    headers: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class Begun(Message, frozen=True, kw_only=True):
    """The upload, and where its parts go."""

    upload_id: str
    credentials: list[Credential]


class SentPart(Message, frozen=True, kw_only=True):
    """A part as the client sent it, with the ETag that it was answered."""

    part_number: int
    etag: str | None = None
    url: str | None = None


class CompleteParts(Message, frozen=True, kw_only=True):
    """An upload whose parts were all sent."""

    path: str
    parts: list[SentPart]
    upload_id: str = ""


class AbortParts(Message, frozen=True, kw_only=True):
    """An upload that is given up."""

    path: str = ""
    upload_id: str = ""


class Link(Message, frozen=True, kw_only=True, omit_defaults=False):
    """An address at which the bytes can be read for a while."""

    url: str
    headers: dict[str, str]
    file_size: int


class WantedLink(Message, frozen=True, kw_only=True):
    """Which file of which run, and for how many seconds."""

    run_id: str = ""
    model_id: str = ""
    path: str = ""
    expiration: int = LINK_SECONDS


class RunLink(Message, frozen=True, kw_only=True, omit_defaults=False):
    """An address at which the bytes can be read for a while."""

    presigned_url: str
    headers: dict[str, str]
    file_size: int


async def put(call: Call, receive: Receive, send: Send) -> None:
    """Keep a file; it can be seen when all of it is durable."""
    await _keep(call, receive, paths.checked(call.path["path"]), bytes_max=_bytes_max(call))
    await answer_json(send, 200, {})


async def put_small(call: Call, receive: Receive, send: Send) -> None:
    """Keep a small file of a run, as the user interface sends it."""
    wanted = call.body
    if not wanted.run_uuid or not wanted.path:
        raise Invalid("request-malformed", "The run or the path is missing.", where="run_uuid, path")
    root = await with_rows(call, lambda rows: run_location(rows, wanted.run_uuid))
    await _keep(call, receive, paths.inside(root, wanted.path), bytes_max=min(SMALL_BYTES_MAX, _bytes_max(call)))
    await answer_json(send, 200, {})


def _bytes_max(call: Call) -> int:
    return call.house.settings.tracking.artifact_bytes_max


async def _keep(call: Call, receive: Receive, path: str, *, bytes_max: int) -> None:
    await with_rows(call, lambda rows: _require_free(rows, call, path))
    got = await take(call, receive, bytes_max=bytes_max)
    media = header(call.scope, b"content-type")

    def name(tx: Transaction) -> None:
        native.require_foreign(tx, call.site.blobs, path)
        artifact.put(tx, call.site, path, got.digest, got.bytes, media, begun_us=got.begun_us)

    await asyncio.wrap_future(call.site.db.submit(name))


def _require_free(reader: Reader, call: Call, path: str) -> None:
    """Pass only where a file may lie, so that a caller learns it before he sends all of it."""
    native.require_foreign(reader, call.site.blobs, path)
    artifact.require_place(reader, path)


def begin(tx: Transaction, call: Call) -> Begun:
    """Begin a file that comes in parts; each part is PUT to an address of this door, as the same caller."""
    path = _target(call, call.body.path)
    _require_free(tx, call, path)
    made = upload.begin(tx, call.site, path, call.body.num_parts)
    known = header(call.scope, b"authorization")
    headers = {"Authorization": known} if known else {}
    above = f"{_door(call.scope)}/api/2.0/mlflow-artifacts/mpu/part/{made.id}"
    return Begun(
        upload_id=made.id,
        credentials=[
            Credential(url=f"{above}/{number}", part_number=number, headers=headers)
            for number in range(1, made.parts + 1)
        ],
    )


def _target(call: Call, local: str) -> str:
    """Return the path of a file from the folder in the address and the file's path on the client's disk."""
    name = _SEPARATORS.split(local)[-1]
    return paths.inside(paths.checked(call.path["path"]), paths.checked(name))


def _door(scope: Scope) -> str:
    """Return the address by which the caller found this server; the guard has checked its name.

    Clients send parts without the header that names a workspace, so that its path has to.
    """
    inside = scope.get("app_root_path", "")
    return f"{scope.get('scheme', 'http')}://{header(scope, b'host')}{scope.get('root_path', '')}{inside}"


async def put_part(call: Call, receive: Receive, send: Send) -> None:
    """Keep one part of a file."""
    upload_id, text = call.path["upload_id"], call.path["part"]
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(upload.PARTS_MAX)) else 0
    await with_rows(call, lambda rows: upload.open_for(rows, upload_id, number))
    got: Received = await take(call, receive, bytes_max=_bytes_max(call))

    def note(tx: Transaction) -> None:
        upload.put_part(tx, call.site, upload_id, number, got.digest, got.bytes, begun_us=got.begun_us)

    await asyncio.wrap_future(call.site.db.submit(note))
    await answer_json(send, 200, {}, [(b"etag", f'"{got.digest}"'.encode())])


def complete(call: Call) -> Nothing:
    """Put the parts together and show the file; the same again changes nothing."""
    site, wanted = call.site, call.body
    begun_us = site.clock.now_us()
    with site.db.read() as rows:
        found = _of(rows, call)
        told = {one.part_number: (one.etag or "").strip('"') for one in wanted.parts}
        parts = () if found.digest else upload.parts(rows, found, told)
    if found.digest:
        return Nothing()
    count = sum(one.bytes for one in parts)
    if count > _bytes_max(call):
        raise Invalid(
            "body-too-large",
            "The file is larger than this server takes.",
            where=found.path[:200],
            why=f"{count:,} bytes",
        )
    writer = site.blobs.writer()
    try:
        for one in parts:
            _copy(call, one.digest, writer)
        digest = writer.commit()
    finally:
        writer.abort()
    media = _media(found.path)

    def name(tx: Transaction) -> None:
        native.require_foreign(tx, site.blobs, found.path)
        upload.complete(tx, site, found, digest, count, media, begun_us=begun_us)

    site.db.write(name)
    return Nothing()


def _copy(call: Call, digest: str, writer: Writer) -> None:
    for piece in call.site.blobs.pieces(digest):
        writer.write(piece)


def _media(path: str) -> str:
    import mimetypes

    return mimetypes.guess_type(posixpath.basename(path))[0] or artifact.PLAIN_MEDIA


def _of(reader: Reader, call: Call) -> Upload:
    """Return the upload that a request names, when it is one of the path that the request names."""
    found = upload.get(reader, call.body.upload_id)
    if found.path != _target(call, call.body.path):
        raise Invalid(
            "upload-elsewhere",
            "The upload is of another path.",
            where=call.path["path"][:200],
            why=f"it was begun for {found.path[:200]}",
        )
    return found


def abort(tx: Transaction, call: Call) -> Nothing:
    """Give a file up that came in parts; one that is complete stays."""
    upload.give_up(tx, call.body.upload_id)
    return Nothing()


def link(call: Call) -> Link:
    """Return an address at which a file can be read from the object store itself."""
    path = paths.checked(call.path["path"])
    with call.site.db.read() as rows:
        found = shown.get(rows, call.site.blobs, path)
    return Link(url=_signed(call, found, LINK_SECONDS), headers={}, file_size=found.bytes)


def link_of_run(call: Call) -> RunLink:
    """Return an address at which a file of a run can be read from the object store itself."""
    wanted = call.body
    if not 0 < wanted.expiration <= LINK_SECONDS:
        raise Invalid(
            "link-too-long",
            "A link cannot last so long.",
            where="expiration",
            why=f"found {wanted.expiration} seconds, wanted 1 to {LINK_SECONDS}",
            fix=f"ask for {LINK_SECONDS} seconds, and again when they are over",
        )
    with call.site.db.read() as rows:
        path = paths.inside(run_location(rows, wanted.run_id), paths.checked(wanted.path))
        found = shown.get(rows, call.site.blobs, path)
    return RunLink(presigned_url=_signed(call, found, wanted.expiration), headers={}, file_size=found.bytes)


def _signed(call: Call, found: Artifact, seconds: int) -> str:
    address = call.site.blobs.link(found.digest, seconds=seconds)
    if address is None:
        raise Missing(
            "artifact-link-unsupported",
            "Presigned download is not supported for the current artifact repository.",
            where=found.path[:200],
            why="the blobs lie in a folder of this server, which has no address of its own",
            fix="read the file through the server: GET /api/2.0/mlflow-artifacts/artifacts/PATH",
        )
    return address


def no_upload_link(_call: Call) -> Any:  # noqa: ANN401 - never returns
    """Say that nobody may write into the bucket past the server, which names files by their digest."""
    raise Missing(
        "artifact-link-unsupported",
        "Presigned upload is not supported for the current artifact repository.",
        why="files are kept under their digest, which is known when all of their bytes have come",
        fix="send the file through the server: PUT /api/2.0/mlflow-artifacts/artifacts/PATH",
    )


def _row(
    method: str,
    path: str,
    work: Callable[..., Any],
    how: How,
    summary: str,
    *,
    action: Action = "write",
    **more: Any,  # noqa: ANN401
) -> Route:
    return Route(method=method, path=path, work=work, how=how, summary=summary, action=action, **more)


_MPU = "/mlflow-artifacts/mpu"
ROUTES = (
    _row("PUT", "/mlflow-artifacts/artifacts/{path:rest}", put, How.STREAM, "Send a file"),
    _row("POST", "/mlflow/upload-artifact", put_small, How.STREAM, "Send a small file of a run", body=RunFile),
    _row(
        "POST",
        f"{_MPU}/create/{{path:rest}}",
        begin,
        How.WRITE,
        "Begin a file that comes in parts",
        body=BeginParts,
        result=Begun,
        secret=True,
    ),
    _row("PUT", f"{_MPU}/part/{{upload_id}}/{{part}}", put_part, How.STREAM, "Send one part of a file"),
    _row(
        "POST",
        f"{_MPU}/complete/{{path:rest}}",
        complete,
        How.PLAIN,
        "Put the parts of a file together",
        body=CompleteParts,
        result=Nothing,
    ),
    _row(
        "POST",
        f"{_MPU}/abort/{{path:rest}}",
        abort,
        How.WRITE,
        "Give up a file that came in parts",
        body=AbortParts,
        result=Nothing,
    ),
    _row(
        "GET",
        "/mlflow-artifacts/presigned/{path:rest}",
        link,
        How.PLAIN,
        "Get an address of a file in the object store",
        result=Link,
        action="read",
    ),
    _row(
        "POST",
        "/mlflow/artifacts/presigned-download-url",
        link_of_run,
        How.PLAIN,
        "Get an address of a run's file in the object store",
        body=WantedLink,
        result=RunLink,
        action="read",
    ),
    _row(
        "POST",
        "/mlflow/artifacts/presigned-upload-url",
        no_upload_link,
        How.PLAIN,
        "Not offered: an address to write to the object store",
        body=WantedLink,
        result=RunLink,
    ),
)
