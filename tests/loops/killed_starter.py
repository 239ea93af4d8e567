"""A server in a process of its own that kills itself at a named point between deciding a start and its run."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from ropewalk.blobs.folder import FolderBucket
from ropewalk.ledger.sign import Signer
from ropewalk.loops import start as starting
from ropewalk.loops.schedule import Schedules, Ways
from ropewalk.loops.start import Starts
from ropewalk.schedules import fire as fires
from ropewalk.schedules import schedule as schedules
from ropewalk.site import HIDDEN, Site
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.fakes import SetClock


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killing(wanted: bool, work, *, after: bool):
    """Return the work with death before or behind it."""
    if not wanted:
        return work

    def killed(*args, **kwargs):
        if after:
            work(*args, **kwargs)
        die()

    return killed


def main(root: Path, at_us: int, point: str) -> None:
    clock = SetClock(at_us)
    hidden = root / HIDDEN
    db, blobs = SqliteDatabase(hidden / "ropewalk.db", clock), FolderBucket(hidden / "blobs")
    site = Site(root=root, db=db, blobs=blobs, clock=clock, signer=Signer.create(hidden / "keys"), actor="server")

    def start(fire, halt) -> str:
        if point == "claimed":
            die()
        db.write(lambda tx: fires.attach(tx, site, fire.id, fire.fence, "run-of-the-dead"))
        die()
        return ""

    schedules.decided = killing(point == "deciding", schedules.decided, after=True)
    fires.claim = killing(point == "claiming", fires.claim, after=True)
    starting.Starts._take = killing(point == "decided", Starts._take, after=False)
    Schedules(site, Ways(declared=lambda: None, starts=Starts(site, start))).turn()
    threading.Event().wait(30)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
