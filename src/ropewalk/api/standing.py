"""What a project's records say for `/metrics`: alerts, rollouts, work that waits, what is captured, room on disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric

from ropewalk.house import House
from ropewalk.releases import rollout
from ropewalk.store.database import Reader

# Whoever asks more often gets what was found last.
FRESH_SECONDS = 10.0
OPEN = "open"
KINDS = ("run", "batch", "start", "delivery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alerts:
    """How many alerts of a monitor are in a state."""

    endpoint: str
    monitor: str
    kind: str
    state: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollouts:
    """How many canaries of an endpoint are in a state."""

    endpoint: str
    state: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """How much work of a kind is in a state."""

    kind: str
    state: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """How far a stream is behind, None where its broker does not say."""

    name: str
    paused: int
    lag: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What is sealed of an endpoint."""

    endpoint: str
    segments: int
    rows: int
    bytes: int


class Standing:
    """Reads the records when somebody looks, at most every few seconds; for threads.

    Args:
        house: the open project.
        names: the endpoints that are served.
    """

    def __init__(self, house: House, names: Callable[[], Sequence[str]]) -> None:
        self._house = house
        self._names = names
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._found: tuple[Metric, ...] = ()

    def __call__(self) -> Sequence[Metric]:
        """Return the metric families."""
        clock = self._house.site.clock
        with self._lock:
            if clock.monotonic() - self._at >= FRESH_SECONDS:
                with self._house.site.db.read() as rows:
                    self._found = (*self._read(rows), *self._disk())
                self._at = clock.monotonic()
            return self._found

    def _read(self, rows: Reader) -> Iterator[Metric]:
        names = self._names()
        yield from _alerts(
            rows, [(one, each.name, each.kind) for one in names for each in self._house.settings.monitors]
        )
        yield _rollouts(rows, names)
        yield _jobs(rows)
        lag = GaugeMetricFamily("ropewalk_stream_lag", "Messages that wait to be scored.", labels=["stream"])
        paused = GaugeMetricFamily("ropewalk_stream_paused", "1 while people have paused it.", labels=["stream"])
        for one in rows.all(Streamed, "standing.streams"):
            paused.add_metric([one.name], one.paused)
            if one.lag is not None:
                lag.add_metric([one.name], one.lag)
        yield lag
        yield paused
        kept = GaugeMetricFamily("ropewalk_captured_rows", "Predictions in sealed segments.", labels=["endpoint"])
        held = GaugeMetricFamily("ropewalk_captured_bytes", "Bytes of sealed segments.", labels=["endpoint"])
        for one in rows.all(Captured, "standing.captured"):
            kept.add_metric([one.endpoint], one.rows)
            held.add_metric([one.endpoint], one.bytes)
        yield kept
        yield held

    def _disk(self) -> Iterator[Metric]:
        disk = os.statvfs(self._house.site.hidden)
        yield GaugeMetricFamily(
            "ropewalk_disk_free_bytes", "Room where the records lie.", value=disk.f_bavail * disk.f_frsize
        )
        yield GaugeMetricFamily(
            "ropewalk_disk_bytes", "Size of the disk where the records lie.", value=disk.f_blocks * disk.f_frsize
        )


def _alerts(rows: Reader, watched: Sequence[tuple[str, str, str]]) -> Iterator[Metric]:
    """Yield what monitors say: whether each is open now, 0 for those that are quiet, and how many were opened."""
    opened: dict[tuple[str, str, str], int] = dict.fromkeys(watched, 0)
    ever = dict(opened)
    for one in rows.all(Alerts, "standing.alerts"):
        key = (one.endpoint, one.monitor, one.kind)
        ever[key] = ever.get(key, 0) + one.count
        opened[key] = opened.get(key, 0) + (one.count if one.state == OPEN else 0)
    labels = ["endpoint", "monitor", "kind"]
    now = GaugeMetricFamily("ropewalk_alert_open", "1 while a monitor's alert is open.", labels=labels)
    total = GaugeMetricFamily("ropewalk_alerts_opened", "Alerts of a monitor so far.", labels=labels)
    for key, count in opened.items():
        now.add_metric(key, count)
        total.add_metric(key, ever[key])
    yield now
    yield total


def _jobs(rows: Reader) -> Metric:
    """Return how much work is where; what waits, runs or has failed is there from the beginning."""
    counts = {(kind, state): 0 for kind in KINDS for state in ("waiting", "running", "failed")}
    for one in rows.all(Jobs, "standing.jobs"):
        counts[one.kind, one.state] = one.count
    return _gauge("ropewalk_jobs", "Runs, batches, starts, deliveries.", "kind", counts)


def _rollouts(rows: Reader, names: Sequence[str]) -> Metric:
    """Return how many canaries are where; each state is there from the beginning, so that the first one is a rise."""
    counts = {(name, state): 0 for name in names for state in rollout.MOVES}
    for one in rows.all(Rollouts, "standing.rollouts"):
        counts[one.endpoint, one.state] = one.count
    return _gauge("ropewalk_rollouts", "Canaries by state.", "endpoint", counts)


def _gauge(name: str, told: str, what: str, counts: Mapping[tuple[str, str], int]) -> Metric:
    """Return how many of each `what` are in each state."""
    found = GaugeMetricFamily(name, told, labels=[what, "state"])
    for key, count in counts.items():
        found.add_metric(key, count)
    return found
