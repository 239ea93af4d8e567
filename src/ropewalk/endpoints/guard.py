"""The outermost layer of every HTTP door: who may speak to it, and how much he may say."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import zlib
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import suppress
from functools import partial
from typing import Any

import msgspec

from ropewalk.endpoints.problems import App, Headers, Message, Receive, Scope, Send, answer_error
from ropewalk.errors import Invalid, Refused, RopewalkError

Tell = Callable[[Scope, Send, RopewalkError, Headers], Awaitable[None]]
JSON_DEPTH_MAX = 64
DISCARD_BYTES = 1 << 20
DISCARD_SECONDS = 0.5
log = logging.getLogger(__name__)
BODY_SECONDS_MAX = 10.0
BODY_RATE_MIN = 4096
# Marks in a request's scope: it has passed a guard; the id by which the log speaks of it.
GUARDED = "ropewalk.guarded"
REQUEST = "ropewalk.request"
# And the bytes of its body that have come, as a list of one number.
CAME = "ropewalk.came"
_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_PORTED = re.compile(r":\d+$")
_DEFAULT_PORT = {"http": 80, "https": 443}
_LEVELS = bytes.maketrans(b"{}", b"[]")
_PLAIN = bytes(each for each in range(256) if each not in b'[]{}"\\')
# A JSON string is skipped whole, so that brackets inside it do not count.
_SHAPES = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)


class Guard:
    """Wraps an ASGI app: Host and Origin are checked on every verb, and a body's bytes are counted while they come.

    A Host that is not allowed, an Origin that is not the own one (another port of this machine is foreign) and a
    request that the browser calls cross-site are answered with 403, a body above the cap with 413 before it is
    buffered, one that trickles with 408. A body that is compressed with gzip is unpacked, as far as the cap. A
    WebSocket is closed for the same reasons. A guard within another one lets everything pass.

    Args:
        app: what is guarded.
        hosts: names that may stand in `Host` besides loopback; with a port of their own, else with the socket's. With
            `*` any name may: for servers that know neither user nor cookie, behind a cluster's own door.
        ports_any: whether a proxy stands before the server, so that the ports that callers name are not the socket's.
        body_bytes_max: the cap, or a function from the request's path to its cap (0 is no cap: streamed uploads).
        body_seconds_max: longest wait for the next piece of a body, and for all of them but for the time that
            `BODY_RATE_MIN` bytes a second need.
        tell: writes an error in the words of the path's protocol; ours when None.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Iterable[str] = (),
        ports_any: bool = False,
        body_bytes_max: int | Callable[[str], int] = 1 << 20,
        body_seconds_max: float = BODY_SECONDS_MAX,
        tell: Tell | None = None,
    ) -> None:
        self._app = app
        self._tell = tell or _told
        given = frozenset(host.lower() for host in hosts)
        self._ported = frozenset(host for host in given if _PORTED.search(host))
        self._hosts = frozenset(_LOOPBACK) | (given - self._ported)
        self._any = "*" in given
        self._ports_any = ports_any
        self._cap = body_bytes_max
        self._seconds = body_seconds_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        if scope["type"] == "lifespan" or GUARDED in scope:
            await self._app(scope, receive, send)
            return
        scope[GUARDED] = True
        looked_at = [(name, value) for name, value in scope["headers"] if name in _LOOKED_AT]
        headers = dict(looked_at)
        problem = self._stranger(scope, headers)
        if len(looked_at) != len(headers):
            problem = Refused("host-foreign", "A header that may come once came twice.", where="Host, Origin")
        if scope["type"] == "websocket":
            if problem is not None:
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._app(scope, receive, send)
            return
        cap = self._cap(scope["path"]) if callable(self._cap) else self._cap
        length = headers.get(b"content-length", b"0")
        coding = headers.get(b"content-encoding", b"identity").strip().lower()
        problem = problem or _announced(length, cap) or _unpackable(coding, cap)
        if problem is not None:
            # A short body is read and thrown away, so that the caller, who is still sending, gets to read the answer.
            brief = length.isdigit() and int(length[:20]) <= DISCARD_BYTES
            await self._tell(scope, send, problem, () if brief else _CLOSE)
            return
        if coding == b"gzip":
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] not in _OF_PACKED]
        await self._counted(scope, receive, send, cap, packed=coding == b"gzip")

    def _stranger(self, scope: Scope, headers: dict[bytes, bytes]) -> RopewalkError | None:
        host = headers.get(b"host", b"").decode("latin-1").lower()
        name, _, port = host.partition("]:") if host.startswith("[") else host.partition(":")
        name = name + "]" if host.startswith("[") and not name.endswith("]") else name
        scheme = str(scope.get("scheme", "http")).replace("ws", "http")
        own_port = str((scope.get("server") or ("", 0))[1] or _DEFAULT_PORT[scheme])
        ported = self._ports_any or (port or str(_DEFAULT_PORT[scheme])) == own_port
        if not (self._any or (name in self._hosts and ported)) and host not in self._ported:
            return _refused("host-foreign", "This host name is not served here.", "Host", host)
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() != f"{scheme}://{host}":
            return _refused("origin-foreign", "Another site's page sent this.", "Origin", origin.decode("latin-1"))
        if headers.get(b"sec-fetch-site") in _FOREIGN:
            return _refused("origin-foreign", "Another site's page sent this.", "Sec-Fetch-Site", "cross-site")
        return None

    async def _counted(self, scope: Scope, receive: Receive, send: Send, cap: int, *, packed: bool) -> None:
        """Hand the request on with a `receive` that stops at the cap and does not wait for ever."""
        came = started = False

        async def wire() -> Message:
            nonlocal came
            message = await receive()
            came = not message.get("more_body", False)
            return message

        bounded = _Bounded(unpacked(wire, cap) if packed else wire, cap, self._seconds)
        scope[CAME] = (
            bounded.came
        )  # not the object: it leads back to the scope, a ring that lives until it is collected

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, bounded, noted)
        except Stop as stop:
            if started:
                raise
            if not came:
                await discard(wire)
            await self._tell(scope, send, stop.error, _CLOSE)
        except ConnectionResetError:
            return
        except Exception:
            # A defect of ours: the whole of it goes to the log, a number by which to find it there to the caller.
            number = str(scope.get(REQUEST) or secrets.token_hex(8))
            log.exception("internal error %s at %r", number, scope["path"][:400])
            if started:
                raise
            words = RopewalkError(
                "internal", "This is a defect of Ropewalk.", where=number, fix="report it with the log"
            )
            await self._tell(scope, send, words, _CLOSE)


