"""Which broker an address leads to, and whose secrets it takes."""

from __future__ import annotations

import os
import re

from ropewalk.errors import Invalid, missing_extra
from ropewalk.parts import Stream
from ropewalk.streams.message import Broker

SCHEMES = ("amqp", "amqps", "redis", "rediss", "nats", "kafka")


def address(stream: Stream) -> str:
    """Return the broker's address: of the variable `ROPEWALK_STREAM_NAME`, else of the settings.

    Raises:
        Invalid: its scheme is none that is spoken, or the settings hold a password.
    """
    variable = f"ROPEWALK_STREAM_{re.sub(r'[^A-Z0-9]', '_', stream.name.upper())}"
    given = os.environ.get(variable, "")
    if not given and ":" in stream.broker.partition("://")[2].rpartition("@")[0]:
        raise Invalid(
            "settings-secret",
            "ropewalk.toml holds a password.",
            where=f"[[streams]] {stream.name}",
            why="the file is kept by git and goes into the evidence of releases",
            fix=f"put the whole address into {variable}",
        )
    found = given or stream.broker
    if found.partition("://")[0] not in SCHEMES:
        raise Invalid(
            "stream-broker-unknown",
            "No such broker is spoken to.",
            where=f"[[streams]] {stream.name}",
            why=f"an address begins with one of {', '.join(f'{one}://' for one in SCHEMES)}",
            fix='broker = "redis://127.0.0.1:6379"',
        )
    return found


def connect(stream: Stream) -> Broker:
    """Return the broker of a stream, not connected yet.

    Raises:
        Invalid: its address is none.
        Missing: its client is not installed.
    """
    url = address(stream)
    outs = [one for one in (stream.results, stream.dead) if one]
    try:
        match url.partition("://")[0]:
            case "amqp" | "amqps":
                from ropewalk.streams.rabbit import Rabbit

                return Rabbit(url, stream.topic, outs=outs, batch=stream.batch)
            case "redis" | "rediss":
                from ropewalk.streams.redis import Redis

                return Redis(url, stream.topic, group=stream.group)
            case "nats":
                from ropewalk.streams.nats import Nats

                return Nats(url, stream.topic, group=stream.group, outs=outs)
            case _:
                from ropewalk.streams.kafka import Kafka

                return Kafka(url, stream.topic, group=stream.group)
    except ImportError as error:
        raise missing_extra(error.name or "the broker's client", "streams") from error
