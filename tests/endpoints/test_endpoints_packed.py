"""Bodies that come compressed are unpacked as far as the cap, and no further."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Iterable

import pytest

from ropewalk.endpoints.guard import Guard, read_body
from ropewalk.endpoints.problems import answer_json

CAP = 4096


def post(pieces: Iterable[bytes], *headers: tuple[bytes, bytes], cap: int = CAP) -> tuple[int, object]:
    sent: list[dict] = []
    waiting = list(pieces)

    async def app(scope, receive, send) -> None:
        body = await read_body(receive)
        await answer_json(send, 200, [len(body), [name.decode() for name, _ in scope["headers"]]])

    async def receive() -> dict:
        body = waiting.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(waiting)}

    async def send(message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "path": "/",
        "headers": [(b"host", b"localhost:80"), *headers],
        "server": ("127.0.0.1", 80),
        "scheme": "http",
    }
    asyncio.run(Guard(app, body_bytes_max=cap)(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


GZIP = (b"content-encoding", b"gzip")
WHOLE = gzip.compress(b"x")


@pytest.mark.parametrize("size", [0, 1, CAP])
def test_a_gzip_body_is_unpacked_in_pieces(size: int) -> None:
    packed = gzip.compress(bytes(size))

    for pieces in ([packed], [packed[:5], packed[5:]], [bytes([one]) for one in packed]):
        assert post(pieces, GZIP, (b"content-length", b"9")) == (200, [size, ["host"]])


@pytest.mark.parametrize("size", [CAP + 1, 100 << 20])
def test_a_bomb_is_refused_after_its_cap(size: int) -> None:
    packed = gzip.compress(bytes(size))

    status, problem = post([packed], GZIP)

    assert len(packed) < 200_000
    assert (status, problem["code"]) == (413, "body-too-large")


@pytest.mark.parametrize(
    "packed",
    [WHOLE[:-4], WHOLE * 2, zlib.compress(b"x"), b"plain", b"", b"\x1f\x8b\x08"],
    ids=["cut", "twice", "zlib", "plain", "empty", "head"],
)
def test_what_is_not_one_whole_gzip_stream_is_refused(packed: bytes) -> None:
    status, problem = post([packed], GZIP)

    assert (status, problem["code"]) == (415, "encoding-unsupported")


@pytest.mark.parametrize("coding", [b"br", b"deflate", b"gzip, gzip", b"zstd", b"x\x1b[31m"])
def test_another_compression_is_refused(coding: bytes) -> None:
    status, problem = post([b"x"], (b"content-encoding", coding))

    assert (status, problem["code"]) == (415, "encoding-unsupported")


def test_what_is_streamed_without_a_cap_is_never_unpacked() -> None:
    assert post([gzip.compress(b"x")], GZIP, cap=0)[0] == 415
    assert post([b"x" * 5000], cap=0)[0] == 200
