"""A reply: the bytes of an answer with their media type, made once per request."""

from __future__ import annotations

from ropewalk.endpoints.problems import JSON_HEADERS

Pairs = tuple[tuple[bytes, bytes], ...]
JSON = b"application/json"
OCTETS = b"application/octet-stream"
_SAFE: Pairs = tuple(pair for pair in JSON_HEADERS if pair[0] != b"content-type")


class Reply:
    """What goes back to a caller whose question was answered.

    Args:
        body: the bytes.
        media: their type.
        headers: besides the type.
    """

    __slots__ = ("body", "headers")

    def __init__(self, body: bytes, media: bytes = JSON, headers: Pairs = ()) -> None:
        self.body = body
        self.headers: Pairs = (
            JSON_HEADERS if media is JSON and not headers else ((b"content-type", media), *_SAFE, *headers)
        )
