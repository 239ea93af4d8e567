"""NATS: a subject kept by JetStream, read by a durable pull consumer."""

# The client ships without whole types; what comes out of it is narrowed where it enters our records.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import nats
from nats.errors import TimeoutError as NatsTimeout
from nats.js.errors import NotFoundError

from ropewalk.streams.message import FIRST_SECONDS, HEADER, Message

ACK_SECONDS = 30.0


class Nats:
    """A subject of NATS.

    Args:
        url: `nats://HOST:PORT`.
        topic: the subject; a stream is made for it where none keeps it.
        group: name of the durable consumer.
        outs: subjects that answers go to; kept by streams too.
        ack_seconds: after so long what was taken and is not done comes again.
    """

    def __init__(
        self, url: str, topic: str, *, group: str, outs: Sequence[str], ack_seconds: float = ACK_SECONDS
    ) -> None:
        self._url = url
        self._topic = topic
        self._group = group
        self._outs = tuple(outs)
        self._ack_seconds = ack_seconds
        self._link: Any = None
        self._js: Any = None
        self._pull: Any = None

    async def open(self) -> None:
        """Connect; make streams and consumer."""
        self._link = await nats.connect(self._url, connect_timeout=5, max_reconnect_attempts=3)
        self._js = self._link.jetstream()
        for subject in (self._topic, *self._outs):
            try:
                await self._js.find_stream_name_by_subject(subject)
            except NotFoundError:
                await self._js.add_stream(name=_name(subject), subjects=[subject])
        config = nats.js.api.ConsumerConfig(ack_wait=self._ack_seconds)
        self._pull = await self._js.pull_subscribe(
            self._topic, durable=_name(f"{self._group}.{self._topic}"), config=config
        )

    async def take(self, count: int, seconds: float) -> Sequence[Message]:  # noqa: ARG002 - the server sends what is there
        """Return what is there."""
        try:
            found = await self._pull.fetch(count, timeout=FIRST_SECONDS)
        except (NatsTimeout, TimeoutError):
            if self._link.is_closed:
                raise ConnectionError("NATS is not there any more") from None
            return []
        return [_message(one) for one in found]

    async def done(self, messages: Sequence[Message]) -> None:
        """Acknowledge each and wait until the server has heard it."""
        for one in messages:
            await one.token.ack_sync()

    async def put(self, topic: str, body: bytes, message: str) -> None:
        """Publish; within the stream's window of two minutes the server itself drops one that comes twice."""
        await self._js.publish(topic, body, headers={HEADER: message, "Nats-Msg-Id": message})

    async def lag(self) -> int | None:
        """Return how many messages nobody took yet, and how many were taken and are not done."""
        told = await self._pull.consumer_info()
        return int(told.num_pending or 0) + int(told.num_ack_pending or 0)

    async def close(self) -> None:
        """Disconnect."""
        if self._link is not None:
            await self._link.close()


def _name(subject: str) -> str:
    """Return a name that a stream or consumer may have, another one for each subject."""
    plain = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in subject)
    return f"{plain[:40]}-{hashlib.sha256(subject.encode()).hexdigest()[:8]}"


def _message(given: Any) -> Message:  # noqa: ANN401 - the client's
    at = f"{given.metadata.stream}:{given.metadata.sequence.stream}"
    headers = {str(name): str(value) for name, value in (given.headers or {}).items()}
    return Message(id=at, position=at, body=given.data, headers=headers, token=given)
