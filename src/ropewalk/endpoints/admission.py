"""Which requests are let in while more have come than can be answered in time, told by the first bytes of the others.

To take a request apart costs ten times as much as to turn it away, and what is spent on those who are turned away is
missing where the others are served. So a request is judged before it is parsed, by one number: how many of its kind are
inside. And no more of them are answered in a while than leave most of the time to those who were let in; the others
wait for that answer, which also keeps whoever asks again at once from asking more often than this.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from ropewalk.endpoints.problems import Scope

log = logging.getLogger(__name__)
# What is inside may take so long together; so many are inside at least, and at most, however long one takes.
INSIDE_SECONDS_MAX = 0.4
INSIDE_MIN, INSIDE_MAX = 128, 1024
# One that is turned away costs about 12 us of the event loop's time with nothing else to do, 70 to 120 in a rush.
# Measured: of the capacity 0.73 was served with 160 of them in a tick, 0.80 with 100, and most a second with 90.
TICK_SECONDS = 0.01
TOLD_PER_TICK = 90
LOG_SECONDS = 10.0
# So long nobody was turned away: what comes then is another rush.
CALM_SECONDS = 2.0
PASSED = -1
_HEAD_BYTES, _OWED_BYTES_MAX = 2048, 1 << 20
# How many heads are remembered.
HEADS_MAX = 1024
_LINE_END, _HEAD_END = b" HTTP/1.1\r\n", b"\r\n\r\n"
# What makes a request's end, or what shall follow on its connection, another thing than its length says.
# A line may end in CRLF alone: where the parser and a proxy before it could read two lines as one, nothing is sure.
_ODD = re.compile(
    rb"\r\n(?:transfer-encoding|expect|upgrade|connection: *+(?!keep-alive(?:\r|\Z))|[ \t])|(?<!\r)\n|\r(?!\n)|\0"
)
_LENGTH = re.compile(rb"\r\ncontent-length: ?([0-9]{1,7})(?=\r\n|\Z)")


def most_inside(seconds_each: float) -> int:
    """Return how many may wait, of whom each took so long lately."""
    return max(INSIDE_MIN, min(INSIDE_MAX, int(INSIDE_SECONDS_MAX / seconds_each) if seconds_each else INSIDE_MAX))


def is_too_many(waiting: int, seconds_each: float, *, slack: float = 1.0) -> bool:
    """Say whether one more would wait too long behind so many.

    Args:
        waiting: how many there are already.
        seconds_each: what one of them took lately.
        slack: by what the limits are multiplied, for those who were let in by them once.
    """
    return waiting >= most_inside(seconds_each) * slack


class Caller(Protocol):
    """Whoever is turned away: a connection."""

    def write(self, data: bytes) -> object:
        """Send bytes."""
        ...


class Loop(Protocol):
    """What of an event loop is needed here."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> object:
        """Call something in so many seconds."""
        ...

    def time(self) -> float:
        """Return seconds of the loop's clock."""
        ...


