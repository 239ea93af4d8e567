"""What one process of a script has been seen to do, and the file that says so."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

TROUBLES_MAX = 20
TEXT_MAX = 500


class Notes:
    """Gathers facts of this process, from any of its threads.

    Args:
        folder: where its file goes.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.pid = os.getpid()
        self.facts: dict[str, Any] = {}
        self._troubles: list[str] = []
        self._lock = threading.RLock()
        self._order = 0

    def order(self) -> int:
        """Return a number that grows with each call, to know later what came after what."""
        with self._lock:
            self._order += 1
            return self._order

    def trouble(self, what: str, error: BaseException) -> None:
        """Note that something could not be watched."""
        if len(self._troubles) < TROUBLES_MAX:
            self._troubles.append(f"{what}: {said(error)}")

    def write(self) -> None:
        """Write the file, whole or not at all."""
        facts = {**self.facts, "pid": self.pid, "troubles": self._troubles}
        path = os.path.join(self.folder, f"{self.pid}.json")
        with open(f"{path}.part", "w", encoding="utf-8", errors="surrogateescape") as file:
            json.dump(facts, file, default=str)
        os.replace(f"{path}.part", path)


def said(error: BaseException) -> str:
    """Return an error in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:TEXT_MAX]
