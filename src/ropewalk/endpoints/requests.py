"""What is counted and written down of every HTTP request, whatever it asks: by route, verb and status."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from ropewalk.clock import Clock
from ropewalk.endpoints.exemplars import Example, Spread
from ropewalk.endpoints.guard import CAME, REQUEST
from ropewalk.endpoints.problems import Scope
from ropewalk.telemetry.context import PARENT, Parent

# Where whoever answers leaves the pattern of the path that he serves.
ROUTE = "ropewalk.route"
ELSEWHERE = "other"
# More patterns and verbs than any server has; beyond them all count as one.
SERIES_MAX = 1000
PATH_LETTERS = 400
access = logging.getLogger("ropewalk.access")


class Requests:
    """Counts requests.

    Args:
        clock: the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._statuses: Counter[tuple[str, str, str]] = Counter()
        self._spreads: dict[tuple[str, str], Spread] = {}

    def note(self, scope: Scope, status: int, sent: int, took_ns: int) -> None:
        """Count a request, and write its line where a line is wanted for each.

        Args:
            scope: of the request.
            status: of its answer, 0 where there was none.
            sent: bytes of the answer's body.
            took_ns: from its head to the end of its answer.
        """
        if scope["type"] != "http":
            return
        route, method = route_of(scope), _verb(str(scope["method"]))
        key = (route, method)
        if key not in self._spreads and len(self._spreads) >= SERIES_MAX:
            key = (ELSEWHERE, "")
        spread = self._spreads.setdefault(key, Spread("request_id"))
        parent: Parent | None = scope.get(PARENT)
        number, trace = str(scope.get(REQUEST, "")), parent.trace if parent else ""
        micros = took_ns // 1000
        spread.add((micros,), Example(micros, number, trace, self._clock.now_us()))
        self._statuses[*key, str(status)] += 1
        if access.isEnabledFor(logging.INFO):
            (came,) = scope.get(CAME, (0,))
            told = {
                "request_id": number,
                "trace_id": trace,
                "method": method,
                "path": quote(str(scope["path"])[:PATH_LETTERS], errors="replace"),
                "route": route,
                "status": status,
                "ms": round(took_ns / 1e6, 3),
                "bytes_in": came,
                "bytes_out": sent,
            }
            access.info("%s %s %d", method, told["path"], status, extra={"told": told})

    def add(self, told: Iterable[tuple[str, str, int]]) -> None:
        """Count questions that a data plane has answered: route, status, how many; how long each took stays there."""
        for route, status, count in told:
            self._statuses[route, "POST", status] += count

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        statuses = CounterMetricFamily(
            "ropewalk_http_requests", "Requests by route, verb and status.", labels=["route", "method", "status"]
        )
        for labels, count in self._statuses.items():
            statuses.add_metric(list(labels), count)
        yield statuses
        times = HistogramMetricFamily(
            "ropewalk_http_request_seconds", "From a request's head to its answer's end.", labels=["route", "method"]
        )
        for labels, spread in self._spreads.items():
            spread.into(times, labels)
        yield times


def route_of(scope: Scope) -> str:
    """Return the pattern of a request's path; `other` where nobody serves it."""
    return str(scope.get(ROUTE) or getattr(scope.get("route"), "path", "") or ELSEWHERE)


def _verb(method: str) -> str:
    """Return a verb, or one word for those that nobody serves: callers can make up as many as they like."""
    return method if method in _VERBS else ELSEWHERE


_VERBS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
