"""A caller of one HTTP address that costs little: keep-alive connections, each asking again as soon as it is answered.

It is a process of its own, `python -m measure.load URL BODY-FILE CONNECTIONS SECONDS`, and prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

WARM_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a load came to.

    Attributes:
        per_second: answers with status 200 in each second.
        p50_ms: half of the answers took less.
        p99_ms: 99 of 100 took less.
        answered: how many were counted.
        others: answers with another status.
        whole: all answers, those of the warm half second too.
    """

    per_second: float
    p50_ms: float
    p99_ms: float
    answered: int
    others: int
    whole: int


class Connection(asyncio.Protocol):
    """One connection; asks until `until`, and notes how long each answer took.

    Args:
        request: the bytes of one request.
        since: when counting begins, by `perf_counter`.
        until: when it asks no more.
        took: where seconds are noted.
        statuses: where statuses are counted; under 0 all answers.
    """

    def __init__(
        self, request: bytes, *, since: float, until: float, took: list[float], statuses: Counter[int]
    ) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request, self._since, self._until = request, since, until
        self._took, self._statuses = took, statuses
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        self._asked = perf_counter()
        if self._asked >= self._until:
            self._transport.close()
            return
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Take a piece of an answer; ask again when it is whole."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length) if length else not body.endswith(b"0\r\n\r\n"):  # or it comes in chunks
            return
        self._buffer = b""
        now = perf_counter()
        self._statuses[0] += 1
        if self._asked >= self._since and now <= self._until:
            self._statuses[int(head[9:12])] += 1
            self._took.append(now - self._asked)
        self._ask()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """Be done."""
        if not self.done.done():
            self.done.set_result(None)


async def _drive(url: str, body: bytes, connections: int, seconds: float) -> Load:
    parts = urlsplit(url)
    request = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    took: list[float] = []
    statuses: Counter[int] = Counter()
    since = perf_counter() + WARM_SECONDS
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: Connection(request, since=since, until=since + seconds, took=took, statuses=statuses),
            parts.hostname,
            parts.port,
        )
        for _ in range(connections)
    ]
    await asyncio.wait_for(asyncio.gather(*(one.done for _, one in made)), WARM_SECONDS + seconds + 10)
    took.sort()
    answered = len(took)
    return Load(
        per_second=statuses[200] / seconds,
        p50_ms=took[answered // 2] * 1e3 if took else float("nan"),
        p99_ms=took[answered * 99 // 100] * 1e3 if took else float("nan"),
        answered=answered,
        others=answered - statuses[200],
        whole=statuses[0],
    )


def drive(url: str, body: bytes, connections: int, seconds: float, folder: Path) -> Load:
    """Ask from a process of its own.

    Args:
        url: the address; its host is a loopback one.
        body: JSON of every request.
        connections: how many.
        seconds: how long is counted, after half a second of warming.
        folder: where the body may be laid.
    """
    (folder / "body.json").write_bytes(body)
    words = ["-m", "measure.load", url, str(folder / "body.json"), str(connections), str(seconds)]
    said = subprocess.run(
        [sys.executable, *words], cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE, check=True, text=True
    ).stdout
    return Load(**json.loads(said))


if __name__ == "__main__":
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        work = _drive(sys.argv[1], Path(sys.argv[2]).read_bytes(), int(sys.argv[3]), float(sys.argv[4]))
        found = runner.run(work)
    print(json.dumps({name: getattr(found, name) for name in Load.__slots__}))
