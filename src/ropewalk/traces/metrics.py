"""Figures over many traces: how many, how long, how many tokens, what they cost and what is thought of them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ropewalk.clock import iso
from ropewalk.errors import Invalid
from ropewalk.runs.grammar import Clause
from ropewalk.store.database import Reader, Row
from ropewalk.traces import compile as composing
from ropewalk.traces.compile import Measure
from ropewalk.traces.search import experiment_numbers
from ropewalk.traces.vocabulary import placed

PAGE_MAX = 10_000
VALUES_MAX = 200_000
FILTERS_MAX = 20
FILTER_LETTERS_MAX = 10_000
BUCKET = "time_bucket"
TRACES, SPANS, ASSESSMENTS = "TRACES", "SPANS", "ASSESSMENTS"
_SPREAD = frozenset({"AVG", "MIN", "MAX", "PERCENTILE"})
_SUMMED = _SPREAD | {"SUM"}
_COUNT = frozenset({"COUNT"})
_FILTER = re.compile(
    r"""\s*(?P<view>trace|span|assessment)\.(?P<entity>\w+)(?:\.(?P<key>`[^`]+`|"[^"]+"|[\w./:-]+))?
    \s*=\s*(?P<value>'[^']*'|"[^"]*")\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One figure that can be asked for.

    Attributes:
        value: the column that is summed up.
        ways: how it may be.
        dimensions: by what it may be grouped: name and column.
    """

    value: str
    ways: frozenset[str]
    dimensions: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How values are summed up.

    Attributes:
        kind: `COUNT`, `SUM`, `AVG`, `MIN`, `MAX` or `PERCENTILE`.
        percent: 0 to 100 for a percentile, else None.
    """

    kind: str
    percent: float | None = None

    @property
    def name(self) -> str:
        """How the answer calls it: `AVG`, `P95.0`."""
        return f"P{self.percent}" if self.kind == "PERCENTILE" else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One figure, for one group.

    Attributes:
        dimensions: the group, with `time_bucket` where one was asked for.
        values: by the names of the ways.
    """

    dimensions: dict[str, str]
    values: dict[str, float]


_NAME = {"trace_name": "t.name"}
_MODEL = {"span_model_name": "s.model", "span_model_provider": "s.provider"}
_OF_SPAN = {"span_name": "s.name", "span_type": "s.type", "span_status": "s.status", **_MODEL}
_TOKENS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "total_tokens": "total_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_write_tokens",
}
METRICS: dict[str, dict[str, Metric]] = {
    TRACES: {
        "trace_count": Metric(value="t.number", ways=_COUNT, dimensions={**_NAME, "trace_status": "t.state"}),
        "session_count": Metric(value="t.session", ways=_COUNT, dimensions={}),
        "latency": Metric(value="t.duration_ms", ways=_SPREAD, dimensions=_NAME),
        **{name: Metric(value=f"t.{column}", ways=_SUMMED, dimensions=_NAME) for name, column in _TOKENS.items()},
    },
    SPANS: {
        "span_count": Metric(value="s.id", ways=_COUNT, dimensions=_OF_SPAN),
        "latency": Metric(
            value="((s.end_ns - s.start_ns) / 1000000)",
            ways=_SPREAD,
            dimensions={"span_name": "s.name", "span_status": "s.status"},
        ),
        **{
            name: Metric(value=f"s.{name}", ways=_SUMMED, dimensions=_MODEL)
            for name in ("input_cost", "output_cost", "total_cost")
        },
    },
    ASSESSMENTS: {
        "assessment_count": Metric(
            value="a.number", ways=_COUNT, dimensions={"assessment_name": "a.name", "assessment_value": "a.value"}
        ),
        "assessment_value": Metric(value="a.aggregate", ways=_SPREAD, dimensions={"assessment_name": "a.name"}),
    },
}
_SOURCES = {
    TRACES: "traces t",
    SPANS: "spans s join traces t on t.number = s.trace",
    ASSESSMENTS: "assessments a join traces t on t.number = a.trace",
}
_OWN = {
    "span": {"name": "s.name", "status": "s.status", "type": "s.type"},
    "assessment": {"name": "a.name", "type": "a.kind"},
}
_VIEW_OF = {"span": SPANS, "assessment": ASSESSMENTS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question for figures.

    Attributes:
        view: `TRACES`, `SPANS` or `ASSESSMENTS`.
        metric: one of its figures.
        ways: how it is summed up.
        experiments: ids of experiments.
        dimensions: by what it is grouped.
        filters: such as `trace.status = 'OK'`, all of which must hold.
        bucket_s: seconds by which it is grouped too, or None; it then needs a range.
        start_ms: milliseconds since the epoch, or None.
        end_ms: the same, included.
        count: groups, at most.
    """

    view: str
    metric: str
    ways: tuple[Way, ...]
    experiments: tuple[str, ...]
    dimensions: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    bucket_s: int | None = None
    start_ms: int | None = None
    end_ms: int | None = None
    count: int = 1000


def query(reader: Reader, asked: Asked) -> list[Point]:
    """Return figures by group, in the order of the groups.

    Raises:
        Invalid: there is no such figure, way, dimension or filter, or too many values are to be sorted.
    """
    metric = _metric(asked)
    names = ([BUCKET] if asked.bucket_s else []) + list(asked.dimensions)
    found: dict[tuple[object, ...], dict[str, float]] = {}
    plain = [way for way in asked.ways if way.kind != "PERCENTILE"]
    if plain:
        for row in _rows(reader, asked, metric, tuple(_sum(metric, way) for way in plain), asked.count):
            figures = {way.name: row[f"s{place}"] for place, way in enumerate(plain)}
            told = {name: float(str(value)) for name, value in figures.items() if value is not None}
            if told:
                found.setdefault(_group(row, len(names)), {}).update(told)
    percents = [way for way in asked.ways if way.kind == "PERCENTILE"]
    if percents:
        for group, values in _values(reader, asked, metric, len(names)).items():
            if group in found or not plain:
                found.setdefault(group, {}).update({way.name: percentile(values, way.percent or 0) for way in percents})
    groups = list(found)[: asked.count]
    return [Point(dimensions=_named(names, group), values=found[group]) for group in groups]


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile by linear interpolation (Hyndman and Fan 1996, definition 7)."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _metric(asked: Asked) -> Metric:
    """Return the figure that is asked for, after looking at the whole question."""
    known = METRICS.get(asked.view)
    if known is None:
        raise _bad("view_type", f"it is one of {', '.join(METRICS)}")
    metric = known.get(asked.metric)
    if metric is None:
        raise _bad("metric_name", f"{asked.view} have {', '.join(known)}")
    if not asked.ways or any(way.kind not in metric.ways for way in asked.ways):
        raise _bad("aggregations", f"{asked.metric} is summed up by {', '.join(sorted(metric.ways))}")
    for way in asked.ways:
        if (way.kind == "PERCENTILE") != (way.percent is not None) or not 0 <= (way.percent or 0) <= 100:  # noqa: PLR2004
            raise _bad("aggregations", "a percentile, and nothing else, has a percentile_value from 0 to 100")
    if len(set(asked.dimensions)) != len(asked.dimensions) or not set(asked.dimensions) <= metric.dimensions.keys():
        raise _bad("dimensions", f"{asked.metric} is grouped by {', '.join(metric.dimensions) or 'nothing'}")
    if asked.bucket_s is not None and not 1 <= asked.bucket_s <= 1 << 31:
        raise _bad("time_interval_seconds", "it is a positive number of seconds")
    if asked.bucket_s and (asked.start_ms is None or asked.end_ms is None):
        raise _bad("time_interval_seconds", "it needs start_time_ms and end_time_ms")
    if not 1 <= asked.count <= PAGE_MAX:
        raise _bad("max_results", f"it is 1 to {PAGE_MAX}")
    return metric


def _sum(metric: Metric, way: Way) -> str:
    value = f"distinct {metric.value}" if metric.value == "t.session" else metric.value
    return f"avg(cast({value} as double precision))" if way.kind == "AVG" else f"{way.kind.lower()}({value})"


def _rows(reader: Reader, asked: Asked, metric: Metric, sums: tuple[str, ...], count: int) -> list[Row]:
    clauses, equal = _filters(asked)
    nanos = asked.view == SPANS and (metric.value.endswith("_cost") or asked.bucket_s is not None)
    return composing.figures(
        reader,
        Measure(
            source=_SOURCES[asked.view],
            where=("a.valid = 1",) if asked.view == ASSESSMENTS else (),
            value=metric.value,
            groups=tuple(metric.dimensions[name] for name in asked.dimensions),
            time="s.start_ns" if nanos else "t.start_ms",
            scale=1_000_000 if nanos else 1,
            sums=sums,
        ),
        experiments=experiment_numbers(asked.experiments),
        clauses=clauses,
        equal=equal,
        between=(asked.start_ms, asked.end_ms),
        bucket_ms=None if asked.bucket_s is None else asked.bucket_s * 1000,
        count=count,
    )


def _values(reader: Reader, asked: Asked, metric: Metric, width: int) -> dict[tuple[object, ...], list[float]]:
    rows = _rows(reader, asked, metric, (), VALUES_MAX + 1)
    if len(rows) > VALUES_MAX:
        raise _bad("aggregations", f"percentiles are worked out of at most {VALUES_MAX} values: narrow the time")
    found: dict[tuple[object, ...], list[float]] = {}
    for row in rows:
        found.setdefault(_group(row, width), []).append(float(str(row["v"])))
    return found


def _group(row: Row, width: int) -> tuple[object, ...]:
    return tuple(row[f"g{place}"] for place in range(width))


def _named(names: Sequence[str], group: tuple[object, ...]) -> dict[str, str]:
    return {
        name: f"{iso(int(str(value)) * 1000)[:19]}+00:00" if name == BUCKET else str(value)
        for name, value in zip(names, group, strict=True)
    }


def _filters(asked: Asked) -> tuple[list[Clause], list[tuple[str, str]]]:
    """Return conditions on the trace, and columns of what is looked at that have a value."""
    if len(asked.filters) > FILTERS_MAX:
        raise _bad("filters", f"at most {FILTERS_MAX}")
    clauses: list[Clause] = []
    equal: list[tuple[str, str]] = []
    for text in asked.filters:
        found = _FILTER.fullmatch(text) if len(text) <= FILTER_LETTERS_MAX else None
        if found is None:
            raise _bad(text, "a filter is trace.status, trace.tag.KEY, span.name or assessment.name = 'TEXT'")
        view, entity, value = found["view"], found["entity"], found["value"][1:-1]
        key = (found["key"] or "").strip('`"')
        if view == "trace" and entity == "status" and not key:
            clauses.append(Clause(entity="attribute", key="status", op="=", value=value))
        elif view == "trace" and entity in ("tag", "metadata") and key:
            clauses.append(placed(Clause(entity=entity, key=key, op="=", value=value)))
        elif view != "trace" and asked.view == _VIEW_OF[view] and entity in _OWN[view] and not key:
            equal.append((_OWN[view][entity], value))
        else:
            raise _bad(text, f"{asked.view} are not filtered by this")
    return clauses, equal


def _bad(where: str, why: str) -> Invalid:
    return Invalid("trace-metric-invalid", "These figures cannot be asked for.", where=where[:80], why=why)
