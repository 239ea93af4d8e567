"""Carries files between the wire and the bucket, piece by piece: an upload's body in, a file or a part of it out."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool

from ropewalk.api.mlflow.route import Call
from ropewalk.artifacts.artifact import Artifact
from ropewalk.blobs.bucket import PIECE_BYTES, Bucket
from ropewalk.endpoints.problems import Headers, Receive, Scope, Send, answer
from ropewalk.errors import Invalid, RopewalkError

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """What an upload's body became.

    Attributes:
        digest: of its bytes, which lie in the bucket.
        bytes: their length.
        begun_us: when they began to come.
    """

    digest: str
    bytes: int
    begun_us: int


async def take(call: Call, receive: Receive, *, bytes_max: int) -> Received:
    """Put a request's body into the bucket; nothing is kept of one that ends early.

    Args:
        call: the request.
        receive: ASGI's.
        bytes_max: how long it may be.

    Raises:
        Invalid: it is longer.
        Unavailable: the disk has no room, or the object store does not answer.
        ConnectionResetError: the caller went away.
    """
    announced = header(call.scope, b"content-length")
    if announced.isdigit() and int(announced[:20]) > bytes_max:
        raise _too_large(call, bytes_max)
    begun_us = call.site.clock.now_us()
    writer = await run_in_threadpool(call.site.blobs.writer)
    try:
        held = bytearray()
        async for piece in _body(receive):
            held += piece
            if writer.bytes + len(held) > bytes_max:
                raise _too_large(call, bytes_max)
            if len(held) >= PIECE_BYTES:
                await run_in_threadpool(writer.write, held)
                held = bytearray()
        await run_in_threadpool(writer.write, held)
        digest = await run_in_threadpool(writer.commit)
        return Received(digest=digest, bytes=writer.bytes, begun_us=begun_us)
    finally:
        writer.abort()


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _too_large(call: Call, bytes_max: int) -> Invalid:
    return Invalid(
        "body-too-large",
        "The file is larger than this server takes.",
        where=str(call.scope["path"])[:200],
        why=f"{bytes_max:,} bytes at most",
        fix="raise artifact_bytes_max in [tracking] of ropewalk.toml",
    )


async def give(call: Call, receive: Receive, send: Send, found: Artifact) -> None:
    """Send a file, or the part of it that was asked for, as an attachment that no browser runs.

    The connection is cut before the last byte when the bytes turn out to be others than those that were recorded.

    Raises:
        NotFound: the bytes are gone.
        Corrupt: the bytes are others, and none was sent yet.
    """
    tag = f'"{found.digest}"'
    headers = [*_safe(found), (b"etag", tag.encode())]
    if tag in header(call.scope, b"if-none-match") or header(call.scope, b"if-none-match") == "*":
        await answer(send, 304, b"", headers)
        return
    span = _span(call.scope, found.bytes, tag)
    if span is None:
        headers.append((b"content-range", f"bytes */{found.bytes}".encode()))
        await answer(send, 416, b"", headers)
        return
    start, stop = span
    whole = (start, stop) == (0, found.bytes)
    if not whole:
        headers.append((b"content-range", f"bytes {start}-{stop - 1}/{found.bytes}".encode()))
    headers.append((b"content-length", str(stop - start).encode()))
    head: dict[str, object] = {"type": "http.response.start", "status": 200 if whole else 206, "headers": headers}
    if call.scope["method"] == "HEAD":
        await send(head)
        await send({"type": "http.response.body", "body": b""})
        return
    await _stream(call, receive, send, head, _Pieces(call.site.blobs, found.digest, start, None if whole else stop))


class _Pieces:
    """Reads the pieces of a blob in threads.

    Args:
        blobs: where it lies.
        digest: which.
        start: first byte.
        stop: byte after the last, None for the end.
    """

    def __init__(self, blobs: Bucket, digest: str, start: int, stop: int | None) -> None:
        self._open = lambda: blobs.pieces(digest, start, stop)
        self._items: Iterator[bytes] | None = None

    def next(self) -> bytes:
        """Return the next piece; empty at the end."""
        if self._items is None:
            self._items = self._open()
        return next(self._items, b"")


async def _stream(call: Call, receive: Receive, send: Send, head: dict[str, object], pieces: _Pieces) -> None:
    piece = await run_in_threadpool(pieces.next)
    await send(head)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        while piece and not gone.done():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await run_in_threadpool(pieces.next)
    except (RopewalkError, OSError) as error:
        log.exception("%s is cut off", call.scope["path"])
        raise ConnectionResetError from error
    finally:
        gone.cancel()
    await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    """Return when the caller has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _safe(found: Artifact) -> Headers:
    plain = "".join(letter if letter.isascii() and letter not in '"\\%;' else "_" for letter in found.name)
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(found.name, safe='')}"
    return (
        (b"content-type", found.media.encode()),
        (b"content-disposition", named.encode()),
        (b"accept-ranges", b"bytes"),
        (b"cache-control", b"private, no-cache"),
        (b"content-security-policy", b"sandbox; default-src 'none'"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"x-content-type-options", b"nosniff"),
    )


def _span(scope: Scope, count: int, tag: str) -> tuple[int, int] | None:
    """Return first byte and byte after the last of what is asked for; all of it unless one range is; None beyond."""
    found = _RANGE.fullmatch(header(scope, b"range").replace(" ", ""))
    if found is None or found[0] == "bytes=-" or header(scope, b"if-range") not in {"", tag}:
        return 0, count
    first, last = found[1], found[2]
    if not first:
        return (max(0, count - int(last)), count) if int(last) and count else None
    start, stop = int(first), min(count, int(last) + 1) if last else count
    if last and int(last) < start:
        return 0, count
    return (start, stop) if start < count else None


def header(scope: Scope, name: bytes) -> str:
    """Return a request's header, or an empty text."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
