"""Segments that are no more by the ledger's own word: what was in them is in another one, or was forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from ropewalk.evidence.claim import name_of
from ropewalk.ledger.chain import Entry


def merged(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield kind and name of each fact whose row an entry of compaction has taken away."""
    for digest in _parts(entry):
        yield "segment", digest


def moved(entry: Entry) -> Iterator[str]:
    """Yield the digests of the files that are no more since this entry."""
    yield from _parts(entry)
    if entry.kind == "segment.forgotten":
        yield name_of(entry)


def _parts(entry: Entry) -> list[str]:
    """Return the digests that an entry says were merged; a damaged body says nothing, the chain names it."""
    if entry.kind != "segment.compacted":
        return []
    try:
        found: Any = json.loads(entry.body)["parts"]
    except (ValueError, KeyError, TypeError):
        return []
    return [str(one) for one in cast("list[object]", found)] if isinstance(found, list) else []
