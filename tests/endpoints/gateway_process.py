"""A gateway in a process of its own, so that tests can end it as the world does."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from endpoints.live import STAND_IN
from ropewalk.blobs.folder import FolderBucket
from ropewalk.clock import SystemClock
from ropewalk.endpoints.gateway import Gateway
from ropewalk.endpoints.server import run
from ropewalk.ledger.sign import Signer
from ropewalk.settings import Settings
from ropewalk.site import HIDDEN, Site
from ropewalk.store.sqlite import SqliteDatabase


def say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def main() -> None:
    root, number = Path(sys.argv[1]), int(sys.argv[2])
    hidden = root / HIDDEN
    clock = SystemClock()
    site = Site(
        root=root,
        db=SqliteDatabase(hidden / "ropewalk.db", clock),
        blobs=FolderBucket(hidden / "blobs"),
        clock=clock,
        signer=Signer.create(hidden / "keys"),
        actor="gateway",
    )
    app = Gateway(site, Settings(name="flights"), command=STAND_IN, on_ready=lambda: say("ready"))
    run(app, socket.socket(fileno=number))
    site.db.close()
    say("drained")


if __name__ == "__main__":
    main()
