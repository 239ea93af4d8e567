"""Histograms with an example in each bucket: which request took so long, so that a chart leads to it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.samples import Exemplar

BOUNDS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
BOUNDS_US = tuple(int(bound * 1_000_000) for bound in BOUNDS_SECONDS)
_NAMES = (*map(str, BOUNDS_SECONDS), "+Inf")
Labels = tuple[str, ...]


class Example(NamedTuple):
    """One that was counted.

    Attributes:
        micros: how long it took.
        number: of the prediction or the request.
        trace: that it belongs to, or an empty text.
        at_us: when it was answered.
    """

    micros: int
    number: str
    trace: str
    at_us: int


class Spread:
    """How long things took, and the newest example of each bucket; an example is the slowest of its batch.

    Args:
        named: how the number of an example is called.
    """

    __slots__ = ("_examples", "_named", "counts", "micros")

    def __init__(self, named: str) -> None:
        self._named = named
        self.counts = [0] * len(_NAMES)
        self.micros = 0
        self._examples: dict[int, Example] = {}

    def add(self, took: Sequence[int], example: Example | None = None) -> None:
        """Count times, in microseconds."""
        for one in took:
            self.counts[bisect_left(BOUNDS_US, one)] += 1
        self.micros += sum(took)
        if example is not None:
            self.show(example)

    def merge(self, counts: Sequence[int], micros: int) -> None:
        """Count what another process has counted."""
        self.counts = [one + other for one, other in zip(self.counts, counts, strict=True)]
        self.micros += micros

    def show(self, example: Example) -> None:
        """Keep an example."""
        self._examples[bisect_left(BOUNDS_US, example.micros)] = example

    def into(self, family: HistogramMetricFamily, labels: Labels) -> None:
        """Add the series to a family."""
        family.add_metric(list(labels), list(self._buckets()), self.micros / 1_000_000)

    def _buckets(self) -> Iterator[tuple[str, float] | tuple[str, float, Exemplar]]:
        total = 0
        for at, (name, count) in enumerate(zip(_NAMES, self.counts, strict=True)):
            total += count
            example = self._examples.get(at)
            if example is None:
                yield name, float(total)
            else:
                yield name, float(total), _exemplar(self._named, example)


def _exemplar(named: str, example: Example) -> Exemplar:
    labels: Mapping[str, str] = {named: example.number}
    if example.trace:
        labels = {"trace_id": example.trace, **labels}
    return Exemplar(dict(labels), example.micros / 1_000_000, example.at_us / 1_000_000)


def slowest(latency_us: Sequence[int], ids: Sequence[str], traces: Sequence[str], at_us: int) -> Example:
    """Return the row of a batch that took longest."""
    micros = max(latency_us)
    at = latency_us.index(micros)
    return Example(micros, ids[at], traces[at] if traces else "", at_us)
