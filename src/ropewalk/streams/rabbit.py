"""RabbitMQ: a durable queue, messages acknowledged one by one, answers published with confirms."""

# The client ships without whole types; what comes out of it is narrowed where it enters our records.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import aio_pika

from ropewalk.streams.message import FIRST_SECONDS, HEADER, Message


class Rabbit:
    """A queue of RabbitMQ.

    Args:
        url: `amqp://USER:PASSWORD@HOST:PORT/VHOST`.
        topic: the queue; made durable where it is not there.
        outs: queues that answers go to; made too.
        batch: how many messages may be unacknowledged.
    """

    def __init__(self, url: str, topic: str, *, outs: Sequence[str], batch: int) -> None:
        self._url = url
        self._topic = topic
        self._outs = tuple(outs)
        self._batch = batch
        self._arrived: asyncio.Queue[Any] = asyncio.Queue()
        self._link: Any = None
        self._channel: Any = None
        self._queue: Any = None

    async def open(self) -> None:
        """Connect, declare the queues and begin to consume."""
        self._link = await aio_pika.connect(self._url, timeout=10)
        self._channel = await self._link.channel(publisher_confirms=True)
        await self._channel.set_qos(prefetch_count=self._batch)
        self._queue = await self._channel.declare_queue(self._topic, durable=True)
        for name in self._outs:
            await self._channel.declare_queue(name, durable=True)
        await self._queue.consume(self._arrived.put)

    async def take(self, count: int, seconds: float) -> Sequence[Message]:
        """Return what has arrived."""
        found: list[Message] = []
        wait = FIRST_SECONDS
        with suppress(TimeoutError):
            while len(found) < count:
                found.append(_message(await asyncio.wait_for(self._arrived.get(), wait)))
                wait = seconds
        if not found and self._channel.is_closed:
            raise ConnectionError("RabbitMQ has closed the channel")
        return found

    async def done(self, messages: Sequence[Message]) -> None:
        """Acknowledge each."""
        for one in messages:
            await one.token.ack()

    async def put(self, topic: str, body: bytes, message: str) -> None:
        """Publish to a queue, persistent, and wait for the confirm."""
        sent = aio_pika.Message(
            body,
            message_id=message,
            headers={HEADER: message},
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            content_type="application/json",
        )
        await self._channel.default_exchange.publish(sent, routing_key=topic)

    async def lag(self) -> int | None:
        """Return how many messages are ready in the queue, and were taken and are not done."""
        found = await self._channel.declare_queue(self._topic, passive=True)
        return int(found.declaration_result.message_count or 0)

    async def close(self) -> None:
        """Disconnect."""
        if self._link is not None:
            await self._link.close()


def _message(given: Any) -> Message:  # noqa: ANN401 - aio_pika's
    headers = {str(name): _text(value) for name, value in (given.headers or {}).items()}
    return Message(id=str(given.message_id or ""), position="", body=given.body, headers=headers, token=given)


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
