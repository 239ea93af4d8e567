"""Keeps a last part of the disk for what must always fit: the ledger's and the rollback's own rows."""

from __future__ import annotations

import os
from pathlib import Path
from time import monotonic

from ropewalk.errors import Unavailable
from ropewalk.store.refusals import disk_full

RESERVE_BYTES = 64 << 20
LOOK_SECONDS = 0.5


class Reserve:
    """Says no while less than a reserve is free; looks at most twice a second.

    Args:
        folder: a folder on the disk that is looked at.
        least: bytes that must stay free.
    """

    def __init__(self, folder: Path, least: int) -> None:
        self._folder = folder
        self._least = least
        self._looked = float("-inf")
        self._free = least

    def refusal(self) -> Unavailable | None:
        """Return why nothing may be written now, or None; a disk that cannot be asked is not in the way."""
        now = monotonic()
        if now - self._looked > LOOK_SECONDS:
            self._looked = now
            try:
                disk = os.statvfs(self._folder)
            except OSError:
                self._free = self._least
            else:
                self._free = disk.f_bavail * disk.f_frsize
        if self._free >= self._least:
            return None
        return disk_full(
            self._folder.name,
            f"{self._free >> 20} MiB are free, and the last {self._least >> 20} MiB are kept for ledger and rollback",
        )
