"""Which of the project's files a step opens to read: what it does not declare, people are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

OPENED_MAX = 20
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
# The code is in the key already, and the settings are read by our own `log_model`; `settings`
# would cost each worker's start the import of what reads them.
_OURS = (".py", ".pyc", "ropewalk.toml")
_unheard = 0


@contextmanager
def unheard() -> Generator[None, None, None]:
    """Let what we open ourselves within the block be no business of the step's."""
    global _unheard  # noqa: PLW0603 - the listener cannot be taken away, nor be handed anything
    _unheard += 1
    try:
        yield
    finally:
        _unheard -= 1


class Opened:
    """Listens to the interpreter's own audit event `open`; made once a process, since no listener can be taken away.

    Files that native code opens are not told of, nor are hidden ones.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root) + os.sep
        self._read: dict[str, None] = {}
        self._written: set[str] = set()
        self._listening = False
        sys.addaudithook(self._hear)

    def begin(self) -> None:
        """Listen from now on, to the files of one step."""
        self._read.clear()
        self._written.clear()
        self._listening = True

    def end(self) -> list[str]:
        """Listen no more; return the files that were only read, relative to the project."""
        self._listening = False
        return [name for name in self._read if name not in self._written][:OPENED_MAX]

    def _hear(self, event: str, given: tuple[Any, ...]) -> None:
        if event != "open" or not self._listening or _unheard or not isinstance(given[0], str | bytes):
            return
        self._listening = False  # to look at a path may be heard too
        path = os.path.realpath(os.fsdecode(given[0]))
        self._listening = True
        name = path[len(self._root) :]
        if path.startswith(self._root) and not name.startswith(".") and not name.endswith(_OURS):
            if (given[2] or 0) & _WRITES:
                self._written.add(name)
            else:
                self._read[name] = None
