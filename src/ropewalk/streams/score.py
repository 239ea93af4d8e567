"""Scoring messages: each is put to the endpoint as a request is, and its rows are gathered for one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec

from ropewalk.clock import Clock
from ropewalk.endpoints import plain
from ropewalk.endpoints.asking import Asked, Given, Patience, ask
from ropewalk.endpoints.capture import Capture
from ropewalk.endpoints.segment import frame_of
from ropewalk.endpoints.switchboard import Route, Switchboard
from ropewalk.errors import Invalid, RopewalkError, Unavailable

if TYPE_CHECKING:
    import polars as pl

# Errors of ours and not of the message: it waits, and its attempts are not counted.
PATIENT = frozenset(("queue-full", "release-not-warm", "endpoint-stopping", "endpoint-not-live", "worker-not-started"))
SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What came of asking the endpoint for one message.

    Attributes:
        given: the answer, or None.
        error: why there is none, or why a row of it has none; None when all of it is answered.
    """

    given: Given | None
    error: RopewalkError | None

    @property
    def patient(self) -> bool:
        """Whether it is to be asked again without counting."""
        return self.error is not None and self.error.code in PATIENT

    @property
    def hopeless(self) -> bool:
        """Whether asking again cannot help: the message itself is wrong."""
        return isinstance(self.error, Invalid) and self.given is None


class Gathered(Capture):
    """Keeps captured rows until the transaction that they belong to, instead of writing them to a journal."""

    def start(self) -> None:
        """Do nothing: there is no journal."""
        self.frames: list[dict[str, Any]] = []

    def write(self, endpoint: str, frame: dict[str, Any], rows: int) -> None:  # noqa: ARG002 - there is one endpoint
        """Keep one batch."""
        self.frames.append(frame)
        self.written_rows += rows

    def close(self) -> None:
        """Do nothing."""

    def take(self, ids: set[str]) -> pl.DataFrame | None:
        """Return the rows of these predictions, those that failed and those of shadows; forget the rest."""
        import polars as pl

        frames, self.frames = self.frames, []
        if not frames:
            return None
        table = frame_of(frames)
        ours = pl.col("error").fill_null("").str.split(":").list.first().is_in(list(PATIENT))
        failed = (pl.col("status") != "ok") & ~ours  # a request that failed as a whole says no ids
        return table.filter(pl.col("id").is_in(list(ids)) | (pl.col("role") == "shadow") | failed)


def decode(body: bytes, now_us: int) -> Asked:
    """Return the rows of a message: `{"records": [...], "key", "time"}`, or one record by itself.

    Raises:
        Invalid: it is neither.
    """
    try:
        said: object = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid("json-malformed", "The message is not JSON.", where="body", why=str(error)) from error
    if isinstance(said, dict) and "records" not in said:
        return Asked([cast("dict[str, Any]", said)], [None], None)
    return plain.decode(body, now_us)


async def score(board: Switchboard, endpoint: str, bodies: Sequence[bytes], clock: Clock) -> list[Scored]:
    """Return what the endpoint answers to each message; they are asked at once, so that the model gets batches."""
    return list(await asyncio.gather(*(_one(board, endpoint, body, clock) for body in bodies)))


async def _one(board: Switchboard, endpoint: str, body: bytes, clock: Clock) -> Scored:
    try:
        asked = decode(body, clock.now_us())
        route: Route | None = board.routes.get(endpoint)
        if route is None:
            raise Unavailable("endpoint-not-live", "Nothing is live at this endpoint yet.", where=endpoint)
        given = await ask(route, asked, Patience(pin="", seconds=SECONDS_MAX, receive=None), clock=clock)
    except RopewalkError as error:
        return Scored(given=None, error=error)
    bad = next((row["error"] for row in given.rows if isinstance(row.get("error"), dict)), None)
    if bad is None:
        return Scored(given=given, error=None)
    return Scored(given=given, error=RopewalkError(str(bad["code"]), str(bad["what"]), why=str(bad.get("why", ""))))


def answer(message: str, given: Given) -> str:
    """Return what is published for a message: its id, and what an endpoint answers to a request."""
    told = msgspec.json.decode(plain.encode(given).body)
    return msgspec.json.encode({"message": message, **told}).decode()