class Admission:
    """Judges the requests of one server, and tells those who are turned away.

    Args:
        lines: those that are counted, such as `POST /things`; others pass.
        apart: a header (lower case) by which a request is another one's, and passes.
        refusals: whole answers to whoever is turned away, which leave the connection open: the first tells him to come
            again after one second, the next after two, and so on. The longer a rush has lasted the longer is the wait:
            who tries seven times, as MLflow's client does, shall outlast one of half a minute.
        pace: returns the seconds that one of them takes the server, as of late.
        turn: called with True again and again while a rush lasts, to let another thread work undisturbed for a moment,
            and with False when it is over; returns the seconds that it waited for that.
    """

    def __init__(
        self,
        *,
        lines: Collection[str],
        apart: bytes,
        refusals: Sequence[bytes],
        pace: Callable[[], float],
        turn: Callable[[bool], float] = lambda _on: 0.0,
    ) -> None:
        self._names = frozenset(lines)
        self._lines = frozenset(line.encode("ascii") for line in lines)
        self._apart, self._apart_said = apart, b"\r\n%b:" % apart
        self._refusals = tuple(refusals)
        self._refusal = self._refusals[0]
        self._pace = pace
        self._turn = turn
        self._lengths: dict[bytes, int] = {}
        self._most = INSIDE_MAX
        self._waiting: dict[Caller, None] = {}
        self._told, self._may_tell = 0, TOLD_PER_TICK
        self._ticks = False
        self._since = self._last = -CALM_SECONDS
        self._unlogged, self._logged = 0, -LOG_SECONDS
        self.inside = 0
        self.turned_away = 0

    # ---------------------------------------------------------------------------------------- judging
    def is_full(self) -> bool:
        """Say whether one more would wait too long."""
        inside = self.inside
        if inside < INSIDE_MIN:
            return False
        if self._ticks:  # in a rush the limit is worked out with every tick and not with every request
            return inside >= self._most
        return is_too_many(inside, self._pace())

    def counts(self, scope: Scope) -> bool:
        """Say whether a request is one of those that are counted; whoever asks counts it in, and out when it ends."""
        if f"{scope['method']} {scope['path']}" not in self._names:
            return False
        return all(name != self._apart for name, _ in scope["headers"])

    def owed(self, data: bytes) -> int:
        """Return how many bytes of a request are still to come, if it is one that can be turned away, else `PASSED`.

        What is not clearly one request of a known kind passes: the parser shall say what it is.

        Args:
            data: what came after the end of the request before.
        """
        head_end = data.find(_HEAD_END, 0, _HEAD_BYTES)
        if head_end < 0:
            return PASSED
        head = data[:head_end]
        length = self._lengths.get(head)
        if length is None:  # most heads have come before, from the same caller
            if len(self._lengths) >= HEADS_MAX:
                self._lengths.clear()
            length = self._lengths[head] = self._length(head)
        if length == PASSED:
            return PASSED
        owed = length - (len(data) - head_end - len(_HEAD_END))
        return owed if 0 <= owed <= _OWED_BYTES_MAX else PASSED

    def _length(self, head: bytes) -> int:
        """Return how long a body is by its head, or `PASSED`."""
        line, _, rest = head.partition(_LINE_END)
        if line not in self._lines:
            return PASSED
        low = b"\r\n%b" % rest.lower()
        if self._apart_said in low or low.count(b"content-length") != 1 or _ODD.search(low):
            return PASSED
        length = _LENGTH.search(low)
        return PASSED if length is None else int(length[1])

    # ---------------------------------------------------------------------------------------- telling
    def tell(self, caller: Caller, loop: Loop) -> None:
        """Turn a caller away: at once, or when enough time has gone to others."""
        self.turned_away += 1
        if not self._ticks:
            self._ticks = True
            self._look(loop.time())
            loop.call_later(TICK_SECONDS, lambda: self._tick(loop))
        if self._told < self._may_tell:
            self._told += 1
            caller.write(self._refusal)
        else:
            self._waiting[caller] = None

    def hurry(self, caller: Caller) -> None:
        """Tell a caller now, if he is still to be told."""
        if caller in self._waiting:
            del self._waiting[caller]
            caller.write(self._refusal)

    def forget(self, caller: Caller) -> None:
        """Tell a caller nothing more: he has gone."""
        self._waiting.pop(caller, None)

    def awaits(self, caller: Caller) -> bool:
        """Say whether a caller is still to be told."""
        return caller in self._waiting

    def _tick(self, loop: Loop) -> None:
        now = loop.time()
        self._note(now)
        if not self._told and not self._waiting:  # nobody came: the clock stands until somebody does
            self._ticks = False
            self._turn(False)
            return
        self._look(now)
        self._may_tell = TOLD_PER_TICK
        waited = self._turn(True)
        # Whoever was let in gets all of the tick, from now on.
        loop.call_later(TICK_SECONDS + waited, lambda: self._tick(loop))
        told = list(zip(range(self._may_tell), self._waiting, strict=False))
        self._told = len(told)
        for _, caller in told:
            del self._waiting[caller]
            caller.write(self._refusal)

    def _look(self, now: float) -> None:
        """See how long the rush has lasted in which somebody is turned away now, and how many may be inside."""
        self._most = most_inside(self._pace())
        if now - self._last > CALM_SECONDS:
            self._since = now
        self._last = now
        self._refusal = self._refusals[min(max(int(now - self._since), 1), len(self._refusals)) - 1]

    def _note(self, now: float) -> None:
        """Leave a line in the log now and then, for whoever wonders who was turned away."""
        more = self.turned_away - self._unlogged
        if more and now - self._logged >= LOG_SECONDS:
            self._unlogged, self._logged = self.turned_away, now
            log.warning("turned %d writes away: more had come than can be done in time", more)
