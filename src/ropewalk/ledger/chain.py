"""The chain: each entry holds the hash of the one before it, and its own is signed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ropewalk.ledger.sign import Checker, Signer
from ropewalk.refs import PREFIX, canonical, digest_of
from ropewalk.store.database import Reader, Transaction

START = PREFIX + "0" * 64
PAGE_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fact, as it was written with its change.

    Attributes:
        seq: position, from 1, without gaps.
        at_us: microseconds since the epoch.
        actor: who did it.
        kind: what was done, such as `release.promoted`.
        subject: what it was done to, such as `release:flights/3`.
        body: canonical JSON with the digests of everything that was looked at.
        prev: hash of the entry before, all zeros for the first.
        hash: sha256 over everything above.
        signature: Ed25519 over the hash, hex.
    """

    seq: int
    at_us: int
    actor: str
    kind: str
    subject: str
    body: str
    prev: str
    hash: str
    signature: str

    def facts(self) -> Any:  # noqa: ANN401 - JSON of any shape
        """Return the body as Python values."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """The first place where the chain does not hold.

    Attributes:
        seq: the entry.
        why: what does not fit.
    """

    seq: int
    why: str


def _hash(seq: int, at_us: int, actor: str, kind: str, subject: str, body: str, prev: str) -> str:
    return digest_of(canonical([seq, at_us, actor, kind, subject, body, prev]))


def append(tx: Transaction, signer: Signer, *, at_us: int, actor: str, kind: str, subject: str, body: object) -> Entry:
    """Write one fact in the transaction of the change it tells of.

    Args:
        tx: the transaction of the change.
        signer: the project's key.
        at_us: microseconds since the epoch.
        actor: who did it.
        kind: what was done.
        subject: what it was done to.
        body: JSON-able facts.
    """
    last = tx.row("ledger.last")
    seq, prev = (1, START) if last is None else (int(str(last["seq"])) + 1, str(last["hash"]))
    text = canonical(body).decode()
    hash_ = _hash(seq, at_us, actor, kind, subject, text, prev)
    entry = Entry(
        seq=seq,
        at_us=at_us,
        actor=actor,
        kind=kind,
        subject=subject,
        body=text,
        prev=prev,
        hash=hash_,
        signature=signer.sign(hash_.encode()),
    )
    tx.run(
        "ledger.insert",
        seq=seq,
        at_us=at_us,
        actor=actor,
        kind=kind,
        subject=subject,
        body=text,
        prev=prev,
        hash=hash_,
        signature=entry.signature,
    )
    return entry


def entries(rows: Reader) -> Iterator[Entry]:
    """Yield the whole chain from its first entry."""
    seq = 1
    while page := rows.all(Entry, "ledger.from", seq=seq, count=PAGE_ROWS):
        yield from page
        seq = page[-1].seq + 1


def first_break(rows: Reader, checker: Checker, head: tuple[int, str] | None = None) -> Break | None:
    """Walk the chain; return the first entry that does not hold, or None.

    Args:
        rows: where the ledger is.
        checker: the project's public key.
        head: sequence number and hash that the chain is known to have reached: finds a cut-off tail.
    """
    expected, prev, reached = 1, START, head is None
    for entry in entries(rows):
        if entry.seq != expected:
            return Break(seq=expected, why=f"entry {expected} is missing")
        if entry.prev != prev:
            return Break(seq=entry.seq, why="it does not hold the hash of the entry before it")
        own = _hash(entry.seq, entry.at_us, entry.actor, entry.kind, entry.subject, entry.body, entry.prev)
        if own != entry.hash:
            return Break(seq=entry.seq, why="its words are not the ones that were hashed")
        if not checker.matches(entry.signature, entry.hash.encode()):
            return Break(seq=entry.seq, why="its signature is not the project's")
        if head is not None and head[0] == entry.seq:
            if head[1] != entry.hash:
                return Break(seq=entry.seq, why="the head that was signed here is another one")
            reached = True
        expected, prev = entry.seq + 1, entry.hash
    return None if reached else Break(seq=expected, why="the chain was cut off before the head that was written down")
