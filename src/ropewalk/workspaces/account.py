"""What one workspace holds and asks now, in memory: whether a request fits its quota is looked up, never counted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from ropewalk.errors import Unavailable
from ropewalk.store.database import Reader
from ropewalk.workspaces.quota import Quota

RECOUNT_SECONDS = 1.0
MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What a workspace holds, or a request would add.

    Attributes:
        bytes: of artifacts that are named, of parts of those that still come, and of spans and captured predictions
            where bytes have a quota.
        runs: runs that are not deleted.
        points: points of metrics.
    """

    bytes: int = 0
    runs: int = 0
    points: int = 0

    def plus(self, other: Level, times: int = 1) -> Level:
        """Return this with another one added, or taken away by -1."""
        return Level(
            bytes=self.bytes + times * other.bytes,
            runs=self.runs + times * other.runs,
            points=self.points + times * other.points,
        )


class Throttled(Unavailable):
    """A workspace asked more than it may in a minute.

    Args:
        name: the workspace.
        most: what it may ask.
        seconds: when the next request fits.
    """

    def __init__(self, name: str, most: int, seconds: int) -> None:
        super().__init__(
            "quota-requests",
            "The workspace asks more than its quota allows; nothing of this request was done.",
            where=name,
            why=f"it may ask {most} times a minute",
            fix=f"send it again after {seconds} s, or: ropewalk workspace quota {name} --requests MORE",
        )
        self.seconds = seconds

    def __reduce__(self) -> tuple[object, ...]:
        return (Throttled, (self.where, int(self.why.split()[3]), self.seconds))


class Account:
    """The levels of one workspace against its quota.

    Levels are counted in the store now and then, and reckoned on in between: what this server is about to add is taken
    before it is added, so that two requests cannot both take the last of a quota.

    Args:
        name: of the workspace, for errors.
        quota: its limits.
        count: reads its levels from its own rows.
        now: seconds of a clock that no one sets.
    """

    def __init__(self, name: str, quota: Quota, count: Callable[[], Level], now: Callable[[], float]) -> None:
        self.name = name
        self.quota = quota
        self._count = count
        self._now = now
        self._level: Level | None = None
        self._added = self._pending = Level()
        self._counted = -MINUTE
        self._full = -1.0
        self._forgotten = 0
        self._counting = threading.Lock()  # one count for all who wait for it
        self._lock = threading.Lock()  # for as long as it takes to add up: requests end while a count goes on

    @property
    def limited(self) -> bool:
        """Whether anything that is held is limited."""
        return self.quota.counts

    @property
    def level(self) -> Level | None:
        """What was counted last, with what was added since; None before the first count."""
        with self._lock:
            found = self._level
            return None if found is None else found.plus(self._added).plus(self._pending)

    def request(self) -> None:
        """Pass one request, if the minute has room for it.

        Raises:
            Throttled: it has not.
        """
        most = self.quota.requests_max
        if not most:
            return
        now, step = self._now(), MINUTE / most
        full = max(self._full, now)  # when the bucket will be empty again: each request fills it by its share
        if full - now + step > MINUTE:
            raise Throttled(self.name, most, max(1, ceil(full - now + step - MINUTE)))
        self._full = full + step

    def fits(self, wanted: Level) -> bool | None:
        """Say whether something fits; None where it has to be counted first."""
        found = self.level
        if found is None:
            return None
        quota = self.quota
        return not (
            (wanted.bytes and quota.bytes_max and found.bytes + wanted.bytes > quota.bytes_max)
            or (wanted.runs and quota.runs_max and found.runs + wanted.runs > quota.runs_max)
            or (wanted.points and quota.points_max and found.points + wanted.points > quota.points_max)
        )

    def stale(self) -> bool:
        """Say whether the last count is so old that another one may tell something new."""
        return self._now() - self._counted >= RECOUNT_SECONDS

    def recount(self) -> Level:
        """Count anew; blocks for as long as that takes, once for all who wait."""
        with self._counting:
            level = self._level
            if level is not None and not self.stale():
                return level
            while True:
                with self._lock:
                    before, forgotten = self._added, self._forgotten
                found = self._count()
                with self._lock:
                    if forgotten != self._forgotten:  # the count may have begun before what it shall find
                        continue
                    # What was added while the count went on may be in it or not: it stays, for a quota errs to the
                    # safe side.
                    self._level, self._added = found, self._added.plus(before, -1)
                    self._counted = self._now()
                    return found

    def forget(self) -> None:
        """Count anew before anything else is let in: limits have changed, or more is held that nobody took."""
        with self._lock:
            self._level = None
            self._forgotten += 1

    def require_runs(self, rows: Reader) -> None:
        """Pass only where what a transaction has brought back fits, counted in the transaction itself.

        Raises:
            Unavailable: there are more runs now than there may be.
        """
        most = self.quota.runs_max
        held = int(str(rows.value("workspaces.runs"))) if most else 0
        if held > most:
            raise Unavailable(
                "quota-reached",
                "The workspace's quota of runs is used up; nothing of this request was done.",
                where=self.name,
                why=f"it would hold {held:,} of {most:,}; reading and deleting go on",
                fix=f"delete what is not needed, or: ropewalk workspace quota {self.name} --runs MORE",
            )

    def take(self, wanted: Level) -> None:
        """Reckon with something that is about to be added; `settle` or `give_back` follows."""
        with self._lock:
            self._pending = self._pending.plus(wanted)

    def settle(self, wanted: Level) -> None:
        """Note that what was taken is in the store now."""
        with self._lock:
            self._pending, self._added = self._pending.plus(wanted, -1), self._added.plus(wanted)

    def give_back(self, wanted: Level) -> None:
        """Reckon without something that was not added after all."""
        with self._lock:
            self._pending = self._pending.plus(wanted, -1)

    def refusal(self, wanted: Level) -> Unavailable:
        """Return the error of something that does not fit."""
        found, quota = self.level or Level(), self.quota
        for word, held, more, most, option in (
            (
                "bytes of artifacts and traces",
                found.bytes,
                wanted.bytes,
                quota.bytes_max,
                "bytes",
            ),
            ("runs", found.runs, wanted.runs, quota.runs_max, "runs"),
            ("points of metrics", found.points, wanted.points, quota.points_max, "points"),
        ):
            if more and most and held + more > most:
                return Unavailable(
                    "quota-reached",
                    f"The workspace's quota of {word} is used up; nothing of this request was done.",
                    where=self.name,
                    why=f"it holds {held:,} of {most:,}, and this would add {more:,}; reading and deleting go on",
                    fix=f"delete what is not needed, or: ropewalk workspace quota {self.name} --{option} MORE",
                )
        return Unavailable("quota-reached", "The workspace's quota is used up.", where=self.name)


def count(rows: Reader, *, points: bool = True, observed: bool = True) -> Level:
    """Return what a project holds by its own rows.

    Args:
        rows: where they are.
        points: count points too; they are many.
        observed: count the bytes of spans and captured predictions too; they are many.
    """
    return Level(
        bytes=int(str(rows.value("workspaces.bytes")))
        + (int(str(rows.value("workspaces.observed"))) if observed else 0),
        runs=int(str(rows.value("workspaces.runs"))),
        points=int(str(rows.value("workspaces.points"))) if points else 0,
    )
