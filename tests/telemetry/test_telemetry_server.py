"""A server says what it does: a line of JSON a request, metrics by route, and traces that go on from the caller's."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ropewalk.endpoints.capture import find
from ropewalk.house import open_house
from telemetry.scraping import until

pytestmark = [pytest.mark.xdist_group("watched"), pytest.mark.timeout(180)]
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
OPEN = "application/openmetrics-text;version=1.0.0"


def trace_at(watched, number: str) -> list[dict]:
    """Return the spans that the server has kept of a trace, as MLflow's clients are told of them."""
    status, _, body = watched.ask("GET", f"/api/3.0/mlflow/traces/get?trace_id=tr-{number}")
    return json.loads(body)["trace"]["spans"] if status == 200 else []


def test_each_request_has_a_line_of_json_with_the_number_of_its_answer(watched):
    headers, _ = watched.predict(traceparent=f"00-{TRACE}-{SPAN}-00")
    lost = watched.ask("GET", "/nothing%0Ahere")[1]["x-request-id"]

    def line_of(number: str) -> dict:
        return until(lambda: [one for one in watched.lines() if one.get("request_id") == number])[0]

    line, other = line_of(headers["x-request-id"]), line_of(lost)
    assert line["trace_id"] == TRACE
    assert (line["method"], line["route"], line["status"]) == ("POST", "/endpoints/{name}/predict", 200)
    assert line["path"] == "/endpoints/churn/predict"
    assert line["ms"] > 0
    assert line["bytes_in"] > 0
    assert line["level"] == "info"
    assert (other["route"], other["status"], other["path"]) == ("other", 404, "/nothing%0Ahere")


def test_metrics_count_requests_by_route_with_the_number_of_one_of_them(watched):
    headers, _ = watched.predict()
    watched.ask("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")
    watched.ask("GET", "/api/v1/endpoints")

    families = {
        one.name: one for one in text_string_to_metric_families(watched.ask("GET", "/metrics", Accept=OPEN)[2].decode())
    }

    routes = {one.labels["route"] for one in families["ropewalk_http_requests"].samples}
    assert {"/endpoints/{name}/predict", "/api/2.0/mlflow/experiments/get", "/api/v1/endpoints"} <= routes
    assert not [one for one in routes if "churn" in one]
    numbers = {
        one.exemplar.labels["request_id"] for one in families["ropewalk_http_request_seconds"].samples if one.exemplar
    }
    assert headers["x-request-id"] in numbers


def test_metrics_say_how_alerts_canaries_work_streams_and_the_disk_stand(watched):
    text = watched.ask("GET", "/metrics")[2].decode()

    for line in (
        'ropewalk_alert_open{endpoint="churn",kind="output",monitor="answers"} 0.0',
        'ropewalk_rollouts{endpoint="churn",state="fallen"} 0.0',
        'ropewalk_jobs{kind="run",state="finished"} 1.0',
        'ropewalk_jobs{kind="batch",state="failed"} 0.0',
        'ropewalk_stream_lag{stream="orders"} 3.0',
    ):
        assert line in text.splitlines()
    free, whole = (
        float(text.partition(f"\n{name} ")[2].split()[0])
        for name in ("ropewalk_disk_free_bytes", "ropewalk_disk_bytes")
    )
    assert 0 < free < whole


def test_a_trace_goes_on_from_the_caller_through_the_endpoint_to_the_record_and_to_the_collector(watched):
    pytest.importorskip("opentelemetry")
    headers, found = watched.predict(traceparent=f"00-{TRACE[::-1]}-{SPAN}-01")

    spans = until(lambda: trace_at(watched, TRACE[::-1]))

    by_name = {one["name"]: one for one in spans}
    assert set(by_name) == {"POST /endpoints/{name}/predict", "predict churn/1"}
    told = {name: {one["key"]: one["value"] for one in span["attributes"]} for name, span in by_name.items()}
    assert headers["x-request-id"] in json.dumps(told["POST /endpoints/{name}/predict"])
    assert found["id"] in json.dumps(told["predict churn/1"])
    with open_house(watched.root) as house:
        assert find(house.site, found["id"])["trace"] == TRACE[::-1]


def test_a_caller_who_keeps_no_trace_is_told_of_none(watched):
    pytest.importorskip("opentelemetry")
    quiet, kept = "a" * 32, "b" * 32
    watched.predict(traceparent=f"00-{quiet}-{SPAN}-00")
    watched.predict(traceparent=f"00-{kept}-{SPAN}-01")

    assert until(lambda: trace_at(watched, kept))
    assert not trace_at(watched, quiet)


def test_a_run_is_a_trace_with_a_span_for_each_step(watched):
    pytest.importorskip("opentelemetry")
    caller = "c" * 32
    done = subprocess.run(
        [sys.executable, "-m", "ropewalk", "--project", str(watched.root), "run"],
        env={**watched.environment(), "TRACEPARENT": f"00-{caller}-{SPAN}-01"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    spans = until(lambda: trace_at(watched, caller))

    (whole,) = [one for one in spans if one["name"].startswith("run ")]
    steps = [one for one in spans if one["name"].startswith("step ")]
    assert whole["name"] == "run pipeline.py:train"
    assert steps
    assert {one["parent_span_id"] for one in steps} == {whole["span_id"]}


def test_nothing_of_opentelemetry_is_imported_where_nobody_is_told():
    script = (
        "import sys, ropewalk.api.app, ropewalk.telemetry.otlp, ropewalk.telemetry.open as o, ropewalk.settings as s\n"
        "with o.spans_of(s.Telemetry()) as found: assert found is None\n"
        "print([one for one in sys.modules if one.startswith('opentelemetry')])"
    )
    done = subprocess.run([sys.executable, "-c", script], env={"PATH": ""}, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
