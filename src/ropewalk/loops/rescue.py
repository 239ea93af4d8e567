"""Rescue: what runs without its process is interrupted, late logs are noted, and SQL of fallen releases goes back."""

from __future__ import annotations

from ropewalk.compute import family
from ropewalk.loops.work import Loop
from ropewalk.releases import release, sqlmigrate
from ropewalk.runs import record, run
from ropewalk.site import Site
from ropewalk.store.database import Transaction

LOOK_SECONDS = 5.0


class Rescue:
    """Looks at the leases of runs and releases, notes late logs, and settles what a killed roll-back left undone.

    Args:
        site: the project.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def loop(self, seconds: float = LOOK_SECONDS) -> Loop:
        """Return the loop that does this."""
        return Loop("rescue", self.turn, seconds=seconds)

    def turn(self) -> bool:
        """Declare the dead and settle; there is never more to do at once."""
        self._site.db.write(self._declare, urgent=True)
        sqlmigrate.settle(self._site)
        return False

    def _declare(self, tx: Transaction) -> None:
        if run.interrupt_dead(tx, self._site):
            family.end_orphans()  # a holder that was killed could not end what its steps had started
        record.note_late(tx, self._site)
        release.interrupt_dead(tx, self._site)
