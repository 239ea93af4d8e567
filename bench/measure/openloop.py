"""An open loop: requests are due by the clock, whether or not earlier ones were answered, as from many strangers.

It is a process of its own, `python -m measure.openloop PLAN-FILE`, and prints one line of JSON. A request that is due
takes a connection on which nothing is under way; when there is none it counts as not carried: it never left.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, cast
from urllib.parse import urlsplit

from measure.writers import MARK

TICK_SECONDS = 0.002
AFTER_SECONDS = 5.0
LET_IN_AT_ONCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What an open loop came to.

    Attributes:
        due: requests that were due in all seconds.
        carried: those that left.
        good: answered with 200.
        good_p99_ms: 99 of 100 of those took less, from leaving to the whole answer.
        good_most_ms: the slowest of those.
        refused: answered with 429 or 503 and Retry-After.
        refused_p99_ms: 99 of 100 of those took less.
        refused_within_50_ms: the share of those that took no more.
        others: anything else: another status, a refusal without Retry-After, a broken connection.
        unanswered: left, and had no answer five seconds after the end.
    """

    due: int
    carried: int
    good: int
    good_p99_ms: float
    good_most_ms: float
    refused: int
    refused_p99_ms: float
    refused_within_50_ms: float
    others: int
    unanswered: int


class Counts:
    """What has been seen, and which connections are free."""

    def __init__(self) -> None:
        self.idle: list[Stranger] = []
        self.good: list[float] = []
        self.refused: list[float] = []
        self.others = 0
        self.waiting = 0


class Stranger(asyncio.Protocol):
    """One connection; asks when it is told to."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be free."""
        self._transport = cast("asyncio.Transport", transport)
        self._counts.idle.append(self)

    def ask(self, request: bytes) -> None:
        """Send one request."""
        assert self._transport is not None
        self._asked = perf_counter()
        self._counts.waiting += 1
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count an answer once it is whole, and be free again."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        low = head.lower()
        if len(body) < int(low.partition(b"content-length:")[2].partition(b"\r\n")[0]):
            return
        self._buffer = b""
        counts, took, status = self._counts, perf_counter() - self._asked, int(head[9:12])
        counts.waiting -= 1
        self._asked = 0.0
        if status == 200:
            counts.good.append(took)
        elif status in (429, 503) and b"\r\nretry-after:" in low:
            counts.refused.append(took)
        else:
            counts.others += 1
        if b"\r\nconnection: close" not in low:
            counts.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's own signature
        """Count what had no answer yet."""
        if self in self._counts.idle:
            self._counts.idle.remove(self)
        if self._asked:
            self._counts.waiting -= 1
            self._counts.others += 1


async def _let_in(counts: Counts, host: str, count: int) -> None:
    """Ask something small on each connection, so that the server has taken all of them in before the flood begins."""
    for _ in range(count):
        counts.idle.pop(0).ask(f"GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        while counts.waiting > LET_IN_AT_ONCE:  # noqa: ASYNC110 - a count is waited for, not an event
            await asyncio.sleep(TICK_SECONDS)
    while counts.waiting:  # noqa: ASYNC110 - the same
        await asyncio.sleep(TICK_SECONDS)
    counts.good.clear()


async def _flood(url: str, bodies: list[str], rate: float, seconds: float) -> Flood:
    parts = urlsplit(url)
    head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    requests = [f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode() for body in bodies]
    counts, loop = Counts(), asyncio.get_running_loop()
    for _ in bodies:
        await loop.create_connection(lambda: Stranger(counts), parts.hostname, parts.port)
    await _let_in(counts, parts.netloc, len(bodies))
    steps = itertools.count(MARK)
    began, due, carried = perf_counter(), 0, 0
    while (now := perf_counter() - began) < seconds:
        wanted = int(now * rate)
        for _ in range(min(wanted - due, len(counts.idle))):
            carried += 1
            request = requests[carried % len(requests)].replace(b"%d" % MARK, b"%d" % next(steps))
            counts.idle.pop(0).ask(request)
        due = wanted
        await asyncio.sleep(TICK_SECONDS)
    for _ in range(int(AFTER_SECONDS / TICK_SECONDS)):
        if not counts.waiting:
            break
        await asyncio.sleep(TICK_SECONDS)
    good, refused = sorted(counts.good), sorted(counts.refused)
    return Flood(
        due=due,
        carried=carried,
        good=len(good),
        good_p99_ms=_at(good, 0.99),
        good_most_ms=_at(good, 1),
        refused=len(refused),
        refused_p99_ms=_at(refused, 0.99),
        refused_within_50_ms=sum(1 for one in refused if one <= 0.05) / len(refused) if refused else 1.0,
        others=counts.others,
        unanswered=counts.waiting,
    )


def _at(took: list[float], share: float) -> float:
    return took[min(len(took) - 1, int(len(took) * share))] * 1e3 if took else float("nan")


def flood(url: str, bodies: list[object], rate: float, seconds: float, folder: Path) -> subprocess.Popen[str]:
    """Begin a flood in a process of its own: a connection for each body, which holds `MARK` where a step shall be."""
    plan = folder / "flood.json"
    more: dict[str, Any] = {"url": url, "rate": rate, "seconds": seconds}
    plan.write_text(json.dumps({**more, "bodies": [json.dumps(body) for body in bodies]}))
    words = [sys.executable, "-m", "measure.openloop", str(plan)]
    return subprocess.Popen(words, cwd=Path(__file__).parent.parent, stdout=subprocess.PIPE, text=True)


def said(child: subprocess.Popen[str]) -> Flood:
    """Wait for the end of a flood; return what it came to."""
    text = child.communicate(timeout=600)[0]
    if child.returncode:
        raise SystemExit(f"the flood ended with {child.returncode}")
    return Flood(**json.loads(text))


if __name__ == "__main__":
    import uvloop

    plan = json.loads(Path(sys.argv[1]).read_text())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(_flood(plan["url"], plan["bodies"], plan["rate"], plan["seconds"]))
    print(json.dumps(asdict(found)))
