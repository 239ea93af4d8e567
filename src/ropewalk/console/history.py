"""What the console shows of runs and of the ledger."""

from __future__ import annotations

from ropewalk.console.words import at
from ropewalk.ledger.chain import Entry
from ropewalk.store.database import Reader


def ledger(rows: Reader, count: int) -> list[dict[str, object]]:
    """Return the newest entries, newest first."""
    return [
        {
            "seq": entry.seq,
            "at": at(entry.at_us),
            "actor": entry.actor,
            "kind": entry.kind,
            "subject": entry.subject,
            "hash": entry.hash,
        }
        for entry in rows.all(Entry, "ledger.newest", count=count)
    ]
