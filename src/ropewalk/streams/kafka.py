"""Kafka: a topic read by a group; offsets are committed when every message of a batch is done."""

# The client ships without whole types; what comes out of it is narrowed where it enters our records.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import aiokafka

from ropewalk.streams.message import FIRST_SECONDS, HEADER, Message


class Kafka:
    """A topic of Kafka.

    Args:
        url: `kafka://HOST:PORT`, several hosts by commas.
        topic: the topic.
        group: of consumers.
    """

    def __init__(self, url: str, topic: str, *, group: str) -> None:
        self._servers = url.partition("://")[2].rstrip("/")
        self._topic = topic
        self._group = group
        self._reader: Any = None
        self._writer: Any = None

    async def open(self) -> None:
        """Connect and join the group."""
        self._reader = aiokafka.AIOKafkaConsumer(
            self._topic,
            bootstrap_servers=self._servers,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await self._reader.start()
        self._writer = aiokafka.AIOKafkaProducer(bootstrap_servers=self._servers, acks="all")
        await self._writer.start()

    async def take(self, count: int, seconds: float) -> Sequence[Message]:  # noqa: ARG002 - it gives what it has fetched
        """Return what was fetched."""
        found = await self._reader.getmany(timeout_ms=int(FIRST_SECONDS * 1000), max_records=count)
        return [_message(one) for some in found.values() for one in some]

    async def done(self, messages: Sequence[Message]) -> None:
        """Commit the offset behind the last message of each partition."""
        behind: dict[Any, int] = {}
        for one in messages:
            at = aiokafka.TopicPartition(one.token.topic, one.token.partition)
            behind[at] = max(behind.get(at, 0), one.token.offset + 1)
        # What a rebalance has given to another consumer is his to commit; he finds it known.
        mine = {at: offset for at, offset in behind.items() if at in self._reader.assignment()}
        if mine:
            await self._reader.commit(mine)

    async def put(self, topic: str, body: bytes, message: str) -> None:
        """Publish with the message's id as key, and wait for all replicas."""
        await self._writer.send_and_wait(topic, body, key=message.encode(), headers=[(HEADER, message.encode())])

    async def lag(self) -> int | None:
        """Return how many messages lie behind what was committed, over the partitions of this consumer."""
        mine = self._reader.assignment()
        ends = await self._reader.end_offsets(mine)
        begins = await self._reader.beginning_offsets(mine)
        return sum([end - (await self._reader.committed(at) or begins[at]) for at, end in ends.items()])

    async def close(self) -> None:
        """Leave the group and disconnect."""
        for one in (self._reader, self._writer):
            if one is not None:
                await one.stop()


def _message(given: Any) -> Message:  # noqa: ANN401 - the client's
    at = f"{given.topic}:{given.partition}:{given.offset}"
    headers = {str(name): bytes(value).decode("utf-8", "replace") for name, value in given.headers or ()}
    return Message(id=at, position=at, body=given.value or b"", headers=headers, token=given)
