"""The load part of stage 7: a bounded number of connections for a bounded time, latencies against a budget."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ropewalk.releases.caller import Caller
from ropewalk.settings import Qa

OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What the load found.

    Attributes:
        requests: how many were answered or failed.
        errors: how many did not get status 200.
        statuses: how often each status came.
        seconds: how long it took.
        p50_ms: median latency of the answered ones.
        p99_ms: 99th percentile.
        problems: sentences, empty when the budget is kept.
    """

    requests: int
    errors: int
    statuses: dict[str, int]
    seconds: float
    p50_ms: float
    p99_ms: float
    problems: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "requests": self.requests,
            "errors": self.errors,
            "statuses": self.statuses,
            "seconds": round(self.seconds, 3),
            "p50_ms": round(self.p50_ms, 3),
            "p99_ms": round(self.p99_ms, 3),
            "problems": list(self.problems),
        }


class _Lane:
    """One connection's work; a thread's own, joined before it is read."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.statuses: dict[str, int] = {}

    def ask(self, url: str, path: str, bodies: Sequence[object], end: float) -> None:
        """Ask until the time is up, and once at least, however slow the endpoint is."""
        with Caller(url) as caller:
            for body in itertools.cycle(bodies):
                reply = caller.ask("POST", path, body)
                self.statuses[str(reply.status)] = self.statuses.get(str(reply.status), 0) + 1
                if reply.status == OK:
                    self.latencies.append(reply.seconds)
                if time.perf_counter() >= end:
                    return


def run_load(url: str, path: str, bodies: list[object], plan: Qa) -> Loaded:
    """Ask from `load_connections` threads for `load_seconds`, each request after the answer to the one before.

    Args:
        url: the endpoint, on loopback.
        path: where to post to.
        bodies: JSON-able bodies, taken in turn.
        plan: bounds and budget.
    """
    lanes = [_Lane() for _ in range(plan.load_connections)]
    begun = time.perf_counter()
    end = begun + plan.load_seconds
    threads = [
        threading.Thread(target=lane.ask, args=(url, path, bodies[number % len(bodies) :] + bodies, end))
        for number, lane in enumerate(lanes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    latencies = sorted(one for lane in lanes for one in lane.latencies)
    statuses: dict[str, int] = {}
    for lane in lanes:
        for status, count in lane.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    requests = sum(statuses.values())
    errors = requests - statuses.get(str(OK), 0)
    p50, p99 = percentile_ms(latencies, 0.50), percentile_ms(latencies, 0.99)
    return Loaded(
        requests=requests,
        errors=errors,
        statuses=statuses,
        seconds=seconds,
        p50_ms=p50,
        p99_ms=p99,
        problems=_problems(plan, requests, errors, p50, p99),
    )


def percentile_ms(ordered: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of ordered seconds, in milliseconds; 0 without any."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1000


def _problems(plan: Qa, requests: int, errors: int, p50_ms: float, p99_ms: float) -> tuple[str, ...]:
    problems: list[str] = []
    if errors:
        problems.append(f"{errors} of {requests} requests under load got no answer of status 200")
    if requests == errors:
        problems.append("nothing was answered under load")
    elif p50_ms > plan.p50_ms:
        problems.append(f"half of the answers took longer than {p50_ms:.1f} ms; the budget is {plan.p50_ms:g} ms")
    elif p99_ms > plan.p99_ms:
        problems.append(f"1 % of the answers took longer than {p99_ms:.1f} ms; the budget is {plan.p99_ms:g} ms")
    return tuple(problems)
