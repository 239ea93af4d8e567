"""Bytes on their way in: a temporary file that grows piece by piece, hashed as it grows, durable once it is whole."""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from ropewalk.clock import Clock
from ropewalk.errors import Unavailable
from ropewalk.refs import PREFIX

STALE_SECONDS = 24 * 3600
# Room that is never given to blobs: more than the store keeps back for itself, so that bytes that came can be named.
RESERVE_BYTES = 96 << 20
_LOOK_BYTES = 8 << 20
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


class Incoming:
    """A folder of mode 0700 for files that are being received; what a killed writer left is gone after a day.

    Args:
        folder: made when it is not there.
        clock: tells how old a file is.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._clock = clock
        self.tidy()

    def tidy(self) -> None:
        """Remove every file that did not grow for a day."""
        before_seconds = self._clock.now_us() // 1_000_000 - STALE_SECONDS
        for item in os.scandir(self.folder):
            try:
                if item.is_file(follow_symlinks=False) and item.stat(follow_symlinks=False).st_mtime < before_seconds:
                    Path(item.path).unlink(missing_ok=True)
            except FileNotFoundError:  # whoever received it has finished meanwhile
                continue

    def receive(self) -> Receipt:
        """Begin a file.

        Raises:
            Unavailable: the disk has no room, or refuses.
        """
        return Receipt(self.folder)


class Receipt:
    """One file that is being received; `finish` or `discard` ends it.

    Args:
        folder: where it lies until then.
    """

    def __init__(self, folder: Path) -> None:
        self._hasher = hashlib.sha256()
        self._looked = 0
        self._over = False
        self.bytes = 0
        try:
            _require_room(folder)
            self.path = folder / os.urandom(16).hex()
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise not_written(folder, error) from error
        self._file = os.fdopen(handle, "wb")

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Add bytes.

        Raises:
            Unavailable: the disk has no room, or refuses; nothing is left of the file.
        """
        try:
            self._hasher.update(piece)
            self._file.write(piece)
            self.bytes += len(piece)
            if self.bytes - self._looked >= _LOOK_BYTES:
                self._looked = self.bytes
                _require_room(self.path.parent)
        except OSError as error:
            self.discard()
            raise not_written(self.path.parent, error) from error

    def finish(self) -> str:
        """Bring all of it to the disk, readable by its owner alone; return the digest. The file stays at `path`.

        Raises:
            Unavailable: the disk has no room, or refuses; nothing is left of the file.
        """
        try:
            self._file.flush()
            os.fchmod(self._file.fileno(), 0o400)
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            self.discard()
            raise not_written(self.path.parent, error) from error
        return PREFIX + self._hasher.hexdigest()

    def discard(self) -> None:
        """Leave nothing of the file; harmless when it is over."""
        if self._over:
            return
        self._over = True
        with suppress(OSError):  # what was buffered may not fit either; it is not wanted any more
            self._file.close()
        with suppress(OSError):  # a disk that refuses even this: `tidy` takes the file away after a day
            self.path.unlink()


def _require_room(folder: Path) -> None:
    """Refuse while less is free than the reserve."""
    found = os.statvfs(folder)
    if found.f_bavail * found.f_frsize < RESERVE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def not_written(folder: Path, error: OSError) -> Unavailable:
    """Return our error for a disk's."""
    full = error.errno in _FULL
    return Unavailable(
        "disk-full" if full else "blob-not-written",
        "The disk is full." if full else "The blob could not be written.",
        where=folder.parent.name,
        why=str(error.strerror or error),
        fix="free space or mend the disk, then run the same command again",
    )
