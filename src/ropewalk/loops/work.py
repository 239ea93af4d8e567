"""The shape of every loop: a thread that takes turns, starts, stops, and survives what its turns raise."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Self

from ropewalk.errors import RopewalkError

_log = logging.getLogger("ropewalk.loops")
BACKOFF_SECONDS_MAX = 60.0
# A pause lasts at least so many times as long as the turn before it.
REST = 4.0


class Loop:
    """Calls `turn` at once, then whenever it is woken or `seconds` have passed.

    A turn that raises is logged whole and tried again, each time after twice as long, a minute at most. It never ends
    the process: what a loop does is legal to be left undone, since it is done at the next turn. After a long turn the
    pause is longer too: who looks at much shall not take the machine from those who serve.

    Args:
        name: how logs and `problems` call it.
        turn: one round of work; returns True when there is more to do at once.
        seconds: the longest pause between two turns that are short.
        on_stop: called first when it is to stop, so that a long turn can break off.
        busy: says whether something runs that stopping would break off.
    """

    def __init__(
        self,
        name: str,
        turn: Callable[[], bool],
        *,
        seconds: float,
        on_stop: Callable[[], None] = lambda: None,
        busy: Callable[[], bool] = lambda: False,
    ) -> None:
        self.name = name
        self.busy = busy
        self.problem: Exception | None = None
        self.turns = 0
        self._turn = turn
        self._seconds = seconds
        self._on_stop = on_stop
        self._wake = threading.Event()
        self._stopping = False
        self._done = threading.Condition()
        self._thread = threading.Thread(target=self._serve, name=f"ropewalk-{name}", daemon=True)

    def start(self) -> None:
        """Begin with a first turn at once."""
        self._thread.start()

    def wake(self) -> None:
        """Take a turn soon; more wakes before it count as one."""
        self._wake.set()

    def stop(self) -> None:
        """Let the turn that runs finish, then end."""
        self._stopping = True
        self._on_stop()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join()

    def wait_turns(self, turns: int, seconds: float) -> bool:
        """Wait until so many turns have ended since the start, `seconds` at most; say whether they have."""
        with self._done:
            return self._done.wait_for(lambda: self.turns >= turns, timeout=seconds)

    def _serve(self) -> None:
        failures = 0
        while not self._stopping:
            self._wake.clear()
            began = monotonic()
            try:
                more = self._turn()
            except Exception as error:  # noqa: BLE001 - logged whole, shown in `problems`, tried again
                failures, more, self.problem = failures + 1, False, error
                _log.exception("loop %s: %s", self.name, _words(error))
            else:
                failures, self.problem = 0, None
            with self._done:
                self.turns += 1
                self._done.notify_all()
            if more:
                continue
            pause = min(self._seconds * 2.0**failures, max(BACKOFF_SECONDS_MAX, self._seconds))
            pause = max(pause, REST * (monotonic() - began))
            # Bound before the power grows without end.
            failures = min(failures, 16)
            self._wake.wait(pause)


class Loops:
    """Several loops that start and stop together.

    Args:
        loops: in the order in which they start.
    """

    def __init__(self, loops: Sequence[Loop]) -> None:
        self.loops = tuple(loops)

    def __enter__(self) -> Self:
        for loop in self.loops:
            loop.start()
        return self

    def __exit__(self, *_: object) -> None:
        for loop in reversed(self.loops):
            loop.stop()

    def problems(self) -> dict[str, str]:
        """Return what the last turn of each failing loop said, for `status` and `/ready`."""
        return {loop.name: _words(loop.problem) for loop in self.loops if loop.problem is not None}


def _words(error: Exception) -> str:
    return f"{error.code}: {error.what}" if isinstance(error, RopewalkError) else f"{type(error).__name__}: {error}"
