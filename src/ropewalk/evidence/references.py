"""Which blobs something that is kept names: in a row, in the ledger, or in a file that one of these names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Corrupt, NotFound, Refused
from ropewalk.evidence.holdings import Mentions
from ropewalk.ledger.chain import Entry
from ropewalk.store.database import Reader

PAGE_ROWS = 2000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_IN_BYTES = re.compile(rb"sha256:[0-9a-f]{64}")
_TAIL_BYTES = 70
_JSON = (b"{", b"[")


def referenced(rows: Reader, blobs: Bucket, *, folders: frozenset[str] = frozenset(), since_us: int = 0) -> set[str]:
    """Return the digests of all blobs that something kept needs; more than there are, never fewer.

    Manifests, bundles, evidence and large outcomes are read, and what they name is needed too. Files that users logged
    are not: a digest that stands in somebody's text names nothing.

    Args:
        rows: where the rows are, in one consistent view.
        blobs: where the bytes are.
        folders: paths whose files are about to go, and do not count.
        since_us: uploads in parts that began before are about to go, and their parts do not count.

    Raises:
        Refused: a file that names others is damaged or gone, so that nobody knows what it needed.
    """
    found = {str(row["digest"]) for row in rows.rows("gc.parts", since_us=since_us)}
    found |= {str(row["digest"]) for row in rows.rows("gc.artifacts") if not _within(str(row["folder"]), folders)}
    found |= _told(rows, "gc.files")
    named = _told(rows, "gc.named")
    mentioned = (_mentioned(rows) | _told(rows, "gc.mentioned")) - found - named
    known = found | named | mentioned
    waiting = [*((digest, True) for digest in named), *((digest, False) for digest in mentioned)]
    while waiting:
        digest, must = waiting.pop()
        for other in _names(blobs, digest, must=must):
            if other not in known:
                known.add(other)
                waiting.append((other, False))
    return known


def _within(folder: str, folders: frozenset[str]) -> bool:
    """Say whether a folder is one of these, or lies below one."""
    while folder and folders:
        if folder in folders:
            return True
        folder = folder.rpartition("/")[0]
    return False


def _told(rows: Reader, query: str) -> set[str]:
    return {digest for row in rows.rows(query) for digest in _DIGEST.findall(str(row["told"]))}


def _mentioned(rows: Reader) -> set[str]:
    """Return the digests of files that the ledger names, as `verify` looks for them."""
    heard, seq = Mentions(), 0
    while page := rows.all(Entry, "gc.ledger", seq=seq, count=PAGE_ROWS):
        for entry in page:
            heard.hear(entry)
        seq = page[-1].seq
    return heard.digests()


def _names(blobs: Bucket, digest: str, *, must: bool) -> Iterable[str]:
    """Return the digests that a JSON file names; nothing for any other file, and for one that is no file at all."""
    try:
        return set(_scanned(blobs.pieces(digest)))
    except NotFound as error:
        if not must:
            return ()
        raise _uncertain(digest, "it is gone") from error
    except Corrupt as error:
        raise _uncertain(digest, "it is damaged") from error


def _scanned(pieces: Iterator[bytes]) -> Iterator[str]:
    first = next(pieces, b"")
    if not first.startswith(_JSON):
        return
    tail = b""
    for piece in chain((first,), pieces):
        whole = tail + piece
        yield from (found.decode() for found in _IN_BYTES.findall(whole))
        tail = whole[-_TAIL_BYTES:]


def _uncertain(digest: str, why: str) -> Refused:
    return Refused(
        "gc-uncertain",
        "Nothing is removed while it is uncertain what is needed.",
        where=digest,
        why=f"this file names others, and {why}",
        fix="ropewalk verify",
    )
