"""Who has a store open: all together, or one alone while it is moved, restored or taken down a step."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ropewalk.errors import Conflict, Unavailable

_LOCKS = Path("/proc/locks")


class FileHold:
    """A lock of the kernel's on a file beside the rows; it ends with the process, however that ends.

    Args:
        path: the file; made when it is not there.
        where: the store's name, for errors.
        alone: nobody else may hold it meanwhile.

    Raises:
        Conflict: others have the store open, and it is wanted alone (`store-in-use`).
        Unavailable: another has it alone (`store-held`).
    """

    def __init__(self, path: Path, where: str, *, alone: bool) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            others = _holders(os.fstat(self._handle).st_ino)
            self.close()
            raise (in_use(where, others) if alone else held(where)) from None

    def close(self) -> None:
        """Let it go."""
        os.close(self._handle)


def _holders(inode: int) -> list[str]:
    """Return who holds a lock on a file, as far as the kernel tells."""
    found: list[str] = []
    with suppress(OSError):
        for line in _LOCKS.read_text(encoding="ascii").splitlines():
            words = line.split()
            if words[1:2] == ["FLOCK"] and words[5].rpartition(":")[2] == str(inode) and int(words[4]) > 0:
                found.append(f"process {words[4]}")
    return sorted(set(found))


def in_use(where: str, others: list[str]) -> Conflict:
    """Return the error for a store that others have open."""
    return Conflict(
        "store-in-use",
        "Others have the store open, and what they write meanwhile would be lost.",
        where=where,
        why=f"{', '.join(others[:5])} {'has' if len(others) == 1 else 'have'} it open" if others else "",
        fix="stop `ropewalk up` and what else runs on it, then run the same command again",
    )


def held(where: str) -> Unavailable:
    """Return the error for a store that somebody has alone."""
    return Unavailable(
        "store-held",
        "The store is just being moved, restored or taken down a step.",
        where=where,
        why="nobody may write meanwhile, for it would be lost",
        fix="run the same command again when that has ended",
    )


@contextmanager
def alone_in(folder: Path) -> Generator[None]:
    """Let one process at a time set a database up: SQLite does not wait for a lock when a file becomes a WAL one."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
