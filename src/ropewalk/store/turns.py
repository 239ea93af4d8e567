"""Lets the writer's thread and an event loop work one after the other while both have more to do than they can.

Both need the interpreter, and only one has it. Where each takes it from the other whenever that one reads, writes or
waits for a moment, half of the time goes into taking it: measured, a request cost two to three times as much.
"""

from __future__ import annotations

import threading
from time import monotonic

# A turn that takes longer is not waited for: whoever waits has others to serve.
TURN_SECONDS_MAX = 0.03


class Turns:
    """Whose turn it is; nobody waits for long, and nobody at all unless somebody has given a turn."""

    def __init__(self) -> None:
        self._begin, self._end = threading.Event(), threading.Event()
        self._taken = False
        self._stands = False

    # ---------------------------------------------------------------------------------- the writer's side
    def begin(self) -> None:
        """Wait for the turn, if turns are taken."""
        if not self._taken:
            return
        self._stands = True
        self._begin.wait(TURN_SECONDS_MAX)
        self._stands = False
        self._begin.clear()

    def end(self) -> None:
        """Say that the interpreter is not needed any more for now."""
        self._end.set()

    # ------------------------------------------------------------------------------------ the other side
    def take(self, *, on: bool) -> float:
        """Give the writer a turn, or stop taking turns; return the seconds that this took."""
        if on:
            return self.give()
        self.stop()
        return 0.0

    def give(self) -> float:
        """Let the writer work if it has something to do, and wait for it; from now on it waits for its turns.

        Returns the seconds that this took.
        """
        self._taken = True
        if not self._stands:
            return 0.0
        began = monotonic()
        self._end.clear()
        self._begin.set()
        self._end.wait(TURN_SECONDS_MAX)
        return monotonic() - began

    def stop(self) -> None:
        """Let the writer work whenever it wants to."""
        self._taken = False
        self._begin.set()
