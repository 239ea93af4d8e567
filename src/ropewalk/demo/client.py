"""A bounded sender of live traffic to one endpoint of this machine, with labels when they are known."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from ropewalk.clock import iso
from ropewalk.errors import Unavailable

LABEL_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One request as the world makes it.

    Attributes:
        at_us: event time of the request.
        key: what the split is sticky by.
        row: the features.
        label: what really happened; None when it never will.
        known_us: when that was known; None like the label.
    """

    at_us: int
    key: str
    row: Mapping[str, object]
    label: int | None
    known_us: int | None


class Tally:
    """What came back; it counts on while the sender plays.

    Attributes:
        answered: predictions with an answer.
        refused: how often each status was answered that was none.
        by_release: answers of each release.
        labels: labels sent.
        last_id: the newest prediction's id.
        last_us: event time reached.
    """

    def __init__(self) -> None:
        self.answered = 0
        self.refused: Counter[int] = Counter()
        self.by_release: Counter[str] = Counter()
        self.labels = 0
        self.last_id = ""
        self.last_us = 0


class Sender:
    """Plays arrivals in time order and sends each label once event time has passed the moment it was known.

    Args:
        host: loopback address of the server.
        port: its port.
        endpoint: name of the endpoint.
        connections: how many requests may be under way at once.
    """

    def __init__(self, host: str, port: int, endpoint: str, connections: int = 8) -> None:
        self._host = host
        self._port = port
        self._endpoint = endpoint
        self._connections = connections
        self._waiting: list[tuple[int, str, int]] = []
        self.tally = Tally()

    def play(
        self, arrivals: Iterable[Arrival], *, until: Callable[[], bool] | None = None, per_second: float = 0.0
    ) -> None:
        """Send arrivals until they end, or until `until()` is true (looked at between batches of requests).

        Args:
            arrivals: in time order.
            until: asked whether it is enough.
            per_second: at most so many requests a second; 0 is as fast as they are answered.
        """
        asyncio.run(self._play(iter(arrivals), until, per_second))

    async def _play(self, arrivals: Iterator[Arrival], until: Callable[[], bool] | None, per_second: float) -> None:
        lanes = [await _Lane.open(self._host, self._port) for _ in range(self._connections)]
        labels = await _Lane.open(self._host, self._port)
        try:
            while not (until is not None and until()):
                batch = [arrival for _, arrival in zip(range(self._connections * 16), arrivals, strict=False)]
                if not batch:
                    break
                due = asyncio.sleep(len(batch) / per_second if per_second else 0)
                shares = [batch[at :: self._connections] for at in range(self._connections)]
                driven = (self._drive(lane, share) for lane, share in zip(lanes, shares, strict=True))
                await asyncio.gather(due, *driven)
                await self._tell(labels, batch[-1].at_us)
        finally:
            for lane in [*lanes, labels]:
                lane.close()

    async def _drive(self, lane: _Lane, arrivals: list[Arrival]) -> None:
        tally = self.tally
        for arrival in arrivals:
            body = {"records": [arrival.row], "key": arrival.key, "time": iso(arrival.at_us)}
            status, answer = await lane.post(f"/endpoints/{self._endpoint}/predict", body)
            tally.last_us = max(tally.last_us, arrival.at_us)
            if status != HTTPStatus.OK:
                tally.refused[status] += 1
                continue
            prediction = answer["predictions"][0]
            tally.answered += 1
            tally.by_release[answer["release"]] += 1
            tally.last_id = prediction["id"]
            if arrival.known_us is not None and arrival.label is not None:
                heapq.heappush(self._waiting, (arrival.known_us, prediction["id"], arrival.label))

    async def _tell(self, lane: _Lane, now_us: int) -> None:
        while self._waiting and self._waiting[0][0] <= now_us:
            labels: list[dict[str, object]] = []
            while self._waiting and self._waiting[0][0] <= now_us and len(labels) < LABEL_BATCH:
                known_us, prediction, label = heapq.heappop(self._waiting)
                labels.append({"id": prediction, "value": label, "time": iso(known_us)})
            status, answer = await lane.post(f"/endpoints/{self._endpoint}/labels", {"labels": labels})
            if status != HTTPStatus.OK:
                raise Unavailable("demo-labels-refused", "The server refused labels.", why=str(answer))
            self.tally.labels += len(labels)


class _Lane:
    """One keep-alive connection, opened anew where the server has closed it because nothing came for long."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, address: tuple[str, int]) -> None:
        self._reader = reader
        self._writer = writer
        self._address = address
        self._host = f"{address[0]}:{address[1]}"

    @classmethod
    async def open(cls, host: str, port: int) -> _Lane:
        reader, writer = await asyncio.open_connection(host, port)
        return cls(reader, writer, (host, port))

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        await asyncio.sleep(0)  # whatever the loop has not read yet, a goodbye too, is read before it is asked
        if self._reader.at_eof():
            self._writer.close()
            self._reader, self._writer = await asyncio.open_connection(*self._address)
        data = msgspec.json.encode(body)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        self._writer.write(head.encode() + data)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status = int(answer[9:12])
        length = int(answer.partition("content-length:")[2].partition("\r\n")[0])
        return status, msgspec.json.decode(await self._reader.readexactly(length))

    def close(self) -> None:
        self._writer.close()
