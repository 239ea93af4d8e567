"""The chain: each entry holds a hash over the one before it with its signature, and is itself signed.

So the newest signature vouches for every word before it; docs/decisions/0007 says why that is enough.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from ropewalk.errors import Corrupt, RopewalkError
from ropewalk.ledger.sign import Checker, Signer
from ropewalk.records import frozen, values_of
from ropewalk.refs import PREFIX, canonical, digest_of
from ropewalk.store.database import Reader, Transaction

START = PREFIX + "0" * 64
PAGE_ROWS = 1000
_TEXT = {str}
_SEQ_MIN, _SEQ_MAX = -(1 << 63), (1 << 63) - 1


@frozen
class Entry:
    """One fact, as it was written with its change.

    Attributes:
        seq: position, from 1, without gaps.
        at_us: microseconds since the epoch.
        actor: who did it.
        kind: what was done, such as `release.promoted`.
        subject: what it was done to, such as `release:flights/3`.
        body: canonical JSON with the digests of everything that was looked at.
        prev: sha256 over hash and signature of the entry before, all zeros for the first.
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


@frozen
class Break:
    """The first place where the chain does not hold.

    Attributes:
        seq: the entry.
        why: what does not fit.
    """

    seq: int
    why: str


def _hash(*words: int | str) -> str:
    """Return the hash over all of an entry's words but the hash itself, in the order of its fields."""
    return digest_of(canonical(words))


def follows(hash_: str, signature: str) -> str:
    """Return what the entry after the one with this hash and signature has to hold."""
    return digest_of(f"{hash_} {signature}".encode())


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
    seq, prev = 1, START
    if last is not None:
        seq, prev = int(str(last["seq"])) + 1, follows(str(last["hash"]), str(last["signature"]))
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
    tx.run("ledger.insert", **values_of(entry))
    return entry


def entries(rows: Reader) -> Iterator[Entry]:
    """Yield the whole chain from its first entry, a page in memory at a time.

    Raises:
        Corrupt: the database cannot read an entry.
    """
    seq = _SEQ_MIN
    while page := _page(rows, seq):
        yield from page
        if page[-1].seq == _SEQ_MAX:
            return
        seq = page[-1].seq + 1


def _page(rows: Reader, seq: int) -> list[Entry]:
    try:
        return rows.all(Entry, "ledger.from", seq=seq, count=PAGE_ROWS)
    except RopewalkError:
        pass  # one row of the page is not readable: go to it one by one, so that it can be named
    try:
        return rows.all(Entry, "ledger.from", seq=seq, count=1)
    except RopewalkError as error:
        raise Corrupt(
            "ledger-unreadable",
            "An entry of the ledger cannot be read.",
            where=f"ledger entry {max(seq, 1)}",
            why=error.why or error.what,
            fix="restore the latest backup",
        ) from error


def first_break(
    rows: Reader,
    checker: Checker,
    head: tuple[int, str] | None = None,
    on_entry: Callable[[Entry], None] = lambda _: None,
) -> Break | None:
    """Walk the whole chain; return the first entry that does not hold, or None.

    Args:
        rows: where the ledger is.
        checker: the project's public key.
        head: sequence number and hash that the chain is known to have reached: finds a cut-off tail.
        on_entry: given every entry in order, also after a break; not one whose words are no text.
    """
    broken: Break | None = None
    reached, last, prev = head is None, 0, START
    try:
        for entry in entries(rows):
            if {type(entry.actor), type(entry.kind), type(entry.subject), type(entry.body)} == _TEXT:
                on_entry(entry)
            if broken is not None:
                continue
            why = _wrong(entry, last + 1, prev)
            if not why and head is not None and head[0] == entry.seq:
                reached = head[1] == entry.hash
                why = "" if reached else "the head that was signed here is another one"
            if why:
                broken = Break(seq=entry.seq if entry.seq <= last else last + 1, why=why)
                continue
            last, prev = entry.seq, follows(entry.hash, entry.signature)
    except Corrupt as error:
        return broken or Break(seq=last + 1, why=f"it cannot be read: {error.why}")
    unsigned = _first_unsigned(rows, checker, last)
    if unsigned or broken:
        return Break(seq=unsigned, why="its signature is not the project's") if unsigned else broken
    return None if reached else Break(seq=last + 1, why="the chain was cut off before the head that was written down")


def _wrong(entry: Entry, seq: int, prev: str) -> str:
    """Return what is wrong with an entry by its own words and the one before; nothing is said of its signature."""
    if entry.seq != seq:
        return f"entry {seq} is missing" if entry.seq > seq else f"there is no place for an entry {entry.seq}"
    if entry.prev != prev:
        return "it does not hold the hash of the entry before it and of its signature"
    try:
        own = _hash(entry.seq, entry.at_us, entry.actor, entry.kind, entry.subject, entry.body, entry.prev)
    except (TypeError, ValueError):  # bytes, an infinity: somebody wrote another kind of value into the row
        return "its words are not text"
    return "" if own == entry.hash else "its words are not the ones that were hashed"


def _first_unsigned(rows: Reader, checker: Checker, last: int) -> int:
    """Return the first entry up to `last` that the project has not signed, 0 for none; the chain up to there holds.

    Who changes an entry and all hashes after it cannot sign any of them, so the signatures hold up to one place and
    nowhere after it: the newest one speaks for all, and bisection finds the place.
    """
    if not last or _signed(rows, checker, last):
        return 0
    low, high = 0, last  # `low` is signed, or before the first; `high` is not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _signed(rows, checker, middle) else (low, middle)
    return high


def _signed(rows: Reader, checker: Checker, seq: int) -> bool:
    entry = rows.all(Entry, "ledger.from", seq=seq, count=1)[0]
    return checker.matches(entry.signature, entry.hash.encode())
