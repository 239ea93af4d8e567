"""Kills a compaction at the k-th thing it does to the disk, then looks whether every row is there once.

Each try is a fork of a process that has everything imported and nothing open, so that a hundred of them are cheap.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path

import polars  # noqa: ICN001 - imported before the forks
import polars.exceptions  # noqa: F401

from endpoints.captured import fill
from ropewalk.blobs.folder import FolderBucket
from ropewalk.endpoints import capture
from ropewalk.evidence.verify import verify
from ropewalk.ledger.sign import Signer
from ropewalk.loops.compact import Compact
from ropewalk.site import HIDDEN, Site
from ropewalk.store.sqlite import SqliteDatabase
from ropewalk.testing.fakes import SetClock

TOUCHES = frozenset(("open", "os.rename", "os.remove", "fcntl.flock", "sqlite3.connect", "os.listdir", "os.scandir"))
LATER_SECONDS = 20 * 86_400


@contextmanager
def opened(root: Path, later: float = 0.0) -> Generator[tuple[Site, SetClock]]:
    hidden = root / HIDDEN
    hidden.mkdir(parents=True, exist_ok=True)
    clock = SetClock()
    clock.advance(later)
    with closing(SqliteDatabase(hidden / "ropewalk.db", clock)) as db:
        blobs, signer = FolderBucket(hidden / "blobs"), Signer.create(hidden / "keys")
        yield Site(root=root, db=db, blobs=blobs, clock=clock, signer=signer, actor="ann"), clock


def forked(work: Callable[[], int]) -> int:
    """Return the exit status of work done in a fork, or minus the signal that ended it."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        status = work()
    except BaseException as error:  # noqa: BLE001 - told by the status
        sys.stderr.write(f"{error!r}\n")
        status = 3
    os._exit(status)


def make(root: Path) -> int:
    with opened(root) as (site, clock):
        ids = fill(site, clock, days=3, segments=4, rows=2)
        (root / "ids").write_text("\n".join(sorted(ids)))
    return 0


def compact(root: Path, kill_at: int) -> int:
    """Compact until nothing is due; end by SIGKILL at the k-th touch. Returns 0 when it got to the end."""
    seen = 0

    def hook(event: str, _given: object) -> None:
        nonlocal seen
        if event in TOUCHES:
            seen += 1
            if seen == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    with opened(root, LATER_SECONDS) as (site, _):
        write = site.db.write

        def counted(work: Callable[..., object], /, **more: object) -> object:
            hook("open", None)
            try:
                return write(work, **more)  # type: ignore[arg-type]
            finally:
                hook("open", None)

        site.db.write = counted  # type: ignore[method-assign,assignment]
        sys.addaudithook(hook)
        loop = Compact(site)
        while loop.turn():
            pass
        loop.turn()
    return 0


def look(root: Path) -> int:
    """Read every row once, go on, read again, and let `verify` look; 0 when all of it holds."""
    wanted = (root / "ids").read_text().split()
    with opened(root, LATER_SECONDS) as (site, _):
        capture.recover(site)
        if capture.read(site, "flights")["id"].to_list() != wanted:
            return 10
        if found := verify(site).findings:
            sys.stderr.write(f"{found}\n")
            return 11
        loop = Compact(site)
        while loop.turn():
            pass
        loop.turn()
        if capture.read(site, "flights")["id"].to_list() != wanted:
            return 12
        if found := verify(site).findings:
            sys.stderr.write(f"{found}\n")
            return 13
        files = sorted((site.hidden / "capture" / "flights").glob("*"))
        return 0 if len(files) == 3 else 14


def main() -> None:
    root, step = Path(sys.argv[1]), int(sys.argv[2])
    assert forked(lambda: make(root / "first")) == 0
    at = tried = 0
    while True:
        at += step
        again = root / f"try{at}"
        shutil.copytree(root / "first", again)
        ended = forked(lambda: compact(again, at))  # noqa: B023 - called at once
        assert ended in {0, -signal.SIGKILL}, f"kill at {at}: compaction ended with {ended}"
        found = forked(lambda: look(again))  # noqa: B023 - called at once
        assert found == 0, f"kill at {at}: looking ended with {found}"
        shutil.rmtree(again)
        if ended == 0:
            break
        tried += 1
    sys.stdout.write(f"{tried}\n")


if __name__ == "__main__":
    main()
