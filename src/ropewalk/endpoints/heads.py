"""The head of a question that a data plane may answer: clearly one plain request, or nothing at all.

What a request is, is said here by a list of what is allowed and not of what is forbidden: a header that is not on it,
or one that comes twice, makes the request one for the home process, whose parser and gate judge it.
"""

from __future__ import annotations

import re

from ropewalk.endpoints.forms import INFER, PLAIN, SCORE, Form, media_of
from ropewalk.endpoints.telling import pattern_of
from ropewalk.errors import Invalid

HEAD_END = b"\r\n\r\n"
HEAD_BYTES_MAX = 4096
BODY_BYTES_MAX = 256 << 10
# A body that is longer is a batch, which shall not keep the others waiting for long.
SHORT_BYTES_MAX = 32 << 10
# How many heads are remembered.
HEADS_MAX = 1024
_LINE = re.compile(
    rb"POST (?P<path>/endpoints/(?P<plain>[\w.-]+)/predict|/v2/models/(?P<infer>[\w.-]+)/infer"
    rb"|/endpoints/(?P<score>[\w.-]+)/invocations|(?P<only>/invocations)) HTTP/1\.1"
)
_HEADER = re.compile(rb"([\w-]+):[ \t]*((?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?)[ \t]*")
_LENGTH = re.compile(rb"[0-9]{1,6}")
_ALLOWED = frozenset(
    (b"host", b"content-type", b"content-length", b"connection", b"accept", b"accept-encoding", b"accept-language",
     b"user-agent", b"inference-header-content-length", b"traceparent", b"tracestate")
)  # fmt: skip


class Head:
    """A head, made once for all requests that begin alike.

    Attributes:
        path: asked for.
        endpoint: that the path names; empty where the only one is meant.
        form: of the body.
        media: type of the body.
        headers: by name.
        host: what the caller calls us.
        length: of the body, bytes.
        route: pattern of the path, as requests are counted by.
    """

    __slots__ = ("endpoint", "form", "headers", "host", "length", "media", "path", "route")

    def __init__(
        self, *, path: str, endpoint: str, form: Form, media: bytes, headers: dict[bytes, bytes], length: int
    ) -> None:
        self.path = path
        self.route = pattern_of(path)
        self.endpoint = endpoint
        self.form = form
        self.media = media
        self.headers = headers
        self.host = headers[b"host"]
        self.length = length


def read_head(head: bytes) -> Head | None:
    """Return what a head says, or None when a data plane shall not answer it.

    Args:
        head: the bytes before the empty line.
    """
    line, *rest = head.split(b"\r\n")
    found = _LINE.fullmatch(line)
    headers = _headers(rest)
    if found is None or headers is None:
        return None
    form = PLAIN if found["plain"] else INFER if found["infer"] else SCORE
    try:
        media = media_of(headers, form)
    except Invalid:
        return None
    if b"arrow" in media:
        return None
    name = found["plain"] or found["infer"] or found["score"] or b""
    return Head(
        path=found["path"].decode(),
        endpoint=name.decode(),
        form=form,
        media=media,
        headers=headers,
        length=int(headers[b"content-length"]),
    )


def _headers(lines: list[bytes]) -> dict[bytes, bytes] | None:
    """Return headers by name, or None when one of them is not allowed or says what is not clear."""
    headers: dict[bytes, bytes] = {}
    for one in lines:
        pair = _HEADER.fullmatch(one)
        name = pair[1].lower() if pair is not None else b""
        if pair is None or name not in _ALLOWED or name in headers:
            return None
        headers[name] = pair[2]
    length = headers.get(b"content-length", b"")
    if not _LENGTH.fullmatch(length) or not headers.get(b"host") or not 0 < int(length) <= BODY_BYTES_MAX:
        return None
    if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive" or b"arrow" in headers.get(b"accept", b""):
        return None
    return headers


class Heads:
    """Reads heads, and remembers them: most have come before, from the same caller."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head | None] = {}

    def find(self, data: bytes) -> tuple[Head | None, int]:
        """Return the head with which bytes begin and where its body does; 0 while the head is not whole."""
        end = data.find(HEAD_END, 0, HEAD_BYTES_MAX)
        if end < 0:
            return None, 0 if len(data) < HEAD_BYTES_MAX else -1
        text = data[:end]
        try:
            found = self._known[text]
        except KeyError:
            if len(self._known) >= HEADS_MAX:
                self._known.clear()
            found = self._known[text] = read_head(text)
        return found, end + len(HEAD_END)
