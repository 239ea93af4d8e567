"""Redis: a stream read by a group; what a dead consumer took is claimed again."""

# The client ships without whole types; what comes out of it is narrowed where it enters our records.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

from redis import asyncio as client
from redis.exceptions import ResponseError

from ropewalk.streams.message import FIRST_SECONDS, HEADER, Message

BODY = "body"
CLAIM_MS = 30_000


class Redis:
    """A stream of Redis; an entry's field `body` is the message.

    Args:
        url: `redis://HOST:PORT/NUMBER`.
        topic: the stream.
        group: of consumers; made where it is not there, from the stream's begin.
    """

    def __init__(self, url: str, topic: str, *, group: str) -> None:
        self._link: Any = client.from_url(url)
        self._topic = topic
        self._group = group
        # The same name after a restart: what it had taken is asked for again at once.
        self._name = socket.gethostname()
        self._own = "0"
        self._claimed = "0-0"

    async def open(self) -> None:
        """Make the group."""
        try:
            await self._link.xgroup_create(self._topic, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def take(self, count: int, seconds: float) -> Sequence[Message]:  # noqa: ARG002 - Redis gives what is there
        """Return what this consumer took before, then what others left, then what is new."""
        if self._own:
            found = await self._read(count, self._own, None)
            self._own = found[-1].position if found else ""
            if found:
                return found
        self._claimed, given, *_ = await self._link.xautoclaim(
            self._topic, self._group, self._name, CLAIM_MS, start_id=self._claimed, count=count
        )
        claimed = [_message(place, fields) for place, fields in given if fields]
        return claimed or await self._read(count, ">", int(FIRST_SECONDS * 1000))

    async def _read(self, count: int, since: str, block: int | None) -> list[Message]:
        found = await self._link.xreadgroup(self._group, self._name, {self._topic: since}, count=count, block=block)
        entries = found[0][1] if isinstance(found, list) and found else next(iter(found.values()))[0] if found else []
        return [_message(place, fields) for place, fields in entries if fields]

    async def done(self, messages: Sequence[Message]) -> None:
        """Acknowledge all at once."""
        if messages:
            await self._link.xack(self._topic, self._group, *(one.position for one in messages))

    async def put(self, topic: str, body: bytes, message: str) -> None:
        """Add an entry to a stream."""
        await self._link.xadd(topic, {BODY: body, HEADER: message})

    async def lag(self) -> int | None:
        """Return how many entries nobody took yet, and how many were taken and are not done."""
        for group in await self._link.xinfo_groups(self._topic):
            told = {_text(name): value for name, value in group.items()}
            if _text(told["name"]) == self._group:
                return None if told.get("lag") is None else int(told["lag"]) + int(told["pending"])
        return None

    async def close(self) -> None:
        """Disconnect."""
        await self._link.aclose()


def _message(place: object, fields: Any) -> Message:  # noqa: ANN401 - the client's map of bytes
    told = {_text(name): value for name, value in fields.items()}
    body = told.pop(BODY, b"")
    at = _text(place)
    return Message(
        id=at,
        position=at,
        body=body if isinstance(body, bytes) else str(body).encode(),
        headers={name: _text(value) for name, value in told.items()},
        token=at,
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
