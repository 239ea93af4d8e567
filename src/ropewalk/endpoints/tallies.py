"""What a data plane counts between two reports to the home process, as plain numbers."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ropewalk.endpoints.exemplars import BOUNDS_US, Example, slowest


class Tallies:
    """Counts until they are taken.

    Attributes:
        unfit: groups of rows whose model did not answer them as it should.
    """

    def __init__(self) -> None:
        self.unfit = 0
        self._clear()

    def _clear(self) -> None:
        self._rows: Counter[tuple[str, str]] = Counter()
        self._spread: dict[str, list[int]] = {}
        self._micros: Counter[str] = Counter()
        self._examples: dict[str, dict[int, Example]] = {}
        self._batches: Counter[str] = Counter()
        self._routes: Counter[tuple[str, str]] = Counter()
        self.turned_away = 0
        self.answers = self.bytes_in = self.bytes_out = self.busy_ns = 0

    def __bool__(self) -> bool:
        return bool(self.answers or self._batches or self.turned_away)

    def batch(
        self, release: str, role: str, took: list[int], *, ids: Sequence[str], traces: Sequence[str], at_us: int
    ) -> None:
        """Count a group of rows that was answered; `took` in microseconds, one a row."""
        self._rows[release, role] += len(took)
        spread = self._spread.get(release)
        if spread is None:
            spread = self._spread[release] = [0] * (len(BOUNDS_US) + 1)
        for one in took:
            spread[bisect_left(BOUNDS_US, one)] += 1
        self._micros[release] += sum(took)
        self._batches[release] += 1
        example = slowest(took, ids, traces, at_us)
        self._examples.setdefault(release, {})[bisect_left(BOUNDS_US, example.micros)] = example

    def answered(self, route: str, bytes_in: int, bytes_out: int) -> None:
        """Count an answer that left, to a question at a route."""
        self._routes[route, "200"] += 1
        self.answers += 1
        self.bytes_in += bytes_in
        self.bytes_out += bytes_out

    def refused(self, route: str) -> None:
        """Count a question that was turned away."""
        self._routes[route, "503"] += 1
        self.turned_away += 1

    def taken(self) -> dict[str, Any]:
        """Return everything since the last time, and begin anew."""
        found = {
            "rows": [[release, role, count] for (release, role), count in self._rows.items()],
            "spread": self._spread,
            "micros": dict(self._micros),
            "examples": {release: list(one.values()) for release, one in self._examples.items()},
            "batches": dict(self._batches),
            "routes": [[route, status, count] for (route, status), count in self._routes.items()],
            "answers": self.answers,
            "turned_away": self.turned_away,
            "bytes_in": self.bytes_in,
            "bytes_out": self.bytes_out,
            "busy_ns": self.busy_ns,
        }
        self._clear()
        return found
