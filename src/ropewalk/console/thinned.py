"""Histories of metrics as plots need them, thinned by the store once for as long as no point is added."""

from __future__ import annotations

import threading
from collections import OrderedDict
from weakref import WeakKeyDictionary

from ropewalk.console.plots import Mark
from ropewalk.runs import series
from ropewalk.runs.states import Run
from ropewalk.store.database import Database, Reader

KEPT_MAX = 256
Key = tuple[str, str, int, int]


class Shelf:
    """The histories that were thinned last, of one store."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, tuple[Mark, ...]] = OrderedDict()

    def get(self, key: Key) -> tuple[Mark, ...] | None:
        """Return a history, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def put(self, key: Key, marks: tuple[Mark, ...]) -> None:
        """Keep a history; the one that nobody has asked for longest goes."""
        with self._lock:
            self._kept[key] = marks
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)


_shelves: WeakKeyDictionary[Database, Shelf] = WeakKeyDictionary()


def marks(db: Database, rows: Reader, run: Run, key: str, count: int) -> tuple[Mark, ...]:
    """Return a metric's history in about so many buckets, by step.

    Points are only ever added, so that their number says whether a history is still the same.

    Args:
        db: the store, whose histories are kept apart from those of others.
        rows: a view of it.
        run: the run.
        key: the metric.
        count: how many buckets.
    """
    shelf = _shelves.setdefault(db, Shelf())
    points = int(str(rows.value("console.points", run=run.number, key=key)))
    place = (run.id, key, count, points)
    found = shelf.get(place)
    if found is None:
        found = tuple(
            Mark(
                step=one.step,
                at_us=one.at_ms * 1000,
                value=one.last,
                low=one.last if one.low is None else one.low,
                high=one.last if one.high is None else one.high,
            )
            for one in series.chart(rows, run.id, key, count)
        )
        shelf.put(place, found)
    return found
