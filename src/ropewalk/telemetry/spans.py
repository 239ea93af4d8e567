"""Spans as they are told: what was done, from when to when, and what it was a part of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ropewalk.records import frozen
from ropewalk.telemetry.context import Parent

SERVER, INSIDE = "server", "internal"
_WHOLE = 1 << 64
Value = str | int | float | bool


@frozen
class Span:
    """One thing that was done.

    Attributes:
        name: what, such as `POST /endpoints/{name}/predict`.
        kind: `server` or `internal`.
        trace: id of the trace, 32 hex digits.
        id: its own, 16 hex digits.
        parent: id of the span that it is a part of, or an empty text.
        begun_us: microseconds since the epoch.
        ended_us: microseconds since the epoch.
        attributes: what else is known.
        failure: why it failed, or an empty text.
    """

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    begun_us: int
    ended_us: int
    attributes: Mapping[str, Value]
    failure: str = ""


class Spans(Protocol):
    """Whom spans are told."""

    def wants(self, trace: str, parent: Parent | None) -> bool:
        """Say whether the spans of a trace are wanted: as its caller says, or by their share."""
        ...

    def tell(self, spans: Sequence[Span]) -> None:
        """Tell of spans; never waits and never fails."""
        ...

    def close(self) -> None:
        """Tell what is left, and end."""
        ...


def is_of_share(trace: str, share: float) -> bool:
    """Say whether a trace is among a share of all: whoever asks, anywhere, is answered alike."""
    return int(trace[16:], 16) < share * _WHOLE