class _Bounded:
    """A `receive` that counts a body's bytes and the time that they take to come."""

    def __init__(self, receive: Receive, cap: int, seconds: float) -> None:
        self._receive = receive
        self._cap = cap
        self._seconds = seconds
        self.came = [0]
        self._waited = 0.0
        self._done = False

    async def __call__(self) -> Message:
        if self._done:
            return await self._receive()
        # The app's own slowness does not count: only what is waited for here.
        coming = self._receive().__await__()
        try:
            waits = next(coming)
        except StopIteration as there:  # most bodies have come with their heads, and need no clock
            message = there.value
        else:
            message = await self._in_time(coming, waits)
        self.came[0] += len(message.get("body", b""))
        if self._cap and self.came[0] > self._cap:
            raise Stop(too_large(self._cap))
        self._done = not message.get("more_body", False)
        return message

    async def _in_time(self, coming: Generator[Any, Any, Message], waits: object) -> Message:
        """Return what is on its way, unless it takes too long."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        left = self._seconds + self.came[0] / BODY_RATE_MIN - self._waited
        try:
            async with asyncio.timeout(min(left, self._seconds)):
                message = await _Begun(coming, waits)
        except TimeoutError:
            raise Stop(Invalid("body-too-slow", "The body did not arrive in time.")) from None
        self._waited += loop.time() - began
        return message


class _Begun:
    """What somebody has begun to await, and found that it waits."""

    def __init__(self, coming: Generator[Any, Any, Message], waits: object) -> None:
        self._coming = coming
        self._waits = waits

    def __await__(self) -> Generator[Any, Any, Message]:
        waits = self._waits
        while True:
            try:
                said = yield waits
            except BaseException as error:  # noqa: BLE001 - a cancellation: whoever waits is told
                step = partial(self._coming.throw, error)
            else:
                step = partial(self._coming.send, said)
            try:
                waits = step()
            except StopIteration as there:
                return there.value


def unpacked(receive: Receive, cap: int) -> Receive:
    """Return a `receive` that gives the bytes of a gzip body, and never more than one beyond the cap."""
    stream = zlib.decompressobj(16 + zlib.MAX_WBITS)
    left = cap + 1

    async def inflated() -> Message:
        nonlocal left
        message = await receive()
        if message["type"] != "http.request":
            return message
        try:
            body = stream.decompress(message.get("body", b""), left) if left else b""
        except zlib.error as error:
            raise Stop(_packed_badly(str(error))) from error
        left -= len(body)
        if stream.unused_data:
            raise Stop(_packed_badly("something follows its end"))
        if left and not stream.eof and not message.get("more_body", False):
            raise Stop(_packed_badly("it ends too early"))
        return {**message, "body": body}

    return inflated


def _packed_badly(why: str) -> Invalid:
    return Invalid("encoding-unsupported", "The body is not gzip.", where="Content-Encoding", why=why)


def _unpackable(coding: bytes, cap: int) -> Invalid | None:
    if coding == b"identity" or (coding == b"gzip" and cap):
        return None
    return Invalid(
        "encoding-unsupported",
        "Bodies are not unpacked from this here.",
        where="Content-Encoding",
        why=f"found {coding.decode('latin-1')[:40]!r}",
        fix="send it as it is" + (", or with gzip" if cap else ""),
    )


async def _told(_scope: Scope, send: Send, error: RopewalkError, headers: Headers) -> None:
    await answer_error(send, error, headers)


async def discard(receive: Receive) -> None:
    """Read a little of what still comes, so that the caller gets to read the answer."""
    left = DISCARD_BYTES
    with suppress(TimeoutError):
        async with asyncio.timeout(DISCARD_SECONDS):
            while left > 0:
                message = await receive()
                left -= len(message.get("body", b"")) or 1
                if not message.get("more_body", False):
                    return


_CLOSE = ((b"connection", b"close"),)
_LOOKED_AT = frozenset((b"host", b"origin", b"sec-fetch-site", b"content-length", b"content-encoding"))
_OF_PACKED = frozenset((b"content-length", b"content-encoding"))
# `same-site` is another port of this machine, or another name of the same domain: foreign here too.
_FOREIGN = frozenset((b"cross-site", b"same-site"))


class Stop(BaseException):
    """Stops the app; it is no error of its own, and no handler of errors inside the app shall see it."""

    def __init__(self, error: RopewalkError) -> None:
        super().__init__(error.what)
        self.error = error


def too_large(cap: int) -> Invalid:
    """Return the error of a body above the cap (bytes)."""
    return Invalid(
        "body-too-large", "The body is too large.", where="body", why=f"at most {cap} bytes", fix="send fewer rows"
    )


def _announced(length: bytes, cap: int) -> RopewalkError | None:
    if not cap:
        return None
    return too_large(cap) if not length.isdigit() or int(length[:20]) > cap else None


def _refused(code: str, what: str, where: str, found: str) -> Refused:
    fix = "use the address that the server printed, or allow the name: ropewalk up --allow-host NAME"
    return Refused(code, what, where=where, why=f"found {found[:120]!r}", fix=fix)


async def read_body(receive: Receive) -> bytes:
    """Return the whole body; the guard around the app has capped it.

    Raises:
        ConnectionResetError: the client left before the body was whole.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ConnectionResetError
    if not message.get("more_body", False):
        return message.get("body", b"")
    pieces = [message.get("body", b"")]
    while message.get("more_body", False):
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        pieces.append(message.get("body", b""))
    return b"".join(pieces)


