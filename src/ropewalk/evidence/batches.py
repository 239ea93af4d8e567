"""Batches of labels against the digest that the ledger holds of each."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ropewalk.evidence.claim import Difference
from ropewalk.ledger.chain import Entry
from ropewalk.observations.labels import batch_digest, batch_rows
from ropewalk.refs import uuid7_time_us
from ropewalk.store.database import Reader


class Batches:
    """Hears the ledger entry by entry, then compares every batch of labels with what was heard."""

    def __init__(self) -> None:
        self._said: dict[int, str] = {}

    def hear(self, entry: Entry) -> None:
        """Note the digest of a batch; a batch is named by the number of its entry."""
        if entry.kind != "labels.added":
            return
        try:
            self._said[entry.seq] = str(json.loads(entry.body)["digest"])
        except (ValueError, KeyError, TypeError):
            return

    def differences(self, rows: Reader) -> Iterator[Difference]:
        """Yield every batch whose labels are not the ones that were told.

        Args:
            rows: where the rows are, in the same view as the entries that were heard.
        """
        stands = {int(str(row["batch"])) for row in rows.rows("evidence.label_batches")}
        for batch in sorted(stands | self._said.keys()):
            why = ""
            if batch not in self._said:
                why = "its labels stand there, the ledger knows nothing"
            elif batch not in stands:
                why = "the ledger knows it, its labels are gone"
            elif batch_digest(batch_rows(rows, batch)) != self._said[batch]:
                why = "its labels are not the ones that the ledger has a digest of"
            elif not _timed(rows, batch):
                why = "a label counts for another time than its prediction's"
            if why:
                yield Difference(what=f"labels of entry {batch}", why=why, seq=batch if batch in self._said else 0)


def _timed(rows: Reader, batch: int) -> bool:
    """Say whether every label stands at the time of its prediction, or of its own where it has a key alone."""
    for row in rows.rows("evidence.label_times", batch=batch):
        prediction = str(row["prediction"])
        if row["at_us"] != (uuid7_time_us(prediction) if prediction else row["known_us"]):
            return False
    return True
