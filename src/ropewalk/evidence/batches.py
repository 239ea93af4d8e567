"""Batches of labels and of clients' reports against the digest that the ledger holds of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ropewalk.evidence.claim import Difference
from ropewalk.ledger.chain import Entry
from ropewalk.observations import labels, reports
from ropewalk.observations.batch import batch_digest
from ropewalk.refs import uuid7_time_us
from ropewalk.store.database import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """A sort of batches.

    Attributes:
        what: how people call its rows.
        kind: the ledger's entry of a batch.
        standing: the query that gives every batch's number.
        times: the query that gives a batch's rows with their times.
        read: the rows of a batch.
    """

    what: str
    kind: str
    standing: str
    times: str
    read: Callable[[Reader, int], Any]


SORTS = (
    Sort(
        what="labels",
        kind="labels.added",
        standing="evidence.label_batches",
        times="evidence.label_times",
        read=labels.batch_rows,
    ),
    Sort(
        what="reports",
        kind="reports.added",
        standing="evidence.report_batches",
        times="evidence.report_times",
        read=reports.batch_rows,
    ),
)


class Batches:
    """Hears the ledger entry by entry, then compares every batch with what was heard."""

    def __init__(self) -> None:
        self._said: dict[str, dict[int, str]] = {sort.kind: {} for sort in SORTS}

    def hear(self, entry: Entry) -> None:
        """Note the digest of a batch; a batch is named by the number of its entry."""
        if entry.kind not in self._said:
            return
        try:
            self._said[entry.kind][entry.seq] = str(json.loads(entry.body)["digest"])
        except (ValueError, KeyError, TypeError):
            return

    def differences(self, rows: Reader) -> Iterator[Difference]:
        """Yield every batch whose rows are not the ones that were told.

        Args:
            rows: where the rows are, in the same view as the entries that were heard.
        """
        for sort in SORTS:
            said = self._said[sort.kind]
            stands = {int(str(row["batch"])) for row in rows.rows(sort.standing)}
            for batch in sorted(stands | said.keys()):
                why = _why(rows, sort, batch, stands, said)
                if why:
                    yield Difference(what=f"{sort.what} of entry {batch}", why=why, seq=batch if batch in said else 0)


def _why(rows: Reader, sort: Sort, batch: int, stands: set[int], said: dict[int, str]) -> str:
    """Return what is wrong with a batch; an empty text when nothing."""
    if batch not in said:
        return f"its {sort.what} stand there, the ledger knows nothing"
    if batch not in stands:
        return f"the ledger knows it, its {sort.what} are gone"
    if batch_digest(sort.read(rows, batch)) != said[batch]:
        return f"its {sort.what} are not the ones that the ledger has a digest of"
    if not _timed(rows, sort, batch):
        return f"a {sort.what.removesuffix('s')} counts for another time than its prediction's"
    return ""


def _timed(rows: Reader, sort: Sort, batch: int) -> bool:
    """Say whether every row stands at the time of its prediction, or of its own where it has a key alone."""
    for row in rows.rows(sort.times, batch=batch):
        prediction = str(row["prediction"])
        if row["at_us"] != (uuid7_time_us(prediction) if prediction else row["known_us"]):
            return False
    return True
