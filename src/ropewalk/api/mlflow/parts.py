"""Files that MLflow's clients send in parts: through this door, or by addresses that the object store signs."""

from __future__ import annotations

import asyncio
import logging
import posixpath
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ropewalk.api.mlflow.artifacts import with_rows
from ropewalk.api.mlflow.message import Message, Nothing
from ropewalk.api.mlflow.route import Call, How, Route
from ropewalk.api.mlflow.transfer import Received, header, take
from ropewalk.api.mlflow.uploads import bytes_max, require_free
from ropewalk.artifacts import artifact, native, paths, upload
from ropewalk.artifacts.upload import Upload
from ropewalk.blobs.bucket import Aside
from ropewalk.endpoints.problems import Receive, Scope, Send, answer_json
from ropewalk.errors import Invalid, RopewalkError, Unavailable
from ropewalk.store.database import Reader, Transaction

# A client signs nothing anew: the last part of a large file has to leave before this.
ASIDE_SECONDS = 3600
_SEPARATORS = re.compile(r"[/\\]")
log = logging.getLogger(__name__)


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


def begin(call: Call) -> Begun:
    """Begin a file that comes in parts.

    Each part is PUT to an address of this door, as the same caller; or into the area beside the blobs, by an address
    that the object store signs, where the settings say so and nobody has to count the bytes.
    """
    site, path = call.site, _target(call, call.body.path)

    def work(tx: Transaction) -> Upload:
        require_free(tx, call, path)
        return upload.begin(tx, site, path, call.body.num_parts)

    made = site.db.write(work)
    return Begun(upload_id=made.id, credentials=_beside(call, made) or _through(call, made))


def _beside(call: Call, made: Upload) -> list[Credential]:
    wanted = call.house.settings.tracking.direct_uploads and not call.counted
    aside = call.site.blobs.aside() if wanted else None
    if aside is None:
        return []
    signed = aside.addresses(made.id, made.parts, seconds=ASIDE_SECONDS)
    return [Credential(url=url, part_number=number, headers=aside.headers) for number, url in enumerate(signed, 1)]


def _through(call: Call, made: Upload) -> list[Credential]:
    known = header(call.scope, b"authorization")
    headers = {"Authorization": known} if known else {}
    above = f"{_door(call.scope)}/api/2.0/mlflow-artifacts/mpu/part/{made.id}"
    numbers = range(1, made.parts + 1)
    return [Credential(url=f"{above}/{number}", part_number=number, headers=headers) for number in numbers]


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
    got: Received = await take(call, receive, bytes_max=bytes_max(call))

    def note(tx: Transaction) -> None:
        upload.put_part(tx, call.site, upload_id, number, got.digest, got.bytes, begun_us=got.begun_us)

    await asyncio.wrap_future(call.site.db.submit(note))
    await answer_json(send, 200, {}, [(b"etag", f'"{got.digest}"'.encode())])


def complete(call: Call) -> Nothing:
    """Put the parts together and show the file; the same again changes nothing."""
    site = call.site
    with site.db.read() as rows:
        found = _of(rows, call)
    if not found.digest:
        aside = site.blobs.aside()
        try:
            _put_together(call, found, aside)
        except RopewalkError:
            with site.db.read() as rows:
                done = upload.get(rows, found.id).digest  # the same again came first, and has taken the parts away
            if not done:
                raise
        _clear(found.id, aside)
    return Nothing()


def _put_together(call: Call, found: Upload, aside: Aside | None) -> None:
    site, begun_us = call.site, call.site.clock.now_us()
    count, pieces = _parts(call, found, aside)
    if count > bytes_max(call):
        raise Invalid(
            "body-too-large",
            "The file is larger than this server takes.",
            where=found.path[:200],
            why=f"{count:,} bytes",
        )
    writer = site.blobs.writer()
    try:
        for piece in pieces:
            writer.write(piece)
        digest = writer.commit()
    finally:
        writer.abort()

    def name(tx: Transaction) -> None:
        native.require_foreign(tx, site.blobs, found.path)
        upload.complete(tx, site, found, digest, count, _media(found.path), begun_us=begun_us)

    site.db.write(name)


def _parts(call: Call, found: Upload, aside: Aside | None) -> tuple[int, Iterator[bytes]]:
    """Return how long the file is, and its bytes: of parts that came through this door, else of those beside the blobs.

    Raises:
        Invalid: a part is missing, or is another one than the client means.
    """
    blobs = call.site.blobs
    told = {one.part_number: (one.etag or "").strip('"') for one in call.body.parts}
    with call.site.db.read() as rows:
        came = upload.parts(rows, found)
    if came or aside is None:
        upload.require_all(found, {one.part: one.digest for one in came}, told)
        return sum(one.bytes for one in came), (piece for one in came for piece in blobs.pieces(one.digest))
    laid = aside.laid(found.id)
    upload.require_all(found, {number: one.tag for number, one in laid.items()}, told)
    whole = sorted(laid.items())
    return sum(one.bytes for _, one in whole), (
        piece for number, one in whole for piece in aside.pieces(found.id, number, one)
    )


def _clear(upload_id: str, aside: Aside | None) -> None:
    """Take the parts beside the blobs away; what cannot be now, goes a day later."""
    try:
        if aside is not None:
            aside.drop(upload_id)
    except Unavailable:
        log.warning("the parts of upload %s are not taken away yet", upload_id)


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


def abort(call: Call) -> Nothing:
    """Give a file up that came in parts; one that is complete stays."""
    if call.site.db.write(lambda tx: upload.give_up(tx, call.body.upload_id)):
        _clear(call.body.upload_id, call.site.blobs.aside())
    return Nothing()


def _row(path: str, summary: str, **more: Any) -> Route:  # noqa: ANN401 - a route's own words
    return Route(path=f"/mlflow-artifacts/mpu/{path}", summary=summary, action="write", **more)


ROUTES = (
    _row(
        "create/{path:rest}",
        "Begin a file that comes in parts",
        method="POST",
        work=begin,
        how=How.PLAIN,
        body=BeginParts,
        result=Begun,
        secret=True,
    ),
    _row("part/{upload_id}/{part}", "Send one part of a file", method="PUT", work=put_part, how=How.STREAM),
    _row(
        "complete/{path:rest}",
        "Put the parts of a file together",
        method="POST",
        work=complete,
        how=How.PLAIN,
        body=CompleteParts,
        result=Nothing,
    ),
    _row(
        "abort/{path:rest}",
        "Give up a file that came in parts",
        method="POST",
        work=abort,
        how=How.PLAIN,
        body=AbortParts,
        result=Nothing,
    ),
)
