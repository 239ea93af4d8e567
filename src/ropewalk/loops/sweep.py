"""Sweep: what was kept only for a while is taken away when its while is over."""

from __future__ import annotations

from ropewalk.loops.work import Loop
from ropewalk.site import Site
from ropewalk.store.database import Transaction

LOOK_SECONDS = 60.0
# A caller that asks again with the same key does so within minutes; a day leaves room for a broken line.
ANSWER_SECONDS = 86_400
EVENT_SECONDS = 7 * 86_400
ROWS_MAX = 1000


class Sweep:
    """Forgets answers kept for idempotency keys after a day, and events that every reader has read after a week.

    Args:
        site: the project.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def loop(self, seconds: float = LOOK_SECONDS) -> Loop:
        """Return the loop that does this."""
        return Loop("sweep", self.turn, seconds=seconds)

    def turn(self) -> bool:
        """Take some rows away; say whether there are more. Nothing is written where nothing is old."""
        now = self._site.clock.now_us()
        answers_before, events_before = now - ANSWER_SECONDS * 1_000_000, now - EVENT_SECONDS * 1_000_000
        with self._site.db.read() as reader:
            old = reader.value("idempotency.any_before", at_us=answers_before)
            read = reader.value("events.any_read_before", at_us=events_before)
        if old is None and read is None:
            return False

        def sweep(tx: Transaction) -> bool:
            taken = (
                tx.run("idempotency.delete_before", at_us=answers_before, count=ROWS_MAX),
                tx.run("events.delete_read_before", at_us=events_before, count=ROWS_MAX),
            )
            return max(taken) == ROWS_MAX

        return self._site.db.write(sweep)
