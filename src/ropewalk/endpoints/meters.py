"""What a gateway counts, kept as plain numbers per batch and shown in Prometheus' text format."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from ropewalk import __version__
from ropewalk.clock import Clock
from ropewalk.endpoints.exemplars import Example, Spread, slowest
from ropewalk.endpoints.items import OK
from ropewalk.endpoints.requests import Requests

# So many releases are counted apart; beyond them those that were seen first are forgotten, as after a new start.
RELEASES_MAX = 1000
Labels = tuple[str, ...]
Gauges = Callable[[], Iterator[tuple[str, str, dict[tuple[str, str], float]]]]


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
        clock: the time.

    Attributes:
        requests: every HTTP request, whatever it asks.
        standing: what the project's records say; asked in a thread, and empty where there are none.
    """

    def __init__(self, gauges: Gauges, clock: Clock) -> None:
        self.requests = Requests(clock)
        self.standing: Callable[[], Sequence[Metric]] = tuple
        self._stood: Sequence[Metric] = ()
        self._gauges = gauges
        self._clock = clock
        self._rows: Tally[Labels] = Tally()
        self._answers: Tally[Labels] = Tally()
        self._spreads: dict[Labels, Spread] = {}
        self._batches: Tally[Labels] = Tally()
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def batch(
        self,
        endpoint: str,
        release: str,
        role: list[str],
        *,
        status: list[str],
        latency_us: list[int],
        ids: Sequence[str] = (),
        traces: Sequence[str] = (),
    ) -> None:
        """Count a finished batch; lists have one value per row, latencies in microseconds, `traces` or none at all."""
        spread = self._spread(endpoint, release)
        for (each, word), count in Tally(zip(role, status, strict=True)).items():
            self._rows[endpoint, release, each, word] += count
        spread.add(latency_us, slowest(latency_us, ids, traces, self._clock.now_us()) if ids else None)
        self._batches[endpoint, release] += 1

    def _spread(self, endpoint: str, release: str) -> Spread:
        key = (endpoint, release)
        found = self._spreads.get(key)
        if found is None:
            if len(self._spreads) >= RELEASES_MAX:
                self._forget(next(iter(self._spreads)))
            found = self._spreads[key] = Spread("prediction_id")
        return found

    def _forget(self, key: Labels) -> None:
        del self._spreads[key]
        self._batches.pop(key, None)
        for labels in [one for one in self._rows if one[:2] == key]:
            del self._rows[labels]

    def add(self, endpoint: str, told: Mapping[str, Any]) -> None:
        """Count what a data plane of an endpoint has counted, as `Tallies.taken` says it."""
        for release, role, count in told["rows"]:
            self._rows[endpoint, release, role, OK] += count
        for release, more in told["spread"].items():
            spread = self._spread(endpoint, release)
            spread.merge(more, told["micros"].get(release, 0))
            for example in told["examples"].get(release, ()):
                spread.show(Example(*example))
        for release, batches in told["batches"].items():
            self._batches[endpoint, release] += batches
        self.requests.add(told["routes"])
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
            micros=self._spreads[endpoint, release].micros if (endpoint, release) in self._spreads else 0,
        )

    def answered(self, endpoint: str, status: int) -> None:
        """Count an HTTP answer of a prediction route by its status."""
        self._answers[endpoint, str(status)] += 1

    def look(self) -> None:
        """Ask the records; for a thread."""
        self._stood = self.standing()

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return self.encoded("")[0]

    def encoded(self, accept: str) -> tuple[bytes, str]:
        """Return everything and its media type: OpenMetrics with examples for who takes it, Prometheus' text if not."""
        encode, media = choose_encoder(accept)
        return encode(self._registry), media

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families (prometheus-client calls this)."""
        yield from self._predictions()
        yield from self.requests.collect()
        for name, says, values in self._gauges():
            gauge = GaugeMetricFamily(name, says, labels=["endpoint", "release"])
            for labels, value in values.items():
                gauge.add_metric(list(labels), value)
            yield gauge
        built = GaugeMetricFamily("ropewalk_build_info", "1, with the version of Ropewalk.", labels=["version"])
        built.add_metric([__version__], 1.0)
        yield built
        yield from self._stood

    def _predictions(self) -> Iterator[Metric]:
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
        for labels, spread in self._spreads.items():
            spread.into(times, labels)
        yield times
