"""What every table of `ropewalk.toml` is made of, and its tables of topics and of captured predictions."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of `ropewalk.toml`: an unknown key is an error that names it."""


class Capture(Part, frozen=True, kw_only=True):
    """What becomes of captured predictions.

    Attributes:
        keep_days: for how many days they are kept; 0 for ever. What a canary that runs is judged by stays.
    """

    keep_days: Annotated[int, Meta(ge=0, le=36_500)] = 0


class Stream(Part, frozen=True, kw_only=True):
    """A topic whose messages are scored; each has the form of a request's body, or is one record.

    Attributes:
        name: how people call it.
        broker: `amqp://`, `redis://`, `nats://` or `kafka://HOST:PORT`, without a password: a variable named
            `ROPEWALK_STREAM_NAME` (the name in capitals, `_` for what is no letter) goes before it.
        topic: the queue, stream, subject or topic that is read.
        results: where answers are published; empty for nowhere, they are kept all the same.
        dead: where messages that cannot be scored are published too; they are kept in any case.
        endpoint: who answers; the project's model in production when empty.
        group: consumers of one group share the messages (Redis, NATS, Kafka).
        id: what makes a message the same when it comes again: empty for the broker's own position or, at RabbitMQ,
            the property `message_id`; `header:NAME` for a header; otherwise a member of the body.
        retries: how often a message that the model fails on is tried again before it is dead.
        batch: messages that are taken at once, at most.
        linger_ms: how long a batch waits for more messages.
        keep_days: for how long a message that comes again is known.
    """

    name: Name
    broker: str
    topic: str
    results: str = ""
    dead: str = ""
    endpoint: str = ""
    group: str = "ropewalk"
    id: str = ""
    retries: Annotated[int, Meta(ge=0, le=100)] = 3
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 256
    linger_ms: Annotated[float, Meta(ge=0, le=10_000)] = 20.0
    keep_days: Annotated[int, Meta(ge=1, le=3650)] = 14
