"""Gathers in memory what each workspace is used for, and writes it now and then in one transaction."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from ropewalk.errors import Unavailable
from ropewalk.site import Site
from ropewalk.store.database import Transaction
from ropewalk.workspaces.account import Level

DAY_US = 86_400_000_000
# What a killed server may lose of the usage: what came since the last writing.
WRITE_SECONDS = 5.0
USERS_MAX = 10_000
REFUSED_FROM = 400
SEEN_MAX = 10_000
OTHERS = "(others)"


class Tally:
    """What one user did in one workspace since the last writing; counted up in place."""

    __slots__ = ("busy_ns", "bytes_in", "bytes_out", "refused", "requests", "runs")

    def __init__(self) -> None:
        self.requests = self.refused = self.bytes_in = self.bytes_out = self.busy_ns = self.runs = 0


Tallies = dict[tuple[str, str], Tally]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Tallies on their way into the store; the key keeps them from being added twice where an answer was lost."""

    key: str
    day: int
    tallies: Tallies


# Workspace, user, status, bytes in and out, nanoseconds.
Seen = tuple[str, str, int, int, int, int]


class Meter:
    """Counts requests: noted as they end, added up when there are many or when they are written.

    Args:
        site: the host, in whose rows usage is kept.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._seen: deque[Seen] = deque()
        self._tallies: Tallies = {}
        self._lock = threading.Lock()
        self._batch: _Batch | None = None
        self._writing = threading.Lock()

    def add(  # noqa: PLR0917 - called for every request
        self, workspace: str, user: str, status: int, bytes_in: int, bytes_out: int, busy_ns: int
    ) -> None:
        """Count one request of somebody; `status` is the answer's."""
        self._seen.append((workspace, user, status, bytes_in, bytes_out, busy_ns))
        if len(self._seen) >= SEEN_MAX:
            with self._lock:
                self._add_up()

    def add_many(  # one argument a figure
        self, workspace: str, user: str, *, requests: int, refused: int, bytes_in: int, bytes_out: int, busy_ns: int
    ) -> None:
        """Count requests of somebody that were counted elsewhere."""
        with self._lock:
            found = self._tally(workspace, user)
            found.requests += requests
            found.refused += refused
            found.bytes_in += bytes_in
            found.bytes_out += bytes_out
            found.busy_ns += busy_ns

    def add_runs(self, workspace: str, user: str, runs: int) -> None:
        """Count runs that somebody made."""
        with self._lock:
            self._tally(workspace, user).runs += runs

    def workspaces(self) -> frozenset[str]:
        """Return the ids of the workspaces that were used since the last writing."""
        with self._lock:
            self._add_up()
            batch = self._batch
            both = [*self._tallies, *(batch.tallies if batch is not None else ())]
            return frozenset(workspace for workspace, _ in both)

    def write(self, levels: Mapping[str, Level] | None = None) -> int:
        """Write what was gathered, and what each workspace holds now; return how many rows came of it.

        Raises:
            Unavailable: the store does not answer; what it may have written already is written once all the same.
        """
        with self._writing:
            wrote = 0
            if self._batch is not None:  # nobody knows whether it is written
                wrote = self._written(self._batch, {})
            now = self._site.clock.now_us()
            with self._lock:
                self._add_up()
                tallies, self._tallies = self._tallies, {}
            if not tallies and not levels:
                return wrote
            return wrote + self._written(
                _Batch(key=f"usage {uuid4()}", day=now // DAY_US, tallies=tallies), levels or {}
            )

    def _written(self, batch: _Batch, levels: Mapping[str, Level]) -> int:
        now = self._site.clock.now_us()
        used = [_row(workspace, user, batch.day, one) for (workspace, user), one in batch.tallies.items()]
        held = [_level(workspace, now // DAY_US, now, one) for workspace, one in levels.items()]

        def work(tx: Transaction) -> int:
            return tx.many("workspaces.usage_add", used) + tx.many("workspaces.level_set", held)

        self._batch = batch
        try:
            wrote = self._site.db.write(work, key=batch.key)
        except Unavailable:
            raise
        except BaseException:
            self._batch = None
            self._take_back(batch.tallies)
            raise
        self._batch = None
        return wrote

    def _add_up(self) -> None:
        for _ in range(len(self._seen)):
            workspace, user, status, bytes_in, bytes_out, busy_ns = self._seen.popleft()
            found = self._tally(workspace, user)
            found.requests += 1
            found.refused += status >= REFUSED_FROM
            found.bytes_in += bytes_in
            found.bytes_out += bytes_out
            found.busy_ns += busy_ns

    def _tally(self, workspace: str, user: str) -> Tally:
        found = self._tallies.get((workspace, user))
        if found is None:
            if len(self._tallies) >= USERS_MAX:
                user = OTHERS
            found = self._tallies.setdefault((workspace, user), Tally())
        return found

    def _take_back(self, tallies: Tallies) -> None:
        with self._lock:
            for (workspace, user), old in tallies.items():
                now = self._tally(workspace, user)
                for name in Tally.__slots__:
                    setattr(now, name, getattr(now, name) + getattr(old, name))


def _row(workspace: str, user: str, day: int, one: Tally) -> dict[str, str | int]:
    return {
        "workspace": workspace,
        "user_name": user,
        "day": day,
        "requests": one.requests,
        "refused": one.refused,
        "bytes_in": one.bytes_in,
        "bytes_out": one.bytes_out,
        "busy_us": one.busy_ns // 1000,
        "runs": one.runs,
    }


def _level(workspace: str, day: int, now: int, one: Level) -> dict[str, str | int]:
    return {
        "workspace": workspace,
        "day": day,
        "bytes": one.bytes,
        "runs": one.runs,
        "points": one.points,
        "at_us": now,
    }
