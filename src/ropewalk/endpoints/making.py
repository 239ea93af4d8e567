"""Segments that are made beside others: a note says so until the row is durable, and readers keep what they read."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ropewalk.endpoints.journal import left_behind, open_locked
from ropewalk.endpoints.segment import FOLDER, folder_of
from ropewalk.site import Site

NOTE = ".making"
_READERS = ".readers"


@contextmanager
def making(path: Path) -> Generator[None]:
    """Keep a locked note beside a segment's file while it is written and until its row is durable.

    When the block raises, note and file stay: whether the row was written is for `clear` to find out.

    Args:
        path: the file that is to be made.
    """
    note = path.with_suffix(NOTE)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = open_locked(note)
    try:
        yield
        note.unlink(missing_ok=True)
    finally:
        os.close(handle)


def clear(site: Site, endpoint: str) -> int:
    """Take away files that a killed maker left without a row, and all notes of the dead; return how many files."""
    taken = 0
    for note in left_behind(folder_of(site, endpoint), NOTE):
        path = note.with_suffix(".parquet")
        with site.db.read() as reader:
            known = reader.value("endpoints.sealed", path=f"{endpoint}/{path.name}")
        if not known and path.exists():
            path.unlink(missing_ok=True)
            taken += 1
        for half in path.parent.glob(f"{path.stem}.*.tmp"):
            half.unlink(missing_ok=True)
        note.unlink(missing_ok=True)
    return taken


@contextmanager
def reading(site: Site) -> Generator[None]:
    """Keep every file that the rows name now until the block ends; open it before looking at the rows.

    Where the folder cannot be written, nobody takes files away either.
    """
    handle = -1
    with suppress(OSError):
        handle = _open_readers(site)
        fcntl.flock(handle, fcntl.LOCK_SH)
    try:
        yield
    finally:
        if handle >= 0:
            os.close(handle)


def unread(site: Site) -> Iterator[None]:
    """Yield once if nobody reads now; who comes meanwhile waits. Yields nothing while somebody does."""
    handle = _open_readers(site)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pass
    else:
        yield
    finally:
        os.close(handle)


def _open_readers(site: Site) -> int:
    return os.open(site.hidden / FOLDER / _READERS, os.O_CREAT | os.O_RDWR, 0o600)
