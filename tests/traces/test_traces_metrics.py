"""Figures over many traces: counted, summed and spread by name, state, model and hour."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as some

from api.asking import Client
from ropewalk.api.mlflow import tracemetrics
from ropewalk.traces import assessment, ingest, metrics, start
from ropewalk.traces.assessment import Assessment
from traces.telling import export, span

PATH = "/api/3.0/mlflow/traces/metrics"
HOUR = 3_600_000
DAY = 1_767_225_600_000  # 2026-01-01


@pytest.fixture
def client(site):
    """Six traces of two names, hour by hour; each fast one has a span that cost something, each a judgement."""

    def work(tx):
        for number in range(6):
            name, state = ("fast", "OK") if number % 2 else ("slow", "ERROR")
            trace = f"{number + 1:032x}"
            told = start.Told(
                id=f"tr-{trace}",
                experiment="0",
                start_ms=DAY + number * HOUR,
                duration_ms=number * 10,
                state=state,
                tags={"mlflow.traceName": name, "team": "ops" if number < 3 else "lab"},
                metadata={
                    "mlflow.trace.session": f"s{number % 3}",
                    "mlflow.trace.tokenUsage": f'{{"input_tokens": {number}, "output_tokens": 1}}',
                },
            )
            made = start.start(tx, site, told).trace
            if number % 2:
                said = {"mlflow.llm.model": "m", "mlflow.llm.cost": '{"total_cost": 0.5}', "mlflow.spanType": "LLM"}
                one = span(1, trace=trace, attributes=said, after_ms=number * HOUR, until_ms=number * HOUR + 7)
                ingest.keep(tx, "0", ingest.read(export(one)))
            judged = Assessment(kind="feedback", name="score", value=number / 2, valid=number != 5)
            assessment.add(tx, site, made.number, made.id, judged)

    site.db.write(work)
    return Client(site, tracemetrics.ROUTES)


def ask(client, view, metric, *ways, **more):
    given = [
        {"aggregation_type": w} if isinstance(w, str) else {"aggregation_type": "PERCENTILE", "percentile_value": w}
        for w in ways
    ]
    body = {"experiment_ids": ["0"], "view_type": view, "metric_name": metric, "aggregations": given, **more}
    found = client.send("POST", PATH, **body).get("data_points", [])
    assert {one["metric_name"] for one in found} <= {metric}
    return [(one.get("dimensions", {}), one["values"]) for one in found]


def test_traces_are_counted_by_name_and_state(client):
    assert ask(client, "TRACES", "trace_count", "COUNT") == [({}, {"COUNT": 6})]
    assert ask(client, "TRACES", "trace_count", "COUNT", dimensions=["trace_name", "trace_status"]) == [
        ({"trace_name": "fast", "trace_status": "OK"}, {"COUNT": 3}),
        ({"trace_name": "slow", "trace_status": "ERROR"}, {"COUNT": 3}),
    ]
    assert ask(client, "TRACES", "session_count", "COUNT") == [({}, {"COUNT": 3})]
    assert ask(client, "TRACES", "trace_count", "COUNT", experiment_ids=["77"]) == [({}, {"COUNT": 0})]


def test_durations_and_tokens_are_summed_and_spread(client):
    assert ask(client, "TRACES", "latency", "AVG", "MIN", "MAX", 50, 100.0) == [
        ({}, {"AVG": 25, "MIN": 0, "MAX": 50, "P50.0": 25, "P100.0": 50})
    ]
    assert ask(client, "TRACES", "latency", 50, dimensions=["trace_name"]) == [
        ({"trace_name": "fast"}, {"P50.0": 30}),
        ({"trace_name": "slow"}, {"P50.0": 20}),
    ]
    assert ask(client, "TRACES", "input_tokens", "SUM", filters=["trace.tag.team = 'lab'"]) == [({}, {"SUM": 12})]
    assert ask(client, "TRACES", "output_tokens", "SUM", filters=["trace.metadata.`mlflow.trace.session` = 's1'"]) == [
        ({}, {"SUM": 2})
    ]


def test_time_is_cut_into_buckets(client):
    day = {"time_interval_seconds": 7200, "start_time_ms": DAY + HOUR, "end_time_ms": DAY + 4 * HOUR}

    assert ask(client, "TRACES", "trace_count", "COUNT", **day) == [
        ({"time_bucket": "2026-01-01T00:00:00+00:00"}, {"COUNT": 1}),
        ({"time_bucket": "2026-01-01T02:00:00+00:00"}, {"COUNT": 2}),
        ({"time_bucket": "2026-01-01T04:00:00+00:00"}, {"COUNT": 1}),
    ]
    assert ask(client, "SPANS", "total_cost", "SUM", **day) == [
        ({"time_bucket": "2026-01-01T00:00:00+00:00"}, {"SUM": 0.5}),
        ({"time_bucket": "2026-01-01T02:00:00+00:00"}, {"SUM": 0.5}),
    ]
    assert len(ask(client, "TRACES", "trace_count", "COUNT", **day, max_results=2)) == 2


def test_spans_and_assessments_have_figures_of_their_own(client):
    assert ask(client, "SPANS", "span_count", "COUNT", dimensions=["span_type"]) == [
        ({"span_type": "LLM"}, {"COUNT": 3})
    ]
    assert ask(client, "SPANS", "latency", "MAX", filters=["span.name = 'step'"]) == [({}, {"MAX": 7})]
    assert ask(client, "SPANS", "total_cost", "SUM", dimensions=["span_model_name"]) == [
        ({"span_model_name": "m"}, {"SUM": 1.5})
    ]
    assert ask(client, "ASSESSMENTS", "assessment_value", "AVG", dimensions=["assessment_name"]) == [
        ({"assessment_name": "score"}, {"AVG": 1.0})
    ]
    assert ask(client, "ASSESSMENTS", "assessment_count", "COUNT", filters=["trace.status = 'OK'"]) == [
        ({}, {"COUNT": 2})
    ]
    assert ask(client, "ASSESSMENTS", "assessment_count", "COUNT", filters=["assessment.type = 'issue'"]) == [
        ({}, {"COUNT": 0})
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"experiment_ids": []},
        {"experiment_ids": ["x"]},
        {"view_type": "RUNS"},
        {"metric_name": "joy"},
        {"aggregations": []},
        {"aggregations": [{"aggregation_type": "SUM"}]},
        {"aggregations": [{"aggregation_type": "COUNT", "percentile_value": 5}]},
        {"metric_name": "latency", "aggregations": [{"aggregation_type": "PERCENTILE"}]},
        {"metric_name": "latency", "aggregations": [{"aggregation_type": "PERCENTILE", "percentile_value": 101}]},
        {"dimensions": ["span_name"]},
        {"dimensions": ["trace_name", "trace_name"]},
        {"filters": ["trace.status > 'OK'"]},
        {"filters": ["span.name = 'x'"]},
        {"filters": ["trace.tag = 'x'"]},
        {"filters": ["trace.joy = 'x'"]},
        {"filters": ["trace.status = 'OK'"] * 21},
        {"time_interval_seconds": 60},
        {"time_interval_seconds": 0, "start_time_ms": 1, "end_time_ms": 2},
        {"max_results": 0},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(client, wrong):
    asked = {"experiment_ids": ["0"], "view_type": "TRACES", "metric_name": "trace_count"}

    status, _ = client.refused("POST", PATH, **{**asked, "aggregations": [{"aggregation_type": "COUNT"}], **wrong})
    assert status == 400


def test_percentiles_of_too_many_values_are_refused(client, monkeypatch):
    monkeypatch.setattr(metrics, "VALUES_MAX", 5)

    way = {"aggregation_type": "PERCENTILE", "percentile_value": 50}
    body = {"experiment_ids": ["0"], "view_type": "TRACES", "metric_name": "latency", "aggregations": [way]}
    assert client.refused("POST", PATH, **body)[0] == 400


@given(some.lists(some.floats(-1e6, 1e6), min_size=2, max_size=40))
def test_percentiles_are_those_of_linear_interpolation(values):
    quartiles = statistics.quantiles(values, n=4, method="inclusive")

    assert [metrics.percentile(values, percent) for percent in (25, 50, 75)] == pytest.approx(quartiles, abs=1e-6)
    assert (metrics.percentile(values, 0), metrics.percentile(values, 100)) == (min(values), max(values))
