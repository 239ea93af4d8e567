"""Tend: a store that has grown much is looked at again, so that searches go on finding the right index."""

from __future__ import annotations

from ropewalk.loops.work import Loop
from ropewalk.site import Site

LOOK_SECONDS = 30.0


class Tend:
    """Lets the database bring what it knows of its tables up to date.

    Args:
        site: the project.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def loop(self, seconds: float = LOOK_SECONDS) -> Loop:
        """Return the loop that does this."""
        return Loop("tend", self.turn, seconds=seconds)

    def turn(self) -> bool:
        """Look once."""
        self._site.db.tend()
        return False
