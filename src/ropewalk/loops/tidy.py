"""Tidy: what killed writers and unfinished uploads have left for a day goes, and starts that are long over."""

from __future__ import annotations

from ropewalk.artifacts import upload
from ropewalk.evidence.gc import drop
from ropewalk.loops.work import Loop
from ropewalk.schedules.retention import DAY_US, prune
from ropewalk.site import Site

LOOK_SECONDS = 1800.0
KEEP_DAYS = 365
_OLD: tuple[tuple[str, dict[str, int]], ...] = (("fires_old", {"count": 1}), ("backfills_old", {}))


class Tidy:
    """Removes half-received files, parts of uploads that began more than a day ago and were not finished, old starts.

    Args:
        site: the project.
        keep_days: for how many days starts of schedules that are over are kept.
    """

    def __init__(self, site: Site, keep_days: int = KEEP_DAYS) -> None:
        self._site = site
        self._keep_days = keep_days

    def loop(self, seconds: float = LOOK_SECONDS) -> Loop:
        """Return the loop that does this."""
        return Loop("tidy", self.turn, seconds=seconds)

    def turn(self) -> bool:
        """Take away what is old; nothing is written where nothing is."""
        self._site.blobs.tidy()
        with self._site.db.read() as reader:
            parts, any_old = upload.old_parts(reader, self._site)
        if any_old:
            self._site.db.write(lambda tx: upload.forget_old(tx, self._site))
            drop(self._site, parts)
        return self._forget_starts()

    def _forget_starts(self) -> bool:
        """Forget what is long over; say whether there may be more of it."""
        before_us = self._site.clock.now_us() - self._keep_days * DAY_US
        with self._site.db.read() as reader:
            old = any(reader.rows(f"schedules.{what}", before_us=before_us, **extra) for what, extra in _OLD)
        return old and self._site.db.write(lambda tx: prune(tx, self._site, self._keep_days)) > 0
