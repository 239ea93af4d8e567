"""What became of a message, told once: its row, and the rows that were captured for it, in one transaction."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ropewalk.endpoints.making import making
from ropewalk.endpoints.segment import describe, folder_of, register, write_table
from ropewalk.errors import Conflict, NotFound
from ropewalk.refs import digest_of, uuid7
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

if TYPE_CHECKING:
    import polars as pl

DONE, DEAD, TRYING, AGAIN = "done", "dead", "trying", "again"
OVER = frozenset((DONE, DEAD))
_BYTES = "base64:"
ID_LETTERS_MAX = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a message.

    Attributes:
        stream: its stream.
        message: its id.
        state: `done`, `dead`, `trying` after a failed attempt, `again` when people want a dead one tried again.
        attempts: how often the model failed on it.
        prediction: id of its first row's prediction, empty without one.
        release: who answered, empty when nobody did.
        position: where it lies in its topic.
        body: what it said, kept while it is not done.
        result: what is to be published; empty once it is, or where nothing is.
        published: 1 when nothing is left to publish.
        error: why it is dead or was tried again.
        at_us: when, microseconds since the epoch.
    """

    stream: str
    message: str
    state: str
    attempts: int
    prediction: str
    release: str
    position: str
    body: str
    result: str
    published: int
    error: str
    at_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a stream's consumer saw last.

    Attributes:
        name: of the stream.
        paused: 1 while people want nothing taken.
        position: of the newest message that was settled, empty where the broker has none.
        lag: messages that wait, None where nobody knows.
        seen_us: when.
        problem: why nothing goes on, or empty.
    """

    name: str
    paused: int
    position: str
    lag: int | None
    seen_us: int | None
    problem: str


class Taken(Conflict):
    """Another consumer has settled this message meanwhile; nothing of the transaction was kept."""

    def __init__(self, message: str) -> None:
        super().__init__("stream-message-taken", "Another consumer has settled this message.", where=message[:80])
        self.message = message


def known(reader: Reader, stream: str, message: str) -> Outcome | None:
    """Return what became of a message, or None."""
    return reader.get(Outcome, "streams.message", stream=stream, message=message)


def settle(
    site: Site, endpoint: str, outcomes: Sequence[tuple[Outcome, int]], rows: pl.DataFrame | None, seen: Seen | None
) -> None:
    """Keep outcomes and the rows captured for them: all of it in one transaction, or nothing.

    Args:
        site: the project.
        endpoint: who answered.
        outcomes: each with the number of attempts that the row had before.
        rows: captured rows, as `segment.frame_of` makes them; None for none.
        seen: how far the consumer is.

    Raises:
        Taken: another consumer was faster with one of them.
    """

    def work(tx: Transaction) -> None:
        for one, before in outcomes:
            if tx.run("streams.settle", **asdict(one), before=before) != 1:
                raise Taken(one.message)
        if seen is not None:
            see(tx, seen)

    if rows is None or not rows.height:
        site.db.write(work)
        return
    path = folder_of(site, endpoint) / f"{uuid7(site.clock.now_us())}.parquet"
    with making(path):
        write_table(rows, path)
        segment = describe(site, rows, endpoint, path)

        def whole(tx: Transaction) -> None:
            work(tx)
            register(tx, site, segment, {**asdict(segment), "damaged": False, "stream": outcomes[0][0].stream})

        site.db.write(whole)


def see(tx: Transaction, seen: Seen) -> None:
    """Write down how far a consumer is."""
    told = asdict(seen)
    del told["paused"]
    tx.run("streams.seen", **told)


def published(site: Site, outcomes: Sequence[Outcome]) -> None:
    """Note that answers are with the broker."""
    rows = [{"stream": one.stream, "message": one.message} for one in outcomes]
    site.db.write(lambda tx: tx.many("streams.published", rows))


def revive(tx: Transaction, site: Site, stream: str, message: str) -> None:
    """Let a dead message be scored again, by whoever consumes its stream.

    Raises:
        NotFound: no message of this id is dead.
    """
    if tx.run("streams.again", stream=stream, message=message) != 1:
        raise NotFound(
            "stream-message-not-found",
            "No message of this id is among the dead letters.",
            where=f"{stream} {message[:80]}",
            fix=f"ropewalk stream {stream} --dead",
        )
    site.record(tx, "stream.replayed", f"stream:{stream}", {"message": message})


def pause(tx: Transaction, site: Site, stream: str, *, paused: bool) -> None:
    """Let a stream's consumers take nothing more, or go on."""
    tx.run("streams.pause", name=stream, paused=int(paused))
    site.record(tx, "stream.paused" if paused else "stream.resumed", f"stream:{stream}", {})


def as_text(body: bytes) -> str:
    """Return a message's bytes as a text that `as_bytes` reads back."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return _BYTES + base64.b64encode(body).decode()
    return _BYTES + base64.b64encode(body).decode() if text.startswith(_BYTES) or "\0" in text else text


def digest(body: bytes) -> str:
    """Return what stands for a message that nothing names, so that it is kept once."""
    return digest_of(body)


def as_bytes(text: str) -> bytes:
    """Return the bytes that `as_text` was given."""
    return base64.b64decode(text.removeprefix(_BYTES)) if text.startswith(_BYTES) else text.encode()
