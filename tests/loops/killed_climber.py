"""A climber in a process of its own that kills itself at a named point of its first look."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ropewalk.blobs.folder import FolderBucket
from ropewalk.ledger.sign import Signer
from ropewalk.loops.climb import Climb
from ropewalk.site import HIDDEN, Site
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.fakes import SetClock


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(root: Path, at_us: int, point: str) -> None:
    clock = SetClock(at_us)
    hidden = root / HIDDEN
    blobs, db = FolderBucket(hidden / "blobs"), SqliteDatabase(hidden / "ropewalk.db", clock)
    site = Site(root=root, db=db, blobs=blobs, clock=clock, signer=Signer.create(hidden / "keys"), actor="climber")
    climb = Climb(site)
    put, act = blobs.put, climb._act

    def killed_put(data: bytes) -> str:
        if point == "before-evidence":
            die()
        digest = put(data)
        if point == "after-evidence":
            die()
        return digest

    def killed_act(tx, *rest) -> None:
        if point == "in-transaction":
            die()
        act(tx, *rest)
        if point == "before-commit":
            die()

    blobs.put = killed_put
    climb._act = killed_act
    climb.turn()
    die()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
