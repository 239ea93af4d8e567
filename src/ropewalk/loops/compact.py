"""Compact: small segments of captured predictions become day files, old ones are forgotten, replaced files go."""

from __future__ import annotations

from ropewalk.endpoints.compact import Held, compact, forget, sweep_files
from ropewalk.errors import Conflict
from ropewalk.loops.work import Loop
from ropewalk.releases import rollout
from ropewalk.site import Site

LOOK_SECONDS = 30.0


class Compact:
    """Merges what is due, one merge a turn; forgets what is older than it may be.

    Args:
        site: the project.
        keep_days: for how many days captured predictions are kept; 0 for ever.
        held: says of a segment that it has to stay as it is, such as one that a sink has not taken yet.
    """

    def __init__(self, site: Site, *, keep_days: int = 0, held: Held | None = None) -> None:
        self._site = site
        self._keep_days = keep_days
        self._held = held

    def loop(self, seconds: float = LOOK_SECONDS) -> Loop:
        """Return the loop that does this."""
        return Loop("compact", self.turn, seconds=seconds)

    def turn(self) -> bool:
        """Look once; say whether there is more to do."""
        with self._site.db.read() as reader:
            endpoints = [str(row["endpoint"]) for row in reader.rows("endpoints.captured_endpoints")]
            begun = [one.begun_us for one in rollout.active(reader)]
        more = False
        for endpoint in endpoints:
            try:
                more = compact(self._site, endpoint, held=self._held) is not None or more
            except Conflict:  # another server of this project did it
                more = True
        if self._keep_days:
            since_us = min(begun, default=None)
            more = forget(self._site, self._keep_days, since_us=since_us, held=self._held) > 0 or more
        sweep_files(self._site)
        return more
