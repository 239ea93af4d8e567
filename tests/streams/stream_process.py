"""A consumer in a process of its own that ends itself by SIGKILL at the k-th thing it does outside of itself."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from endpoints.live import STAND_IN
from ropewalk.blobs.folder import FolderBucket
from ropewalk.clock import SystemClock
from ropewalk.ledger.sign import Signer
from ropewalk.parts import Stream
from ropewalk.settings import Settings
from ropewalk.site import HIDDEN, Site
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.streams.connect import connect
from ropewalk.streams.consume import Consumer, serve


def main() -> None:
    root, url, topic, results, kill_at = Path(sys.argv[1]), *sys.argv[2:5], int(sys.argv[5])
    hidden = root / HIDDEN
    clock = SystemClock()
    blobs, signer = FolderBucket(hidden / "blobs"), Signer.create(hidden / "keys")
    db = SqliteDatabase(hidden / "ropewalk.db", clock)
    site = Site(root=root, db=db, blobs=blobs, clock=clock, signer=signer, actor="stream")
    stream = Stream(name="scores", broker=url, topic=topic, results=results, endpoint="flights", batch=4, retries=1)
    broker: Any = connect(stream)
    seen = 0

    def touch() -> None:
        nonlocal seen
        seen += 1
        if seen == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(work: Callable[..., Any]) -> Callable[..., Any]:
        async def counted(*given: Any) -> Any:
            touch()
            found = await work(*given)
            touch()
            return found

        return counted

    write = db.write

    def written(work: Any, **more: Any) -> Any:
        touch()
        found = write(work, **more)
        touch()
        return found

    db.write = written  # type: ignore[method-assign]
    for name in ("put", "done"):
        setattr(broker, name, around(getattr(broker, name)))
    if hasattr(broker, "_ack_seconds"):
        broker._ack_seconds = 1.0
    serve(Consumer(site, Settings(name="flights"), stream, broker, command=STAND_IN))
    db.close()


if __name__ == "__main__":
    main()
