"""A batch and its parts as they stand: who works on it, how many rows are scored, and what the ledger hears of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ropewalk import leases
from ropewalk.errors import Conflict, Interrupted, NotFound
from ropewalk.leases import Lease
from ropewalk.refs import canonical, digest_of, uuid7
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"
MOVES: dict[str, frozenset[str]] = {
    WAITING: frozenset({RUNNING, CANCELLED}),
    RUNNING: frozenset({RUNNING, DONE, FAILED, CANCELLED}),
    FAILED: frozenset({RUNNING, CANCELLED}),
    DONE: frozenset(),
    CANCELLED: frozenset(),
}
STOP, ASIDE = "stop", "aside"
# The last bits of a batch's id are zero; a prediction has its row's number there, counted from 1.
ROW_BITS = 40
ROWS_MAX = (1 << ROW_BITS) - 1
LEASE_SECONDS = 120
LAST = "g"  # after every id


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch.

    Attributes:
        id: a UUID version 7 whose last 40 bits are zero.
        key: digest of everything by which the same command is the same batch.
        release: id of the release that scores, such as `churn/3`.
        bundle: digest of its bundle.
        environment: whose configuration counts.
        source: canonical JSON of where the rows are.
        survey: canonical JSON of what was found there; empty until somebody has looked.
        target: file that the rows go to; empty for the server's own folder.
        policy: `stop` at the first row that cannot be answered, or set it `aside`.
        state: a key of `MOVES`.
        cancel: 1 once somebody has asked to end it.
        rows: how many there are; 0 until that is known.
        scored: how many of them are done, those set aside included.
        aside: how many were set aside.
        output: digest of the file that came out; empty until it did.
        note: why it failed.
        actor: who asked for it.
        host: the worker's lease, as in `Lease`, like all below but the last two.
        boot: kernel's boot id.
        pid: process id.
        born: start of that process.
        expires_us: end of the lease where nobody can look.
        fence: grows with each worker.
        begun_us: when it was asked for, microseconds since the epoch.
        at_us: when it last changed.
    """

    id: str
    key: str
    release: str
    bundle: str
    environment: str
    source: str
    survey: str
    target: str
    policy: str
    state: str
    cancel: int
    rows: int
    scored: int
    aside: int
    output: str
    note: str
    actor: str
    host: str
    boot: str
    pid: int
    born: int
    expires_us: int
    fence: int
    begun_us: int
    at_us: int

    @property
    def subject(self) -> str:
        """How the ledger names it."""
        return f"batch:{self.id}"

    @property
    def lease(self) -> Lease:
        """Who works on it, or worked last."""
        return Lease(
            host=self.host, boot=self.boot, pid=self.pid, born=self.born, expires_us=self.expires_us, fence=self.fence
        )

    def place(self) -> dict[str, Any]:
        """Return where its rows are."""
        return json.loads(self.source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a batch that is scored.

    Attributes:
        batch: which batch.
        number: from 0; its rows are those from `number` times the batch's size of parts on.
        rows: how many rows were answered.
        aside: how many were set aside.
        digest: sha256 of the Parquet file with the answered ones.
        set_aside: sha256 of the file with the others; empty where there are none.
    """

    batch: str
    number: int
    rows: int
    aside: int
    digest: str
    set_aside: str


def prediction_id(batch: str, row: int) -> str:
    """Return the id of a row's prediction: a UUID version 7 that says batch and row.

    Args:
        batch: the batch's id.
        row: number of the row in the input, from 0.
    """
    number = int(batch.replace("-", ""), 16) + row + 1
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def of_prediction(reader: Reader, prediction: str) -> tuple[Batch, int] | None:
    """Return the batch that a prediction's id says, and the number of its row, or None when there is no such batch."""
    try:
        number = int(prediction.replace("-", ""), 16)
    except ValueError:
        return None
    row = (number & ROWS_MAX) - 1
    text = f"{number - row - 1:032x}"
    found = reader.get(Batch, "batches.get", id=f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}")
    return (found, row) if found is not None and 0 <= row < max(found.rows, 1) else None


def key_of(source: dict[str, Any], release: str, bundle: str, target: str) -> str:
    """Return what makes two commands the same batch."""
    return digest_of(canonical([source, release, bundle, target]))


def begin(
    tx: Transaction,
    site: Site,
    *,
    key: str,
    release: str,
    bundle: str,
    environment: str,
    source: dict[str, Any],
    target: str,
    policy: str,
) -> Batch:
    """Write a batch down that waits for somebody to work on it; arguments as in `Batch`."""
    at_us = site.clock.now_us()
    number = int(uuid7(at_us).replace("-", ""), 16) >> ROW_BITS << ROW_BITS
    text = f"{number:032x}"
    name = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    tx.run(
        "batches.insert",
        id=name,
        key=key,
        release=release,
        bundle=bundle,
        environment=environment,
        source=canonical(source).decode(),
        target=target,
        policy=policy,
        actor=site.actor,
        at_us=at_us,
    )
    made = get(tx, name)
    body = {"release": release, "bundle": bundle, "environment": environment, "source": source, "policy": policy}
    site.record(tx, "batch.begun", made.subject, body)
    return made


def get(reader: Reader, name: str) -> Batch:
    """Return a batch.

    Raises:
        NotFound: there is none of this id.
    """
    found = reader.get(Batch, "batches.get", id=name)
    if found is None:
        raise NotFound("batch-not-found", "There is no such batch.", where=name[:80], fix="ropewalk batch --list")
    return found


def newest_of(reader: Reader, key: str) -> Batch | None:
    """Return the newest batch of a key, or None."""
    return reader.get(Batch, "batches.newest_of", key=key)


def page(reader: Reader, count: int = 50, before: str = LAST) -> list[Batch]:
    """Return batches, newest first, older than the one named."""
    return reader.all(Batch, "batches.page", count=count, before=before)


def open_ones(reader: Reader) -> list[Batch]:
    """Return those that wait or run, oldest first."""
    return reader.all(Batch, "batches.open")


def stale(reader: Reader, before_us: int) -> list[Batch]:
    """Return some of those that have failed before a time, and that nobody has tried again."""
    return reader.all(Batch, "batches.stale", before_us=before_us)


def parts(reader: Reader, name: str) -> list[Part]:
    """Return the parts of a batch that are scored, in order."""
    return reader.all(Part, "batches.parts", batch=name)


def take(tx: Transaction, site: Site, found: Batch, *, policy: str) -> Batch:
    """Let this process work on a batch that waits, has failed, or whose worker is gone.

    Raises:
        Conflict: somebody works on it, or it is over.
    """
    now = get(tx, found.id)
    at_us = site.clock.now_us()
    if RUNNING not in MOVES[now.state]:
        raise Conflict("batch-over", "This batch is over.", where=now.subject, why=f"it is {now.state}")
    if now.state == RUNNING and leases.is_alive(now.lease, at_us):
        raise Conflict(
            "batch-running",
            "Somebody works on this batch.",
            where=now.subject,
            why=f"process {now.pid} on {now.host}; {now.scored:,} of {now.rows:,} rows are scored",
            fix=f"ropewalk batch --show {now.id}",
        )
    mine = leases.take(at_us, now.fence + 1, LEASE_SECONDS)
    tx.run(
        "batches.take",
        id=now.id,
        policy=policy,
        host=mine.host,
        boot=mine.boot,
        pid=mine.pid,
        born=mine.born,
        expires_us=mine.expires_us,
        at_us=at_us,
        fence=now.fence,
        before=now.state,
    )
    return get(tx, now.id)


def surveyed(tx: Transaction, site: Site, found: Batch, survey: dict[str, Any]) -> Batch:
    """Note what was found at the source.

    Raises:
        Interrupted: another process works on it by now.
    """
    at_us = site.clock.now_us()
    _mine(
        tx.run(
            "batches.surveyed",
            id=found.id,
            fence=found.fence,
            survey=canonical(survey).decode(),
            rows=survey["rows"],
            expires_us=at_us + LEASE_SECONDS * 1_000_000,
            at_us=at_us,
        ),
        found,
    )
    return get(tx, found.id)


def add_part(tx: Transaction, site: Site, found: Batch, part: Part, *, scored: int, aside: int) -> bool:
    """Note a part that lies complete on the disk; return False where somebody has asked to end the batch.

    Raises:
        Interrupted: another process works on it by now.
    """
    at_us = site.clock.now_us()
    expires_us = at_us + LEASE_SECONDS * 1_000_000
    values = {"scored": scored, "aside": aside, "expires_us": expires_us, "at_us": at_us}
    if not tx.run("batches.advance", id=found.id, fence=found.fence, **values):
        _mine(int(get(tx, found.id).fence == found.fence), found)
        return False
    tx.run("batches.part_insert", **{name: getattr(part, name) for name in Part.__slots__})
    return True


def _mine(rows: int, found: Batch) -> None:
    if not rows:
        raise Interrupted(
            "batch-taken",
            "Another process works on this batch by now.",
            where=found.subject,
            fix="ropewalk batch --list",
        )


def settle(
    tx: Transaction, site: Site, found: Batch, state: str, *, note: str = "", output: str = "", source: str = ""
) -> Batch:
    """End a batch: done with digests of what went in and came out, failed with why, or cancelled.

    Raises:
        Interrupted: another process works on it by now.
    """
    now = get(tx, found.id)
    assert state in MOVES[now.state], (now.state, state)
    values = {"state": state, "note": note, "output": output, "at_us": site.clock.now_us()}
    _mine(tx.run("batches.settle", id=found.id, fence=found.fence, before=now.state, **values), found)
    if state in (DONE, CANCELLED):
        tx.run("batches.parts_delete", batch=found.id)
    body = {"rows": now.rows, "scored": now.scored, "aside": now.aside}
    body |= {"input": source, "output": output} if state == DONE else {"note": note}
    site.record(tx, f"batch.{state}", found.subject, body)
    return get(tx, found.id)


def cancel(tx: Transaction, site: Site, found: Batch) -> Batch:
    """End a batch that nobody works on now; ask the process that does to end it.

    Raises:
        Conflict: it is over.
    """
    now = get(tx, found.id)
    if CANCELLED not in MOVES[now.state]:
        raise Conflict("batch-over", "This batch is over.", where=now.subject, why=f"it is {now.state}")
    if now.state == RUNNING and leases.is_alive(now.lease, site.clock.now_us()):
        tx.run("batches.ask_cancel", id=now.id)
        return get(tx, now.id)
    return settle(tx, site, now, CANCELLED, note=f"by {site.actor}")
