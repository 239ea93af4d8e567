"""What a gateway counts, kept as plain numbers per batch and shown in Prometheus' text format."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ropewalk.endpoints.items import OK

BOUNDS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
BOUNDS_US = tuple(int(bound * 1_000_000) for bound in BOUNDS_SECONDS)
Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What one release has done: rows answered and failed, batches, and microseconds from arrival to answer in all."""

    answered: int
    failed: int
    batches: int
    micros: int


class Meters(Collector):
    """Counts predictions, refusals and time; the gateway adds gauges through `gauges`.

    Args:
        gauges: yields `(name, what it says, {labels: value})` when somebody looks.
    """

    def __init__(self, gauges: Callable[[], Iterator[tuple[str, str, dict[tuple[str, str], float]]]]) -> None:
        self._gauges = gauges
        self._rows: Tally[Labels] = Tally()
        self._answers: Tally[Labels] = Tally()
        self._spread: dict[Labels, list[int]] = {}
        self._sums: Tally[Labels] = Tally()
        self._batches: Tally[Labels] = Tally()
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def batch(self, endpoint: str, release: str, role: list[str], status: list[str], latency_us: list[int]) -> None:
        """Count a finished batch; lists have one value per row, latencies in microseconds."""
        for (each, word), count in Tally(zip(role, status, strict=True)).items():
            self._rows[endpoint, release, each, word] += count
        spread = self._spread.setdefault((endpoint, release), [0] * (len(BOUNDS_US) + 1))
        for took in latency_us:
            spread[bisect_left(BOUNDS_US, took)] += 1
        self._sums[endpoint, release] += sum(latency_us)
        self._batches[endpoint, release] += 1

    def add(self, endpoint: str, told: Mapping[str, Any]) -> None:
        """Count what a data plane of an endpoint has counted, as `Tallies.taken` says it."""
        for release, role, count in told["rows"]:
            self._rows[endpoint, release, role, OK] += count
        for release, more in told["spread"].items():
            spread = self._spread.setdefault((endpoint, release), [0] * (len(BOUNDS_US) + 1))
            spread[:] = [one + other for one, other in zip(spread, more, strict=True)]
        for release, micros in told["micros"].items():
            self._sums[endpoint, release] += micros
        for release, batches in told["batches"].items():
            self._batches[endpoint, release] += batches
        for status, count in (("200", told["answers"]), ("503", told["turned_away"])):
            if count:
                self._answers[endpoint, status] += count

    def counted(self, endpoint: str, release: str) -> Counted:
        """Return what a release has done so far in this process."""
        mine = {key: count for key, count in self._rows.items() if key[:2] == (endpoint, release)}
        answered = sum(count for key, count in mine.items() if key[3] == OK)
        return Counted(
            answered=answered,
            failed=sum(mine.values()) - answered,
            batches=self._batches[endpoint, release],
            micros=self._sums[endpoint, release],
        )

    def answered(self, endpoint: str, status: int) -> None:
        """Count an HTTP answer of a prediction route by its status."""
        self._answers[endpoint, str(status)] += 1

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families (prometheus-client calls this)."""
        rows = CounterMetricFamily(
            "ropewalk_predictions", "Predictions.", labels=["endpoint", "release", "role", "status"]
        )
        for labels, count in self._rows.items():
            rows.add_metric(list(labels), count)
        yield rows
        answers = CounterMetricFamily("ropewalk_http_answers", "Answers by HTTP status.", labels=["endpoint", "status"])
        for labels, count in self._answers.items():
            answers.add_metric(list(labels), count)
        yield answers
        times = HistogramMetricFamily(
            "ropewalk_prediction_seconds", "From arrival to answer.", labels=["endpoint", "release"]
        )
        for labels, spread in self._spread.items():
            buckets: list[tuple[str, float]] = []
            total = 0
            for bound, count in zip((*map(str, BOUNDS_SECONDS), "+Inf"), spread, strict=True):
                total += count
                buckets.append((bound, float(total)))
            times.add_metric(list(labels), buckets, self._sums[labels] / 1_000_000)
        yield times
        for name, says, values in self._gauges():
            gauge = GaugeMetricFamily(name, says, labels=["endpoint", "release"])
            for labels, value in values.items():
                gauge.add_metric(list(labels), value)
            yield gauge
