"""What runs logged, against the digests that the ledger keeps of it: who edits a metric afterwards is found out."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ropewalk.evidence.claim import Difference
from ropewalk.ledger.chain import Entry
from ropewalk.runs.record import logged
from ropewalk.store.database import Reader

_ENDS = frozenset({"run.finished", "run.failed", "run.interrupted", "run.cancelled", "run.noted"})
_GOES_ON = frozenset({"run.resumed", "run.scheduled", "run.reopened"})


class Logs:
    """Hears the ledger entry by entry and keeps the newest digest of each run's log.

    A run to which more is being logged has none until it is noted again.
    """

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, int]] = {}

    def hear(self, entry: Entry) -> None:
        """Note what an entry says of a run's log; one whose body was damaged says nothing, the chain names it."""
        name = entry.subject.partition(":")[2]
        if entry.kind in _GOES_ON:
            self._said.pop(name, None)
        elif entry.kind in _ENDS:
            try:
                self._said[name] = (str(json.loads(entry.body)["logged"]), entry.seq)
            except (ValueError, KeyError, TypeError):
                self._said.pop(name, None)

    def differences(self, rows: Reader) -> Iterator[Difference]:
        """Yield every run whose parameters or metrics are not those that it had when the ledger noted them."""
        for row in rows.rows("evidence.run_numbers"):
            told = self._said.get(str(row["id"]))
            if told is not None and logged(rows, int(str(row["number"]))) != told[0]:
                yield Difference(
                    what=f"log of run {row['id']}",
                    why="its parameters or metrics are not those that were noted",
                    seq=told[1],
                )
