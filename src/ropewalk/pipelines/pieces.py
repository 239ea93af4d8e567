"""Canonical JSON of long lists, of which only a few items are written at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import islice

from ropewalk.refs import PREFIX, canonical

ITEMS = 256  # of a list in one piece


def pieces(items: Iterable[object]) -> Iterator[bytes]:
    """Yield the bytes that `canonical` gives for a list, in pieces."""
    left, between = iter(items), b"["
    while part := list(islice(left, ITEMS)):
        yield between + canonical(part)[1:-1]
        between = b","
    yield b"[]" if between == b"[" else b"]"


def digest_of_list(items: Iterable[object], before: bytes = b"", after: bytes = b"") -> str:
    """Return the digest of a list's canonical JSON.

    Args:
        items: of the list.
        before: what stands before the list.
        after: what stands behind it.
    """
    found = hashlib.sha256(before)
    for piece in pieces(items):
        found.update(piece)
    found.update(after)
    return PREFIX + found.hexdigest()


def bytes_of_list(items: Iterable[object]) -> bytes:
    """Return a list's canonical JSON."""
    return b"".join(pieces(items))
