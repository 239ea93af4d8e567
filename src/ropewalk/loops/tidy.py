"""Tidy: what killed writers and uploads that nobody finished have left for a day is taken away."""

from __future__ import annotations

from ropewalk.artifacts import upload
from ropewalk.evidence.gc import drop
from ropewalk.loops.work import Loop
from ropewalk.site import Site

LOOK_SECONDS = 1800.0


class Tidy:
    """Removes half-received files, and the parts of uploads that began more than a day ago and were not finished.

    Args:
        site: the project.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

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
        return False
