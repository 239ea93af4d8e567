"""Batches: what callers have asked for is scored one after the other, each by a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

from ropewalk import leases
from ropewalk.batches import batch as batches
from ropewalk.batches import folder as folders
from ropewalk.batches.batch import Batch
from ropewalk.leases import PARENT
from ropewalk.loops.work import Loop
from ropewalk.site import Site

LOOK_SECONDS = 1.0
STALE_SECONDS = 7 * 86_400
TRIES_MAX = 5
_log = logging.getLogger("ropewalk.loops")


class Batches:
    """Starts the oldest batch that waits, or whose process is gone, while none of ours runs.

    Batches of the command line are left to whoever types the command again. What has failed and was not tried again
    for a week is cancelled, and its parts go; so is what has ended its process five times without a word.

    Args:
        site: the project.
        hidden: variables of the environment that are not the project's.
    """

    def __init__(self, site: Site, *, hidden: tuple[str, ...] = ()) -> None:
        self._site = site
        self._hidden = hidden
        self._child: subprocess.Popen[bytes] | None = None
        self._of = ""
        self._tries: dict[str, int] = {}

    def loop(self, seconds: float = LOOK_SECONDS) -> Loop:
        """Return the loop that does this."""
        return Loop("batches", self.turn, seconds=seconds, on_stop=self.stop, busy=lambda: self._child is not None)

    def stop(self) -> None:
        """End the process: the next server goes on with its batch."""
        if self._child is not None:
            self._child.terminate()
            self._child.wait()
            self._child = None

    def turn(self) -> bool:
        """Look after the process; return whether there is more to do at once."""
        if self._child is not None:
            status = self._child.poll()
            if status is None:
                return False
            _log.info("batch %s: its process ended with status %s", self._of, status)
            self._child = None
        site = self._site
        now_us = site.clock.now_us()
        with site.db.read() as rows:
            waiting = [one for one in batches.open_ones(rows) if self._is_mine(one, now_us)]
            stale = batches.stale(rows, now_us - STALE_SECONDS * 1_000_000)
        for one in stale:
            folders.cancel(site, one)
        if not waiting:
            return False
        self._start(waiting[0])
        return False

    def _is_mine(self, found: Batch, now_us: int) -> bool:
        return not found.target and (found.state == batches.WAITING or not leases.is_alive(found.lease, now_us))

    def _start(self, found: Batch) -> None:
        tried = self._tries[found.id] = self._tries.get(found.id, 0) + 1
        if tried > TRIES_MAX:
            folders.cancel(self._site, found)
            return
        self._of = found.id
        self._child = spawn(self._site, found, self._hidden)


def spawn(site: Site, found: Batch, hidden: tuple[str, ...]) -> subprocess.Popen[bytes]:
    """Start the process of a batch; arguments as for `Batches`."""
    own = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.Popen(
        [sys.executable, "-m", "ropewalk", "--project", str(site.root), "--json", "batch", "--job", found.id],
        cwd=site.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**own, "ROPEWALK_ACTOR": found.actor, PARENT: str(os.getpid())},
    )
