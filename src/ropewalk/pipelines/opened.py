"""What a step takes from outside of its code: files of the project that it reads, code of it that pickles name."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from ropewalk.pipelines.ownership import Ownership

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
    """Listens to the interpreter's own audit events; made once a process, since no listener can be taken away.

    Files that native code opens are not told of, nor are hidden ones.

    Args:
        root: the project's folder.
        owned: tells the project's code.

    Attributes:
        loaded: the project's functions and classes that pickles named, since the step began.
    """

    def __init__(self, root: str, owned: Ownership) -> None:
        self.loaded: dict[str, None] = {}
        self._owned = owned
        self._root = os.path.realpath(root) + os.sep
        self._read: dict[str, None] = {}
        self._written: set[str] = set()
        self._listening = False
        sys.addaudithook(self._hear)

    def begin(self) -> None:
        """Listen from now on, to the files of one step."""
        self._read.clear()
        self._written.clear()
        self.loaded.clear()
        self._listening = True

    def end(self) -> list[str]:
        """Listen no more; return the files that were only read, relative to the project."""
        self._listening = False
        return [name for name in self._read if name not in self._written][:OPENED_MAX]

    def _hear(self, event: str, given: tuple[Any, ...]) -> None:
        if not self._listening or _unheard:
            return
        if event == "pickle.find_class":
            module, name = given
            if len(self.loaded) < OPENED_MAX and self._owned.owns(module):
                self.loaded[f"{module}.{name}"] = None
        elif event == "open" and isinstance(given[0], str | bytes):
            self._open(given)

    def _open(self, given: tuple[Any, ...]) -> None:
        self._listening = False  # to look at a path may be heard too
        path = os.path.realpath(os.fsdecode(given[0]))
        self._listening = True
        name = path[len(self._root) :]
        if path.startswith(self._root) and not name.startswith(".") and not name.endswith(_OURS):
            if (given[2] or 0) & _WRITES:
                self._written.add(name)
            else:
                self._read[name] = None