def depth_within(body: bytes, depth_max: int = JSON_DEPTH_MAX) -> bool:
    """Say whether JSON text nests at most so deep, without building anything."""
    if body.count(b"[") + body.count(b"{") <= depth_max:
        return True
    quick = _depth_of(body, depth_max)
    if quick is not None:
        return quick
    depth = 0
    for shape in _SHAPES.finditer(body):
        mark = shape.group()
        if mark in (b"[", b"{"):
            depth += 1
            if depth > depth_max:
                return False
        elif mark in (b"]", b"}"):
            depth -= 1
    return True


def _depth_of(body: bytes, depth_max: int) -> bool | None:
    """Say the same of a text that has no brackets or backslashes in its strings and closes all; of others None.

    Strings without brackets have become two quotes. One that holds a bracket leaves a quote behind: of the quotes that
    stand together one of its own is missing. What is left behind is never empty.
    """
    marks = body.translate(_LEVELS, _PLAIN).replace(b'""', b"")
    for _ in range(depth_max):
        # Whatever holds nothing more goes, which takes one level away.
        fewer = marks.replace(b"[]", b"")
        if len(fewer) == len(marks):
            return None
        if not fewer:
            return True
        marks = fewer
    return None


def decode_json(body: bytes, depth_max: int = JSON_DEPTH_MAX) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return JSON of any shape as Python values.

    Raises:
        Invalid: it is not JSON, not UTF-8, or nests too deep.
    """
    if not depth_within(body, depth_max):
        raise Invalid("json-too-deep", "The JSON nests too deep.", where="body", why=f"at most {depth_max} levels")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("json-malformed", "The body is not JSON.", where="body", why=str(error)) from error
