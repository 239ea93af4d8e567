"""A message as a broker gave it, and what a broker can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message.

    Attributes:
        id: what makes it the same when it comes again; empty where nothing says so.
        position: where it lies in its topic, in the broker's words; empty where the broker has none.
        body: its bytes.
        headers: texts by name.
        token: what the broker's client needs to be told that it is done.
    """

    id: str
    position: str
    body: bytes
    headers: Mapping[str, str]
    token: Any


class Broker(Protocol):
    """Where messages come from and answers go; one group of consumers, one consumer."""

    async def open(self) -> None:
        """Connect and make sure that topic and group are there.

        Raises:
            Exception: the client's own; the caller tries again later.
        """
        ...

    async def take(self, count: int, seconds: float) -> Sequence[Message]:
        """Return some messages, at most `count`; wait a moment for the first and `seconds` for more of them.

        What was taken and is not `done` comes again: to the next consumer, or to this one when it starts again.
        """
        ...

    async def done(self, messages: Sequence[Message]) -> None:
        """Say that these shall not come again; they are all that were taken since the last time."""
        ...

    async def put(self, topic: str, body: bytes, message: str) -> None:
        """Publish; return when the broker has it. `message` is the id that the published message carries."""
        ...

    async def lag(self) -> int | None:
        """Return how many messages wait, or None where the broker does not say."""
        ...

    async def close(self) -> None:
        """Disconnect; what was taken and is not done comes again."""
        ...


HEADER = "ropewalk-message"
FIRST_SECONDS = 0.5
"""How long `take` waits for a first message."""
